"""What is known of the stored bars' quality."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Interval, Page, PageQuery, Query, Record, Ticker
from core.words import RevisionKind


class Gap(Record):
    """Neighbouring sessions without a bar."""

    first: datetime = Field(description="midnight UTC of the first session's date")
    last: datetime
    sessions: int = Field(description="how many there are")


class SeriesCoverage(Record):
    """Which sessions of its exchange a series has bars of, from its first bar to its last."""

    ticker: str
    interval: str
    market: str
    first_bar: datetime
    last_bar: datetime
    sessions: int | None = Field(
        None, description="from the first bar to the last; null: counted at the next import"
    )
    missing: int | None = Field(None, description="how many of them have no bar")
    gap_count: int | None = Field(
        None, description="how many stretches of neighbouring sessions these are"
    )
    no_trade: int | None = Field(None, description="in how many bars nothing traded")
    gaps: list[Gap] = Field(default_factory=list, description="the latest 100 of them, ascending")


class CoverageQuery(Query):
    """Of which series."""

    interval: Interval = "1d"


class BarRevision(Record):
    """Something that changed at or before a series' last bar."""

    id: str = Field(alias="_id")
    ticker: str
    interval: str
    revision: int = Field(description="of the series, by this change")
    kind: RevisionKind
    first: datetime = Field(description="first stored bar that it touches")
    last: datetime
    bars: int | None = Field(None, description="how many bars came, changed or went")
    inserted_until: datetime | None = Field(None, description="last of the bars that came late")
    session: datetime | None = Field(None, description="of a split")
    old: Any = Field(None, description="a changed bar's values before, or a split's factor")
    new: Any = Field(None, description="the same afterwards")
    source: str
    at: datetime


class RevisionPage(Page[BarRevision]):
    """Revisions, the newest first."""


class RevisionQuery(PageQuery):
    """Which revisions."""

    ticker: Ticker | None = None
    interval: Interval | None = None


class RejectedRow(Record):
    """A row that an import kept aside, as its source wrote it."""

    id: str = Field(alias="_id")
    ticker: str
    interval: str
    row: int = Field(description="its place in the source, from 1")
    time: str
    reason: str = Field(description="a stable word", examples=["high_below_low"])
    values: dict[str, str]
    source: str
    rejected_at: datetime


class RejectedPage(Page[RejectedRow]):
    """Rejected rows."""


class RejectedQuery(PageQuery):
    """Which rows."""

    ticker: Ticker | None = None
    interval: Interval | None = None
    reason: str | None = Field(None, max_length=40)
