"""Bars in and out."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from apiflask.fields import UploadFile
from pydantic import BaseModel, ConfigDict, FailFast, Field

from api.schemas.common import (
    Body,
    ImportInterval,
    Interval,
    IntervalQuery,
    Market,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    TimesQuery,
    WatchlistName,
)
from core.errors import BadInput
from market.imports.options import ReadingOptions, build_options
from market.tickers import normalize_ticker

MAX_CANDLES = 100_000
MAX_COLUMNS = 4_000
BEHIND = "sessions of its market that have ended since that of its last bar; null: not known"


Cell = Annotated[str, Field(max_length=100)] | int | float | None


class Reading(BaseModel):
    """How bars are to be read where they do not settle that themselves."""

    decimal: str | None = Field(
        None, max_length=20, description="what parts decimals: `point` or `comma`"
    )
    thousands: str | None = Field(
        None,
        max_length=20,
        description="what parts thousands: `comma`, `point`, `space`, `apostrophe` or `none`",
    )
    timezone: str | None = Field(
        None,
        max_length=60,
        description="zone of times without one; else the exchange's",
        examples=["Europe/Athens"],
    )
    day_first: bool | None = Field(
        None, description="whether 03/04/2024 is in April, where no row settles it"
    )

    labels: Literal["start", "end"] | None = Field(
        None,
        description="what the time of an intraday bar is; null: its start, and what looks otherwise"
        " is refused",
    )

    def build_options(self, columns: Sequence[str]) -> ReadingOptions:
        """Return the same, checked, with columns as `close=PX_LAST`. Raises BadInput."""
        return build_options(
            columns=columns,
            decimal=self.decimal,
            thousands=self.thousands,
            timezone=self.timezone,
            day_first=self.day_first,
            labels=self.labels,
        )


class CandlesBody(Body, Reading):
    """Bars of one interval, of one ticker or of several.

    A candle is an object with any usual names (time, open, high, low, close, volume; t, o, h, l, c,
    v; ticker or symbol where the candles are of several). Times are ISO 8601 or seconds,
    milliseconds, microseconds or nanoseconds since 1970; numbers may be strings. What is no bar (a
    high below its low, a price that is missing) is kept aside and reported.
    """

    ticker: Ticker | None = Field(None, description="of all candles that name none")
    interval: ImportInterval = Field("1d", description="`auto`: as the bars are spaced")
    market: Market | None = Field(
        None, description="of which all tickers are; null: as each of them looks"
    )
    columns: dict[Annotated[str, Field(max_length=20)], Annotated[str, Field(max_length=200)]] = (
        Field(
            default_factory=dict,
            max_length=20,
            description="the candles' name of a field; empty where none is that field",
            examples=[{"close": "px"}],
        )
    )
    # Only the first error is reported: among a hundred thousand candles, each would have one of its
    # own.
    candles: Annotated[
        list[dict[Annotated[str, Field(max_length=100)], Cell]],
        Field(
            min_length=1,
            max_length=MAX_CANDLES,
            examples=[[{"time": "2013-03-01", "open": 438.0, "high": 438.18}]],
        ),
        FailFast(),
    ]


class FileForm(Reading):
    """A file of bars."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(
        description=(
            "CSV, Excel (.xlsx), Parquet, JSON, or a .zip of them; the name's ending says which"
        )
    )
    columns: str | None = Field(
        None,
        max_length=MAX_COLUMNS,
        description=(
            "a JSON object: the file's name, or position from 1, of a field; empty where no column"
            " is that field"
        ),
        examples=['{"close": "PX_LAST"}'],
    )

    def list_columns(self) -> list[str]:
        """Return the columns as `close=PX_LAST`. Raises BadInput."""
        try:
            columns = json.loads(self.columns or "{}")
        except ValueError as error:
            raise BadInput(f"columns is no JSON: {error}") from error
        if not isinstance(columns, dict) or not all(
            isinstance(name, (str, int)) for name in columns.values()
        ):
            raise BadInput('columns must be a JSON object such as {"close": "PX_LAST"}')
        return [f"{name}={column}" for name, column in columns.items()]


class ImportForm(FileForm):
    """A file of bars to take in."""

    ticker: Ticker | None = Field(None, description="where the file has no ticker column")
    interval: ImportInterval = Field("1d", description="`auto`: as the bars are spaced")
    market: Market | None = Field(
        None, description="of which all its tickers are; none: as each of them looks"
    )


class PreviewColumn(Record):
    """One column of a file."""

    position: int = Field(description="from 1")
    name: str = Field(description="as the file names it; its position where it names none")
    field: str | None = Field(description="what it is taken for; null: it is left aside")


class PreviewRead(Record):
    """What reading the whole file came to."""

    rows: int
    times: int = Field(description="of how many rows the time can be read")
    numbers: int = Field(
        description="of how many rows the prices can be read, and the volume where one is written"
    )
    has_ticker: bool = Field(description="whether rows name their tickers")
    interval: str | None = Field(
        description="that the bars are spaced by, or those that a column of it names; null: they"
        " are too few, or spaced by none known",
        examples=["1d"],
    )


class Preview(Record):
    """What a file looks like; nothing of it is stored."""

    source: str = Field(description="the file, or the first of an archive that holds a table")
    parts: list[str] = Field(description="the files of an archive, at most 100")
    columns: list[PreviewColumn]
    rows: list[list[str]] = Field(description="the first rows, as they are written")
    ticker: str | None = Field(
        description="whose bars it holds, as it says outside its rows or by its name"
    )
    problem: str | None = Field(
        description="what stands in the way of an import, and what settles it"
    )
    notes: list[str] = Field(description="how columns, numbers and times are read")
    read: PreviewRead | None


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
    format: Literal["native", "ccxt"] = Field(
        "native",
        description="`ccxt`: a list of [milliseconds, open, high, low, close, volume], ascending",
    )


class DeleteQuery(Query):
    """Which of its bars."""

    interval: Interval | None = Field(None, description="only those of this interval; none: all")


class SeriesImport(Record):
    """What became of one series' rows: each was new, changed, unchanged or rejected."""

    ticker: str
    interval: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    rejected: list[dict[str, Any]] = Field(
        description="the first 1,000, each with row, time and reason"
    )
    splits: int = 0
    revision: int | None = Field(None, description="of the series, afterwards")
    notes: list[str] = Field(default_factory=list)
    error: str | None = Field(None, description="why nothing of it was stored")


class FileImport(Record):
    """What became of one file: read, failed or skipped."""

    name: str
    columns: dict[str, str] = Field(default_factory=dict, description="how it names each field")
    aside: list[str] = Field(
        default_factory=list, description="its columns that were left aside, at most 100"
    )
    notes: list[str] = Field(
        default_factory=list, description="how columns, numbers and times were read"
    )
    error: str | None = None
    skipped: str | None = None


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
    files: list[FileImport] = Field(default_factory=list)


class CoverageCounts(Record):
    """Of how many sessions of its exchange a series has bars, from its first bar to its last."""

    sessions: int
    missing: int = Field(
        description="how many of them have no bar; `/tickers/{ticker}/coverage` says which"
    )
    gap_count: int = Field(
        description="how many stretches of sessions lack bars; `/data/gaps` lists them"
    )
    bars_expected: int = Field(description="bars that these sessions have")
    bars_held: int = Field(description="how many of them are stored")
    no_trade: int = Field(
        description="in how many bars nothing traded: flat without volume, or that before repeated"
    )


class Series(Record):
    """One stored series."""

    ticker: str
    interval: str
    sessions_behind: int | None = Field(None, description=BEHIND)
    market: str
    bars: int
    bars_needed: int | None = Field(
        None, description="bars that the first result takes; null: no model is in use for it"
    )
    first_bar: datetime | None
    last_bar: datetime | None
    watermark: datetime | None = Field(None, description="last bar that was looked at")
    anomalies: dict[str, int] = Field(
        description="how many there are, by severity; superseded ones, and those of bars that are"
        " gone, do not count",
        examples=[{"medium": 12, "high": 3}],
    )
    revision: int = Field(description="raised by each correction of what was stored before")
    fingerprint: str
    synthetic: bool = Field(description="whether its bars were made up")
    coverage: CoverageCounts | None = Field(None, description="null: counted at the next import")
    updated_at: datetime


class SeriesPage(Page[Series]):
    """Stored series, by ticker."""


class SeriesTotal(BaseModel):
    """What several series have in all, and lack."""

    series: int
    bars: int
    missing: int = Field(description="sessions of their exchanges without a bar")
    with_gaps: int = Field(description="how many of the series lack any bar")
    no_trade: int = Field(description="bars in which nothing traded")


class SeriesTotalQuery(Query):
    """Of which series."""

    contains: str | None = Field(
        None, max_length=20, description="in the names of their tickers", examples=["GOO"]
    )
    market: Market | None = None


class SeriesQuery(PageQuery):
    """Which series."""

    ticker: Ticker | None = None
    tickers: str | None = Field(
        None,
        max_length=4_000,
        description="any of these, with commas between them",
        examples=["AAPL,MSFT"],
    )
    contains: str | None = Field(
        None, max_length=20, description="in the names of their tickers", examples=["GOO"]
    )
    prefix: str | None = Field(
        None, max_length=20, description="only tickers that begin so", examples=["GOO"]
    )
    watchlist: WatchlistName | None = Field(None, description="only of its tickers")
    market: Market | None = None
    interval: Interval | None = None

    def choose_tickers(self, watched: Sequence[str] | None) -> list[str] | None:
        """Return the tickers that all that is asked allows; None where they are not narrowed down.

        `watched` are those of the watchlist, where one is named. Raises BadInput on a ticker that
        is none.
        """
        named = [normalize_ticker(name) for name in (self.tickers or "").split(",") if name]
        choices = [set(named)] if named else []
        choices += [{self.ticker}] if self.ticker else []
        choices += [set(watched)] if watched is not None else []
        return sorted(set.intersection(*choices)) if choices else None


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
    market: str | None = Field(description="null: without bars, and it looks like none")
    bars: int = Field(description="bars that are stored")
    bars_needed: int = Field(description="bars that the first result takes")
    first_bar: datetime | None = None
    last_bar: datetime | None = None
    synthetic: bool
    watermark: datetime | None = Field(None, description="last bar that was looked at")
    model_version: str | None = Field(None, description="the champion that looks at it")
    last_run: LastRun | None = None
    next_scan: datetime | None = Field(
        None, description="null: no watchlist that is scanned has it"
    )
    sessions_behind: int | None = Field(None, description=BEHIND)
    reason: str = Field(description="a stable word", examples=["up_to_date"])
    message: str = Field(description="the same in full, with what to do")
