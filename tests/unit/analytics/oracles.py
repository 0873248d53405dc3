"""The same metrics by other people's libraries or, where none has a metric, by slow obvious
code.
"""

from math import log

import bidask
import numpy as np
import pandas as pd
import scipy.signal
import scipy.stats
import statsmodels.api as sm
import talib
from statsmodels.tsa.stattools import acf


def compute_series_oracles(bars: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return each numeric metric of one daily series at every bar; NaN where undefined."""
    h, low, c, v = (bars[n].to_numpy() for n in ("high", "low", "close", "volume"))
    close, volume = bars["close"], bars["volume"]
    r = np.log(close / close.shift(1))
    deviation = r.rolling(20).apply(lambda x: x.std(ddof=1), raw=True)
    upper, _, lower = talib.BBANDS(c, 20, 2.0, 2.0)
    stdev = close.rolling(20).apply(np.std, raw=True)
    fast_k, _ = talib.STOCHF(c, c, c, 20, 1)
    return {
        "rolling_stddev": deviation,
        "annualized_volatility": deviation * np.sqrt(252.0),
        "parkinson": slide(bars, 20, _parkinson),
        "garman_klass": slide(bars, 20, _garman_klass),
        "yang_zhang": slide(bars, 21, _yang_zhang),
        "volatility_of_volatility": deviation.rolling(20).apply(lambda x: x.std(ddof=1), raw=True),
        "total_volume": volume.rolling(20, min_periods=1).sum(),
        "volume_sma": talib.SMA(v, 20),
        "volume_ema": talib.EMA(v, 20),
        "volume_spike_ratio": volume / volume.rolling(20).median().shift(1),
        "liquidity_ratio": slide(bars, 21, _amihud),
        "sma": talib.SMA(c, 20),
        "ema": talib.EMA(c, 20),
        "wma": talib.WMA(c, 20),
        "rate_of_change": talib.ROC(c, 10),
        "rsi": talib.RSI(c, 14),
        "directional_strength": (
            100 * (bars["close"] > bars["open"]).astype(float).rolling(20).mean()
        ),
        "adx": talib.ADX(h, low, c, 14),
        "plus_di": talib.PLUS_DI(h, low, c, 14),
        "minus_di": talib.MINUS_DI(h, low, c, 14),
        "standard_deviation": talib.STDDEV(c, 20, 1.0),
        "variance": talib.VAR(c, 20, 1.0),
        "z_score": (close - close.rolling(20).mean()) / stdev,
        "bollinger_upper": upper,
        "bollinger_lower": lower,
        "price_range_index": fast_k / 100.0,
        "autocorrelation": (
            r.rolling(60).apply(lambda x: acf(x, nlags=1, adjusted=False)[1], raw=True)
        ),
        "coefficient_of_variation": stdev / close.rolling(20).mean(),
        "skewness": r.rolling(60).apply(lambda x: scipy.stats.skew(x, bias=False), raw=True),
        "kurtosis": r.rolling(60).apply(lambda x: scipy.stats.kurtosis(x, bias=False), raw=True),
        "edge": slide(bars, 60, _edge),
        "bulk": volume * (2 * scipy.stats.norm.cdf(r / deviation) - 1),
    }


def compute_market_oracles(own: pd.Series, market: pd.Series) -> dict[str, np.ndarray]:
    """Return the metrics of log returns against a benchmark's; the two are aligned, and their first
    value is NaN.
    """
    correlation = own.rolling(30).corr(market)
    deviations = own.rolling(20).std(), market.rolling(20).std()
    beta = np.full(len(own), np.nan)
    for t in range(60, len(own)):
        x, y = market[max(1, t - 249) : t + 1], own[max(1, t - 249) : t + 1]
        beta[t] = 0.67 * sm.OLS(y.to_numpy(), sm.add_constant(x.to_numpy())).fit().params[1] + 0.33
    return {
        "rolling_correlation": correlation,
        "beta": beta,
        "volatility_correlation": deviations[0].rolling(120).corr(deviations[1]),
        "correlation_stability": np.arctanh(correlation).rolling(120).std(),
    }


def find_lag(own: np.ndarray, market: np.ndarray) -> int | None:
    """Return the lag at which the benchmark leads most, by scipy; None if the correlation is no
    more than chance.
    """
    n = own.size
    a, b = own - own.mean(), market - market.mean()
    full = scipy.signal.correlate(a, b) / np.sqrt((a**2).sum() * (b**2).sum())
    lags = scipy.signal.correlation_lags(n, n)
    near = np.abs(lags) <= 10
    rho, lags = np.abs(full[near]), lags[near]
    best = int(rho.argmax())
    if rho[best] <= 1.96 / np.sqrt(n) or rho[best] <= rho[lags == 0][0]:
        return None
    return int(lags[best])


def describe_buckets(
    names: pd.Series, returns: pd.Series, volume: pd.Series
) -> dict[str, dict | None]:
    """Return the pattern of returns by bucket, with pandas' groupby."""
    frame = pd.DataFrame({"name": names, "r": returns, "move": returns.abs(), "volume": volume})
    found = {}
    for name, own in frame.groupby("name"):
        n = len(own)
        found[str(name)] = (
            None
            if n < 5
            else {
                "n": n,
                "mean_return": own["r"].mean(),
                "mean_abs_return": own["move"].mean(),
                "volume_share": own["volume"].sum() / volume.sum(),
                "t": scipy.stats.ttest_1samp(own["r"], 0.0).statistic,
            }
        )
    return found


def find_peaks(moves: np.ndarray) -> list[tuple[float, float]]:
    """Return period and share of power of the three largest peaks of the periodogram."""
    frequencies, power = scipy.signal.periodogram(moves, window="hann", detrend="linear")
    peaks, _ = scipy.signal.find_peaks(power)
    best = sorted(peaks, key=lambda k: -power[k])[:3]
    return [(1 / frequencies[k], power[k] / power[1:].sum()) for k in best]


def compute_fisher_p_exactly(power: np.ndarray) -> float:
    """Return Fisher's p-value in rational arithmetic, with all its terms."""
    from fractions import Fraction  # noqa: PLC0415
    from math import comb  # noqa: PLC0415

    shares = [Fraction(float(value)) for value in power]
    g, k = max(shares) / sum(shares), len(shares)
    total = Fraction(0)
    for j in range(1, k + 1):
        if j * g >= 1:
            break
        total += (-1) ** (j - 1) * comb(k, j) * (1 - j * g) ** (k - 1)
    return float(total)


def measure_entropy(moves: np.ndarray) -> float:
    import antropy  # noqa: PLC0415 - it compiles itself as it loads, for seconds

    return float(antropy.spectral_entropy(moves, sf=1.0, method="fft", normalize=True))


def measure_bands(moves: np.ndarray) -> np.ndarray:
    """Return the shares of power by band, with scipy's welch."""
    frequencies, power = scipy.signal.welch(moves, nperseg=min(128, moves.size))
    edges = np.geomspace(1 / 128, 1 / 2, 9)
    edges[0], edges[-1] = 0.0, 1.0
    edges[1:-1] *= 1 - 1e-12
    sums = np.histogram(frequencies[1:], bins=edges, weights=power[1:])[0]
    return sums / sums.sum()


def slide(bars: pd.DataFrame, window: int, compute) -> np.ndarray:
    """Return the result of `compute` on each bar's last `window` bars."""
    found = np.full(len(bars), np.nan)
    for t in range(window - 1, len(bars)):
        found[t] = compute(bars.iloc[t - window + 1 : t + 1])
    return found


def _parkinson(bars: pd.DataFrame) -> float:
    total = sum(log(h / low) ** 2 for h, low in zip(bars["high"], bars["low"], strict=True))
    return (total / (4 * len(bars) * log(2))) ** 0.5


def _garman_klass(bars: pd.DataFrame) -> float:
    rows = zip(bars["open"], bars["high"], bars["low"], bars["close"], strict=True)
    total = sum(
        0.5 * log(h / low) ** 2 - (2 * log(2) - 1) * log(c / o) ** 2 for o, h, low, c in rows
    )
    return (total / len(bars)) ** 0.5 if total >= 0 else np.nan


def _yang_zhang(bars: pd.DataFrame) -> float:
    n = len(bars) - 1
    o, h, low, c = (np.log(bars[name]) for name in ("open", "high", "low", "close"))
    overnight, body = (o - c.shift(1)).iloc[1:], (c - o).iloc[1:]
    rogers = ((h - c) * (h - o) + (low - c) * (low - o)).iloc[1:].mean()
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return float(np.sqrt(overnight.var() + k * body.var() + (1 - k) * rogers))


def _amihud(bars: pd.DataFrame) -> float:
    r = np.log(bars["close"] / bars["close"].shift(1)).iloc[1:].abs()
    notional = (bars["close"] * bars["volume"]).iloc[1:]
    traded = notional > 0
    return float(1e6 * (r[traded] / notional[traded]).mean()) if traded.any() else np.nan


def _edge(bars: pd.DataFrame) -> float:
    return bidask.edge(*(bars[name].to_numpy() for name in ("open", "high", "low", "close")))
