"""What is known of the stored bars' quality."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import Body, Interval, Market, Page, PageQuery, Query, Record, Ticker
from core.words import GapReason, GapState, QualityFigure, RevisionKind
from tasks.requests.gaps import MOST_GAPS


class SeriesGap(Record):
    """Neighbouring sessions that lack bars."""

    id: str = Field(alias="_id", examples=["AAPL::1d::2012-10-31"])
    first: datetime = Field(description="midnight UTC of the first session's date")
    last: datetime
    sessions: int = Field(description="how many there are")
    bars_expected: int = Field(description="bars that these sessions have")
    bars_held: int = Field(description="how many of them are stored")
    state: GapState = Field(
        description=(
            "`open`: none of its bars is there; `partial`: some are; `filling`: a run asks for"
            " them; `filled`; `error`: asked for and given up; `expected`: it was said why"
        )
    )
    reason: GapReason | None = Field(
        None,
        description=(
            "why, where that is known; `source_empty`: its source has nothing although nine in ten"
            " of its market traded"
        ),
    )


class Gap(SeriesGap):
    """A gap of a series, with what was done about it."""

    ticker: str
    interval: str
    market: str
    attempts: int = Field(description="how often a source was asked for it")
    next_try: datetime | None = Field(
        None, description="when the source of its watchlist is asked again; null: never"
    )
    tried_at: datetime | None = None
    source: str | None = Field(None, description="that was asked last")
    run_id: str | None = Field(None, description="the run that asked it")
    found_at: datetime
    filled_at: datetime | None = None


class GapPage(Page[Gap]):
    """Gaps, the newest sessions first."""


class GapQuery(PageQuery):
    """Which gaps."""

    ticker: Ticker | None = None
    market: Market | None = None
    interval: Interval | None = None
    state: GapState | None = Field(
        None, description="null: all that somebody should fill or explain"
    )


GapId = Annotated[str, Field(min_length=1, max_length=60, examples=["AAPL::1d::2012-10-31"])]


class FillBody(Body):
    """Which gaps are to be filled, and from where. At most 1,000 at once, the newest first."""

    gaps: list[GapId] = Field(default_factory=list, max_length=MOST_GAPS)
    tickers: list[Ticker] = Field(default_factory=list, max_length=MOST_GAPS)
    market: Market | None = Field(None, description="all gaps of this market")
    interval: Interval = "1d"
    source: Literal["yahoo", "folder"] | None = Field(
        None, description="null: that of the watchlists which hold the tickers"
    )
    folder: str | None = Field(
        None, max_length=200, description="with `folder`: its name below the watched one"
    )


class AcceptBody(Body):
    """Which gaps are as they should be, and why."""

    gaps: list[GapId] = Field(min_length=1, max_length=MOST_GAPS)
    reason: GapReason


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
        None, description="how many stretches of sessions lack bars; `/data/gaps` lists them"
    )
    bars_expected: int | None = Field(None, description="bars that these sessions have")
    bars_held: int | None = Field(None, description="how many of them are stored")
    no_trade: int | None = Field(None, description="in how many bars nothing traded")
    gaps: list[SeriesGap] = Field(
        default_factory=list, description="the latest 100 of them, ascending"
    )


class CoverageQuery(Query):
    """Of which series."""

    interval: Interval = "1d"


class QualityRule(Record):
    """What a figure takes off the score."""

    figure: QualityFigure
    points: float = Field(description="that the figure is multiplied by")
    most: float = Field(description="points that it takes off at the most")
    counts: str = Field(description="what the figure is")


class SeriesQuality(Record):
    """How good the stored bars of a series are."""

    ticker: str
    interval: str
    market: str
    bars: int
    last_bar: datetime
    completeness: float | None = Field(
        description="share of the bars of its sessions that are stored; null: not known"
    )
    score: float = Field(ge=0, le=100, description="100 less the deductions")
    figures: dict[QualityFigure, float | None] = Field(
        description="null: not known, or says nothing of this series"
    )
    deductions: dict[QualityFigure, float] = Field(description="points that each takes off")
    jumps: list[datetime] = Field(description="midnight UTC of the days of suspected splits")


class QualityPage(Page[SeriesQuality]):
    """Series, the worst first."""

    formula: list[QualityRule]


class QualityQuery(PageQuery):
    """Of which series."""

    ticker: Ticker | None = None
    market: Market | None = None
    interval: Interval | None = None


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
    reason: str | None = Field(
        None, max_length=40, description="why they were kept aside, as rows say it: high_below_low"
    )
