"""The third step: features, scores and the documents of the strange bars,
of the series that share a model.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np

from core.arrays import Bools, Int64
from detection.features.compute import Features, compute_features
from detection.features.market_move import LEAST_TICKERS
from detection.models.manager import LoadedModel
from detection.pipeline.anomaly_documents import build_events, build_faults, find_rows
from detection.pipeline.job import Job, Outcome
from detection.pipeline.load import Load
from detection.pipeline.plan import Outcomes
from detection.pipeline.stretches import select_rows
from detection.scoring.faults import Fault, find_faults
from market.bars.panel import BarPanel
from records.findings.documents import AnomalyDocument

Spans = Sequence[Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class _Scored:
    """What came of a panel of k series.

    Attributes:
        spans: of each series the panel rows [start, stop) of its stretches.
        rows: the panel rows that have a score.
        warm_up: shape (k,), how many rows of each series were too early for one.
        no_trade: shape (k,), how many were set aside because nothing traded.
        errors: what is wrong with a ticker's bars.
        found: the anomalies of each ticker.
    """

    spans: Spans
    rows: Int64
    warm_up: Int64
    no_trade: Int64
    errors: Mapping[str, str]
    found: Mapping[str, Sequence[AnomalyDocument]]


def score(
    load: Load, outcomes: Outcomes, job: Job, now: datetime, *, asked: Iterable[str] = ()
) -> dict[str, Outcome]:
    """Return the outcomes of a load's tickers after its model has scored their stretches.

    Args:
        load: bars, model and stretches.
        outcomes: what came of the tickers before; a walk forward scores each of them by several
            models.
        job: on whose behalf.
        now: when the anomalies count as found.
        asked: ids of anomalies whose bars are described whether or not they pass the threshold.
    """
    panel, model = load.panel, load.model
    history = model.feature_set.count_history_bars(panel.interval)
    spans = [
        select_rows(panel, s, load.stretches[ticker], history)
        for s, ticker in enumerate(panel.tickers)
    ]
    stops = panel.offsets[1:].tolist()
    starts = [rows[0][0] if rows else stop for rows, stop in zip(spans, stops, strict=True)]
    features = compute_features(
        panel, np.array(starts, dtype=np.int64), model.feature_set, load.market
    )
    is_finite, errors = _check_finite(panel, features)
    marked = _mark_wanted(panel, spans)
    usable = np.flatnonzero(marked[features.rows] & is_finite)
    rows = features.rows[usable]
    inputs = (
        features.inputs
        if usable.size == features.rows.size
        else features.inputs.take(usable, axis=0)
    )
    scores = model.detector.score_samples(inputs, below=model.threshold)
    wanted = np.flatnonzero(np.isin(rows, find_rows(panel, asked)))
    scores[wanted] = model.detector.score_samples(inputs[wanted])
    passed = scores < model.threshold
    faults, returned = _find_faults(load, marked, features, errors, rows[passed])
    described = passed.copy()
    described[wanted] = True
    told = np.zeros(panel.times.size, dtype=np.bool_)
    told[[*faults, *returned]] = True
    described &= ~told[rows]
    found: dict[str, list[AnomalyDocument]] = {}
    events = build_events(load, features, usable[described], scores[described], job, now)
    for anomaly in chain(events, build_faults(load, features, faults.values(), job, now)):
        found.setdefault(anomaly["Ticker"], []).append(anomaly)
    for own in found.values():
        own.sort(key=lambda anomaly: anomaly["Datetime"])
    lost = f"lost its stored {panel.interval} bars; import them again"
    gone = load.stretches.keys() - set(panel.tickers)
    done = {ticker: outcomes[ticker].fail("no_bars", f"{ticker} {lost}") for ticker in gone}
    scored = _Scored(spans, rows, features.warm_up, features.no_trade, errors, found)
    return done | {outcome.ticker: outcome for outcome in _describe(load, scored, outcomes)}


def _find_faults(
    load: Load,
    wanted: Bools,
    features: Features,
    errors: Mapping[str, str],
    events: Int64,
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
    passed = set(events.tolist())
    judged = find_faults(panel, wanted, features, load.market)
    faults = {
        row: fault for row, fault in judged.faults.items() if fault.is_certain or row not in passed
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
    for s in np.unique(np.searchsorted(panel.offsets, bad_rows, side="right") - 1):
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
        np.diff(np.searchsorted(scored.rows, panel.offsets)),
        scored.warm_up,
        scored.no_trade,
    )
    warnings = _warn_of_interval(model, panel) + _warn_of_market(load)
    # Whole columns become lists at once, as in `build_anomalies`.
    listed = zip(panel.tickers, scored.spans, *(values.tolist() for values in facts), strict=True)
    for ticker, rows, rows_loaded, rows_scored, warm_up_rows, no_trade_rows in listed:
        before = outcomes[ticker]
        outcome = replace(
            before,
            warm_up_rows=before.warm_up_rows + warm_up_rows,
            no_trade_rows=before.no_trade_rows + no_trade_rows,
        )
        if ticker in scored.errors:
            yield outcome.fail("bad_bars", scored.errors[ticker])
            continue
        own = tuple(
            (_time(panel.times[start]), _time(panel.times[stop - 1])) for start, stop in rows
        )
        all_spans = before.spans + own
        anomalies = scored.found.get(ticker, ())
        yield replace(
            outcome,
            model=model,
            rows_loaded=before.rows_loaded + rows_loaded,
            rows_processed=before.rows_processed + rows_scored,
            spans=all_spans,
            first_scored=all_spans[0][0] if all_spans else None,
            warnings=before.warnings + warnings,
            market_revision=load.market.revision if load.market else None,
            found=before.found
            + tuple(anomaly | {"bars_revision": before.bars_revision} for anomaly in anomalies),
            **_find_shortage(model.feature_set.warm_up_bars + 1, before.bars_stored),
        )


def _warn_of_interval(model: LoadedModel, panel: BarPanel) -> tuple[str, ...]:
    if model.interval == panel.interval:
        return ()
    return (f"{model.version} was trained on {model.interval} bars, not {panel.interval}",)


def _warn_of_market(load: Load) -> tuple[str, ...]:
    if load.market is None or load.market.is_known:
        return ()
    interval = load.panel.interval
    most = int(load.market.counts.max(initial=0))
    warning = (
        f"market {load.market.market} has {interval} bars of {most} tickers a day at the most, and"
        f" its own move is the median of at least {LEAST_TICKERS}: scores do without it"
    )
    return (warning,)


def _find_shortage(needed: int, present: int) -> dict[str, Any]:
    if present >= needed:
        return {}
    return {"reason": "not_enough_bars", "bars_needed": needed, "bars_present": present}


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
