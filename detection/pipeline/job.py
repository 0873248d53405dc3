"""A job is the part of a run that one batch detects; an outcome is its result for one series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple, NotRequired, Self, TypedDict

from core.words import EndStatus, Task, Trigger
from detection.models.manager import LoadedModel
from records.findings import watermarks
from records.findings.documents import AnomalyDocument, WatermarkDocument
from records.work.audits import build_audit_document, build_audit_id
from records.work.batches import sum_row_counts
from records.work.documents import AuditDocument, BatchResult, TickerFailure


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be detected: the part of a run that one batch does, all of one market.

    With `walk_forward` each stretch is scored by the latest model that had not seen it, not by the
    champion; with a `detector`, by the market's latest model of that detector. With `keep_scores`
    the score of every bar is stored too. Audits belong to the run's `tenant`, None for the default
    one. With `is_stored` False nothing is stored, so no watermark says that its bars are done.
    """

    run_id: str
    task: Task
    trigger: Trigger
    market: str
    tickers: tuple[str, ...]
    interval: str
    period: str | None
    started_at: datetime
    watchlist: str | None = None
    walk_forward: bool = False
    detector: str | None = None
    keep_scores: bool = False
    tenant: str | None = None
    is_stored: bool = True


class VersionScores(NamedTuple):
    """The scores of a series' bars by one version: little-endian binaries, times in UTC seconds."""

    version: str
    times: bytes
    scores: bytes


class Outcome(NamedTuple):
    """The result for one series. It is a tuple for speed: a scan makes several of each of thousands
    of tickers.

    `reason` is the stable word for why there is no result; `error` says it in full.

    `watermark` is the last bar that an earlier run detected; `bars_stored` and `last_bar` are those
    of the series when the plan was made.
    """

    ticker: str
    status: EndStatus = "complete"
    reason: str | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    model: LoadedModel | None = None
    rows_loaded: int = 0
    rows_processed: int = 0
    warm_up_rows: int = 0
    still_rows: int = 0
    bars_needed: int | None = None
    bars_present: int | None = None
    watermark: datetime | None = None
    first_scored: datetime | None = None
    last_bar: datetime | None = None
    bars_revision: int = 0
    market_revision: int | None = None
    bars_stored: int = 0
    spans: tuple[tuple[datetime, datetime], ...] = ()
    found: tuple[AnomalyDocument, ...] = ()
    scores: tuple[VersionScores, ...] = ()

    def fail(self, reason: str, error: str) -> Self:
        """Return this outcome as a failure of its own, which leaves the rest of the batch alone."""
        return self._replace(status="failed", reason=reason, error=error)


# The fields of an outcome that its audit has, besides ticker, model and anomalies.
_AUDITED = attrgetter(
    "status",
    "reason",
    "error",
    "warnings",
    "rows_loaded",
    "rows_processed",
    "warm_up_rows",
    "still_rows",
    "bars_needed",
    "bars_present",
    "spans",
)


class TickerResult(TypedDict):
    """What the task returns for one ticker."""

    ticker: str
    interval: str
    new_anomalies: int
    rows_processed: int
    anomaly_ids: list[str]
    detection_run_id: str
    reason: NotRequired[str]
    error: NotRequired[str]
    bars_needed: NotRequired[int]
    bars_present: NotRequired[int]


def build_watermark(
    job: Job, outcome: Outcome, audit: AuditDocument, model: LoadedModel, last_bar: datetime
) -> WatermarkDocument:
    """Return the watermark of a series that was looked at up to `last_bar`."""
    return {
        "_id": watermarks.build_watermark_id(outcome.ticker, job.interval),
        "ticker": outcome.ticker,
        "interval": job.interval,
        "last_detection_run": job.run_id,
        "last_detected_timestamp": last_bar,
        "first_detected_timestamp": outcome.first_scored or last_bar,
        "model_version": model.version,
        "model_hash": model.sha256,
        "rows_processed": outcome.rows_processed,
        "anomalies_found": audit["anomalies_found"],
        "bars_revision": outcome.bars_revision,
        "market_revision": outcome.market_revision,
        "status": outcome.reason or outcome.status,
        "updated_at": audit["completed_at"],
    }


def build_audit(job: Job, outcome: Outcome, new_anomalies: int, now: datetime) -> AuditDocument:
    """Return the audit document of one series in a run."""
    return build_audit_document(
        job.run_id,
        outcome.ticker,
        task=job.task,
        trigger=job.trigger,
        interval=job.interval,
        period=job.period,
        model_version=outcome.model.version if outcome.model else None,
        model_hash=outcome.model.sha256 if outcome.model else None,
        started_at=job.started_at,
        completed_at=now,
        rows_loaded=outcome.rows_loaded,
        rows_preprocessed=outcome.rows_loaded - outcome.warm_up_rows,
        rows_processed=outcome.rows_processed,
        warm_up_rows=outcome.warm_up_rows,
        still_rows=outcome.still_rows,
        anomalies_found=len(outcome.found),
        new_anomalies=new_anomalies,
        anomaly_ids=[anomaly["_id"] for anomaly in outcome.found],
        status=outcome.status,
        reason=outcome.reason,
        error=outcome.error,
        bars_needed=outcome.bars_needed,
        bars_present=outcome.bars_present,
        scored=[{"first": first, "last": last} for first, last in outcome.spans],
        warnings=list(outcome.warnings),
    )


def build_audits(
    job: Job, outcomes: Sequence[Outcome], new: Mapping[str, int], now: datetime
) -> list[AuditDocument]:
    """Return the audit of each series; `new` is by ticker how many of its anomalies are new.

    Most audits of a scan differ by the ticker only; such a document is built once and copied.
    """
    alike: dict[tuple[object, ...], AuditDocument] = {}
    audits: list[AuditDocument] = []
    for outcome in outcomes:
        if outcome.found:
            audits.append(build_audit(job, outcome, new[outcome.ticker], now))
            continue
        said = (id(outcome.model), *_AUDITED(outcome))
        like = alike.get(said)
        if like is None:
            like = alike[said] = build_audit(job, outcome, 0, now)
        ticker = outcome.ticker
        audits.append({**like, "_id": build_audit_id(job.run_id, ticker), "ticker": ticker})
    return audits


def build_result(audit: AuditDocument) -> TickerResult:
    """Return what the task returns for one ticker, with a `reason` where there is one."""
    result: TickerResult = {
        "ticker": audit["ticker"],
        "interval": audit["interval"],
        "new_anomalies": audit["new_anomalies"],
        "rows_processed": audit["rows_processed"],
        "anomaly_ids": audit["anomaly_ids"],
        "detection_run_id": audit["run_id"],
    }
    if audit["reason"]:
        result["reason"] = audit["reason"]
    if audit["error"]:
        result["error"] = audit["error"]
    needed, present = audit["bars_needed"], audit["bars_present"]
    if needed:
        result["bars_needed"] = needed
    if present:
        result["bars_present"] = present
    return result


def count_outcomes(outcomes: Sequence[Outcome], audits: Sequence[AuditDocument]) -> BatchResult:
    """Return a batch's result: what its run's progress is counted from."""
    failures: list[TickerFailure] = [
        {"ticker": o.ticker, "reason": o.reason or "", "error": o.error or ""}
        for o in outcomes
        if o.status == "failed"
    ]
    return {
        **sum_row_counts(audits),
        "tickers_done": len(outcomes) - len(failures),
        "tickers_failed": len(failures),
        "failures": failures,
    }
