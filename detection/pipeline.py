"""The one path every detection takes: load bars -> features -> scores -> anomalies -> commit.

`detect` reads and computes for all tickers of a batch at once; `commit` writes what it found in one transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from pymongo.client_session import ClientSession

from detection.bars.panel import BarPanel, Bools, Int64
from detection.bars.store import load_panel
from detection.features.compute import Features, compute_features
from detection.findings import build_anomalies, find_rows
from detection.models.manager import LoadedModel, ModelManager
from detection.outcomes import Job, Outcome, build_audit, build_result, build_watermark, count_outcomes
from detection.records import anomalies, metadata
from detection.records.audits import write_audits
from detection.records.database import Db, Document
from detection.records.revisions import find_changes
from detection.records.series import find_series
from detection.stretches import Stretch, cut, find_first, plan_backfill, plan_incremental, select_rows

Checkpoint = Callable[[float], None]
Plans = Mapping[str, tuple[Stretch, ...]]


def detect(database: Db, models: ModelManager, job: Job, checkpoint: Checkpoint) -> list[Outcome]:
    """Detect the series of a job and return an outcome for each; nothing is written.

    `checkpoint(fraction)` is called between two steps; what it raises (LeaseLost, Cancelled) ends the work.
    Raises NoModel, ModelIntegrity.
    """
    outcomes = {ticker: Outcome(ticker) for ticker in job.tickers}
    plans = _plan(database, job, outcomes)
    checkpoint(0.1)
    for model, group in _choose_models(models, job, plans):
        detect_group(database, model, group, job, outcomes)
        checkpoint(0.8)
    return list(outcomes.values())


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


def detect_group(
    database: Db,
    model: LoadedModel,
    plans: Plans,
    job: Job,
    outcomes: Mapping[str, Outcome],
    *,
    asked: Iterable[str] = (),
) -> None:
    """Detect series that share a model, and fill in their outcomes.

    The bars `asked` about, by anomaly id, are described whether or not they passed the threshold.
    """
    panel = load_panel(database, job.interval, {ticker: find_first(stretches) for ticker, stretches in plans.items()})
    spans = [select_rows(panel, s, plans[ticker]) for s, ticker in enumerate(panel.tickers)]
    starts = [rows[0][0] if rows else panel.offsets[s + 1] for s, rows in enumerate(spans)]
    features = compute_features(panel, np.array(starts, dtype=np.int64), model.feature_set)
    usable = np.flatnonzero(_mark_wanted(panel, features, spans) & _mark_finite(panel, features, outcomes))
    rows = features.rows[usable]
    inputs = features.inputs if usable.size == features.rows.size else features.inputs.take(usable, axis=0)
    scores = model.detector.score_samples(inputs, below=model.threshold)
    wanted = np.flatnonzero(np.isin(rows, find_rows(panel, asked)))
    scores[wanted] = model.detector.score_samples(inputs[wanted])
    for ticker in plans.keys() - set(panel.tickers):
        outcomes[ticker].fail("no_bars", f"{ticker} lost its stored {panel.interval} bars; import them again")
    for s, ticker in enumerate(panel.tickers):
        _describe(panel, s, spans[s], rows, model, outcomes[ticker])
        outcomes[ticker].warm_up_rows += int(features.warm_up[s])
    described = scores < model.threshold
    described[wanted] = True
    for anomaly in build_anomalies(panel, features, usable[described], scores[described], model, job):
        outcome = outcomes[anomaly["Ticker"]]
        outcome.found.append(anomaly | {"bars_revision": outcome.bars_revision})


def commit(
    database: Db, job: Job, outcomes: Sequence[Outcome], finish: Callable[[ClientSession, Document], None]
) -> list[Document]:
    """Write anomalies, watermarks and audit documents in one transaction, and return a result for each ticker.

    `finish(session, counts)` closes the batch in the same transaction and raises LeaseLost where it is no longer ours.
    """
    now = datetime.now(UTC)
    spans = {outcome.ticker: outcome.spans for outcome in outcomes}

    def write(session: ClientSession) -> list[Document]:
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
        finish(session, count_outcomes(outcomes, audits))
        anomalies.write_anomalies(database, writes, session)
        metadata.write_watermarks(
            database, [build_watermark(job, o, o.model, now) for o in outcomes if o.model], session
        )
        write_audits(database, audits, session)
        return [build_result(audit) for audit in audits]

    with database.client.start_session() as session:
        return session.with_transaction(write)


def _plan(database: Db, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, tuple[Stretch, ...]]:
    """Return what to score of each ticker; a ticker left out has its reason in its outcome."""
    # The revision is read before the bars: an import in between is noticed by the next run.
    fields = ("ticker", "revision", "fingerprint", "last_bar")
    found = find_series(database, tickers=job.tickers, interval=job.interval, fields=fields)
    series = {s["ticker"]: s for s in found}
    watermarks = metadata.find_watermarks(database, job.tickers, job.interval) if job.task == "incremental" else {}
    plans = {}
    for ticker, outcome in outcomes.items():
        if ticker not in series:
            outcome.fail(
                "no_bars", f"{ticker} has no stored {job.interval} bars; import some (`flask bars import FILE`)"
            )
            continue
        stored = series[ticker]
        outcome.bars_revision, outcome.bars_fingerprint = stored["revision"], stored["fingerprint"]
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
    bad_rows = np.flatnonzero(~np.isfinite(sum(columns)))
    usable = np.ones(features.rows.size, dtype=np.bool_)
    for s in np.unique(np.searchsorted(panel.offsets, bad_rows, side="right") - 1):
        row = bad_rows[np.searchsorted(bad_rows, panel.offsets[s])]
        when = datetime.fromtimestamp(int(panel.times[row]), UTC)
        ticker = panel.tickers[s]
        outcomes[ticker].fail(
            "bad_bars",
            f"{ticker} {panel.interval} has a bar that is not a number at {when:%Y-%m-%dT%H:%M:%SZ}; import it again",
        )
        usable &= ~((features.rows >= panel.offsets[s]) & (features.rows < panel.offsets[s + 1]))
    return usable


def _describe(
    panel: BarPanel, s: int, spans: Sequence[tuple[int, int]], scored: Int64, model: LoadedModel, outcome: Outcome
) -> None:
    """Add what was done of one series with one model."""
    if outcome.status == "failed":
        return
    rows = panel.series(s)
    low, high = np.searchsorted(scored, (rows.start, rows.stop))
    outcome.model = model
    outcome.rows_loaded += rows.stop - rows.start
    outcome.rows_processed += int(high - low)
    outcome.last_bar = _time(panel, rows.stop - 1)
    outcome.spans += [(_time(panel, start), _time(panel, stop - 1)) for start, stop in spans]
    if outcome.spans:
        outcome.first_scored = outcome.spans[0][0]
    if model.interval != panel.interval:
        outcome.warnings.append(f"{model.version} was trained on {model.interval} bars, not {panel.interval}")
    present = int(panel.first_index[s]) + rows.stop - rows.start
    needed = model.feature_set.warm_up_bars + 1
    if present < needed:
        outcome.reason, outcome.bars_needed, outcome.bars_present = "not_enough_bars", needed, present


def _time(panel: BarPanel, row: int) -> datetime:
    return datetime.fromtimestamp(int(panel.times[row]), UTC)
