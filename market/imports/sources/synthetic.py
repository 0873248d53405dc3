"""Synthetic bars for load tests, and for markets without real bars; always marked as synthetic.

Returns are Student t with 4 degrees of freedom, on a volatility that clusters: its logarithm is a
stationary first-order autoregression, the discrete form of a stochastic volatility model (Taylor
1986). All tickers of a call share a part of the shocks. Volume rises with the size of the return.
Prices are quoted in cents, and below 1 in hundredths of a cent, as on exchanges.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from core.arrays import Float64, Int64
from core.errors import BadInput
from market.intervals import INTERVALS, is_intraday
from market.markets import Market
from market.sessions.calendar import load_sessions

DAILY_VOLATILITY = 0.015
PERSISTENCE = 0.97
VOLATILITY_OF_VOLATILITY = 0.2
COMMON_SHARE = 0.3
DEGREES_OF_FREEDOM = 4
SMALLEST_PRICE = 0.0001


def make_bars(
    tickers: Sequence[str],
    market: Market,
    *,
    bars: int,
    end: datetime,
    seed: int,
    interval: str = "1d",
) -> pd.DataFrame:
    """Return, for each ticker, the last `bars` bars that closed by `end` in the market's sessions.

    The table has k x n rows for k tickers and n bars. The same arguments give the same table.
    Raises BadInput where the market's calendar does not go back that far.
    """
    times = _list_times(market, interval, bars, end)
    rng = np.random.default_rng(seed)
    shape = (len(tickers), bars)
    scale = DAILY_VOLATILITY * np.sqrt(min(1.0, INTERVALS[interval] / INTERVALS["1d"]))
    volatility = scale * np.exp(_autoregress(rng, shape))
    shocks = _standard_t(rng, shape) * np.sqrt(1 - COMMON_SHARE) + _standard_t(
        rng, (1, bars)
    ) * np.sqrt(COMMON_SHARE)
    returns = np.clip(volatility * shocks, -0.5, 0.5)
    close = rng.lognormal(4, 1, (len(tickers), 1)) * np.exp(np.cumsum(returns, axis=1))
    opened = close * np.exp(-returns * rng.uniform(0.2, 1.2, shape))
    reach = volatility * np.abs(rng.standard_normal((2, *shape))) / 2
    volume = rng.lognormal(13, 1, (len(tickers), 1)) * np.exp(
        rng.normal(0, 0.3, shape) + np.abs(shocks) / 3
    )
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(reach[0]),
        "low": np.minimum(opened, close) * np.exp(-reach[1]),
        "close": close,
    }
    columns = {name: _quote(price) for name, price in prices.items()} | {"volume": np.round(volume)}
    table = {
        "ticker": np.repeat(list(tickers), bars),
        "time": np.tile(times.astype("datetime64[s]"), len(tickers)),
    }
    frame = pd.DataFrame(table | {name: values.ravel() for name, values in columns.items()})
    return frame.assign(time=frame["time"].dt.tz_localize("UTC"))


def _quote(prices: Float64) -> Float64:
    """Return prices rounded as exchanges quote them."""
    quoted: Float64 = np.where(prices < 1.0, np.round(prices, 4), np.round(prices, 2))
    return np.maximum(quoted, SMALLEST_PRICE)


def _list_times(market: Market, interval: str, bars: int, end: datetime) -> Int64:
    sessions = load_sessions(market)
    length = INTERVALS[interval]
    closed = sessions.closes <= end.timestamp()
    if is_intraday(interval):
        pairs = zip(sessions.opens[closed][-bars:], sessions.closes[closed][-bars:], strict=True)
        times = np.concatenate([np.arange(opens, closes, length) for opens, closes in pairs])
    else:
        days = sessions.days[closed]
        if interval == "1w":
            mondays = days - (days + 3) % 7
            days = np.unique(mondays[mondays + 7 <= end.timestamp() // INTERVALS["1d"]])
        times = days * INTERVALS["1d"]
    if len(times) < bars:
        raise BadInput(
            f"the calendar of market {market.code} has {len(times):,} {interval} bars, not {bars:,}"
        )
    return np.asarray(times[-bars:], np.int64)


def _autoregress(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Return a stationary first-order autoregression along the second axis."""
    steps = rng.standard_normal(shape) * VOLATILITY_OF_VOLATILITY
    steps[:, 0] /= np.sqrt(1 - PERSISTENCE**2)
    for column in range(1, shape[1]):
        steps[:, column] += PERSISTENCE * steps[:, column - 1]
    return steps


def _standard_t(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Return Student t variates scaled to a variance of one."""
    variates: Float64 = rng.standard_t(DEGREES_OF_FREEDOM, shape)
    variates *= np.sqrt((DEGREES_OF_FREEDOM - 2) / DEGREES_OF_FREEDOM)
    return variates
