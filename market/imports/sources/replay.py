"""A synthetic day of a market that never closes, for replaying it into the feed, and the month of
bars before it.

Returns are those of `synthetic.py`. Events are written into the day: jumps that stay, a crash that
recovers, and a fall of all tickers at once.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.arrays import Float64
from market.imports.sources.synthetic import make_bars
from market.intervals import DAY_SECONDS, INTERVALS
from market.markets import SHIPPED

TICKERS = ("ALPHA-USD", "BETA-USD", "DELTA-USD", "GAMMA-USD", "OMEGA-USD", "SIGMA-USD")
MARKET = "CRYPTO"
INTERVAL = "5m"
BARS_A_DAY = DAY_SECONDS // INTERVALS[INTERVAL]
HISTORY_DAYS = 30
SEED = 1
PRICES = ["open", "high", "low", "close"]


class Event(NamedTuple):
    """An event of the day: its first bar, the share by which prices move, the growth of volumes,
    and over how many bars the move is undone (0: it stays).
    """

    ticker: str | None
    bar: int
    move: float
    volume: float
    recovers: int = 0


EVENTS = (
    Event("BETA-USD", 40, -0.06, 25.0, recovers=6),
    Event("OMEGA-USD", 96, 0.05, 15.0),
    Event("ALPHA-USD", 150, -0.04, 12.0),
    Event(None, 205, -0.03, 8.0),
    Event("SIGMA-USD", 260, 0.08, 30.0, recovers=3),
)


def make_replay(now: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a month of bars of all tickers, and the bars of the day after it, which ends at `now`.
    The bars of the day are sorted by time.
    """
    market = SHIPPED.choose(MARKET)
    bars = (HISTORY_DAYS + 2) * BARS_A_DAY
    table = make_bars(TICKERS, market, bars=bars, end=now, seed=SEED, interval=INTERVAL)
    times = np.unique(table["time"].to_numpy())
    first = times[-BARS_A_DAY]
    for event in EVENTS:
        _apply(table, event, times[len(times) - BARS_A_DAY + event.bar :])
    history = table[table["time"] < first]
    day = table[table["time"] >= first].sort_values(["time", "ticker"])
    return history.reset_index(drop=True), day.reset_index(drop=True)


def _apply(
    table: pd.DataFrame, event: Event, times: "np.ndarray[tuple[int], np.dtype[np.datetime64]]"
) -> None:
    """Write an event into the rows of its ticker, from the first of `times` on."""
    for ticker in TICKERS if event.ticker is None else (event.ticker,):
        rows = table.index[(table["ticker"] == ticker) & (table["time"].to_numpy() >= times[0])]
        table.loc[rows, PRICES] *= _build_factors(event, len(rows))[:, None]
        head = rows[0]
        # The first bar opens where the one before it closed.
        table.loc[head, "open"] /= 1 + event.move
        table.loc[head, "high"] = table.loc[head, PRICES].max()
        table.loc[head, "low"] = table.loc[head, PRICES].min()
        table.loc[head, "volume"] *= event.volume


def _build_factors(event: Event, count: int) -> Float64:
    factors = np.full(count, 1 + event.move)
    if event.recovers:
        steps = np.clip(1 - np.arange(count) / event.recovers, 0.0, 1.0)
        factors = 1 + event.move * steps
    return factors
