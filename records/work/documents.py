"""What the documents of work look like, and the collections that they are in."""

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
    """How many bars were loaded, have features and were scored;
    how many anomalies were found, and new.
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
    """Why a ticker has no result: a stable word, and the same in full."""

    ticker: str
    reason: str
    error: str


class TickerCounts(TypedDict):
    """How many tickers there are, were done, and failed."""

    tickers_total: int
    tickers_done: int
    tickers_failed: int


class RunTotals(RowCounts, TickerCounts):
    """What a run's batches come to; `fraction` (0 to 1) is how far they are. Those that were given
    up because it was cancelled are done, too.
    """

    batches_total: int
    batches_done: int
    batches_cancelled: int
    fraction: float


class RunProgress(RowCounts, TickerCounts):
    """What a progress bar needs; `eta_seconds` and `rows_per_second` are None where unknown."""

    batches_total: int
    batches_done: int
    percent: float
    eta_seconds: float | None
    rows_per_second: float | None


class AuditSummary(TypedDict):
    """What a run's audit documents say together.

    Attributes:
        model_version, model_hash: None where the tickers had several models, or none.
        reasons: how many tickers have which reason.
        warnings: each once.
        anomaly_ids: all of a run of one ticker, of a run of many the first so many.
    """

    model_version: str | None
    model_hash: str | None
    reasons: dict[str, int]
    warnings: list[str]
    anomaly_ids: list[str]


class RunRecord(TypedDict, total=False):
    """What whoever finishes a run writes into it of all that happened in it.

    Attributes:
        reason: the one that all its tickers have.
        errors: each once.
        markets: of what was imported.
        result: an import's report, a verification's count of each verdict, what a fit of a series
            came to.
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
        ticker: where it is about one only.
        market, markets: the one that was named; that, or those of its tickers.
        options: what the task was asked besides, as JSON values that only the task itself reads.
        body_hash: of the request that came under `idempotency_key`.
        retry_of: the run whose failed tickers it takes up again.
        tenant: whose it is; one without is the default's.
        published_at, attempts, lease_until: when its message was sent, how often it was taken to be
            split, and until when somebody has it for that.
        rows_loaded and what follows, model_version and what follows: once it has ended.
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
    """A run as lists show it: without what it may have thousands of.

    Attributes:
        tickers: the first of them.
        ticker_count: how many they are.
        verdicts: of a verification, how many anomalies have each; stands for `result`.
    """

    ticker_count: int
    verdicts: dict[str, int]


class OpenBackfill(TypedDict):
    """A backfill that is queued or in progress, and of what."""

    _id: str
    status: Status
    tickers: list[str]


class ScoredSpan(TypedDict):
    """The first and the last of neighbouring bars that were scored."""

    first: datetime
    last: datetime


class AuditFields(RowCounts):
    """What was asked of one ticker in a run, what was done and what was found.

    Attributes:
        still_rows: bars that were set aside, as they stood still.
        bars_needed, bars_present: where there were not enough.
        scored: which bars were.
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
    """The audits of tickers that a scan worked on together, or that of one ticker.

    Besides these fields it has those of an audit that all of them have alike; `audits` lists what
    each says besides. Of a single ticker it is the audit, without a list.
    """

    _id: str
    run_id: str
    started_at: datetime
    completed_at: datetime
    audits: NotRequired[list[Mapping[str, Any]]]


class LatestRun(TypedDict):
    """How the latest run goes for one series: what audit documents and runs have alike."""

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
    """What a batch came to; its run's progress is counted from this."""

    tickers_done: int
    tickers_failed: int
    failures: list[TickerFailure]


class VerificationResult(BatchResult):
    """What a batch of a verification came to."""

    not_derived: list[NotDerived]


class BatchDocument(TypedDict):
    """A batch: the part of a run that a worker claims, holds by a lease, and commits once.

    Attributes:
        units: what it counts for in its run's progress.
        heavy: whether it is worked on only in one of the few slots that all workers share.
        slot: which of these it is in; of a suspect its run's own.
        owner, fence, lease_until: who has it, under which claim, and until when.
        lease_seconds: for how long at a time, once it was claimed.
        attempts: how often its tickers were tried.
        progress: how far a person has seen it (0 to 1).
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
    """Who holds a batch, under which claim."""

    _id: str
    owner: str
    fence: int


class EventPayload(TypedDict):
    """What an event says of its run."""

    status: EndStatus


class SeriesAnomalies(TypedDict):
    """What an event says of anomalies among the predictions of a single series
    that were stored together.
    """

    series_id: str
    version: int
    prediction_ids: list[str]


class ModelNews(TypedDict):
    """What an event says of a market's models, in words for people."""

    title: str
    body: str


EventName = Literal["run_completed", "series_anomalies", "model_news"]


class EventDocument(TypedDict):
    """An event that others are to be told of; `run_id` is the run, or what else it is about.

    What is about no run names the tenant who asked for it; one without is the default's.
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
        models, hits, misses, loads, capacity: a worker's model cache.
    """

    _id: str
    at: datetime
    models: NotRequired[list[str]]
    hits: NotRequired[int]
    misses: NotRequired[int]
    loads: NotRequired[int]
    capacity: NotRequired[int]


class Heartbeat(HeartbeatDocument):
    """A sign of life, with how long ago that was when it was read."""

    age_seconds: float


class WatchlistFields(TypedDict):
    """What a caller says of a watchlist.

    Attributes:
        markets: of its tickers, in their order.
        schedule: `after_close`, or cron in the first market's time.
        source, folder: where bars come from before each scan; nowhere where it is not said.
        delay_minutes: after a bar has closed, how long it may take to be stored here.
        threshold: what passes; None for the model's own.
        min_confidence: what its alerts are of, at the least; missing for any.
        with_overview: whether scans report what the markets did besides.
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
    """What the scheduler notes of a watchlist: slot,
    time and run of the last scan, and the next.
    """

    last_slot: datetime
    last_scan: datetime | None
    last_run_id: str | None
    next_scan: datetime | None


class FetchFields(TypedDict, total=False):
    """What the scheduler notes of a fetch: the slot that it is for, its run,
    and when it was asked for.
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
    # Of the slot whose bars were fetched last.
    fetch_slot: datetime | None
    fetch_run_id: str | None
    fetch_asked_at: datetime | None


class ShownWatchlist(WatchlistDocument):
    """A watchlist with those of its tickers of which no bars are stored."""

    without_bars: list[str]


class SlotDocument(TypedDict):
    """The last slot of a work that was looked after, counted as that work counts its slots."""

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
    """Return the collection that holds the slots,
    that of settings which are not in the environment.
    """
    return database.settings
