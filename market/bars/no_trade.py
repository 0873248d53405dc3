"""Finds bars on which nothing traded, and other bars that stand still.

Such bars tell nothing about the ticker's price or volatility.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.arrays import Bools, Float64, Int64
from core.words import PRICES


def mark_no_trade(
    prices: tuple[Float64, Float64, Float64, Float64], volume: Float64, starts: Int64
) -> Bools:
    """Return on which bars nothing traded, shape (n,): flat bars without volume, and bars that
    repeat the prices of the bar before, with no volume or with the same volume.

    Args:
        prices: open, high, low and close, each (n,).
        volume: shape (n,).
        starts: the row at which each series begins; its first bar repeats none.
    """
    _, high, low, _ = prices
    idle: Bools = (volume == 0.0) & (high == low)
    repeats = (volume[1:] == volume[:-1]) | (volume[1:] == 0.0)
    for column in prices:
        repeats &= column[1:] == column[:-1]
    repeats[starts[(starts > 0) & (starts < volume.size)] - 1] = False
    idle[1:] |= repeats
    return idle


def mark_still(
    prices: tuple[Float64, Float64, Float64, Float64], volume: Float64, starts: Int64
) -> Bools:
    """Return which bars stand still, shape (n,): those on which nothing traded, and those that are
    flat at the close before, as after a single trade in a thin market.

    The arguments are those of `mark_no_trade`.
    """
    return mark_no_trade(prices, volume, starts) | mark_unmoved(prices, starts)


def mark_unmoved(prices: tuple[Float64, Float64, Float64, Float64], starts: Int64) -> Bools:
    """Return which bars are flat at the close before, shape (n,), with any volume.

    The arguments are those of `mark_no_trade`.
    """
    _, high, low, close = prices
    unmoved: Bools = high == low
    unmoved[:1] = False
    unmoved[1:] &= close[1:] == close[:-1]
    unmoved[starts[starts < close.size]] = False
    return unmoved


def count_no_trade(columns: Mapping[str, Any]) -> int:
    """Return on how many bars of one series, given by its columns, nothing traded."""
    prices = tuple(columns[name] for name in PRICES)
    return int(mark_no_trade(prices, columns["volume"], np.zeros(1, np.int64)).sum())
