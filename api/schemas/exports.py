"""Exports."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Body,
    Interval,
    Market,
    Query,
    Record,
    Ticker,
    Time,
    WatchlistName,
)
from api.schemas.selection import MAX_TICKERS
from core.words import AnomalyKind, MoveScope, Severity, Status
from market.exports.tables import FIELDS, BarField, Kind, Layout, TableName
from market.exports.writing import Format

MOST_ROWS = 1_000_000
RunId = Annotated[str, Field(min_length=1, max_length=64)]


class ExportQuery(Query):
    """Of what, and in which form. Parquet, and features, are written by a worker meanwhile."""

    format: Format = Field(
        "csv", description="`ndjson`: a JSON object a line; `parquet` is no text"
    )
    tickers: str | None = Field(
        None, max_length=4_000, description="with commas between them", examples=["AAPL,MSFT"]
    )
    market: Market | None = None
    watchlist: WatchlistName | None = None
    interval: Interval | None = Field(
        None, description="null: of anomalies and alerts all, of other tables 1d"
    )
    start: Time | None = Field(None, description="first time, inclusive")
    end: Time | None = Field(None, description="last time, inclusive")
    columns: str | None = Field(
        None, max_length=4_000, description="only these, with commas between them"
    )
    layout: Layout = Field(
        "long", description="`wide`: of bars a column a ticker, of analytics a column a metric"
    )
    field: BarField = Field("close", description=f"of wide bars, one of {', '.join(FIELDS)}")
    adjusted: bool = Field(
        default=False, description="bars adjusted for splits, not as they were quoted"
    )
    run: RunId | None = Field(
        None, description="of scores: the run that kept them; null: of each ticker the latest"
    )
    severity: Severity | None = Field(None, description="of anomalies")
    kind: AnomalyKind | None = Field(None, description="of anomalies")
    scope: MoveScope | None = Field(None, description="of anomalies")


class ExportBody(Body):
    """What is to be written, by a worker, and kept for a week."""

    table: TableName
    format: Format = "parquet"
    tickers: Annotated[list[Ticker], Field(max_length=MAX_TICKERS)] = Field(default_factory=list)
    market: Market | None = None
    watchlist: WatchlistName | None = None
    interval: Interval | None = Field(
        None, description="null: of anomalies and alerts all, of other tables 1d"
    )
    start: Time | None = Field(None, strict=False, description="first time, inclusive")
    end: Time | None = Field(None, strict=False, description="last time, inclusive")
    columns: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=500)] = Field(
        default_factory=list, description="only these; none: all"
    )
    layout: Layout = "long"
    field: BarField = "close"
    adjusted: bool = False
    run: RunId | None = None
    severity: Severity | None = None
    kind: AnomalyKind | None = None
    scope: MoveScope | None = None


class ExportPart(Record):
    """One file of an export."""

    name: str = Field(examples=["bars-0000.parquet"])
    rows: int
    bytes: int
    sha256: str


class ExportColumn(Record):
    """A column, and what it holds."""

    name: str
    kind: Kind


class Manifest(Record):
    """What an export holds: `manifest.json` beside its parts."""

    format: Format
    query: dict[str, Any]
    columns: list[ExportColumn]
    rows: int
    parts: list[ExportPart]
    fingerprints: dict[str, str] = Field(description="of the series that were written")
    models: dict[str, str] = Field(description="the versions that rows name, and their hashes")
    made_at: datetime


class Export(Record):
    """An export that a worker writes, or has written."""

    run_id: str
    status: Status
    manifest: Manifest | None = Field(None, description="null before it is written")
    files: dict[str, str] = Field(description="the address of each file, once it is written")
