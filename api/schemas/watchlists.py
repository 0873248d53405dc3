"""Watchlists, and the scheduler that scans them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from api.schemas.common import (
    Body,
    Interval,
    Page,
    PageQuery,
    Record,
    Schedule,
    Ticker,
    WatchlistName,
)
from core.words import ThresholdKind, WatchlistSource
from market.sessions.schedules import AFTER_CLOSE

MAX_TICKERS = 10_000
NO_NEXT_SCAN = "null: not known yet, not enabled, or periodic scans are off"


class Threshold(Body):
    """What passes as an anomaly, by a share of the bars, a grade or a score."""

    kind: ThresholdKind
    value: float


class WatchlistBody(Body):
    """Tickers that are scanned together, those of each market after its own closes."""

    tickers: list[Ticker] = Field(min_length=1, max_length=MAX_TICKERS)
    interval: Interval = "1d"
    schedule: Schedule = Field(
        AFTER_CLOSE,
        description=(
            "`after_close`: after each closed bar of their market; or cron, in the first market's"
            " time"
        ),
    )
    delay_minutes: int = Field(
        5,
        ge=0,
        le=1_440,
        description="after a bar has closed: how long it may take to be stored here",
    )
    threshold: Annotated[float, Field(ge=1, le=100)] | Threshold | None = Field(
        None,
        description=(
            "what is an anomaly here: the grade from which a bar is, or a kind and its value; "
            "null: as the model says"
        ),
    )
    min_confidence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="its alerts are of anomalies of at least this confidence, from 0 to 1, and of"
        " faults, which have none",
    )
    enabled: bool = True
    source: WatchlistSource = Field(
        "none",
        description=(
            "where bars come from before each scan: `none` (they are brought), `yahoo`, a `folder`"
            " below the watched one, or the `feed`"
        ),
    )
    folder: str | None = Field(
        None, max_length=200, description="its name, where that is the source"
    )
    with_overview: bool = Field(
        default=False,
        description="whether a scan's `result` has what each of its markets did (`overview`)",
    )

    @model_validator(mode="after")
    def _name_each_once(self) -> Self:
        self.tickers = list(dict.fromkeys(self.tickers))
        return self


class NewWatchlist(WatchlistBody):
    """A watchlist to make."""

    name: WatchlistName


class Watchlist(Record):
    """A watchlist, with when it was scanned last and will be next."""

    name: str
    markets: list[str] = Field(description="of its tickers, in their order", examples=[["US"]])
    tickers: list[str]
    without_bars: list[str] | None = Field(
        None,
        description=(
            "tickers that no scan looks at: no bars of the interval are stored; null: not asked"
        ),
    )
    interval: str
    schedule: str
    delay_minutes: int
    threshold: float | Threshold | None = Field(
        None, description="a grade, or a kind and its value; null: as the model says"
    )
    min_confidence: float = 0.0
    enabled: bool
    source: WatchlistSource = "none"
    folder: str | None = None
    with_overview: bool = False
    fetch_run_id: str | None = Field(None, description="the run that fetched bars last")
    version: int = Field(description="also the ETag")
    created_at: datetime
    updated_at: datetime
    last_scan: datetime | None = None
    last_run_id: str | None = Field(None, description="the run of the last scan")
    next_scan: datetime | None = Field(None, description=NO_NEXT_SCAN)

    @field_validator("threshold", mode="before")
    @classmethod
    def _shorten_grade(cls, policy: Any) -> Any:
        """Show a grade as the number that it is."""
        return policy["value"] if policy and policy["kind"] == "grade" else policy


class WatchlistPage(Page[Watchlist]):
    """Watchlists, by name."""


class WatchlistQuery(PageQuery):
    """How much of the list."""


class MatchHeaders(BaseModel):
    """What makes a change safe against another's."""

    if_match: str | None = Field(
        None,
        max_length=100,
        description="the ETag that was read; the change is refused where it is no longer that",
    )


class WatchlistScans(Record):
    """When a watchlist is scanned."""

    name: str
    enabled: bool
    schedule: str
    last_scan: datetime | None = None
    last_run_id: str | None = Field(None, description="the run of the last scan")
    fetch_run_id: str | None = Field(None, description="the run that fetched bars last")
    next_scan: datetime | None = Field(None, description=NO_NEXT_SCAN)
    version: int = Field(description="of the watchlist: another one where somebody changed it")


class Scheduler(BaseModel):
    """Whether periodic scans run."""

    enabled: bool
    changed_at: datetime | None = Field(None, description="null: never switched")
    watchlists: list[WatchlistScans]


class SchedulerBody(Body):
    """On or off; nothing: the other of the two."""

    enabled: bool | None = None
