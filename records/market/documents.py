"""The documents and collections of series, revisions, rejected rows and session overrides."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import GapReason, GapState, RevisionKind
from records.database import Db

BarValues = dict[str, float]
"""Open, high, low, close and volume of one bar, by name."""


class SplitFields(TypedDict):
    """A split: on a session, `factor` shares were made of one."""

    session: datetime
    factor: float


class HoldingFields(TypedDict):
    """What is stored of a market: its bars by interval, their first and last times, and whether any
    bars are synthetic.

    Attributes:
        looked_at: how many of its series were ever detected.
        up_to_date: how many of these were detected up to their last bar.
        too_short: how many of its series have fewer bars than a first score takes.
        missed: the intervals with series that were never detected.
        behind: the intervals with series that were not detected up to their last bar.
    """

    looked_at: int
    up_to_date: int
    too_short: int
    missed: list[str]
    behind: list[str]
    series: int
    tickers: int
    intervals: list[str]
    bars: int
    first_bar: datetime
    last_bar: datetime
    synthetic: bool


class CoverageCounts(TypedDict):
    """The coverage of a series from its first bar to its last.

    Attributes:
        sessions: how many sessions its exchange held.
        missing: how many of them have no bar.
        gap_count: how many of its gaps in the ledger are not filled.
        bars_expected, bars_held: how many bars these sessions have, and how many are stored.
    """

    sessions: int
    missing: int
    gap_count: int
    bars_expected: int
    bars_held: int


class CoverageFields(CoverageCounts):
    """The coverage of a series, and on how many of its bars nothing traded."""

    no_trade: int


class GapFields(TypedDict):
    """Neighbouring sessions, and what is stored of them.

    Attributes:
        first, last: midnight UTC of the dates of the first and last of them.
        sessions: how many there are.
        bars_expected, bars_held: how many bars these sessions have, and how many are stored.
        empty: those that have no bar at all, in days since 1970.
    """

    first: datetime
    last: datetime
    sessions: int
    bars_expected: int
    bars_held: int
    empty: list[int]


class GapDocument(GapFields):
    """A gap: neighbouring sessions each of which lacked bars when it was found.

    Attributes:
        reason: why it is as it is, where that is known.
        attempts: how often a source was asked for it.
        next_try: when a source may be asked again; None where nobody is to ask.
        tried_at: when one was asked last.
        source: which one that was.
        run_id: the run that asked it.
        filled_at: since when nothing lacks.
    """

    _id: str
    ticker: str
    interval: str
    market: str
    state: GapState
    reason: GapReason | None
    attempts: int
    next_try: datetime | None
    tried_at: datetime | None
    source: str | None
    run_id: str | None
    found_at: datetime
    filled_at: datetime | None


class _SeriesFields(TypedDict):
    _id: str
    ticker: str
    interval: str
    market: str
    # The market's time zone, stored here so that bars can be read without the market.
    timezone: str
    first_bar: datetime
    last_bar: datetime
    bars: int
    splits: list[SplitFields]
    revision: int
    synthetic: bool
    fingerprint: str
    source: str
    updated_at: datetime


class FigureFields(TypedDict):
    """What looks odd in the bars of a bucket.

    Attributes:
        no_trade: on how many bars nothing traded; the bucket's first bar is not compared with the
            bar before it.
        no_volume: how many bars have a volume of zero.
        stale_runs: how many runs of neighbouring bars there are in which no price moves.
        jumps: sessions whose open is a split's factor away from the close before, in days since
            1970; at most 20.
        first_day, first_open, first_close: of the bucket's first bar, the day in days since 1970;
            with `last_close` of the bucket before they tell whether that bar is a jump.
        last_close: the close of the bucket's last bar.
    """

    no_trade: int
    no_volume: int
    stale_runs: int
    jumps: list[int]
    first_day: int
    first_open: float
    first_close: float
    last_close: float


class OddityFields(TypedDict):
    """What looks odd in all bars of a series.

    Attributes:
        fingerprint: of the bars and splits from which they were computed.
        no_volume, stale_runs: the sums over its buckets.
        jumps: the jumps within its buckets and between them, ascending.
    """

    fingerprint: str
    no_volume: int
    stale_runs: int
    jumps: list[int]


class SeriesDocument(_SeriesFields):
    """A stored series.

    By the span of each bucket, `counts` are how many bars it has, `digests` the hashes of its
    columns, `figures` what looks odd in it; `oddities` is what these come to.
    """

    counts: dict[str, int]
    digests: dict[str, str]
    figures: NotRequired[dict[str, FigureFields]]
    oddities: NotRequired[OddityFields]
    coverage: NotRequired[CoverageFields]


class SeriesSummary(_SeriesFields):
    """What lists say of a series: all but what it lists by bucket."""

    coverage: NotRequired[CoverageFields]


class SeriesTotal(TypedDict):
    """What several series have in all, and lack.

    Attributes:
        missing: sessions of their exchanges without a bar.
        with_gaps: how many of the series lack any bar.
        no_trade: bars in which nothing traded.
    """

    series: int
    bars: int
    missing: int
    with_gaps: int
    no_trade: int


class QualitySeries(TypedDict):
    """The fields of a series from which its quality is computed."""

    _id: str
    ticker: str
    interval: str
    market: str
    bars: int
    first_bar: datetime
    last_bar: datetime
    splits: list[SplitFields]
    fingerprint: str
    coverage: NotRequired[CoverageFields]
    oddities: NotRequired[OddityFields]


class SeriesSize(TypedDict):
    """How much is stored of a series, and its market."""

    _id: str
    ticker: str
    market: str
    bars: int


class MarketExtent(TypedDict):
    """How many bars of an interval the series of a market have, and their first and last."""

    market: str
    interval: str
    bars: int
    first_bar: datetime
    last_bar: datetime


class SeriesEnds(TypedDict):
    """The first and last bar of a series."""

    _id: str
    ticker: str
    market: str
    interval: str
    first_bar: datetime
    last_bar: datetime


class PanelSeries(TypedDict):
    """The fields of a series from which a panel is read and a detection planned."""

    _id: str
    ticker: str
    interval: str
    market: str
    timezone: str
    first_bar: datetime
    last_bar: datetime
    bars: int
    counts: dict[str, int]
    splits: list[SplitFields]
    revision: int
    synthetic: bool


class SeriesState(TypedDict):
    """The last bar of a series, and the revision of its bars."""

    _id: str
    ticker: str
    interval: str
    market: str
    last_bar: datetime
    revision: int


BarColumn = Literal["times", "open", "high", "low", "close", "volume"]


class BucketColumns(TypedDict):
    """The bars of a bucket: their columns as one binary (`market/bars/packing.py`)."""

    columns: bytes


class BucketDocument(BucketColumns):
    """The bars of one series and span of the calendar (UTC; `market/bars/spans.py`), and the hash
    of their columns as 8-byte numbers, however they are packed.
    """

    _id: str
    ticker: str
    interval: str
    span: str
    count: int
    sha256: str
    updated_at: datetime


class ChangeFields(TypedDict):
    """A change at or before a series' last bar.

    Attributes:
        first, last: the first and the last stored bar that it touches.
        bars: how many bars changed or were added; a split has none.
        old, new: a bar's values, or a split's factor.
        inserted_until: the last one of late bars.
        session: the session of a split.
    """

    kind: RevisionKind
    first: datetime
    last: datetime
    bars: NotRequired[int]
    old: NotRequired[BarValues | float | None]
    new: NotRequired[BarValues | float | None]
    inserted_until: NotRequired[datetime]
    session: NotRequired[datetime]


class RevisionDocument(ChangeFields):
    """A change with the series, the number of its revision, and where and when it came from."""

    _id: str
    ticker: str
    interval: str
    revision: int
    source: str
    at: datetime


class BarImportDocument(TypedDict):
    """An import's changes to one series, by which the import can be undone.

    `times` are the packed times of its new bars. Where it was `revised`, the revisions of
    `revision` have what else it changed.
    """

    _id: str
    import_id: str
    ticker: str
    interval: str
    source: str
    at: datetime
    new: int
    changed: int
    times: bytes
    revision: int
    revised: bool


class ImportSummary(TypedDict):
    """An import: where it came from, and how many bars it brought of which tickers."""

    import_id: str
    source: str
    at: datetime
    tickers: list[str]
    new: int
    changed: int


class MarketDocument(TypedDict):
    """A market; `market.markets.Market` says what each field means."""

    _id: str
    code: str
    name: str
    calendar: str
    timezone: str
    suffixes: list[str]
    aliases: list[str]
    indices: list[str]
    currency: str
    index_ticker: str | None
    tick_delay_seconds: int
    changed_at: NotRequired[datetime]


class TickerMarketDocument(TypedDict):
    """The market that was set for a ticker; where `set_at` is None, it was not set by a person."""

    _id: str
    market: str
    set_at: datetime | None


class SessionDaysDocument(TypedDict):
    """The sessions of a market around today: days since 1970, UTC seconds."""

    _id: str
    days: list[int]
    opens: list[int]
    closes: list[int]
    made_at: datetime


class RejectedDocument(TypedDict):
    """A row that an import kept aside: its number in the source, and its values as they stood."""

    _id: str
    ticker: str
    interval: str
    row: int
    time: str
    reason: str
    values: dict[str, str]
    source: str
    rejected_at: datetime


class OverrideDocument(TypedDict):
    """When a market opens and closes on a day (ISO date); without times it stays shut."""

    _id: str
    market: str
    day: str
    opens: datetime | None
    closes: datetime | None
    note: str
    changed_at: datetime


def series_in(database: Db) -> Collection[SeriesDocument]:
    """Return the collection of series."""
    return database.series


def bars_in(database: Db) -> Collection[BucketDocument]:
    """Return the collection of bars; `market/bars` reads and writes it."""
    return database.bars


def revisions_in(database: Db) -> Collection[RevisionDocument]:
    """Return the collection of revisions."""
    return database.bar_revisions


def gaps_in(database: Db) -> Collection[GapDocument]:
    """Return the collection of gaps."""
    return database.gaps


def rejected_in(database: Db) -> Collection[RejectedDocument]:
    """Return the collection of rejected rows."""
    return database.rejected_bars


def overrides_in(database: Db) -> Collection[OverrideDocument]:
    """Return the collection of session overrides."""
    return database.session_overrides


def bar_imports_in(database: Db) -> Collection[BarImportDocument]:
    """Return the collection of imports."""
    return database.bar_imports


def markets_in(database: Db) -> Collection[MarketDocument]:
    """Return the collection of markets that were added or changed."""
    return database.markets


def ticker_markets_in(database: Db) -> Collection[TickerMarketDocument]:
    """Return the collection of tickers whose market was set by hand."""
    return database.ticker_markets


def session_days_in(database: Db) -> Collection[SessionDaysDocument]:
    """Return the collection of markets' sessions."""
    return database.session_days


class SeriesInputs(TypedDict):
    """The fields of a series that its market's days are a function of."""

    _id: str
    ticker: str
    digests: dict[str, str]
    splits: list[SplitFields]


class DaysChange(TypedDict):
    """The first and the last day (UTC seconds) that a revision of a market's days changed."""

    revision: int
    first: int
    last: int


class MarketDaysDocument(TypedDict):
    """What a market did on each day, or week.

    Attributes:
        revision: raised whenever a day is added or changes.
        inputs: a hash of the bars of all series of the market; tells whether the days are up to
            date.
        changes_seen: how often series of the interval had been written when the days were checked;
            as long as that count is the same, so is `inputs`.
        checked_by: the last runs that found the days up to date.
        years: by year a hash of the bars that the days of the year are computed from.
        times, moves, counts, ratios: one binary each, little-endian int64, float64, int64 and
            float32, one value a day.
        changes: which days each revision changed, ascending; the oldest entry stands for all before
            it.
        ends: revision and last bar of each series when the days were computed, packed; None where a
            series was damaged.
    """

    _id: str
    market: str
    interval: str
    revision: int
    inputs: str
    changes_seen: int
    checked_by: list[str]
    ends: NotRequired[bytes | None]
    years: dict[str, str]
    times: bytes
    moves: bytes
    counts: bytes
    ratios: bytes
    changes: list[DaysChange]
    updated_at: datetime


class ChangeCountDocument(TypedDict):
    """How often series of an interval were written, in one of the slots of the count."""

    _id: str
    count: int


def change_counts_in(database: Db) -> Collection[ChangeCountDocument]:
    """Return the collection of how often series were written."""
    return database.change_counts


def market_days_in(database: Db) -> Collection[MarketDaysDocument]:
    """Return the collection of the markets' days."""
    return database.market_days
