"""Sums trades to candles. Pure functions."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import fsum, inf
from typing import NamedTuple

from market.ticks.fields import MICROSECONDS
from records.ticks.chunks import Trade


class TradeCandle(NamedTuple):
    """A candle of trades; `time` is its start, in microseconds.

    Attributes:
        volume: the sum of amounts, rounded once.
        quote_volume: the sum of price x amount.
        trades: the number of trades.
    """

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int


def add_up(
    trades: Iterable[Trade], interval_seconds: int, *, descending: bool = False
) -> Iterator[TradeCandle]:
    """Yield the candles of trades, which ascend by time (with `descending`, descend); an interval
    without trades has no candle.
    """
    length = interval_seconds * MICROSECONDS
    for number, group in groupby(trades, lambda trade: trade.time // length):
        of_candle = list(group)
        if descending:
            of_candle.reverse()
        prices = [trade.price for trade in of_candle]
        yield TradeCandle(
            number * length,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            _add(trade.amount for trade in of_candle),
            _add(trade.price * trade.amount for trade in of_candle),
            len(of_candle),
        )


def _add(numbers: Iterable[float]) -> float:
    try:
        return fsum(numbers)
    except OverflowError:  # The sum is beyond the largest float.
        return inf
