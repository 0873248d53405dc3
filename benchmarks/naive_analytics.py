"""The metrics as they are often computed: with pandas, scipy and statsmodels, one ticker and one
document at a time.
"""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.signal
import scipy.stats
import statsmodels.api as sm
from statsmodels.tsa.stattools import acf

from records.database import Db


def compute(database: Db, ticker: str, benchmark: pd.Series) -> dict[str, Any]:
    """Compute all metrics of a ticker's last bar from a document for each bar, and store them in a
    document.

    `benchmark` are the market's returns by time, which cost the naive way nothing here.
    """
    bars = pd.DataFrame(
        list(database.naive_bars.find({"ticker": ticker}).sort("time", 1))
    ).set_index("time")
    returns = np.log(bars["close"]).diff()
    values = {
        **_measure_volatility(bars, returns),
        **_measure_volume(bars, returns),
        **_measure_trend(bars),
        **_measure_deviation(bars, returns),
        **_measure_seasons(bars, returns),
        **_compare(returns, benchmark.reindex(bars.index)),
        **_classify(bars, returns),
    }
    document = {
        "ticker": ticker,
        "time": bars.index[-1],
        "values": values,
        "computed_at": datetime.now(UTC),
    }
    database.naive_analytics.replace_one({"_id": ticker}, document, upsert=True)
    return values


def _measure_volatility(bars: pd.DataFrame, returns: pd.Series) -> dict[str, Any]:
    opened, high, low, close = (np.log(bars[name]) for name in ("open", "high", "low", "close"))
    s = returns.rolling(20).std()
    ranges, bodies = (high - low) ** 2, (close - opened) ** 2
    rogers = (high - close) * (high - opened) + (low - close) * (low - opened)
    k = 0.34 / (1.34 + 21 / 19)
    yang = (opened - close.shift()).rolling(20).var() + k * (close - opened).rolling(20).var()
    return {
        "rolling_stddev": s.iloc[-1],
        "annualized_volatility": s.iloc[-1] * np.sqrt(252),
        "parkinson": np.sqrt(ranges.rolling(20).sum().iloc[-1] / (80 * np.log(2))),
        "garman_klass": np.sqrt(
            (0.5 * ranges - (2 * np.log(2) - 1) * bodies).rolling(20).mean().iloc[-1]
        ),
        "yang_zhang": np.sqrt((yang + (1 - k) * rogers.rolling(20).mean()).iloc[-1]),
        "volatility_of_volatility": s.rolling(20).std().iloc[-1],
    }


def _measure_volume(bars: pd.DataFrame, returns: pd.Series) -> dict[str, Any]:
    volume = bars["volume"]
    bulk = volume * (2 * scipy.stats.norm.cdf(returns / returns.rolling(20).std()) - 1)
    return {
        "total_volume": volume.rolling(20).sum().iloc[-1],
        "volume_sma": volume.rolling(20).mean().iloc[-1],
        "volume_ema": volume.ewm(span=20, adjust=False).mean().iloc[-1],
        "volume_delta": [bulk.iloc[-1], bulk.rolling(20).sum().iloc[-1]],
        "volume_spike_ratio": (volume / volume.rolling(20).median().shift()).iloc[-1],
        "liquidity_ratio": (
            1e6 * (returns.abs() / (bars["close"] * volume)).rolling(20).mean().iloc[-1]
        ),
    }


def _measure_trend(bars: pd.DataFrame) -> dict[str, Any]:
    close, high, low = bars["close"], bars["high"], bars["low"]
    move = close.diff()
    gain, loss = (
        part.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean() for part in (move, -move)
    )
    up, down = high.diff(), -low.diff()
    true_range = pd.concat(
        [high - low, (high - close.shift()).abs(), (low - close.shift()).abs()], axis=1
    ).max(axis=1)
    smooth = {"alpha": 1 / 14, "adjust": False}
    ranges = true_range.ewm(**smooth).mean()
    plus = 100 * up.where((up > down) & (up > 0), 0.0).ewm(**smooth).mean() / ranges
    minus = 100 * down.where((down > up) & (down > 0), 0.0).ewm(**smooth).mean() / ranges
    over = close.rolling(20).mean() > close.rolling(50).mean()
    crossed = over.ne(over.shift()).to_numpy()
    weights = np.arange(1, 21)
    return {
        "sma": close.rolling(20).mean().iloc[-1],
        "ema": close.ewm(span=20, adjust=False).mean().iloc[-1],
        "wma": close.rolling(20).apply(lambda x: (x * weights).sum() / 210, raw=True).iloc[-1],
        "rate_of_change": 100 * close.pct_change(10).iloc[-1],
        "rsi": (100 * gain / (gain + loss)).iloc[-1],
        "crossover_signal": [bool(over.iloc[-1]), int(np.argmax(crossed[::-1]))],
        "directional_strength": 100 * (close > bars["open"]).rolling(20).mean().iloc[-1],
        "adx": (100 * (plus - minus).abs() / (plus + minus)).ewm(**smooth).mean().iloc[-1],
        "plus_di": plus.iloc[-1],
        "minus_di": minus.iloc[-1],
    }


def _measure_deviation(bars: pd.DataFrame, returns: pd.Series) -> dict[str, Any]:
    close, last = bars["close"], returns.iloc[-60:]
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    low, high = close.rolling(20).min(), close.rolling(20).max()
    return {
        "standard_deviation": deviation.iloc[-1],
        "variance": deviation.iloc[-1] ** 2,
        "z_score": ((close - mean) / deviation).iloc[-1],
        "bollinger_upper": (mean + 2 * deviation).iloc[-1],
        "bollinger_lower": (mean - 2 * deviation).iloc[-1],
        "price_range_index": ((close - low) / (high - low)).iloc[-1],
        "autocorrelation": acf(last, nlags=1, adjusted=False)[1],
        "coefficient_of_variation": (deviation / mean).iloc[-1],
        "skewness": scipy.stats.skew(last, bias=False),
        "kurtosis": scipy.stats.kurtosis(last, bias=False),
    }


def _measure_seasons(bars: pd.DataFrame, returns: pd.Series) -> dict[str, Any]:
    frame = pd.DataFrame({"r": returns, "move": returns.abs(), "volume": bars["volume"]}).dropna()
    when = pd.DatetimeIndex(frame.index)
    patterns = {}
    for name, bucket in (("daily_pattern", when.weekday), ("weekly_pattern", (when.day - 1) // 7)):
        grouped = frame.groupby(bucket)
        table = grouped["r"].agg(["count", "mean", "std"])
        table["move"] = grouped["move"].mean()
        table["share"] = grouped["volume"].sum() / frame["volume"].sum()
        table["t"] = table["mean"] / (table["std"] / np.sqrt(table["count"]))
        patterns[name] = {str(key): row for key, row in table.to_dict("index").items()}
    own = frame["move"][when.weekday == when.weekday[-1]]
    moves = frame["move"].to_numpy()
    frequencies, power = scipy.signal.periodogram(moves, window="hann", detrend="linear")
    peaks = sorted(scipy.signal.find_peaks(power)[0], key=lambda k: -power[k])[:3]
    plain = scipy.signal.periodogram(moves)[1]
    shares = plain[1:] / plain[1:].sum()
    bands, density = scipy.signal.welch(moves, nperseg=128)
    edges = np.geomspace(1 / 128, 1 / 2, 9)
    banded = [
        float(density[(bands >= low) & (bands < high)].sum()) for low, high in pairwise(edges)
    ]
    return patterns | {
        "seasonal_deviation": (moves[-1] - own.mean()) / own.std(),
        "fourier": [[1 / frequencies[k], power[k] / power[1:].sum()] for k in peaks],
        "dominant_cycle": float(1 / frequencies[1:][shares.argmax()]),
        "entropy_index": float(-(shares * np.log(shares)).sum() / np.log(plain.size)),
        "spectral_density": banded,
    }


def _compare(returns: pd.Series, benchmark: pd.Series) -> dict[str, Any]:
    correlation = returns.rolling(30).corr(benchmark)
    own, market = returns.iloc[-250:].to_numpy(), benchmark.iloc[-250:].to_numpy()
    slope = sm.OLS(own, sm.add_constant(market)).fit().params[1]
    off, other = own - own.mean(), market - market.mean()
    rho = scipy.signal.correlate(off, other)[239:260] / np.sqrt((off**2).sum() * (other**2).sum())
    return {
        "rolling_correlation": correlation.iloc[-1],
        "beta": 0.67 * slope + 0.33,
        "cross_correlation_lag": int(np.abs(rho).argmax()) - 10,
        "volatility_correlation": (
            returns.rolling(20).std().rolling(120).corr(benchmark.rolling(20).std()).iloc[-1]
        ),
        "correlation_stability": np.arctanh(correlation).rolling(120).std().iloc[-1],
    }


def _classify(bars: pd.DataFrame, returns: pd.Series) -> dict[str, Any]:
    s = returns.rolling(20).std()
    v, q = (
        s.rolling(250).rank(pct=True),
        bars["volume"].rolling(5).mean().rolling(250).rank(pct=True),
    )
    u = np.log(bars["close"] / bars["close"].shift(10)) / (s * np.sqrt(10))
    return {"regime": [v.iloc[-1], q.iloc[-1], u.iloc[-1]]}
