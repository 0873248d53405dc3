"""Stores arrivals: some hundred small ones in one transaction, a very large one in several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from time import sleep

import numpy as np
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from core.arrays import Int64
from core.errors import BadInput, LeaseLost, SeriesError, TapewatchError, TooMuchAtOnce
from market.bars.buckets import find_edges
from market.bars.deleting import note_bars
from market.bars.opening import Arrival
from market.bars.splits import check_split_session
from market.bars.writing import Written, write_all, write_in
from market.markets import load_markets
from market.sessions.overrides import find_sessions
from records.analytics.markets import forget_beyond
from records.database import (
    Db,
    has_taken_too_long,
    in_transaction,
    is_too_much,
    try_transaction,
)
from records.market.series import find_one_series, get_series

LEAST_FACTOR = 1e-4
# The most bars of one transaction: a year of 1m bars of a stock exchange. MongoDB's cache of 256 MB
# cannot hold 800,000.
MOST_BARS_AT_ONCE = 100_000
FULL_CACHE_PAUSES = (0.5, 1.0, 2.0, 4.0)
# The most series of one transaction: their commands are shared, and progress is still reported
# about once a second.
MOST_TOGETHER = 200
# The most bars of the buckets that such a transaction reads and writes: some 24 MB, which a small
# cache holds.
MOST_BARS_TOGETHER = 500_000
# A rejected row counts as so many bars. It is a document of its own: 100,000 fill a cache of 256
# MB.
BARS_OF_REJECTED = 10


Guard = Callable[[ClientSession], None]
"""What each transaction calls first; it raises LeaseLost where the writer must not write any
more.
"""


def write_arrivals(
    database: Db,
    arrivals: Iterable[Arrival],
    *,
    dry_run: bool = False,
    guard: Guard | None = None,
) -> Iterator[Written | TapewatchError]:
    """Store arrivals; yield, in order, the result of each, or the error for which nothing of it was
    written. An error of one arrival does not stop the others, but what the guard raises does.

    Some hundred small arrivals share a transaction; the rest is as in `write_arrival`.
    """
    part: dict[str, Arrival] = {}
    bars = 0
    for arrival in arrivals:
        # Rejected rows may be many: a table may have rows of days before a ticker was listed.
        own = len(arrival.columns["times"]) + BARS_OF_REJECTED * len(arrival.rejected)
        bars += own
        is_full = bars > MOST_BARS_AT_ONCE or len(part) == MOST_TOGETHER
        if part and (is_full or arrival.series_id in part):
            yield from _write_together(database, [*part.values()], dry_run=dry_run, guard=guard)
            part, bars = {}, own
        part[arrival.series_id] = arrival
    if part:
        yield from _write_together(database, [*part.values()], dry_run=dry_run, guard=guard)


def _write_together(
    database: Db, arrivals: Sequence[Arrival], *, dry_run: bool, guard: Guard | None
) -> list[Written | TapewatchError]:
    """Write arrivals in one transaction, or in two halves where MongoDB refuses that as too
    much.
    """
    if len(arrivals) == 1:
        try:
            return [write_arrival(database, arrivals[0], dry_run=dry_run, guard=guard)]
        except LeaseLost:
            raise
        except TapewatchError as error:
            return [error]
    transact = try_transaction if dry_run else in_transaction

    def write(session: ClientSession) -> list[Written | TapewatchError]:
        if guard is not None:
            guard(session)
        return write_all(database, arrivals, session, most_bars=MOST_BARS_TOGETHER)

    try:
        outcomes = transact(database, write)
    except (TooMuchAtOnce, PyMongoError) as error:
        if not is_too_much(error) and not has_taken_too_long(error):
            raise
        half = len(arrivals) // 2
        return [
            outcome
            for part in (arrivals[:half], arrivals[half:])
            for outcome in _write_together(database, part, dry_run=dry_run, guard=guard)
        ]
    if not dry_run:
        _forget_replaced(database, zip(arrivals, outcomes, strict=True))
    return outcomes


def _forget_replaced(
    database: Db, written: Iterable[tuple[Arrival, Written | TapewatchError]]
) -> None:
    """Delete metrics of the markets of replaced synthetic series that lie beyond the
    markets' bars.
    """
    for code, interval in {
        (arrival.market.code, arrival.interval)
        for arrival, outcome in written
        if isinstance(outcome, Written) and outcome.replaced
    }:
        forget_beyond(database, code, interval)


def write_arrival(
    database: Db, arrival: Arrival, *, dry_run: bool = False, guard: Guard | None = None
) -> Written:
    """Merge the bars and splits of an arrival into its series, and store its rejected rows.

    An arrival of up to `MOST_BARS_AT_ONCE` bars is stored in one transaction, or not at all. A
    larger one takes several, as MongoDB holds a transaction in its cache: first the bars that
    overlap with stored bars, then the others, a few whole buckets at a time. Where the process dies
    in between, the stored buckets are whole, and the same arrival completes the series.

    Real bars replace a whole synthetic series. A dry run does all of it and rolls it back. Raises
    SeriesError for synthetic bars of a real series, for prices that are adjusted for a split where
    the stored ones before them are not, and for more changes than a transaction can hold.
    """
    first, *others = [
        _write_step(database, step, dry_run=dry_run, guard=guard)
        for step in _list_steps(database, arrival)
    ]
    last = others[-1] if others else first
    if not dry_run:
        _forget_replaced(database, [(arrival, first)])
    return Written(
        new=first.new + sum(step.new for step in others),
        changed=first.changed,
        unchanged=first.unchanged,
        splits=first.splits,
        revision=last.revision,
        replaced=first.replaced,
        notes=first.notes,
    )


def _list_steps(database: Db, arrival: Arrival) -> list[Arrival]:
    """Return the parts of an arrival that are written in one transaction each: the bars that
    overlap with stored bars, then those after them, then those before them.
    """
    times = arrival.columns["times"]
    if len(times) <= MOST_BARS_AT_ONCE:
        return [arrival]
    series = find_one_series(database, arrival.ticker, arrival.interval)
    before = after = 0
    if series is not None and series["synthetic"] == arrival.synthetic:
        before = int(np.searchsorted(times, series["first_bar"].timestamp()))
        after = int(np.searchsorted(times, series["last_bar"].timestamp(), side="right"))
    meeting = [(before, after)] if before < after else []
    others = [(after, len(times)), (0, before)]
    bounds = meeting + [p for ends in others for p in _split_rows(times, *ends, arrival.interval)]
    # Splits and rejected rows go with the first part. Were splits to come later, they would be
    # revisions of the bars before.
    head = replace(arrival, columns={n: v[slice(*bounds[0])] for n, v in arrival.columns.items()})
    return [head] + [
        replace(
            arrival,
            columns={name: values[start:end] for name, values in arrival.columns.items()},
            splits={},
            rejected=(),
        )
        for start, end in bounds[1:]
    ]


def _split_rows(times: Int64, start: int, end: int, interval: str) -> list[tuple[int, int]]:
    """Return the bounds of parts that are whole buckets: of at most MOST_BARS_AT_ONCE bars
    together, or a single bucket.
    """
    edges = [start, *(start + edge for edge in find_edges(times[start:end], interval)), end]
    parts: list[tuple[int, int]] = []
    for low, high in pairwise(edges):
        if parts and high - parts[-1][0] <= MOST_BARS_AT_ONCE:
            parts[-1] = (parts[-1][0], high)
        elif low < high:
            parts.append((low, high))
    return parts


def _write_step(database: Db, arrival: Arrival, *, dry_run: bool, guard: Guard | None) -> Written:
    transact = try_transaction if dry_run else in_transaction

    def write(session: ClientSession) -> Written:
        if guard is not None:
            guard(session)
        return write_in(database, arrival, session)

    # A small write may fail because writes of others fill the cache: it is tried again after a
    # pause, in which MongoDB writes them to disk.
    is_small = len(arrival.columns["times"]) <= MOST_BARS_AT_ONCE
    pauses = iter(FULL_CACHE_PAUSES if is_small else ())
    while True:
        try:
            return transact(database, write)
        except PyMongoError as error:
            if has_taken_too_long(error):
                raise _build_too_long(arrival) from error
            if not is_too_much(error):
                raise
            pause_seconds = next(pauses, None)
            if pause_seconds is None:
                raise _build_too_large(arrival) from error
            sleep(pause_seconds)


def _build_too_large(arrival: Arrival) -> SeriesError:
    return SeriesError(
        f"its {_count(arrival)} change more than MongoDB's cache can hold in one transaction:"
        " import them in files of fewer bars, or give MongoDB a larger cache"
        " (--wiredTigerCacheSizeGB)"
    )


def _build_too_long(arrival: Arrival) -> SeriesError:
    return SeriesError(
        f"its {_count(arrival)} took longer to store than MongoDB lets a transaction take, and none"
        " of these is stored: import the file again, which stores what is missing, once its disk is"
        " less busy, or in files of fewer bars, or let a transaction take longer"
        " (transactionLifetimeLimitSeconds)"
    )


def _count(arrival: Arrival) -> str:
    rejected = len(arrival.rejected)
    aside = f" and {rejected:,} rows that are kept aside" if rejected else ""
    return f"{len(arrival.columns['times']):,} {arrival.interval} bars{aside}"


def write_split(
    database: Db,
    ticker: str,
    interval: str,
    session: date,
    factor: float,
    now: datetime,
    *,
    by: str = "system",
    guard: Guard | None = None,
) -> Written:
    """Record a split of `factor` shares for one on a session; a factor of 1 removes a split. The
    audit trail says who did.

    Raises NotFound where the series is not stored, BadInput on an impossible factor or session.
    """
    series = get_series(database, ticker, interval)
    if not LEAST_FACTOR <= factor <= 1 / LEAST_FACTOR:
        raise BadInput(
            f"a split of {factor:g} for 1 cannot be: give the new shares for each old one (2, 1.5,"
            " 0.1)"
        )
    check_split_session(series, session)
    day = (session - date(1970, 1, 1)).days
    market = load_markets(database).choose(series["market"])
    known = find_sessions(database, market)
    # A split that was once recorded on a day without a session can still be removed.
    if factor != 1 and known.days[0] <= day <= known.days[-1] and day not in known.days:
        after = known.days[np.searchsorted(known.days, day)]
        raise BadInput(
            f"{session} is no session of market {market.code}: a split is recorded on the first"
            f" session on which the new shares trade, such as {np.datetime64(int(after), 'D')}"
        )
    arrival = Arrival(
        ticker,
        market,
        interval,
        "split command",
        now,
        known,
        splits={day: factor},
        synthetic=series["synthetic"],
    )

    def note(transaction: ClientSession) -> None:
        if guard is not None:
            guard(transaction)
        stored = find_one_series(database, ticker, interval, transaction) or series
        factors = {each["session"].date(): each["factor"] for each in stored["splits"]}
        before = factors.get(session, 1.0)
        if before != factor:
            told = {f"split on {session}": {"before": before, "after": factor}}
            note_bars(database, "change", stored, told, by=by, at=now, session=transaction)

    return write_arrival(database, arrival, guard=note)
