"""Runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, model_validator

from api.schemas.common import (
    Market,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    Time,
    WatchlistName,
)
from core.words import Status, Task, Trigger

MAX_WAIT_SECONDS = 30
ABOUT = ("filename", "table", "series_id", "model_version")
RUN_ID = "8f14e45f-ceea-467f-ab1c-2d3e4f5a6b7c"


class WaitQuery(Query):
    """Whether to wait for the outcome."""

    wait: int = Field(
        0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description=(
            "answer 200 with the run if it ends within so many seconds; 202 at once where many wait"
        ),
    )


class OnceHeaders(BaseModel):
    """What makes a POST safe to repeat."""

    idempotency_key: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="the same key and body again: the same run, not another",
    )


class EventHeaders(BaseModel):
    """Where a stream of events was broken off."""

    last_event_id: str | None = Field(
        None, max_length=100, description="`id` of the last event that was seen"
    )


class Accepted(BaseModel):
    """A run was written and will be worked on; `Location` is its address."""

    status: str = Field(description="what was started", examples=["backfill_started"])
    run_id: str = Field(examples=[RUN_ID])
    ticker: str | None = Field(None, description="where one was named", examples=["AAPL"])
    tickers: list[str] = Field(description="all that the selection came to", examples=[["AAPL"]])
    market: str | None = None
    interval: str = Field(examples=["1d"])
    max_period: str | None = Field(None, description="backfills: how far back", examples=["5y"])
    message: str = Field(examples=["backfill of AAPL (1d, 5y) accepted"])


class Progress(BaseModel):
    """How far a run is, counted from its batches."""

    percent: float = Field(ge=0, le=100, examples=[62.5])
    batches_total: int
    batches_done: int
    tickers_total: int
    tickers_done: int
    tickers_failed: int
    rows_loaded: int = 0
    rows_preprocessed: int = 0
    rows_processed: int = 0
    anomalies_found: int = 0
    new_anomalies: int = 0
    eta_seconds: float | None = Field(None, description="null while nothing has been done yet")
    rows_per_second: float | None = None


class Failure(BaseModel):
    """Why one ticker has no result."""

    ticker: str
    reason: str | None = Field(None, description="a stable word", examples=["no_bars"])
    error: str | None = None


class RunSummary(Record):
    """A run as lists show it."""

    id: str = Field(alias="_id", examples=[RUN_ID])
    task: Task
    trigger: Trigger
    status: Status
    ticker: str | None = Field(None, description="where it is about one only")
    tickers: list[str] = Field(
        default_factory=list, description="in a list of runs the first 20 of each"
    )
    ticker_count: int = Field(description="how many tickers it is about", examples=[1])
    market: str | None = Field(None, description="where one was named")
    markets: list[str] = Field(
        default_factory=list, description="that, or those of its tickers", examples=[["US"]]
    )
    watchlist: str | None = None
    about: str | None = Field(
        None,
        description="what else it is about: the file of an import, the table of an export, the"
        " single series of a fit, the model whose anomalies are verified, the versions of an"
        " evaluation",
        examples=["prices.csv"],
    )
    interval: str | None = None
    period: str | None = None
    requested_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: float | None = None
    cancel_requested: bool = False
    retry_of: str | None = Field(None, description="the run whose failed tickers it takes up again")
    rows_loaded: int | None = None
    rows_preprocessed: int | None = None
    rows_processed: int | None = None
    anomalies_found: int | None = None
    new_anomalies: int | None = None
    model_version: str | None = None
    model_hash: str | None = None
    error: str | None = None
    errors: list[str] = Field(
        default_factory=list, description="what went wrong, each message once, 100 at the most"
    )
    reason: str | None = Field(
        None,
        description="why its tickers have no result, where all have the same reason",
        examples=["already_detected"],
    )
    reasons: dict[str, int] = Field(
        default_factory=dict,
        description="how many tickers have each reason",
        examples=[{"already_detected": 12, "no_bars": 1}],
    )
    warnings: list[str] = Field(default_factory=list, description="each once, 100 at the most")
    verdicts: dict[str, int] = Field(
        default_factory=dict,
        description="of a verification: how many anomalies have each",
        examples=[{"identical": 12, "score_moved": 6}],
    )

    @model_validator(mode="before")
    @classmethod
    def _read_about(cls, run: Any) -> Any:
        """Set what the run is about, from options that only its task knows, and count its
        tickers.
        """
        if not isinstance(run, Mapping):
            return run
        options = run.get("options", {})
        about = next((options[name] for name in ABOUT if options.get(name)), None)
        if run.get("task") == "evaluate" and options.get("versions"):
            about = " and ".join(options["versions"])
        counted = {"ticker_count": len(run.get("tickers", [])), **run}
        return {**counted, "about": about} if about else counted


class Wait(BaseModel):
    """Why nobody works on a run."""

    reason: str = Field(
        description="`no_worker`, `heavy_work`, `not_sent` or `workers_busy`",
        examples=["workers_busy"],
    )
    detail: str = Field(description="the same in full, with what to do")


class Run(RunSummary):
    """A run: live while it works, the audit record afterwards."""

    progress: Progress
    waits: Wait | None = Field(
        None, description="null: somebody works on it, or it has ended; not in events"
    )
    anomaly_ids: list[str] = Field(
        default_factory=list,
        description=(
            "the anomalies that it found, known before or not; of several tickers the "
            "first 1,000, and `tickers_url` has all"
        ),
    )
    tickers_url: str = Field(
        description="where the audit record of each ticker is",
        examples=[f"/py/detection-runs/{RUN_ID}/tickers"],
    )
    failures: list[Failure] = Field(description="the tickers that failed, 1,000 at the most")
    options: dict[str, Any] = Field(
        default_factory=dict, description="what the task was asked besides"
    )
    result: dict[str, Any] | None = Field(
        None,
        description=(
            "an import's report; a verification's count of each verdict; what a fit came to"
        ),
    )


class RunPage(Page[RunSummary]):
    """Runs, the newest first."""


class RunQuery(PageQuery):
    """Which runs."""

    status: Status | None = Field(
        None, description="queued and in_progress are open, all others have ended"
    )
    trigger: Trigger | None = Field(
        None, description="what had it done, such as a person (`manual`)"
    )
    task: Task | None = Field(None, description="what kind of work it is")
    ticker: Ticker | None = None
    watchlist: WatchlistName | None = Field(None, description="those that were asked for of it")
    market: Market | None = Field(
        None, description="those about it or tickers of it; those of all markets, too"
    )
    start: Time | None = Field(None, description="those that were asked for then or later")
    end: Time | None = Field(None, description="those that were asked for then or before")


class TickerAudit(Record):
    """What happened to one ticker in a run."""

    run_id: str
    ticker: str
    interval: str
    period: str | None = None
    status: Status
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: float | None = None
    rows_loaded: int | None = None
    rows_preprocessed: int | None = None
    rows_processed: int | None = None
    anomalies_found: int | None = None
    new_anomalies: int | None = None
    anomaly_ids: list[str] = Field(default_factory=list)
    model_version: str | None = None
    model_hash: str | None = None
    reason: str | None = Field(
        None, description="why it has no result, or none that is new", examples=["not_enough_bars"]
    )
    error: str | None = None
    bars_needed: int | None = Field(
        None, description="reason `not_enough_bars`: for a first result"
    )
    bars_present: int | None = None
    warnings: list[str] = Field(default_factory=list)


class TickerAuditPage(Page[TickerAudit]):
    """What happened to each ticker of a run so far, by ticker."""


class TickerAuditQuery(PageQuery):
    """Which tickers."""

    status: Status | None = Field(None, description="only tickers that ended so: complete, failed")
    reason: str | None = Field(
        None,
        max_length=40,
        description="only tickers with this reason; the run's `reasons` count them",
        examples=["already_detected"],
    )
