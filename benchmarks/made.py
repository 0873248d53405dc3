"""Synthetic markets, whose truth is known because the code put it there. A detector that would fail
elsewhere should fail here first.

Returns are the sum of those of a market, a sector and a company, each with a wandering volatility
and fat tails. An event of the market is a day on which it falls or rises by six to nine of its
recent standard deviations; one of a company, by six to ten of its own, with a gap and volume.
Nothing in these markets was fitted to the real bars that are measured beside them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.arrays import Float64

SECTORS = 4
YEAR_DAYS = 252
MARKET_EVENTS, COMPANY_EVENTS = 0.5, 0.8  # A year.
# For an event of the market, only this many tickers count as events: otherwise it would outweigh
# all other events.
ASKED_TICKERS = 4


@dataclass(frozen=True, slots=True)
class Made:
    """A synthetic market: a table of dated bars for each ticker, and the days that are events
    (ticker, date).
    """

    bars: dict[str, pd.DataFrame]
    events: pd.DataFrame


def make_market(
    name: str, tickers: int, years: float, *, seed: int, end: str, idle: float = 0.0
) -> Made:
    """Return a market of daily bars up to `end`. Half of its tickers trade on a share of the days
    between 1 - `idle` and 1 - 0.6 `idle`, the others every day.
    """
    random = np.random.default_rng(seed)
    days = pd.bdate_range(end=end, periods=int(years * YEAR_DAYS))
    count = len(days)
    market = 0.007 * _wander(random, count, 0.08) * _draw(random, count)
    falls = random.random(count) < MARKET_EVENTS / YEAR_DAYS
    falls[:130] = False
    lately = pd.Series(market).rolling(60).std().shift(1).fillna(0.007).to_numpy()
    size = random.uniform(6, 9, count) * np.where(random.random(count) < 0.7, -1, 1)
    market = np.where(falls, lately * size, market)
    sectors = 0.004 * np.stack(
        [_wander(random, count, 0.05) * _draw(random, count) for _ in range(SECTORS)]
    )
    found = {}
    told: list[tuple[str, pd.Timestamp]] = []
    asked = {
        day: random.choice(tickers, ASKED_TICKERS, replace=False) for day in np.flatnonzero(falls)
    }
    for number in range(tickers):
        ticker = f"{name}{number:02}"
        trades = np.ones(count, np.bool_)
        if number % 2:
            trades = random.random(count) >= idle * random.uniform(0.6, 1.0)
        shared = random.uniform(0.6, 1.4) * market + sectors[number % SECTORS]
        bars, jumps = _make_bars(random, shared, trades, falls)
        found[ticker] = bars.assign(date=days)
        told += [(ticker, days[day]) for day in np.flatnonzero(jumps)]
        told += [(ticker, days[day]) for day, who in asked.items() if number in who and trades[day]]
    return Made(found, pd.DataFrame(told, columns=["ticker", "date"]))


def _make_bars(
    random: np.random.Generator, shared: Float64, trades: np.ndarray, falls: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the bars of a company and its own events; `shared` is the part of its return from
    market and sector.
    """
    count = shared.size
    deviation = random.uniform(0.008, 0.02) * _wander(random, count, 0.06)
    own = deviation * _draw(random, count)
    jumps = (random.random(count) < COMPANY_EVENTS / YEAR_DAYS) & trades & ~falls
    jumps[:130] = False
    jump = np.where(
        jumps, deviation * random.uniform(6, 10, count) * random.choice([-1, 1], count), 0.0
    )
    own = np.where(jumps, 0.0, own)
    close = 40 * np.exp(np.cumsum(shared + own + jump))
    gap = 0.8 * jump + 0.3 * (shared + own) + 0.2 * deviation * random.standard_normal(count)
    # A move on a day without a trade is not visible: the next trade contains it.
    seen = pd.Series(np.where(trades, close, np.nan)).ffill().bfill().to_numpy()
    before = np.append(seen[0], seen[:-1])
    opened = before * np.exp(np.clip(gap, -0.5, 0.5))
    reach = np.abs(random.normal(0, 0.45, (2, count))) * (deviation + np.abs(shared) / 2)
    loud = np.where(jumps, random.uniform(3, 8, count), 1.0)
    busy = 1.0 + 4 * np.abs(shared + own) / (deviation + 0.007) / 4
    volume = (random.lognormal(13, 0.35, count) * loud * busy).round()
    bars = pd.DataFrame(
        {
            "open": np.where(trades, opened, before),
            "high": np.where(trades, np.maximum(opened, seen) * (1 + reach[0]), before),
            "low": np.where(trades, np.minimum(opened, seen) * (1 - reach[1]), before),
            "close": np.where(trades, seen, before),
            # Every second such day has a lone trade at the last price, which adds no information.
            "volume": np.where(trades, volume, 100.0 * (np.arange(count) % 2)),
        }
    )
    return bars, jumps


def _wander(random: np.random.Generator, count: int, step: float) -> Float64:
    """Return a volatility that wanders around one: between half and double most of the time."""
    level = np.zeros(count)
    shocks = random.normal(0, step, count)
    for t in range(1, count):
        level[t] = 0.98 * level[t - 1] + shocks[t]
    return np.exp(level)


def _draw(random: np.random.Generator, count: int) -> Float64:
    """Return fat-tailed returns with a standard deviation of one, without events."""
    return np.clip(random.standard_t(5, count) / np.sqrt(5 / 3), -4.0, 4.0)


def make_sessions(seed: int, sessions: int, per_session: int) -> pd.DataFrame:
    """Return intraday bars with a jump at the open, high range and volume at both ends and a quiet
    noon; `clock` is the bar's place in its session.
    """
    random = np.random.default_rng(seed)
    count = sessions * per_session
    place = np.arange(count) % per_session
    shape = 0.6 + 1.6 * (2 * place / (per_session - 1) - 1) ** 2
    scale = 0.001 * shape * np.repeat(_wander(random, sessions, 0.08), per_session)
    jump = np.where(
        place == 0,
        0.006 * random.standard_t(4, count),
        0.05 * scale * random.standard_normal(count),
    )
    close = 100 * np.exp(np.cumsum(random.standard_t(4, count) * scale + jump))
    opened = np.append(100.0, close[:-1]) * np.exp(jump)
    reach = np.abs(random.normal(0, 0.5, (2, count))) * scale
    bars = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + reach[0]),
        "low": np.minimum(opened, close) * (1 - reach[1]),
        "close": close,
        "volume": (random.lognormal(10, 0.4, count) * shape**2).round(),
    }
    return pd.DataFrame(bars | {"session": np.arange(count) // per_session, "clock": place})
