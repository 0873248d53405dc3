"""Checks the rows of a source's table, ticker by ticker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from itertools import pairwise

import numpy as np

from core.arrays import Bools, Int64
from core.errors import BadInput
from core.words import PRICES
from market.bars.buckets import VALUES, Columns, empty_columns
from market.bars.no_trade import count_no_trade
from market.bars.overlaps import STRAY_SHARE, mark_overlaps
from market.bars.readjustment import is_adjusted
from market.imports.checks import (
    ACCEPTED,
    CODES,
    NAMES,
    Codes,
    check_order,
    check_times,
    check_values,
    clip_rounding,
    find_many,
    find_wrong_times,
)
from market.imports.parting import (
    SHOWN,
    Currencies,
    Parting,
    find_currencies,
    find_foreign,
    find_mixed,
    read_currencies,
    read_partings,
)
from market.imports.report import Rejection
from market.imports.settled import Settled, encode_texts
from market.imports.shifts import check_shift, is_any_clock_in, move_ends
from market.imports.spacing import (
    describe_off_grid,
    find_fault,
    mark_off_grid,
)
from market.imports.times.labels import label_times
from market.imports.volumes import explain_volumes, fill_volumes
from market.intervals import DAY_SECONDS, is_intraday, session_of
from market.markets import Market, Markets
from market.sessions.calendar import Sessions, find_closes, load_sessions, local_days
from market.spellings import find_exchange
from market.ticks.fields import unguard

SHOWN_SPELLINGS = 5
# An error quotes so many characters of a text that is no ticker.
MOST_TICKER = 40
# The columns of an export of bars, besides the market.
EXPORTED = ("ticker", "interval", "time", *VALUES)
# So many rejected rows of one ticker and source are kept; with fewer the whole source is wrong.
MOST_REJECTIONS_KEPT = 10_000
# Of so many bars, at least, a share that says that nothing traded is one of the source.
LEAST_IDLE, MOST_IDLE = 100, 0.9


class TickerNotThere(BadInput):
    """A table has no row of the only ticker that was asked for."""


@dataclass(frozen=True, slots=True)
class TickerRows:
    """One ticker's rows of one source.

    Attributes:
        ticker: normalized; as the source wrote it where `error` says that it is no ticker.
        read: how many rows the source has of the ticker.
        market: the ticker's market; None only where `error` says why.
        columns: the accepted rows, ascending by time.
        splits: by session (days since 1970) the split factors of the accepted rows that have one.
        rejected: the other rows, at most 10,000, in the order of the source.
        notes: notes for the report.
        error: why none of the rows can be used, or None.
    """

    ticker: str
    read: int
    market: Market | None = None
    columns: Columns = field(default_factory=empty_columns)
    splits: dict[int, float] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """All rows of a source: as written, and as read. Arrays have the shape (n,)."""

    interval: str
    settled: Settled
    columns: Columns
    reasons: Codes
    # Which rows lie in a session that has closed.
    timely: Bools
    sessions: Mapping[Market, Sessions]
    is_history: bool
    now_seconds: int
    currencies: Currencies | None
    # The markets whose times were read as the ends of bars although no option says so.
    ended: set[Market]
    # The markets whose times without a zone were read in the exchange's, and any would fit.
    assumed: set[Market]
    # Read once for all tickers, and only where rows of a ticker share their time.
    partings: Callable[[], Sequence[Parting]]


def read_rows(
    settled: Settled,
    *,
    interval: str,
    ticker: str | None,
    market: Market | None,
    markets: Markets,
    now: datetime,
    sessions_of: Callable[[Market], Sessions] = load_sessions,
    is_history: bool = True,
) -> list[TickerRows]:
    """Check a table's rows and return its tickers, in order of first appearance.

    Args:
        settled: the table.
        interval: of the bars.
        ticker: the ticker of a table without a ticker column; of another table, the only ticker to
            take.
        market: the market of all its tickers; None: the market that each ticker's spelling tells.
        markets: all markets, which tell a ticker's market by its spelling.
        now: bars that close later are rejected.
        sessions_of: returns the sessions of a market.
        is_history: whether the bars follow each other, so that their distance tells whether they
            are of the interval. Bars of a feed may be late, and at any distance.

    Raises BadInput where the ticker is not known, or the times look like those of another zone.
    """
    codes, named = _name_tickers(settled, ticker or settled.ticker, market, markets)
    of_market = dict.fromkeys(known.market for known in named)
    sessions = {known: sessions_of(known) for known in of_market if known is not None}
    table = _read_table(settled, codes, named, interval, now, sessions, is_history=is_history)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(named) + 1))
    slices = [order[start:stop] for start, stop in pairwise(bounds)]
    return [
        (
            _select_rows(known, known.market, table, rows)
            if known.market is not None
            else TickerRows(known.ticker, len(rows), error=known.error)
        )
        for known, rows in zip(named, slices, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Named:
    """A ticker of a source: its normalized name and its market, or the error where it has none."""

    ticker: str
    market: Market | None = None
    error: str | None = None
    spellings: tuple[str, ...] = ()
    # Whether only its spelling tells its market; and the venue that the source names.
    is_guess: bool = False
    venue: str = ""


def _name_tickers(
    settled: Settled, ticker: str | None, market: Market | None, markets: Markets
) -> tuple[Int64, list[_Named]]:
    """Return the position of each row's ticker in a list (-1: not asked for), and that list.

    Raises BadInput where the only ticker is not a ticker, or its market cannot be told.
    """
    is_exported = _is_exported(settled)

    def name(text: str, venue: str = "") -> _Named:
        if not text.strip():
            raise BadInput(
                "no ticker is written in these rows (of cells that a workbook joins, only the first"
                " holds it): write it into each"
            )
        # In spreadsheets an apostrophe in front of 000001 keeps it a text.
        text = unguard(text).strip().removeprefix("'")
        spellings = (text.strip(),)
        if market:
            return _Named(markets.complete(text, market), market, spellings=spellings)
        known = markets.spell(text)
        if markets.tells_market(known):
            return _Named(known, markets.get_of(known), spellings=spellings)
        if is_exported and (told := markets.find(venue)):
            return _Named(known, told, spellings=spellings)
        if found := markets.find_at(known, venue):
            return _Named(*found, spellings=spellings)
        return _Named(
            known, markets.get_of(known), spellings=spellings, is_guess=True, venue=venue.strip()
        )

    row_texts, texts = _find_texts(settled, ticker)
    if "ticker" not in settled.written and len(texts) == 1:
        return row_texts, [name(*texts[0])]
    named: dict[str, _Named] = {}
    spelled = []
    for text, venue in texts:
        try:
            found = name(text, venue)
        except BadInput as error:
            found = _Named(text[:MOST_TICKER], error=error.message)
        spelled.append(found.ticker)
        before = named.setdefault(found.ticker, found)
        if before is not found:
            spellings = dict.fromkeys((*before.spellings, *found.spellings))
            named[found.ticker] = replace(before, spellings=tuple(spellings))
    if ticker is not None and "ticker" in settled.written:
        named = _choose_only(named, name(ticker).ticker, ticker.strip())
    positions = {known: position for position, known in enumerate(named)}
    lookup = np.array([positions.get(known, -1) for known in spelled], np.int64)
    return lookup[row_texts], list(named.values())


def _is_exported(settled: Settled) -> bool:
    """Return whether a table is an export of stored bars. Its tickers are in their stored form, so
    a ticker without its market's suffix was assigned to that market by a person.
    """
    names = {"venue": "market"} | {name: name for name in EXPORTED}
    return names.items() <= settled.names.items() and bool(settled.times.zoned.all())


def _choose_only(named: Mapping[str, _Named], wanted: str, written: str) -> dict[str, _Named]:
    """Return the only ticker that is asked for, by its spelling. Raises TickerNotThere."""
    if wanted in named:
        return {wanted: named[wanted]}
    # The spelling may leave out the exchange that the table names.
    meant = [own for own, one in named.items() if written in one.spellings]
    if len(meant) != 1:
        has = ", ".join((meant or list(named))[:10])
        raise TickerNotThere(f"{wanted} is nowhere in the table; it has {has}")
    return {meant[0]: named[meant[0]]}


def _find_texts(settled: Settled, ticker: str | None) -> tuple[Int64, list[tuple[str, str]]]:
    """Return the position of each row's ticker and venue in a list, and that list, with both as
    they are written; a venue is "" where a row has none.

    Raises BadInput where the table has no tickers and none is given.
    """
    if "ticker" in settled.written:
        codes, tickers = encode_texts(settled.written["ticker"])
    elif ticker is not None:
        codes, tickers = np.zeros(len(settled), np.int64), [ticker]
    else:
        raise BadInput(
            "the table has no ticker column: say whose bars these are (a ticker such as AAPL)"
        )
    if "venue" not in settled.written:
        boards = encode_texts(settled.written["board"])[1] if "board" in settled.written else []
        exchange = find_exchange(boards)
        return codes, [(text, exchange) for text in tickers]
    at, venues = encode_texts(settled.written["venue"])
    at = _fill_blanks(codes, at, venues)
    pairs, positions = np.unique(codes * len(venues) + at, return_inverse=True)
    return positions, [
        (tickers[pair // len(venues)], venues[pair % len(venues)]) for pair in pairs.tolist()
    ]


def _fill_blanks(codes: Int64, at: Int64, venues: Sequence[str]) -> Int64:
    """Return the position of each row's venue in `venues`, shape (n,). A row without a venue gets
    that of the ticker's other rows, if these name only one.
    """
    is_named = np.array([bool(venue.strip()) for venue in venues], np.bool_)[at]
    tickers = codes.max(initial=0) + 1
    first, last = np.full(tickers, len(venues)), np.full(tickers, -1)
    np.minimum.at(first, codes[is_named], at[is_named])
    np.maximum.at(last, codes[is_named], at[is_named])
    filled: Int64 = np.where(~is_named & (first == last)[codes], first[codes], at)
    return filled


def _read_table(
    settled: Settled,
    codes: Int64,
    named: Sequence[_Named],
    interval: str,
    now: datetime,
    sessions: Mapping[Market, Sessions],
    *,
    is_history: bool,
) -> _Table:
    times = settled.times
    columns = {name: settled.numbers[name] for name in PRICES}
    columns["volume"] = fill_volumes(
        settled, codes, [one.ticker for one in named], [one.market for one in named]
    )
    columns["times"] = np.zeros(len(codes), np.int64)
    reasons = np.where(times.bad, CODES["bad_time"], check_values(columns))
    timely = np.zeros(len(codes), np.bool_)
    ended, assumed = set(), set()
    for market, known in sessions.items():
        of_market = np.array([one.market is market for one in named])
        rows = np.flatnonzero(of_market[codes] & (codes >= 0) & ~times.bad)
        taken = times.take(rows)
        labels = move_ends(label_times(taken, market, interval, codes[rows]), interval, known)
        columns["times"][rows] = labels.seconds
        if labels.labels != times.labels and is_intraday(interval):
            ended.add(market)
        if is_intraday(interval) and not taken.zoned.all() and is_any_clock_in(known):
            assumed.add(market)
        held, closes = find_closes(labels.seconds, market, interval, known)
        check_shift(
            labels, held & ~labels.bad, market, interval, known, is_zoned=bool(taken.zoned.all())
        )
        late = np.where(
            labels.bad, CODES["bad_time"], check_times(held, closes, int(now.timestamp()))
        )
        reasons[rows] = np.where(reasons[rows] == ACCEPTED, late, reasons[rows])
        timely[rows] = late == ACCEPTED
    return _Table(
        interval,
        settled,
        columns,
        reasons.astype(np.int8),
        timely,
        sessions,
        is_history,
        int(now.timestamp()),
        read_currencies(settled),
        ended,
        assumed,
        cache(partial(read_partings, settled)),
    )


def _select_rows(named: _Named, market: Market, table: _Table, rows: Int64) -> TickerRows:
    """Return one ticker's rows, checked for duplicates and order."""
    times = table.columns["times"][rows]
    reasons = table.reasons[rows]
    readable = times[reasons != CODES["bad_time"]]
    if not (np.diff(readable) > 0).all():
        readable = np.unique(readable)
    known, fault = table.sessions[market], None
    if table.is_history:
        fault = find_fault(readable, table.interval, market.zone, known)
    fault = fault or find_currencies(table.settled, rows, table.currencies)
    if named.is_guess:
        fault = fault or find_foreign(table.settled, rows, table.currencies, named.ticker, market)
    empty = table.settled.empty_volumes
    standing = reasons == ACCEPTED
    reasons[standing], order = check_order(times[standing])
    fault = fault or _find_repeated(named, table, rows, reasons)
    if table.is_history:
        fault = fault or _find_wrong_times(table, rows)
        timely = rows[table.timely[rows]]
        fault = fault or find_many(
            {name: values[timely] for name, values in table.columns.items()},
            table.settled.rows[timely],
            None if empty is None else empty[timely],
        )
    if fault is not None:
        return TickerRows(named.ticker, len(rows), market, error=fault)
    accepted = np.flatnonzero(reasons == ACCEPTED)
    accepted = accepted[np.argsort(times[accepted])]
    off = mark_off_grid(times[accepted], table.interval, market, known)
    fault = describe_off_grid(times[accepted], off, table.interval)
    if fault is not None:
        return TickerRows(named.ticker, len(rows), market, error=fault)
    reasons[accepted[off]] = CODES["off_grid"]
    accepted = accepted[~off]
    overlapping = mark_overlaps(times[accepted], table.interval, market.zone, known)
    reasons[accepted[overlapping]] = CODES["overlaps"]
    accepted = rows[accepted[~overlapping]]
    refused = np.flatnonzero(reasons != ACCEPTED)
    kept = refused[:MOST_REJECTIONS_KEPT]
    splits, remarks = _read_splits(market, table, accepted)
    return TickerRows(
        named.ticker,
        len(rows),
        market,
        clip_rounding({column: values[accepted] for column, values in table.columns.items()}),
        splits,
        [
            _describe(table, int(row), NAMES[int(code)])
            for row, code in zip(rows[kept], reasons[kept], strict=True)
        ],
        _explain(
            named,
            len(refused),
            order,
            ended=market in table.ended,
            assumed=market.timezone if market in table.assumed else None,
        )
        + explain_volumes(table.settled, accepted, market)
        + _explain_no_trade({name: table.columns[name][accepted] for name in VALUES})
        + remarks,
    )


def _find_wrong_times(table: _Table, rows: Int64) -> str | None:
    """Return why none of a ticker's rows can be used, where many of their times are wrong;
    else None.
    """
    columns = {name: values[rows] for name, values in table.columns.items()}
    found = find_wrong_times(columns, table.reasons[rows], table.now_seconds)
    if found is None:
        return None
    said, first = found
    time, _ = table.settled.quote(int(rows[first]))
    return (
        f"{said}, such as {time[:SHOWN]!r} in row {int(table.settled.rows[rows[first]]) + 1:,}:"
        " mend them, or take these rows out"
    )


def _explain_no_trade(columns: Columns) -> list[str]:
    """Return that next to nothing traded in a ticker's bars, as of a fund with one price a day:
    whoever imports them should not find out as a training fails.
    """
    bars = len(columns["close"])
    idle = count_no_trade(columns) if bars >= LEAST_IDLE else 0
    if idle <= MOST_IDLE * bars:
        return []
    note = (
        f"{idle:,} of {bars:,} bars say that nothing traded (one price, no volume, or the bar"
        " before again), and no market's model looks at them; one value a time is a single"
        " series: `flask series fit`"
    )
    return [note]


def _find_repeated(named: _Named, table: _Table, rows: Int64, reasons: Codes) -> str | None:
    """Return why none of a ticker's rows can be used, where many share their time with another row;
    else None.
    """
    repeated = int(np.count_nonzero(reasons == CODES["duplicate_time"]))
    if not repeated:
        return None
    timed = rows[reasons != CODES["bad_time"]]
    fault = find_mixed(table.partings(), timed, table.columns["times"][timed])
    if fault is None and repeated > STRAY_SHARE * len(rows):
        fault = (
            f"{', '.join(named.spellings[:SHOWN_SPELLINGS])} are one ticker, and {repeated:,}"
            " of their rows share their time with another: leave those of one"
            if len(named.spellings) > 1
            else _find_unnamed(table.settled, repeated)
        )
    if fault is None and repeated > len(rows) / 2 and not is_intraday(table.interval):
        fault = (
            f"most of its rows share their {table.interval} bar with another: these are bars of a"
            " shorter interval; say which, or auto, which goes by how they are spaced"
        )
    return fault


def _explain(
    named: _Named, refused: int, order: str | None, *, ended: bool, assumed: str | None
) -> list[str]:
    """Return the notes of the report on one ticker's rows."""
    notes = [
        f"{written[:MOST_TICKER]} is taken for {named.ticker}"
        for written in named.spellings[:SHOWN_SPELLINGS]
        if written.upper() != named.ticker
    ]
    if named.venue and named.market is not None:
        notes.append(
            f"{named.venue[:MOST_TICKER]!r} is no exchange that is known: {named.ticker} is taken"
            f" for a ticker of {named.market.code} by its style"
        )
    if assumed is not None:
        notes.append(f"times without a zone are taken for those of {assumed}")
    if ended:
        notes.append("times of the last second of a minute are taken for the ends of bars")
    if order is not None:
        notes.append(order)
    if refused > MOST_REJECTIONS_KEPT:
        notes.append(
            f"{refused - MOST_REJECTIONS_KEPT} of {refused} rejected rows are only counted, not"
            " kept"
        )
    return notes


def _find_unnamed(settled: Settled, repeated: int) -> str | None:
    """Return a note that rows may be of several tickers, where the table has no ticker column but
    another column that may be one; else None.
    """
    if "ticker" in settled.written or not settled.aside:
        return None
    return (
        f"{repeated:,} of its rows share their time with another, and no column is known to say"
        f" whose they are: say which is the ticker, where there is one;"
        f" left aside are {', '.join(name[:SHOWN] for name in settled.aside[:20])}"
    )


def _read_splits(
    market: Market, table: _Table, accepted: Int64
) -> tuple[dict[int, float], list[str]]:
    """Return by session the split factors of accepted rows, without those that the prices are
    already adjusted for; and notes about the latter.
    """
    if "split" not in table.settled.numbers:
        return {}, []
    factors = table.settled.numbers["split"][accepted]
    times = table.columns["times"][accepted]
    closes, opens = table.columns["close"][accepted], table.columns["open"][accepted]
    days = local_days(times, market.zone) if is_intraday(table.interval) else times // DAY_SECONDS
    splits: dict[int, float] = {}
    notes = []
    for row in np.flatnonzero(np.isfinite(factors) & (factors > 0) & (factors != 1)):
        day, factor = int(days[row]), float(factors[row])
        first = int(np.searchsorted(days, day))
        if first and is_adjusted(float(closes[first - 1]), float(opens[first]), factor):
            notes.append(
                f"the split of {factor:g} for 1 on {session_of(day):%Y-%m-%d} is left aside: the"
                " prices before it are adjusted for it already"
            )
        else:
            splits[day] = factor
    return splits, list(dict.fromkeys(notes))


def _describe(table: _Table, row: int, reason: str) -> Rejection:
    time, cells = table.settled.quote(row)
    return Rejection(int(table.settled.rows[row]) + 1, time, reason, cells)
