"""Bars in and out."""

from datetime import datetime
from typing import Annotated, Any

from apiflask.fields import UploadFile
from pydantic import BaseModel, ConfigDict, FailFast, Field

from api.schemas.common import Body, Interval, IntervalQuery, Market, Page, PageQuery, Record, Ticker, TimesQuery

MAX_CANDLES = 100_000


class Candle(Body):
    """One bar to take in. What is no bar (a high below its low, a price that is missing) is kept aside and reported."""

    ticker: Ticker | None = Field(None, description="where the candles are of several")
    time: str = Field(min_length=1, max_length=40, description="start of the bar, ISO 8601", examples=["2013-03-01"])
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None = 0.0


class CandlesBody(Body):
    """Bars of one interval, of one ticker or of several."""

    ticker: Ticker | None = Field(None, description="of all candles that name none")
    interval: Interval = "1d"
    # The first that is wrong is told: of a hundred thousand, each would be an error of its own.
    candles: Annotated[list[Candle], Field(min_length=1, max_length=MAX_CANDLES), FailFast()]


class ImportForm(BaseModel):
    """A file of bars."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="CSV (also gzipped), Parquet or JSON; the name's ending says which")
    ticker: Ticker | None = Field(None, description="where the file has no ticker column")
    interval: Interval = "1d"


class ShownCandle(BaseModel):
    """One stored bar, adjusted for known splits."""

    model_config = ConfigDict(from_attributes=True)

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


class CandlePage(Page[ShownCandle]):
    """Bars of one series, ascending; the first page has the latest, the next goes back in time."""

    ticker: str
    interval: str


class CandleQuery(IntervalQuery, TimesQuery, PageQuery):
    """Which bars."""

    ticker: Ticker
    limit: int = Field(1_000, ge=1, le=10_000, description="how many at the most")


class SeriesImport(Record):
    """What became of one series' rows: each was new, changed, unchanged or rejected."""

    ticker: str
    interval: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    rejected: list[dict[str, Any]] = Field(description="the first 1,000, each with row, time and reason")
    splits: int = 0
    revision: int | None = Field(None, description="of the series, afterwards")
    notes: list[str] = Field(default_factory=list)
    error: str | None = Field(None, description="why nothing of it was stored")


class ImportReport(Record):
    """What became of what was sent."""

    run_id: str
    status: str
    source: str
    interval: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    series: list[SeriesImport]


class CoverageCounts(Record):
    """Of how many sessions of its exchange a series has bars, from its first bar to its last."""

    sessions: int
    missing: int = Field(description="how many of them have no bar; `/tickers/{ticker}/coverage` says which")
    gap_count: int = Field(description="how many stretches of neighbouring sessions these are")


class Series(Record):
    """One stored series."""

    ticker: str
    interval: str
    market: str
    bars: int
    first_bar: datetime | None
    last_bar: datetime | None
    watermark: datetime | None = Field(None, description="last bar that was looked at")
    anomalies: dict[str, int] = Field(
        description="how many there are, by severity; superseded ones do not count",
        examples=[{"medium": 12, "high": 3}],
    )
    revision: int = Field(description="raised by each correction of what was stored before")
    fingerprint: str
    synthetic: bool = Field(description="whether its bars were made up")
    coverage: CoverageCounts | None = Field(None, description="null: counted at the next import")
    updated_at: datetime


class SeriesPage(Page[Series]):
    """Stored series, by ticker."""


class SeriesQuery(PageQuery):
    """Which series."""

    ticker: Ticker | None = None
    market: Market | None = None
    interval: Interval | None = None


class LastRun(Record):
    """The newest detection of a series."""

    run_id: str
    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None
    rows_processed: int | None = None
    anomalies_found: int | None = None
    reason: str | None = None
    error: str | None = None


class SeriesStatus(Record):
    """Why a series has results up to where it has, or none."""

    ticker: str
    interval: str
    market: str
    bars: int = Field(description="bars that are stored")
    bars_needed: int = Field(description="bars that the first result takes")
    first_bar: datetime | None = None
    last_bar: datetime | None = None
    synthetic: bool
    watermark: datetime | None = Field(None, description="last bar that was looked at")
    model_version: str | None = Field(None, description="the champion that looks at it")
    last_run: LastRun | None = None
    next_scan: datetime | None = Field(None, description="null: no watchlist that is scanned has it")
    reason: str = Field(description="a stable word", examples=["up_to_date"])
    message: str = Field(description="the same in full, with what to do")
