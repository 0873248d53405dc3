"""Finding the stored trades and order books that belong to bars."""

from collections.abc import Mapping, Sequence

import numpy as np
import structlog

from analytics.subject import FAST, Depth, Taken
from analytics.volume import sum_trades
from core.arrays import Float64, Int64
from market.bars.panel import BarPanel
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.markets import Market
from market.sessions.calendar import Sessions, find_closes
from records.database import Db
from records.ticks import depth, trades

MICROSECONDS = 1_000_000
# A ticker with more trades than this in the bars asked about is left out: half a day of the busiest
# pair there is.
MOST_TRADES = 2_000_000

log = structlog.get_logger()


def find_bounds(
    panel: BarPanel, rows: Int64, market: Market, sessions: Sessions
) -> tuple[Int64, Int64]:
    """Return when the bars of a panel's `rows`, shape (m,), begin and end, in microseconds.

    A bar of a day or longer begins as the first of its sessions opens.
    """
    times = panel.times[rows]
    _, ends = find_closes(times, market, panel.interval, sessions)
    opens = times
    if not is_intraday(panel.interval) and sessions.days.size:
        days = times // DAY_SECONDS
        at = np.minimum(np.searchsorted(sessions.days, days), sessions.days.size - 1)
        length = INTERVALS[panel.interval] // DAY_SECONDS
        held = (sessions.days[at] >= days) & (sessions.days[at] < days + length)
        opens = np.where(held, sessions.opens[at], times)
    return opens * MICROSECONDS, ends * MICROSECONDS


def find_books(
    database: Db, panel: BarPanel, rows: Int64, bounds: tuple[Int64, Int64]
) -> Sequence[Depth | None] | None:
    """Return the latest order book within each of the bars of `rows`, of whichever venue;
    None where no ticker of the panel has any.
    """
    known = depth.find_tickers(database).intersection(panel.tickers)
    if not known:
        return None
    venues = {ticker: depth.find_venues(database, ticker) for ticker in sorted(known)}
    series = panel.find_series(rows)
    books: list[Depth | None] = []
    for s, opened, closed in zip(series.tolist(), *(b.tolist() for b in bounds), strict=True):
        ticker = panel.tickers[s]
        found = (
            depth.find_latest(database, ticker, venues[ticker], opened, closed)
            if ticker in venues
            else None
        )
        books.append(
            None if found is None else Depth(*_split(found["bids"]), *_split(found["asks"]))
        )
    return books


def sum_takers(
    database: Db, panel: BarPanel, rows: Int64, market: Market, sessions: Sessions
) -> Taken | None:
    """Return what takers bought and sold, on all venues together, in each bar of a panel that
    metrics of its `rows` look at; None where no ticker of the panel has trades.
    """
    venues: dict[str, list[trades.Series]] = {}
    for ticker, venue in trades.find_trade_series(database, panel.tickers):
        venues.setdefault(ticker, []).append((ticker, venue))
    if not venues:
        return None
    bought, sold = (np.full(panel.times.size, np.nan) for _ in range(2))
    series = panel.find_series(rows)
    for s in np.unique(series).tolist():
        own = venues.get(panel.tickers[s])
        if own is None:
            continue
        asked = rows[series == s]
        looked = np.unique(np.maximum(asked[:, None] - np.arange(FAST), panel.offsets[s]))
        bounds = find_bounds(panel, looked, market, sessions)
        span = {"start": int(bounds[0][0]), "end": int(bounds[1][-1]) - 1}
        count = trades.count_trades(database, own, **span)
        if count > MOST_TRADES:
            log.warning("too_many_trades", ticker=panel.tickers[s], trades=count, most=MOST_TRADES)
            continue
        taken = sum_trades(*_read(database, own, span), *bounds)
        bought[looked], sold[looked] = taken.bought, taken.sold
    return Taken(bought, sold)


def _read(
    database: Db, venues: Sequence[trades.Series], span: Mapping[str, int]
) -> tuple[Int64, Float64, Int64]:
    """Return time, amount and taker (1 bought, -1 sold, 0 unknown) of trades in order of time."""
    chunks = [
        chunk
        for ticker, venue in venues
        for chunk in trades.read_chunks(database, ticker, venue, **span)
    ]
    times = np.frombuffer(b"".join(chunk["times"] for chunk in chunks), "<i8")
    amounts = np.frombuffer(b"".join(chunk["amounts"] for chunk in chunks), "<f8")
    sides = np.frombuffer(b"".join(chunk["sides"] for chunk in chunks), np.uint8)
    takers = (sides == ord("b")).astype(np.int64) - (sides == ord("s"))
    order = times.argsort(kind="stable")
    return times[order], amounts[order], takers[order]


def _split(side: bytes) -> tuple[Float64, Float64]:
    """Return prices and amounts of one side of a book."""
    levels = np.frombuffer(side, "<f8").reshape(-1, 2)
    return levels[:, 0], levels[:, 1]
