"""Reads the series of many arrivals, as they are before the arrivals are merged, in a few
commands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo.client_session import ClientSession

from core.arrays import Int64
from core.errors import SeriesError
from market.bars import changes
from market.bars.buckets import Columns, empty_columns
from market.bars.coverage import Held, find_session_start
from market.bars.ledger import Later
from market.bars.spans import name_span
from market.markets import Market
from market.sessions.calendar import Sessions
from market.spellings import list_alike
from records.database import Db
from records.market.documents import ChangeFields, RejectedDocument, SeriesDocument
from records.market.revisions import find_last_revisions
from records.market.series import build_series_id, find_ends, find_series


@dataclass(frozen=True, slots=True)
class Arrival:
    """What comes in for one series.

    Attributes:
        known: the sessions of its market.
        columns: its bars, ascending by time.
        splits: split factors by session, in days since 1970.
        rejected: rows that are stored as rejected.
        import_id: the import that it belongs to, by which it can be undone; None for others.
    """

    ticker: str
    market: Market
    interval: str
    source: str
    now: datetime
    known: Sessions
    columns: Columns = field(default_factory=empty_columns)
    splits: Mapping[int, float] = field(default_factory=dict)
    rejected: Sequence[RejectedDocument] = ()
    synthetic: bool = False
    import_id: str | None = None

    @property
    def series_id(self) -> str:
        """Return the `_id` of its series."""
        return build_series_id(self.ticker, self.interval)


@dataclass(slots=True)
class Opened:
    """An arrival with its series, and what merging them finds out.

    Attributes:
        arrival: what comes in.
        series: the series' document, an empty one where there is none; the merge updates it.
        replaced: the synthetic series that the arrival replaces; else None.
        last_bar: the series' last bar before the merge; None where it has none.
        since: the start of that bar's session, UTC seconds.
        spans: the stored spans whose bars are needed, in order.
        bars: how many bars are read and written for the arrival.
        notes: messages for the user.
        came: the start of each new bar, UTC seconds, ascending.
        revisions: the changes of stored bars and splits.
        has_changed: whether there is anything to write besides rejected rows.
        later: the sessions from the last bar on, for the ledger of gaps, where all new bars come
            after that bar.
        held: all sessions of the series, where some new bars do not. Both are None where no bar is
            new, or where the last bar before lies after all known sessions.
    """

    arrival: Arrival
    series: SeriesDocument
    replaced: SeriesDocument | None
    last_bar: datetime | None
    since: int
    spans: list[str]
    bars: int
    notes: list[str] = field(default_factory=list)
    came: Int64 = field(default_factory=lambda: empty_columns()["times"])
    revisions: list[ChangeFields] = field(default_factory=list)
    has_changed: bool = False
    later: Later | None = None
    held: Held | None = None


def open_all(
    database: Db, arrivals: Sequence[Arrival], session: ClientSession
) -> list[Opened | SeriesError]:
    """Return each arrival with its series, in order, or the error for which it is refused. No two
    arrivals may be of the same series.
    """
    stored = {
        one["_id"]: one
        for interval in {arrival.interval for arrival in arrivals}
        for one in find_series(
            database,
            tickers=[arrival.ticker for arrival in arrivals if arrival.interval == interval],
            interval=interval,
            session=session,
        )
    }
    opened = [_open(arrival, stored.get(arrival.series_id)) for arrival in arrivals]
    # An arrival without bars creates no series.
    new = [
        one
        for one in opened
        if isinstance(one, Opened) and not one.series["bars"] and _count(one.arrival)
    ]
    for interval in {one.arrival.interval for one in new}:
        _number_on(database, [one for one in new if one.arrival.interval == interval], session)
        _tell_alike(database, [one for one in new if one.arrival.interval == interval])
    return opened


def _open(arrival: Arrival, series: SeriesDocument | None) -> Opened | SeriesError:
    ticker, interval = arrival.ticker, arrival.interval
    if series is not None and series["market"] != arrival.market.code:
        return SeriesError(
            f"{ticker} has {interval} bars of market {series['market']}, and these"
            f" are of {arrival.market.code}: delete them first (`flask bars delete"
            f" {ticker}`), or name it otherwise"
        )
    if series is not None and arrival.synthetic and not series["synthetic"]:
        return SeriesError(
            f"{ticker} has real {interval} bars: synthetic ones are not mixed with them"
        )
    if series is None:
        return Opened(arrival, _build_empty(arrival), None, None, 0, [], _count(arrival))
    if series["synthetic"] and not arrival.synthetic and _count(arrival):
        empty = _build_empty(arrival)
        empty["revision"] = series["revision"]
        first = min(series["first_bar"], changes.moment(arrival.columns["times"][0]))
        replaced: ChangeFields = {
            "kind": "replaced",
            "first": first,
            "last": series["last_bar"],
            "bars": series["bars"],
        }
        return Opened(arrival, empty, series, None, 0, [], _count(arrival), revisions=[replaced])
    last_bar = series["last_bar"]
    since = find_session_start(int(last_bar.timestamp()), interval, arrival.known)
    spans = [*_list_spans(arrival, series, since)]
    bars = sum(series["counts"][span] for span in spans) + _count(arrival)
    return Opened(arrival, series, None, last_bar, since, spans, bars)


def _list_spans(arrival: Arrival, series: SeriesDocument, since: int) -> Iterator[str]:
    """Yield the stored spans of a series from an arrival's first bar to its last; where bars come
    after the series' last bar, also the spans of that bar's session.
    """
    times = arrival.columns["times"]
    if not len(times):
        return
    first, last = int(times[0]), int(times[-1])
    if last > series["last_bar"].timestamp():
        first = min(first, since)
    low, high = (name_span(at, arrival.interval) for at in (first, last))
    yield from (span for span in sorted(series["counts"]) if low <= span <= high)


def _count(arrival: Arrival) -> int:
    return len(arrival.columns["times"])


def _build_empty(arrival: Arrival) -> SeriesDocument:
    return {
        "_id": arrival.series_id,
        "ticker": arrival.ticker,
        "interval": arrival.interval,
        "market": arrival.market.code,
        "timezone": arrival.market.timezone,
        # Set when its first bars are merged.
        "first_bar": None,  # type: ignore[typeddict-item]
        "last_bar": None,  # type: ignore[typeddict-item]
        "bars": 0,
        "counts": {},
        "digests": {},
        "figures": {},
        "splits": [],
        "revision": 0,
        "synthetic": arrival.synthetic,
        "fingerprint": "",
        "source": arrival.source,
        "updated_at": arrival.now,
    }


def _number_on(database: Db, new: Iterable[Opened], session: ClientSession) -> None:
    """Give new series the last revision number of a deleted series of the same name, to go
    on from.
    """
    own = {one.arrival.ticker: one for one in new if one.replaced is None}
    if not own:
        return
    interval = next(iter(own.values())).arrival.interval
    for ticker, revision in find_last_revisions(database, [*own], interval, session).items():
        own[ticker].series["revision"] = revision


def _tell_alike(database: Db, new: Sequence[Opened]) -> None:
    """Add a note to each new series where another one, stored or new, has a name that differs in
    punctuation only: BRK.B beside BRK-B. All are of one interval.
    """
    alike = {one.arrival.ticker: list_alike(one.arrival.ticker) for one in new}
    interval = new[0].arrival.interval
    ends = find_ends(database, [name for names in alike.values() for name in names], interval)
    markets = {end["_id"].partition("::")[0]: end["market"] for end in ends}
    for one in new:
        ticker, code = one.arrival.ticker, one.arrival.market.code
        one.notes += [
            f"{other} is stored too, and spelled alike: where both are one ticker, delete these"
            f" bars and import them as {other}"
            for other in sorted(alike[ticker])
            if markets.get(other) == code
        ]
        markets[ticker] = code
