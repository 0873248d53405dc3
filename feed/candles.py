"""Candles of the feed become arriving bars: each is parsed by itself, and they are checked
together, as imports are.

This loads the numeric stack: the consumer imports it when the first candle comes.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from core.arrays import Int64
from core.errors import BadInput
from feed.messages import Part
from market.bars.buckets import VALUES
from market.bars.opening import Arrival
from market.imports.arrivals import build_arrival
from market.imports.rows import TickerRows, read_rows
from market.imports.settled import Settled
from market.imports.times.read import ReadTimes
from market.markets import Market, Markets
from market.sessions.calendar import Sessions
from market.sessions.overrides import find_sessions
from market.ticks.fields import MICROSECONDS, Unfit, read_number, read_time
from market.ticks.files import CANDLE_FIELDS
from records.database import Db
from records.market.rejected import build_rejected
from records.ticks.documents import RejectedRecordDocument
from records.ticks.rejected import build_rejected_record

# quote_volume and trades are accepted and not stored.
FIELDS = frozenset(CANDLE_FIELDS)
Candle = tuple[int, float, float, float, float, float]
SessionsOf = Callable[[Market], Sessions]


def read_candles(
    database: Db, parts: Sequence[Part], markets: Markets, now: datetime
) -> tuple[list[Arrival], list[RejectedRecordDocument]]:
    """Return the arriving bars of each series, and the records that are no candles.

    Of candles with the same time the last one counts. A candle that says it is not closed is
    ignored, because it will come again. Rows that are candles but cannot be bars are among the
    arrivals.
    """
    rejected: list[RejectedRecordDocument] = []
    series: defaultdict[str, dict[str, dict[int, Candle]]] = defaultdict(dict)
    sources: dict[tuple[str, str], str] = {}
    for part in parts:
        candles = series[part.interval].setdefault(part.ticker, {})
        sources[part.ticker, part.interval] = part.source
        for row, record in enumerate(part.records, 1):
            try:
                candle = _read_candle(record)
            except Unfit as unfit:
                rejected.append(_reject(part, row, record, unfit.reason, now))
            else:
                if candle is not None:
                    candles[candle[0]] = candle
    sessions_of: SessionsOf = cache(partial(find_sessions, database))
    arrivals: list[Arrival] = []
    for interval, tickers in series.items():
        found = {ticker: candles for ticker, candles in tickers.items() if candles}
        for rows in _check(found, interval, markets, now, sessions_of):
            source = sources[rows.ticker, interval]
            if rows.error is not None or rows.market is None:
                part = Part("candles", rows.ticker, "", interval, (), source)
                rejected += [
                    _reject(part, row, candle, "not_storable", now, rows.error)
                    for row, candle in enumerate(found[rows.ticker].values(), 1)
                ]
            else:
                arrivals.append(
                    build_arrival(
                        rows,
                        rows.market,
                        interval=interval,
                        source=source,
                        now=now,
                        known=sessions_of(rows.market),
                    )
                )
    return arrivals, rejected


def leave_out(arrival: Arrival, times: Int64) -> Arrival:
    """Return an arrival whose bars at these times (UTC seconds) are rejected, as they overlap with
    stored ones.
    """
    is_stray = np.isin(arrival.columns["times"], times)
    aside = [
        build_rejected(
            arrival.ticker,
            arrival.interval,
            row=int(row) + 1,
            time=datetime.fromtimestamp(int(arrival.columns["times"][row]), UTC).isoformat(),
            reason="overlaps",
            values={name: f"{arrival.columns[name][row]}" for name in VALUES},
            source=arrival.source,
            now=arrival.now,
        )
        for row in np.flatnonzero(is_stray)
    ]
    columns = {name: values[~is_stray] for name, values in arrival.columns.items()}
    return replace(arrival, columns=columns, rejected=[*arrival.rejected, *aside])


def _read_candle(record: Any) -> Candle | None:
    """Return a candle with its time in seconds; None if it is not closed yet. Raises Unfit."""
    if not isinstance(record, Mapping) or not record.keys() <= FIELDS:
        raise Unfit("not_a_record")
    if not _read_closed(record.get("closed")):
        return None
    o, h, l, c = (read_number(record.get(name)) for name in VALUES[:4])  # noqa: E741 - the field's letters
    volume = read_number(record.get("volume", 0.0))
    return read_time(record.get("time")) // MICROSECONDS, o, h, l, c, volume


def _read_closed(value: Any) -> bool:
    """Return whether a candle is closed; one that does not say is. Raises Unfit."""
    word = value.lower() if isinstance(value, str) else value
    if word is None or word in (True, "true", "1"):
        return True
    if word in (False, "false", "0"):
        return False
    raise Unfit("bad_closed")


def _reject(
    part: Part, row: int, record: object, reason: str, now: datetime, error: str | None = None
) -> RejectedRecordDocument:
    return build_rejected_record(
        "candles",
        part.ticker,
        part.venue,
        row=row,
        reason=reason,
        content=record,
        source=part.source,
        now=now,
        error=error,
    )


def _check(
    tickers: Mapping[str, Mapping[int, Candle]],
    interval: str,
    markets: Markets,
    now: datetime,
    sessions_of: SessionsOf,
) -> list[TickerRows]:
    """Return the checked rows of each ticker; an error of one ticker as a whole does not affect the
    others.
    """
    if not tickers:
        return []
    try:
        return read_rows(
            _settle(tickers),
            interval=interval,
            ticker=None,
            market=None,
            markets=markets,
            now=now,
            sessions_of=sessions_of,
            is_history=False,
        )
    except BadInput as error:
        if len(tickers) == 1:
            (ticker,) = tickers
            return [TickerRows(ticker, len(tickers[ticker]), error=error.message)]
        return [
            rows
            for ticker, candles in tickers.items()
            for rows in _check({ticker: candles}, interval, markets, now, sessions_of)
        ]


def _settle(tickers: Mapping[str, Mapping[int, Candle]]) -> Settled:
    named = [
        (ticker, candles[time]) for ticker, candles in tickers.items() for time in sorted(candles)
    ]
    values = np.array([candle for _, candle in named], np.float64).T
    seconds = values[0].astype(np.int64)
    columns = {"ticker": pa.chunked_array([[ticker for ticker, _ in named]], pa.string())}
    columns["time"] = pa.chunked_array([seconds])
    numbers = dict(zip(VALUES, values[1:], strict=True))
    columns |= {name: pa.chunked_array([column]) for name, column in numbers.items()}
    count = len(named)
    times = ReadTimes(seconds, np.ones(count, np.bool_), np.zeros(count, np.bool_))
    return Settled(columns, numbers, times, np.arange(count), np.zeros(count, np.bool_))
