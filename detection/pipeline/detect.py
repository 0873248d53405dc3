"""The one path every detection takes: load bars -> features -> scores -> anomalies -> commit.

A batch of many tickers goes it part by part: while `commit` writes one part, `detect` reads and computes the next.
However many parts there are, they are written in one transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Bools, Int64
from detection.features.compute import Features, compute_features
from detection.models.manager import LoadedModel, ModelManager
from detection.pipeline.anomaly_documents import build_anomalies, find_rows
from detection.pipeline.job import Job, Outcome, build_audit, build_result, build_watermark, count_outcomes
from detection.pipeline.prefetch import work_ahead
from detection.pipeline.stretches import (
    WATERMARK_FIELDS,
    Stretch,
    cut,
    find_first,
    plan_backfill,
    plan_incremental,
    select_rows,
)
from market.bars.panel import BarPanel
from market.bars.store import SERIES_FIELDS, read_panel
from records.database import Db, Document
from records.findings import anomalies
from records.findings.watermarks import find_watermarks, write_watermarks
from records.market.revisions import find_changes
from records.market.series import find_series_of
from records.work.audits import write_audits

# Enough that what a query costs in itself does not weigh, and so few that the memory of their bars is used again by
# the next part: larger pieces go back to the system, which takes longer to hand them out again than to fill them.
PART_TICKERS = 250

Checkpoint = Callable[[float], None]
Finish = Callable[[ClientSession, Document], None]
Plans = Mapping[str, tuple[Stretch, ...]]
Outcomes = Mapping[str, Outcome]
Load = tuple[BarPanel, LoadedModel, Plans]


def detect_and_commit(
    database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint, finish: Finish
) -> tuple[list[Outcome], list[Document]]:
    """Detect the series of a job, write what was found, and return an outcome and a result for each.

    Raises as `detect` and `commit` do; then nothing is written.
    """
    outcomes: list[Outcome] = []

    def load_part(start: int) -> tuple[Outcomes, list[Load]]:
        checkpoint(start / len(job.tickers))
        part = replace(job, tickers=job.tickers[start : start + PART_TICKERS])
        found = {ticker: Outcome(ticker) for ticker in part.tickers}
        return found, list(_load(database, models, part, found))

    def detect_part(loaded: tuple[Outcomes, list[Load]]) -> list[Outcome]:
        found, loads = loaded
        for panel, model, plans in loads:
            detect_panel(panel, model, plans, job, found)
        outcomes.extend(found.values())
        return list(found.values())

    # A part is loaded for all its models at once, which would be too much of a walk forward.
    if len(job.tickers) <= PART_TICKERS or job.walk_forward:
        outcomes += detect(database, models, job, checkpoint)
        return outcomes, commit(database, job, [outcomes], finish)
    starts = range(0, len(job.tickers), PART_TICKERS)
    with work_ahead(map(load_part, starts)) as loaded, work_ahead(map(detect_part, loaded)) as parts:
        return outcomes, commit(database, job, parts, finish)


def detect(database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint) -> list[Outcome]:
    """Detect the series of a job and return an outcome for each; nothing is written.

    `checkpoint(fraction)` is called between two steps; what it raises (LeaseLost, Cancelled) ends the work.
    Raises NoModel, ModelIntegrity.
    """
    outcomes = {ticker: Outcome(ticker) for ticker in job.tickers}
    checkpoint(0.1)
    for load in _load(database, models, job, outcomes):
        detect_panel(*load, job, outcomes)
        del load
        checkpoint(0.8)
    return list(outcomes.values())


def _load(database: Db, models: ModelManager, job: Job, outcomes: Outcomes) -> Iterator[Load]:
    """Yield the bars that each model is to score, and what is to be scored of them; fill in what will not be."""
    fields = (*SERIES_FIELDS, "revision", "last_bar")
    with database.client.start_session(snapshot=True) as session:
        series = find_series_of(database, job.tickers, job.interval, fields, session)
        plans = _plan(database, job, series, outcomes)
        for model, group in _choose_models(models, job, plans):
            yield read_panel(database, job.interval, series, find_starts(group), session), model, group


def _choose_models(models: ModelManager, job: Job, plans: Plans) -> Iterator[tuple[LoadedModel, Plans]]:
    """Yield each model with what it is to score."""
    if not job.walk_forward:
        groups = models.group_by_model(job.market, tuple(plans), watchlist=job.watchlist)
        yield from ((model, {ticker: plans[ticker] for ticker in tickers}) for model, tickers in groups)
        return
    for model, last in models.list_walk_forward(job.market, job.interval):
        after = int(model.window_end.timestamp())
        end = None if last is None else int(last.timestamp())
        yield model, {ticker: cut(stretches, after, end) for ticker, stretches in plans.items()}


def find_starts(plans: Plans) -> dict[str, int | None]:
    """Return the earliest bar wanted of each ticker in UTC seconds, None for the first one stored."""
    return {ticker: find_first(stretches) for ticker, stretches in plans.items()}


def detect_panel(
    panel: BarPanel,
    model: LoadedModel,
    plans: Plans,
    job: Job,
    outcomes: Mapping[str, Outcome],
    *,
    asked: Iterable[str] = (),
) -> None:
    """Detect series that share a model, with their bars from `find_starts(plans)` on, and fill in their outcomes.

    The bars `asked` about, by anomaly id, are described whether or not they passed the threshold.
    """
    spans = [select_rows(panel, s, plans[ticker]) for s, ticker in enumerate(panel.tickers)]
    stops = panel.offsets[1:].tolist()
    starts = [rows[0][0] if rows else stop for rows, stop in zip(spans, stops, strict=True)]
    features = compute_features(panel, np.array(starts, dtype=np.int64), model.feature_set)
    usable = np.flatnonzero(_mark_wanted(panel, features, spans) & _mark_finite(panel, features, outcomes))
    rows = features.rows[usable]
    inputs = features.inputs if usable.size == features.rows.size else features.inputs.take(usable, axis=0)
    scores = model.detector.score_samples(inputs, below=model.threshold)
    wanted = np.flatnonzero(np.isin(rows, find_rows(panel, asked)))
    scores[wanted] = model.detector.score_samples(inputs[wanted])
    for ticker in plans.keys() - set(panel.tickers):
        outcomes[ticker].fail("no_bars", f"{ticker} lost its stored {panel.interval} bars; import them again")
    _describe(panel, features, spans, rows, model, outcomes)
    described = scores < model.threshold
    described[wanted] = True
    for anomaly in build_anomalies(panel, features, usable[described], scores[described], model, job):
        outcome = outcomes[anomaly["Ticker"]]
        outcome.found.append(anomaly | {"bars_revision": outcome.bars_revision})


def commit(database: Db, job: Job, parts: Iterable[Sequence[Outcome]], finish: Finish) -> list[Document]:
    """Write anomalies, watermarks and audit documents in one transaction, and return a result for each ticker.

    `finish(session, counts)` closes the batch in the same transaction and raises LeaseLost where it is no longer ours.
    """
    now, coming = datetime.now(UTC), iter(parts)
    come: list[Sequence[Outcome]] = []

    def take_parts() -> Iterator[Sequence[Outcome]]:
        yield from come  # where MongoDB asked for the transaction to be repeated
        for part in coming:
            come.append(part)
            yield part

    def write(session: ClientSession) -> list[Document]:
        outcomes: list[Outcome] = []
        audits: list[Document] = []
        for part in take_parts():
            outcomes += part
            audits += _write_part(database, job, part, now, session)
        finish(session, count_outcomes(outcomes, audits))
        return [build_result(audit) for audit in audits]

    with database.client.start_session() as session:
        return session.with_transaction(write)


def _write_part(
    database: Db, job: Job, outcomes: Sequence[Outcome], now: datetime, session: ClientSession
) -> list[Document]:
    """Write what was found of some tickers, and return their audit documents."""
    spans = {outcome.ticker: outcome.spans for outcome in outcomes}
    stored: dict[str, dict[str, Document]] = {ticker: {} for ticker in spans}
    for document in anomalies.find_stored(database, job.interval, spans, session):
        stored[document["Ticker"]][document["_id"]] = document
    writes: list[anomalies.Write] = []
    audits = []
    for outcome in outcomes:
        existing = stored[outcome.ticker]
        found_ids = {anomaly["_id"] for anomaly in outcome.found}
        writes += anomalies.plan_writes(outcome.found, existing, existing.keys() - found_ids, job.run_id, now)
        audits.append(build_audit(job, outcome, len(found_ids - existing.keys()), now))
    anomalies.write_anomalies(database, writes, session)
    write_watermarks(database, [build_watermark(job, o, o.model, now) for o in outcomes if o.model], session)
    write_audits(database, audits, session)
    return audits


def _plan(
    database: Db, job: Job, series: Mapping[str, Document], outcomes: Mapping[str, Outcome]
) -> dict[str, tuple[Stretch, ...]]:
    """Return what to score of each ticker; a ticker left out has its reason in its outcome."""
    watermarks = {}
    if job.task == "incremental":
        watermarks = find_watermarks(database, job.tickers, job.interval, WATERMARK_FIELDS)
    plans = {}
    for ticker, outcome in outcomes.items():
        if ticker not in series:
            outcome.fail(
                "no_bars", f"{ticker} has no stored {job.interval} bars; import some (`flask bars import FILE`)"
            )
            continue
        stored = series[ticker]
        outcome.bars_revision = stored["revision"]
        if job.task == "backfill":
            plans[ticker] = plan_backfill(stored, job.period or "max")
            continue
        watermark = watermarks.get(ticker)
        outcome.watermark = watermark["last_detected_timestamp"] if watermark else None
        change = None
        if watermark is not None and watermark["bars_revision"] != stored["revision"]:
            change = find_changes(database, ticker, job.interval, watermark["bars_revision"])
        stretches = plan_incremental(stored, watermark, change)
        if stretches:
            plans[ticker] = stretches
        else:
            outcome.reason = "already_detected"
    return plans


def _mark_wanted(panel: BarPanel, features: Features, spans: Sequence[Sequence[tuple[int, int]]]) -> Bools:
    """Return which feature rows lie in a stretch; what lies between two stretches is not scored again."""
    wanted = np.zeros(panel.times.size, dtype=np.bool_)
    for series_spans in spans:
        for start, stop in series_spans:
            wanted[start:stop] = True
    return wanted[features.rows]


def _mark_finite(panel: BarPanel, features: Features, outcomes: Mapping[str, Outcome]) -> Bools:
    """Return which feature rows belong to series all of whose bars are numbers; the others fail by name."""
    columns = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    usable = np.ones(features.rows.size, dtype=np.bool_)
    # Almost always they all are, which one sum of each column tells.
    if np.isfinite(sum(column.sum() for column in columns)):
        return usable
    bad_rows = np.flatnonzero(~np.isfinite(sum(columns)))
    for s in np.unique(np.searchsorted(panel.offsets, bad_rows, side="right") - 1):
        row = bad_rows[np.searchsorted(bad_rows, panel.offsets[s])]
        when = _time(int(panel.times[row]))
        ticker = panel.tickers[s]
        outcomes[ticker].fail(
            "bad_bars",
            f"{ticker} {panel.interval} has a bar that is not a number at {when:%Y-%m-%dT%H:%M:%SZ}; import it again",
        )
        usable &= ~((features.rows >= panel.offsets[s]) & (features.rows < panel.offsets[s + 1]))
    return usable


def _describe(
    panel: BarPanel,
    features: Features,
    spans: Sequence[Sequence[tuple[int, int]]],
    scored: Int64,
    model: LoadedModel,
    outcomes: Mapping[str, Outcome],
) -> None:
    """Add to the outcomes what was done with one model; `scored` are the panel rows that have a score."""
    needed = model.feature_set.warm_up_bars + 1
    loaded = np.diff(panel.offsets)
    facts = (
        loaded,
        panel.first_index + loaded,
        np.diff(np.searchsorted(scored, panel.offsets)),
        features.warm_up,
        panel.times[panel.offsets[1:] - 1],
    )
    # Whole columns become lists at once, as in `build_anomalies`.
    listed = zip(panel.tickers, spans, *(values.tolist() for values in facts), strict=True)
    for ticker, rows, rows_loaded, present, rows_scored, warm_up_rows, last in listed:
        outcome = outcomes[ticker]
        outcome.warm_up_rows += warm_up_rows
        if outcome.status == "failed":
            continue
        outcome.model = model
        outcome.rows_loaded += rows_loaded
        outcome.rows_processed += rows_scored
        outcome.last_bar = _time(last)
        outcome.spans += [(_time(panel.times[start]), _time(panel.times[stop - 1])) for start, stop in rows]
        if outcome.spans:
            outcome.first_scored = outcome.spans[0][0]
        if model.interval != panel.interval:
            outcome.warnings.append(f"{model.version} was trained on {model.interval} bars, not {panel.interval}")
        if present < needed:
            outcome.reason, outcome.bars_needed, outcome.bars_present = "not_enough_bars", needed, present


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
