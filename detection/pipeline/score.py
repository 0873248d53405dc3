"""The third step: computes features and scores of the series that share a model."""

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
    """What a model sees of a panel of n rows in k series.

    Attributes:
        features: the features of all rows that the model looks at, also of rows before a stretch.
        shown: the same rows as the detector takes them; its wanted rows are those to score.
        rows: shape (m,), the panel rows of the wanted rows, each of which gets a score.
        spans: of each series the panel rows [start, stop) of its stretches.
        marked: shape (n,), which panel rows lie in a stretch.
        warm_up: shape (k,), how many rows of each series have too little history for a score.
        still: shape (k,), how many rows of each series were set aside, as they stand still.
        errors: by ticker what is wrong with its bars.
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
    """A model's scores of the bars of a load.

    Attributes:
        load: what was to be scored.
        seen: what the model saw of the load.
        scores: shape (m,), of `seen.rows`; 0.0 of rows that cannot pass the threshold.
        asked: positions in `scores` of the bars that were asked for by anomaly id.
    """

    load: Load
    seen: Shown
    scores: Float64
    asked: Int64


def score(load: Load, job: Job, *, asked: Iterable[str] = ()) -> Scores:
    """Return the scores that a load's model gives to the bars of its stretches.

    Args:
        load: bars, model and stretches.
        job: the job that the load is of.
        asked: ids of anomalies whose bars are scored in full and described, whether or not they
            pass the threshold.
    """
    model, seen = load.model, show(load)
    # A job that keeps the scores needs each of them in full, not 0.0 of usual bars.
    below = 0.0 if job.keep_scores else model.threshold
    scores = score_rows(model.detector, seen.shown, below=below)
    wanted = np.flatnonzero(np.isin(seen.rows, find_rows(load.panel, asked)))
    scores[wanted] = score_rows(model.detector, seen.shown.want(seen.shown.wanted[wanted]))
    return Scores(load, seen, scores, wanted)


def show(load: Load) -> Shown:
    """Return what a load's model sees of the stretches."""
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
    # The counts of `features` include rows before the stretches, so they are counted again.
    idle = mark_set_aside(panel, model.feature_set)
    still = panel.count_rows(np.flatnonzero(marked & idle))
    # A row that traded and has no score lacks history.
    warm_up = panel.count_rows(np.flatnonzero(marked & ~idle)) - panel.count_rows(rows)
    return Shown(features, shown, rows, spans, marked, warm_up, still, errors)


def _mark_wanted(panel: BarPanel, spans: Spans) -> Bools:
    """Return which rows of a panel lie in a stretch, shape (n,).

    Rows between two stretches of a series are loaded, but were scored before.
    """
    wanted = np.zeros(panel.times.size, dtype=np.bool_)
    for series_spans in spans:
        for start, stop in series_spans:
            wanted[start:stop] = True
    return wanted


def _check_finite(panel: BarPanel, features: Features) -> tuple[Bools, dict[str, str]]:
    """Return which feature rows belong to series without NaN or infinity, shape (m,), and an error
    for each other ticker.
    """
    columns = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    usable = np.ones(features.rows.size, dtype=np.bool_)
    errors: dict[str, str] = {}
    # Almost always all values are finite; one sum of each column tells.
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
