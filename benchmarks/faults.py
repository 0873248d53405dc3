"""Faults that feeds make, planted in real bars: one bar, or one stretch of stale bars, in each copy
of a history.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

PRICES = ["open", "high", "low", "close"]
# The lengths in bars of faults that are longer than one bar.
STRETCHES = {"stale_flat": 5, "stale_repeated": 5, "level_off": 3}
# In a ticker that seldom trades, these cannot be recognised.
OF_TRADED = ("stale_flat", "stale_repeated", "move_without_volume")


@dataclass(frozen=True, slots=True)
class Fault:
    """A history with one fault: the bars of a ticker up to the fault's last bar.

    Attributes:
        ticker, kind: the ticker, and the fault's name in `FAULTS`.
        bars: a table of open, high, low, close and volume, from position `start` of the ticker's
            series on.
        start: position of the first row in the series.
        first: position of the fault's first bar in the series.
    """

    ticker: str
    kind: str
    bars: pd.DataFrame
    start: int
    first: int


def plant(
    ticker: str, kind: str, bars: pd.DataFrame, start: int, first: int, random: np.random.Generator
) -> Fault:
    """Plant a fault at position `first` of a series, into a copy of its rows from `start` on."""
    stop = first + STRETCHES.get(kind, 1)
    copy = bars.iloc[start:stop].reset_index(drop=True)
    FAULTS[kind](copy, first - start, random)
    return Fault(ticker, kind, copy, start, first)


def _tick(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    """Make the close 100 times too large or too small, and the high or low with it."""
    up = random.random() < 0.5
    bars.loc[t, "close"] *= 100.0 if up else 0.01
    bars.loc[t, "high" if up else "low"] = bars.loc[t, "close"]


def _split(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    ratio = random.choice([1.5, 2.0, 3.0, 7.0, 0.5, 0.1])
    bars.loc[t, PRICES] /= ratio
    bars.loc[t, "volume"] *= ratio


def _wick(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    """Add a wick of five mean true ranges of the 14 bars before; the close stays."""
    before = bars["close"].shift(1)
    reach = np.maximum(bars["high"], before) - np.minimum(bars["low"], before)
    # Of bars on which something traded.
    length = 5 * reach.iloc[:t][reach.iloc[:t] > 0].iloc[-14:].mean()
    if random.random() < 0.5:
        bars.loc[t, "high"] = bars.loc[t, ["open", "close"]].max() + length
    else:
        floor = bars.loc[t, ["open", "close"]].min()
        bars.loc[t, "low"] = max(floor - length, 0.05 * floor)


def _six_sigma(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    """Make the return six standard deviations of the 60 before."""
    moves = np.log(bars["close"]).diff().iloc[:t]
    sigma = moves[moves != 0].iloc[-60:].std()
    bars.loc[t, "close"] = bars.loc[t - 1, "close"] * np.exp(6 * sigma * random.choice([-1, 1]))
    bars.loc[t, "high"] = bars.loc[t, PRICES].max()
    bars.loc[t, "low"] = bars.loc[t, PRICES].min()


def _stale_flat(bars: pd.DataFrame, t: int, _: np.random.Generator) -> None:
    """Stop trading at the last close."""
    bars.loc[t:, PRICES] = bars.loc[t - 1, "close"]
    bars.loc[t:, "volume"] = 0.0


def _stale_repeated(bars: pd.DataFrame, t: int, _: np.random.Generator) -> None:
    """Repeat the last bar."""
    bars.loc[t:] = bars.loc[t - 1].to_numpy()


def _volume(bars: pd.DataFrame, t: int, _: np.random.Generator) -> None:
    bars.loc[t, "volume"] *= 20.0


def _level(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    """Multiply the prices of a stretch, as if they were in another unit."""
    bars.loc[t:, PRICES] *= random.choice([6.0, 10.0, 100.0, 0.1, 0.01])


def _no_volume(bars: pd.DataFrame, t: int, random: np.random.Generator) -> None:
    """Move the close by 3 %, without a volume."""
    bars.loc[t, "close"] *= random.choice([0.97, 1.03])
    bars.loc[t, "high"] = bars.loc[t, PRICES].max()
    bars.loc[t, "low"] = bars.loc[t, PRICES].min()
    bars.loc[t, "volume"] = 0.0


def _price(bars: pd.DataFrame, t: int, _: np.random.Generator) -> None:
    bars.loc[t, PRICES] = 5.9e10


FAULTS: dict[str, Callable[[pd.DataFrame, int, np.random.Generator], None]] = {
    "tick_100_times_off": _tick,
    "unadjusted_split": _split,
    "flash_wick": _wick,
    "six_sigma_return": _six_sigma,
    "stale_flat": _stale_flat,
    "stale_repeated": _stale_repeated,
    "twenty_fold_volume": _volume,
    "level_off": _level,
    "move_without_volume": _no_volume,
    "impossible_price": _price,
}
