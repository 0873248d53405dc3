"""The documents of runs, batches, audits and watchlists, and their collections."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import BatchState, EndStatus, Status, Task, Trigger, WatchlistSource
from records.database import Db
from records.models.documents import PolicyFields

RowCount = Literal[
    "rows_loaded", "rows_preprocessed", "rows_processed", "anomalies_found", "new_anomalies"
]


class RowCounts(TypedDict):
    """How many bars were loaded, have features, and were scored; how many anomalies were found, and
    how many of them are new.
    """

    rows_loaded: int
    rows_preprocessed: int
    rows_processed: int
    anomalies_found: int
    new_anomalies: int


class SomeRowCounts(TypedDict, total=False):
    """The row counts of work that may not have counted all of them."""

    rows_loaded: int
    rows_preprocessed: int
    rows_processed: int
    anomalies_found: int
    new_anomalies: int


class TickerFailure(TypedDict):
    """Why a ticker has no result: `reason` is a stable word, `error` a sentence."""

    ticker: str
    reason: str
    error: str


class TickerCounts(TypedDict):
    """How many tickers a run has, how many are done, and how many have failed."""

    tickers_total: int
    tickers_done: int
    tickers_failed: int


class RunTotals(RowCounts, TickerCounts):
    """The sums over a run's batches; `fraction` (0 to 1) is its progress. `batches_done` includes
    batches that were cancelled.
    """

    batches_total: int
    batches_done: int
    batches_cancelled: int
    fraction: float


class RunProgress(RowCounts, TickerCounts):
    """What a progress bar shows; `eta_seconds` and `rows_per_second` are None where unknown."""

    batches_total: int
    batches_done: int
    percent: float
    eta_seconds: float | None
    rows_per_second: float | None


class AuditSummary(TypedDict):
    """The summary of a run's audits.

    Attributes:
        model_version, model_hash: None where the tickers had several models, or none.
        reasons: by reason how many tickers have it.
        warnings: each once.
        anomaly_ids: all in a run of one ticker; in a run of many the first LISTED_ANOMALIES.
    """

    model_version: str | None
    model_hash: str | None
    reasons: dict[str, int]
    warnings: list[str]
    anomaly_ids: list[str]


class RunRecord(TypedDict, total=False):
    """The fields that are written into a run when it ends.

    Attributes:
        reason: the reason that all its tickers share.
        errors: each once.
        markets: the markets of imported bars.
        result: an import's report, a verification's count of each verdict, the result of a series'
            fit.
    """

    model_version: str | None
    model_hash: str | None
    reason: str | None
    reasons: dict[str, int]
    error: str | None
    errors: list[str]
    warnings: list[str]
    anomaly_ids: list[str]
    markets: list[str]
    result: Mapping[str, Any]


class RunOutcome(RowCounts, TickerCounts):
    """How a run ended."""

    status: EndStatus
    error: str | None
    errors: list[str]
    completed_at: datetime
    duration_seconds: float


class RunDocument(SomeRowCounts):
    """A run: what was asked for, who works on it, and how it ended.

    Attributes:
        ticker: its ticker where it has one only.
        market: the market that the request named.
        markets: that market, or those of its tickers.
        options: what else the task was asked, as JSON values that only the task itself reads.
        body_hash: a hash of the request that came with `idempotency_key`.
        retry_of: the run whose unfinished tickers it tries again.
        tenant: the tenant it belongs to; a run without is the default tenant's.
        published_at: when its message was sent.
        attempts, lease_until: how often it was claimed to be split into batches, and until when a
            worker holds it for that.
        tickers_total and later fields, row counts: set when the run has ended.
    """

    _id: str
    tenant: NotRequired[str]
    task: Task
    trigger: Trigger
    tickers: list[str]
    ticker: str | None
    interval: str
    period: str | None
    market: str | None
    markets: list[str]
    watchlist: str | None
    options: Mapping[str, Any]
    idempotency_key: str | None
    body_hash: str | None
    retry_of: str | None
    status: Status
    requested_at: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_seconds: float | None
    cancel_requested: bool
    error: str | None
    warnings: list[str]
    published_at: datetime | None
    attempts: int
    lease_until: datetime | None
    tickers_total: NotRequired[int]
    tickers_done: NotRequired[int]
    tickers_failed: NotRequired[int]
    model_version: NotRequired[str | None]
    model_hash: NotRequired[str | None]
    reason: NotRequired[str | None]
    reasons: NotRequired[dict[str, int]]
    errors: NotRequired[list[str]]
    anomaly_ids: NotRequired[list[str]]
    result: NotRequired[Mapping[str, Any]]


class ShownRun(RunDocument):
    """A run with its progress, counted from its batches, and its first failures."""

    progress: RunProgress
    failures: list[TickerFailure]


class ListedRun(RunDocument):
    """A run as lists show it, without fields that may have thousands of values.

    Attributes:
        tickers: the first of its tickers.
        ticker_count: how many tickers it has.
        verdicts: for a verification, how many anomalies have each verdict; in place of `result`.
    """

    ticker_count: int
    verdicts: dict[str, int]


class OpenBackfill(TypedDict):
    """A backfill that is queued or in progress, with its tickers."""

    _id: str
    status: Status
    tickers: list[str]


class ScoredSpan(TypedDict):
    """The first and the last bar of a stretch that was scored."""

    first: datetime
    last: datetime


class AuditFields(RowCounts):
    """What was asked of one ticker in a run, what was done and what was found.

    Attributes:
        still_rows: how many bars were set aside, as they stood still.
        bars_needed, bars_present: set where there were not enough bars.
        scored: the stretches of bars that were scored.
    """

    task: Task
    trigger: Trigger
    interval: str
    period: str | None
    status: EndStatus
    reason: str | None
    error: str | None
    warnings: list[str]
    anomaly_ids: list[str]
    model_version: NotRequired[str | None]
    model_hash: NotRequired[str | None]
    warm_up_rows: NotRequired[int]
    still_rows: NotRequired[int]
    bars_needed: NotRequired[int | None]
    bars_present: NotRequired[int | None]
    scored: NotRequired[list[ScoredSpan]]


class AuditDocument(AuditFields):
    """What happened to one ticker in a run."""

    _id: str
    run_id: str
    ticker: str
    started_at: datetime
    completed_at: datetime
    duration_seconds: float


class AuditPart(TypedDict):
    """The audits that a scan wrote together, or the audit of one ticker.

    Besides these fields it has the fields that all of the audits share; `audits` lists the other
    fields of each. For a single ticker it is the audit itself, without a list.
    """

    _id: str
    run_id: str
    started_at: datetime
    completed_at: datetime
    audits: NotRequired[list[Mapping[str, Any]]]


class LatestRun(TypedDict):
    """How the latest run went for one series, in the fields that audits and runs share."""

    run_id: str
    ticker: str
    interval: str
    period: str | None
    status: Status
    started_at: datetime
    completed_at: datetime | None
    duration_seconds: float | None
    error: str | None
    warnings: list[str]


class NotDerived(TypedDict):
    """How many anomalies of a version a verification could not derive again."""

    version: str
    anomalies: int


class BatchResult(SomeRowCounts):
    """The result of a batch; the run's progress is the sum over these."""

    tickers_done: int
    tickers_failed: int
    failures: list[TickerFailure]


class VerificationResult(BatchResult):
    """The result of a verification's batch."""

    not_derived: list[NotDerived]


class BatchDocument(TypedDict):
    """A batch: the part of a run that a worker claims, holds by a lease, and commits once.

    Attributes:
        units: its weight in the run's progress.
        heavy: whether it needs one of the few slots for heavy batches that all workers share.
        slot: the slot that it is in; a suspect is in its run's slot for suspects.
        owner: the process that holds it.
        fence: the number of its claims; proves that a worker is still the holder.
        lease_until: until when it is held.
        lease_seconds: the length of its lease, once it was claimed.
        attempts: how often its tickers were tried.
        progress: the progress that was shown (0 to 1), which never falls.
    """

    _id: str
    run_id: str
    market: str | None
    tickers: list[str]
    units: int
    heavy: NotRequired[bool]
    slot: NotRequired[str | None]
    state: BatchState
    owner: str | None
    fence: int
    attempts: int
    lease_until: datetime | None
    lease_seconds: NotRequired[int]
    progress: float
    created_at: datetime
    published_at: datetime | None
    error: NotRequired[str]
    result: NotRequired[BatchResult]
    finished_at: NotRequired[datetime]


class HeldBatch(TypedDict):
    """A held batch, with its owner and fence."""

    _id: str
    owner: str
    fence: int


class EventPayload(TypedDict):
    """What an event says of its run."""

    status: EndStatus


class SeriesAnomalies(TypedDict):
    """What an event says of a single series: the predictions, stored together, that are
    anomalies.
    """

    series_id: str
    version: int
    prediction_ids: list[str]


class ModelNews(TypedDict):
    """What an event says of the models of a market (or ALL) and interval, in words for people."""

    market: str
    interval: str
    title: str
    body: str


EventName = Literal["run_completed", "series_anomalies", "model_news"]


class EventDocument(TypedDict):
    """An event to deliver; `run_id` is the run that it is about, or the id of another subject.

    An event that is not about a run has the `tenant` who caused it; without one it is the default
    tenant's.
    """

    _id: str
    tenant: NotRequired[str]
    run_id: str
    event: EventName
    payload: EventPayload | SeriesAnomalies | ModelNews
    created_at: datetime
    delivered_at: datetime | None


class HeartbeatDocument(TypedDict):
    """When a process was last at work.

    Attributes:
        models, hits, misses, loads, capacity: the state of a worker's model cache.
    """

    _id: str
    at: datetime
    models: NotRequired[list[str]]
    hits: NotRequired[int]
    misses: NotRequired[int]
    loads: NotRequired[int]
    capacity: NotRequired[int]


class Heartbeat(HeartbeatDocument):
    """A heartbeat, with its age when it was read."""

    age_seconds: float


class WatchlistFields(TypedDict):
    """What a caller says of a watchlist.

    Attributes:
        markets: the markets of its tickers, in the tickers' order.
        schedule: `after_close`, or a cron expression in the first market's time.
        source, folder: where bars are fetched from before each scan; missing where none are.
        delay_minutes: how long after its close a bar may take to be stored.
        threshold: the threshold of its scans; None for the model's own.
        min_confidence: the least confidence of an anomaly that raises an alert; missing for any.
        with_overview: whether scans also report what the markets did.
    """

    markets: list[str]
    tickers: list[str]
    interval: str
    schedule: str
    delay_minutes: int
    threshold: PolicyFields | None
    min_confidence: NotRequired[float]
    enabled: bool
    source: NotRequired[WatchlistSource]
    folder: NotRequired[str | None]
    with_overview: NotRequired[bool]


class ScanFields(TypedDict, total=False):
    """The scheduler's fields of a watchlist: slot, time and run of the last scan, and the next
    scan's time.
    """

    last_slot: datetime
    last_scan: datetime | None
    last_run_id: str | None
    next_scan: datetime | None


class FetchFields(TypedDict, total=False):
    """The scheduler's fields of a watchlist's last fetch: its slot, its run, and when it was asked
    for.
    """

    fetch_slot: datetime
    fetch_run_id: str
    fetch_asked_at: datetime


class WatchlistDocument(WatchlistFields):
    """A watchlist; `version` rises with each change."""

    _id: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    last_slot: datetime
    last_scan: datetime | None
    last_run_id: str | None
    next_scan: datetime | None
    # The slot whose bars were fetched last, and that fetch.
    fetch_slot: datetime | None
    fetch_run_id: str | None
    fetch_asked_at: datetime | None


class ShownWatchlist(WatchlistDocument):
    """A watchlist with those of its tickers that have no stored bars."""

    without_bars: list[str]


class SlotDocument(TypedDict):
    """The last taken slot of some periodic work, as a number that the work itself defines."""

    _id: str
    slot: int


class ScanSwitch(TypedDict):
    """Whether periodic scans run, and since when; None where nobody has switched yet."""

    enabled: bool
    changed_at: datetime | None


def runs_in(database: Db) -> Collection[RunDocument]:
    """Return the collection of runs; audits are in it too, and have a `run_id`."""
    return database.detection_runs


def audits_in(database: Db) -> Collection[AuditPart]:
    """Return the collection of audits; runs are in it too, and have no `run_id`."""
    return database.detection_runs


def batches_in(database: Db) -> Collection[BatchDocument]:
    """Return the collection of batches."""
    return database.batches


def events_in(database: Db) -> Collection[EventDocument]:
    """Return the collection of events."""
    return database.outbox


def heartbeats_in(database: Db) -> Collection[HeartbeatDocument]:
    """Return the collection of heartbeats."""
    return database.heartbeats


def watchlists_in(database: Db) -> Collection[WatchlistDocument]:
    """Return the collection of watchlists."""
    return database.watchlists


def slots_in(database: Db) -> Collection[SlotDocument]:
    """Return the collection of the slots, which also has the settings that are not in the
    environment.
    """
    return database.settings
