"""Bars on which nothing traded, and others that stand still: no evidence of anything but that."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.arrays import Bools, Float64, Int64


def mark_no_trade(
    prices: tuple[Float64, Float64, Float64, Float64], volume: Float64, starts: Int64
) -> Bools:
    """Return which bars nothing traded in, shape (n,): those without volume that are flat,
    and those that only repeat the bar before, without volume or with the same.

    Args:
        prices: open, high, low and close, each (n,).
        volume: shape (n,).
        starts: where each series begins among the n: its first bar repeats none.
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
    """Return which bars stand still, shape (n,): those on which nothing traded, and those flat at
    the close before, as a lone trade in a thin market leaves them. Arguments as of `mark_no_trade`.
    """
    return mark_no_trade(prices, volume, starts) | mark_unmoved(prices, starts)


def mark_unmoved(prices: tuple[Float64, Float64, Float64, Float64], starts: Int64) -> Bools:
    """Return which bars are flat at the close before, shape (n,), whatever traded in them.
    Arguments as of `mark_no_trade`.
    """
    _, high, low, close = prices
    unmoved: Bools = high == low
    unmoved[:1] = False
    unmoved[1:] &= close[1:] == close[:-1]
    unmoved[starts[starts < close.size]] = False
    return unmoved


def count_no_trade(columns: Mapping[str, Any]) -> int:
    """Return how many bars of one series, by column, nothing traded in."""
    prices = tuple(columns[name] for name in ("open", "high", "low", "close"))
    return int(mark_no_trade(prices, columns["volume"], np.zeros(1, np.int64)).sum())
