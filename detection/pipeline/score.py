"""The third step: features and scores of the series that share a model, and then the documents of
the strange bars.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

import numpy as np

from core.arrays import Bools, Float64, Int64
from core.words import AnomalyKind
from detection.detectors.contract import score_rows
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features, compute_features, mark_set_aside
from detection.features.market_move import LEAST_TICKERS
from detection.models.manager import LoadedModel
from detection.models.rows import lay_out_rows
from detection.pipeline.anomaly_documents import Describer, find_rows
from detection.pipeline.job import Job, Outcome, VersionScores
from detection.pipeline.load import Load
from detection.pipeline.plan import Outcomes
from detection.pipeline.stretches import select_rows
from detection.scoring.faults import Fault, find_faults
from market.bars.panel import BarPanel
from records.findings.documents import AnomalyDocument

Spans = Sequence[Sequence[tuple[int, int]]]

# Of so many bars at least it is said that more of them were flagged than so many times the share
# of those that the model learned from. Chance and crises hardly ever make it so many; a ticker
# unlike all that it learned from, such as a thinly traded one among large ones, does.
JUDGED_ROWS = 250
MOST_TIMES_FLAGGED = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model sees of a panel of k series.

    Attributes:
        features: of all rows that it looks at, those before a stretch too.
        shown: the same as a detector is shown them; wanted are those of the stretches.
        rows: shape (m,), the panel rows that are wanted.
        marked: shape (n,), which panel rows lie in a stretch.
        spans, warm_up, still, errors: as in `_Scored`.
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


@dataclass(frozen=True, slots=True)
class _Scored:
    """What came of a panel of k series.

    Attributes:
        spans: of each series the panel rows [start, stop) of its stretches.
        rows: the panel rows that have a score.
        warm_up: shape (k,), how many rows of each series were too early for one.
        still: shape (k,), how many were set aside, as they stand still.
        errors: what is wrong with a ticker's bars.
        found: the anomalies of each ticker.
        scores: shape (m,), of the `rows`, where they are to be kept.
    """

    spans: Spans
    rows: Int64
    warm_up: Int64
    still: Int64
    errors: Mapping[str, str]
    found: Mapping[str, Sequence[AnomalyDocument]]
    scores: Float64 | None


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


def describe(
    said: Scores,
    outcomes: Outcomes,
    job: Job,
    now: datetime,
    *,
    kinds: Mapping[str, AnomalyKind] | None = None,
) -> dict[str, Outcome]:
    """Return the outcomes of a load's tickers after its model has scored their stretches.

    Args:
        said: what the model said.
        outcomes: what came of the tickers before; a walk forward scores each of them by several
            models.
        job: on whose behalf.
        now: when the anomalies count as found.
        kinds: what anomalies were found as, by id; of a bar that may as well be an event as a
            fault this decides, not whether it passes the threshold of today.
    """
    load, seen, scores = said.load, said.seen, said.scores
    panel, model = load.panel, load.model
    features, rows, shown = seen.features, seen.rows, seen.shown
    passed = scores < model.threshold
    events = _settle_events(panel, rows[passed], kinds or {})
    faults, returned = _find_faults(load, seen.marked, features, seen.errors, events)
    described = passed.copy()
    described[said.asked] = True
    told = np.zeros(panel.times.size, dtype=np.bool_)
    told[[*faults, *returned]] = True
    described &= ~told[rows]
    found: dict[str, list[AnomalyDocument]] = {}
    picked = shown.want(shown.wanted[described])
    describer = Describer(load, features, job, now)
    strange = describer.describe_events(picked, scores[described])
    for anomaly in chain(strange, describer.describe_faults(list(faults.values()))):
        found.setdefault(anomaly["Ticker"], []).append(anomaly)
    for own in found.values():
        own.sort(key=lambda anomaly: anomaly["Datetime"])
    lost = f"lost its stored {panel.interval} bars; import them again"
    gone = load.stretches.keys() - set(panel.tickers)
    done = {ticker: outcomes[ticker].fail("no_bars", f"{ticker} {lost}") for ticker in gone}
    kept = scores if job.keep_scores else None
    scored = _Scored(seen.spans, rows, seen.warm_up, seen.still, seen.errors, found, kept)
    return done | {outcome.ticker: outcome for outcome in _describe(load, scored, outcomes)}


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


def _settle_events(panel: BarPanel, passed: Int64, kinds: Mapping[str, AnomalyKind]) -> set[int]:
    """Return the rows that count as events: those that passed, but for what is known already."""
    known = {
        kind: set(find_rows(panel, [each for each, own in kinds.items() if own == kind]).tolist())
        for kind in ("event", "fault")
    }
    return {*passed.tolist(), *known["event"]} - known["fault"]


def _find_faults(
    load: Load,
    wanted: Bools,
    features: Features,
    errors: Mapping[str, str],
    events: set[int],
) -> tuple[dict[int, Fault], Iterable[int]]:
    """Return the faults among the `wanted` rows of series without errors, by row,
    and the rows that only come back from one.

    What may be an event as well is one where its row is among the `events`.
    """
    panel = load.panel
    if errors:
        wanted = wanted.copy()
        for s, ticker in enumerate(panel.tickers):
            if ticker in errors:
                wanted[panel.series(s)] = False
    judged = find_faults(panel, wanted, features, load.market)
    faults = {
        row: fault for row, fault in judged.faults.items() if fault.is_certain or row not in events
    }
    return faults, judged.returned


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
        when, ticker = _time(int(panel.times[row])), panel.tickers[s]
        errors[ticker] = (
            f"{ticker} {panel.interval} has a bar that is not a number at"
            f" {when:%Y-%m-%dT%H:%M:%SZ}; import it again"
        )
        usable &= ~((features.rows >= panel.offsets[s]) & (features.rows < panel.offsets[s + 1]))
    return usable, errors


def _describe(load: Load, scored: _Scored, outcomes: Outcomes) -> Iterator[Outcome]:
    """Yield what came of each series of the panel."""
    panel, model = load.panel, load.model
    facts = (
        np.diff(panel.offsets),
        panel.count_rows(scored.rows),
        scored.warm_up,
        scored.still,
    )
    warnings = _warn_of_interval(model, panel) + _warn_of_market(load, scored.rows)
    warnings += (model.threshold_problem,) if model.threshold_problem else ()
    # Whole columns become lists at once, as in `Describer`.
    listed = zip(panel.tickers, scored.spans, *(values.tolist() for values in facts), strict=True)
    kept = _split_scores(load, scored)
    for ticker, rows, rows_loaded, rows_scored, warm_up_rows, still_rows in listed:
        before = outcomes[ticker]
        set_aside = {
            "warm_up_rows": before.warm_up_rows + warm_up_rows,
            "still_rows": before.still_rows + still_rows,
        }
        if ticker in scored.errors:
            yield before._replace(**set_aside).fail("bad_bars", scored.errors[ticker])
            continue
        own = tuple(
            (_time(panel.times[start]), _time(panel.times[stop - 1])) for start, stop in rows
        )
        all_spans = before.spans + own
        anomalies = scored.found.get(ticker, ())
        for anomaly in anomalies:
            anomaly["bars_revision"] = before.bars_revision
        own_warnings = _warn_of_share(model, ticker, panel.interval, rows_scored, anomalies)
        yield before._replace(
            **set_aside,
            model=model,
            rows_loaded=before.rows_loaded + rows_loaded,
            rows_processed=before.rows_processed + rows_scored,
            spans=all_spans,
            first_scored=all_spans[0][0] if all_spans else None,
            warnings=before.warnings + warnings + own_warnings,
            market_revision=load.market.revision if load.market else None,
            found=(*before.found, *anomalies),
            scores=before.scores + kept.get(ticker, ()),
            **_find_shortage(model.warm_up_bars + 1, before.bars_stored),
        )


def _split_scores(load: Load, scored: _Scored) -> dict[str, tuple[VersionScores]]:
    """Return by ticker the scores that are to be kept."""
    if scored.scores is None:
        return {}
    panel = load.panel
    bounds = np.searchsorted(scored.rows, panel.offsets).tolist()
    return {
        ticker: (
            VersionScores(
                load.model.version,
                panel.times[scored.rows[start:stop]].astype("<i8").tobytes(),
                scored.scores[start:stop].astype("<f8").tobytes(),
            ),
        )
        for ticker, (start, stop) in zip(panel.tickers, pairwise(bounds), strict=True)
        if start < stop
    }


def _warn_of_interval(model: LoadedModel, panel: BarPanel) -> tuple[str, ...]:
    if model.interval == panel.interval:
        return ()
    return (f"{model.version} was trained on {model.interval} bars, not {panel.interval}",)


def _warn_of_market(load: Load, rows: Int64) -> tuple[str, ...]:
    """Return a warning where the market's move is not known on the days of some of the `rows`."""
    market, interval = load.market, load.panel.interval
    if market is None:
        return ()
    if not market.is_known:
        most = int(market.counts.max(initial=0))
        warning = (
            f"market {market.market} has {interval} returns of {most} ticker{'s' * (most != 1)} on"
            f" a day at the most, and its own move is the median of at least {LEAST_TICKERS}:"
            " scores do without it"
        )
        return (warning,)
    unknown = market.times[np.isnan(market.moves)]
    if not unknown.size:  # as almost always; to look at the day of every bar takes its time
        return ()
    lacking = unknown[np.isin(unknown, load.panel.times[rows])].tolist()
    if not lacking:
        return ()
    first, last = f"{_time(lacking[0]):%Y-%m-%d}", f"{_time(lacking[-1]):%Y-%m-%d}"
    when = f"on {first}" if first == last else f"on {len(lacking):,} days from {first} to {last}"
    warning = (
        f"market {market.market}: its own move is not known {when}, where fewer than"
        f" {LEAST_TICKERS} tickers have a return: {interval} scores do without it there, until"
        " the bars that lack are imported"
    )
    return (warning,)


def _warn_of_share(
    model: LoadedModel, ticker: str, interval: str, rows: int, found: Sequence[AnomalyDocument]
) -> tuple[str, ...]:
    """Return a warning where far more of a ticker's bars were flagged than of those that the model
    learned from.
    """
    # As almost always: a scan looks at thousands of tickers.
    if rows < JUDGED_ROWS or len(found) * 100 < rows:
        return ()
    events = sum(anomaly["kind"] == "event" for anomaly in found)
    usual = model.grades.count_below(model.threshold) / model.grades.rows
    if events <= MOST_TIMES_FLAGGED * usual * rows:
        return ()
    warning = (
        f"{ticker}: {events / rows:.1%} of {rows:,} {interval} bars are flagged, and"
        f" {usual:.1%} of those that {model.version} learned from: it knows few like them. Train a"
        f" model with them, or set a threshold for {ticker}: `flask models threshold --ticker"
        f" {ticker} --grade 75`"
    )
    return (warning,)


def _find_shortage(needed: int, present: int) -> dict[str, Any]:
    if present >= needed:
        return {}
    return {"reason": "not_enough_bars", "bars_needed": needed, "bars_present": present}


@lru_cache(1_000)
def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
