"""Computes the lines that charts draw of a series besides its bars, on plain lists, as the web
process does not load numpy.

These are the 14 documented features by name, and some groups of lines as charts show them. EMA and
Wilder recursions start with the first value, so the caller must pass some history before the first
bar that is shown.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt

from detection.features.names import FEATURES
from market.bars.reading import Bar

Line = list[float | None]
WINDOW_BARS = 20
RSI_BARS = 14
ATR_BARS = 14
LEAST_BODY_SHARE = 1e-4  # of the close, under the wicks


def compute_indicator(
    name: str, bars: Sequence[Bar], sessions: Sequence[int] | None = None
) -> dict[str, Line]:
    """Return the lines of an indicator or a feature, each with one value a bar, None where there is
    too little history.

    `sessions` has a number for the session of each intraday bar; it is None for daily and longer
    bars. Raises KeyError on an unknown name.
    """
    if name == "VWAP":
        return {name: compute_vwap(bars, sessions)}
    return INDICATORS[name](bars)


def compute_sma(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `sma_20`, the mean of the last 20 closes."""
    return {"sma_20": _at_band(bars, lambda close, above, _: close + above)}


def compute_bollinger(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `bb_upper` and `bb_lower`, 2 population deviations either side
    of the mean of 20 closes.
    """
    return {
        "bb_upper": _at_band(bars, lambda close, above, deviation: close + above + 2 * deviation),
        "bb_lower": _at_band(bars, lambda close, above, deviation: close + above - 2 * deviation),
    }


def compute_ema(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `ema_12` and `ema_26` of the closes."""
    closes = [bar.close for bar in bars]
    return {"ema_12": list(_smooth(closes, 2 / 13)), "ema_26": list(_smooth(closes, 2 / 27))}


def compute_macd(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `MACD` (EMA12 - EMA26) and `MACD_hist` (MACD minus its EMA9)."""
    closes = [bar.close for bar in bars]
    pairs = zip(_smooth(closes, 2 / 13), _smooth(closes, 2 / 27), strict=True)
    macd = [fast - slow for fast, slow in pairs]
    above = [value - signal for value, signal in zip(macd, _smooth(macd, 2 / 10), strict=True)]
    return {"MACD": [*macd], "MACD_hist": [*above]}


def compute_rsi(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `RSI` over 14 bars (Wilder):
    100 where there was no loss, 50 where there was neither.
    """
    changes = [after.close - before.close for before, after in pairwise(bars)]
    gains = _smooth([max(change, 0.0) for change in changes], 1 / RSI_BARS)
    losses = _smooth([max(-change, 0.0) for change in changes], 1 / RSI_BARS)
    values = [
        100 * gain / (gain + loss) if gain + loss > 0 else 50.0
        for gain, loss in zip(gains, losses, strict=True)
    ]
    return {"RSI": [None, *values] if bars else []}


def compute_atr(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `ATR_14`, the Wilder mean of the true range."""
    if not bars:
        return {"ATR_14": []}
    ranges = [bars[0].high - bars[0].low]
    ranges += [
        max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)
    ]
    return {"ATR_14": list(_smooth(ranges, 1 / ATR_BARS))}


def compute_zscore(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `zscore_20`, the close's distance from the mean of 20 in deviations;
    0 where nothing moved.
    """
    return {
        "zscore_20": _at_band(
            bars, lambda _, above, deviation: -above / deviation if deviation > 0 else 0.0
        )
    }


def compute_width(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `bb_width`, from the lower Bollinger band to the upper one."""
    return {"bb_width": _at_band(bars, lambda _close, _above, deviation: 4 * deviation)}


def compute_shape(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `body`, `upper_wick`, `lower_wick` and `wick_ratio` of each candle."""
    body = [abs(bar.close - bar.open) for bar in bars]
    upper = [bar.high - max(bar.open, bar.close) for bar in bars]
    lower = [min(bar.open, bar.close) - bar.low for bar in bars]
    ratio = [
        (above + below) / max(height, bar.close * LEAST_BODY_SHARE)
        for bar, height, above, below in zip(bars, body, upper, lower, strict=True)
    ]
    return {"body": [*body], "upper_wick": [*upper], "lower_wick": [*lower], "wick_ratio": [*ratio]}


def compute_vwap(bars: Sequence[Bar], sessions: Sequence[int] | None) -> Line:
    """Return the typical price weighted by volume: since the session's first bar,
    or over 20 bars without `sessions`.

    The plain mean where nothing was traded.
    """
    typical = [(bar.high + bar.low + bar.close) / 3 for bar in bars]
    volumes = [bar.volume for bar in bars]
    if sessions is not None:
        return list(_weigh_sessions(typical, volumes, sessions))
    windows = [slice(stop - WINDOW_BARS, stop) for stop in range(WINDOW_BARS, len(bars) + 1)]
    means = [_weigh(typical[window], volumes[window]) for window in windows]
    return [*[None] * (len(bars) - len(means)), *means]


def _weigh(prices: Sequence[float], volumes: Sequence[float]) -> float:
    shares = sum(volumes)
    if shares <= 0:
        return sum(prices) / len(prices)
    return sum(price * volume for price, volume in zip(prices, volumes, strict=True)) / shares


def _weigh_sessions(
    prices: Sequence[float], volumes: Sequence[float], sessions: Sequence[int]
) -> Iterator[float]:
    money = shares = plain = 0.0
    count = 0
    before: int | None = None
    for price, volume, session in zip(prices, volumes, sessions, strict=True):
        if session != before:
            money, shares, plain, count, before = 0.0, 0.0, 0.0, 0, session
        money, shares, plain, count = (
            money + price * volume,
            shares + volume,
            plain + price,
            count + 1,
        )
        yield money / shares if shares > 0 else plain / count


def _compute_return(bars: Sequence[Bar], back: int) -> Line:
    pairs = zip(bars[back:], bars, strict=False)
    return [
        *[None] * min(back, len(bars)),
        *[bar.close / before.close - 1 for bar, before in pairs],
    ]


def _pick(
    name: str, compute: Callable[[Sequence[Bar]], dict[str, Line]]
) -> Callable[[Sequence[Bar]], dict[str, Line]]:
    return lambda bars: {name: compute(bars)[name]}


INDICATORS: dict[str, Callable[[Sequence[Bar]], dict[str, Line]]] = {
    "sma": compute_sma,
    "bollinger": compute_bollinger,
    "ema": compute_ema,
    "macd": compute_macd,
    "rsi": compute_rsi,
    "atr": compute_atr,
    "return_1": lambda bars: {"return_1": _compute_return(bars, 1)},
    "return_3": lambda bars: {"return_3": _compute_return(bars, 3)},
    "return_6": lambda bars: {"return_6": _compute_return(bars, 6)},
    "zscore_20": compute_zscore,
    "ATR_14": compute_atr,
    "bb_width": compute_width,
    "RSI": compute_rsi,
    "MACD": _pick("MACD", compute_macd),
    "MACD_hist": _pick("MACD_hist", compute_macd),
    **{
        name: _pick(name, compute_shape)
        for name in ("body", "upper_wick", "lower_wick", "wick_ratio")
    },
}
# The indicators that a chart may ask for. Only VWAP needs to know where sessions begin.
NAMES: tuple[str, ...] = (*[name for name in INDICATORS if name not in FEATURES], *FEATURES)


def _at_band(bars: Sequence[Bar], write: Callable[[float, float, float], float]) -> Line:
    return [
        None if band is None else write(bar.close, *band)
        for bar, band in zip(bars, _bands(bars), strict=True)
    ]


def _bands(bars: Sequence[Bar]) -> Iterator[tuple[float, float] | None]:
    """Yield how far the mean of 20 closes is above the last of them, and their population standard
    deviation.

    Both are computed relative to the last close, so that they are exactly 0 where nothing moved.
    """
    closes = [bar.close for bar in bars]
    for stop, now in enumerate(closes, start=1):
        if stop < WINDOW_BARS:
            yield None
            continue
        offsets = [close - now for close in closes[stop - WINDOW_BARS : stop]]
        mean = sum(offsets) / WINDOW_BARS
        yield mean, sqrt(sum((offset - mean) ** 2 for offset in offsets) / WINDOW_BARS)


def _smooth(values: Sequence[float], alpha: float) -> Iterator[float]:
    mean: float | None = None
    for value in values:
        mean = value if mean is None else mean + alpha * (value - mean)
        yield mean
