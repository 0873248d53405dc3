"""The third step: features and scores of the series that share a model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core.arrays import Bools, Float64, Int64
from detection.detectors.contract import score_rows
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features, compute_features, mark_set_aside
from detection.models.rows import lay_out_rows
from detection.pipeline.anomaly_documents import find_rows
from detection.pipeline.job import Job
from detection.pipeline.load import Load
from detection.pipeline.stretches import select_rows
from market.bars.panel import BarPanel

Spans = Sequence[Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model sees of a panel of k series.

    Attributes:
        features: of all rows that it looks at, those before a stretch too.
        shown: the same as a detector is shown them; wanted are those of the stretches.
        rows: shape (m,), the panel rows that are wanted, each of which has a score.
        spans: of each series the panel rows [start, stop) of its stretches.
        marked: shape (n,), which panel rows lie in a stretch.
        warm_up: shape (k,), how many rows of each series were too early for a score.
        still: shape (k,), how many were set aside, as they stand still.
        errors: what is wrong with a ticker's bars.
    """

    features: Features
    shown: SeriesRows
    rows: Int64
    spans: Spans
    marked: Bools
    warm_up: Int64
    still: Int64
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a load's model says of the bars that it sees.

    Attributes:
        load: what was to be scored.
        seen: what the model saw of it.
        scores: shape (m,), of `seen.rows`; 0.0 of those that cannot pass the threshold.
        asked: which of them were asked for by name.
    """

    load: Load
    seen: Shown
    scores: Float64
    asked: Int64


def score(load: Load, job: Job, *, asked: Iterable[str] = ()) -> Scores:
    """Return what a load's model says of the bars that it is to see.

    Args:
        load: bars, model and stretches.
        job: on whose behalf.
        asked: ids of anomalies whose bars are described whether or not they pass the threshold.
    """
    model, seen = load.model, show(load)
    # Where all of them are kept, none may be cut short.
    below = 0.0 if job.keep_scores else model.threshold
    scores = score_rows(model.detector, seen.shown, below=below)
    wanted = np.flatnonzero(np.isin(seen.rows, find_rows(load.panel, asked)))
    scores[wanted] = score_rows(model.detector, seen.shown.want(seen.shown.wanted[wanted]))
    return Scores(load, seen, scores, wanted)


def show(load: Load) -> Shown:
    """Return what a load's model is to see of the stretches."""
    panel, model = load.panel, load.model
    history = model.feature_set.count_history_bars(panel.interval) + model.history_bars
    spans = [
        select_rows(panel, s, load.stretches[ticker], history, model.history_bars)
        for s, ticker in enumerate(panel.tickers)
    ]
    stops = panel.offsets[1:].tolist()
    starts = np.array(
        [rows[0][0] if rows else stop for rows, stop in zip(spans, stops, strict=True)], np.int64
    )
    features = compute_features(panel, starts - model.history_bars, model.feature_set, load.market)
    is_finite, errors = _check_finite(panel, features)
    marked = _mark_wanted(panel, spans)
    usable = np.flatnonzero(marked[features.rows] & is_finite)
    shown = lay_out_rows(panel, features, model.feature_set, usable)
    if not model.history_bars:
        rows = features.rows[usable]
        still = features.still
        return Shown(features, shown, rows, spans, marked, features.warm_up, still, errors)
    shown = shown.want(usable[model.find_known(shown)])
    rows = features.rows[shown.wanted]
    # Those of the features count what lies before the stretches too.
    idle = mark_set_aside(panel, model.feature_set)
    still = panel.count_rows(np.flatnonzero(marked & idle))
    # What traded and has no score lacks bars before it.
    warm_up = panel.count_rows(np.flatnonzero(marked & ~idle)) - panel.count_rows(rows)
    return Shown(features, shown, rows, spans, marked, warm_up, still, errors)


def _mark_wanted(panel: BarPanel, spans: Spans) -> Bools:
    """Return which rows of a panel lie in a stretch;
    what lies between two stretches is not scored again.
    """
    wanted = np.zeros(panel.times.size, dtype=np.bool_)
    for series_spans in spans:
        for start, stop in series_spans:
            wanted[start:stop] = True
    return wanted


def _check_finite(panel: BarPanel, features: Features) -> tuple[Bools, dict[str, str]]:
    """Return which feature rows belong to series all of whose bars are numbers,
    and an error for each other ticker.
    """
    columns = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    usable = np.ones(features.rows.size, dtype=np.bool_)
    errors: dict[str, str] = {}
    # Almost always they all are, which one sum of each column tells.
    if np.isfinite(sum(column.sum() for column in columns)):
        return usable, errors
    bad_rows = np.flatnonzero(~np.isfinite(sum(columns)))
    for s in np.unique(panel.find_series(bad_rows)):
        row = bad_rows[np.searchsorted(bad_rows, panel.offsets[s])]
        when, ticker = datetime.fromtimestamp(int(panel.times[row]), UTC), panel.tickers[s]
        errors[ticker] = (
            f"{ticker} {panel.interval} has a bar that is not a number at"
            f" {when:%Y-%m-%dT%H:%M:%SZ}; import it again"
        )
        usable &= ~((features.rows >= panel.offsets[s]) & (features.rows < panel.offsets[s + 1]))
    return usable, errors
