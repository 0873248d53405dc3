"""Indicators to draw under a chart, on plain lists: the web process does without numpy.

They are defined as the features of the same name are. EMA and Wilder recursions start with their first value, so the
caller hands in some history before the first bar shown.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt

from detection.bars.reading import Bar

Line = list[float | None]
BAND_BARS = 20
RSI_BARS = 14
ATR_BARS = 14


def compute_sma(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `sma_20`, the mean of the last 20 closes; None where there are fewer."""
    return {"sma_20": [None if window is None else sum(window) / BAND_BARS for window in _windows(bars)]}


def compute_bollinger(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `bb_upper` and `bb_lower`, 2 population deviations either side of the mean of 20 closes."""
    upper: Line = []
    lower: Line = []
    for window in _windows(bars):
        if window is None:
            upper.append(None)
            lower.append(None)
            continue
        mean = sum(window) / BAND_BARS
        deviation = sqrt(sum((close - mean) ** 2 for close in window) / BAND_BARS)
        upper.append(mean + 2 * deviation)
        lower.append(mean - 2 * deviation)
    return {"bb_upper": upper, "bb_lower": lower}


def compute_ema(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `ema_12` and `ema_26` of the closes."""
    closes = [bar.close for bar in bars]
    return {"ema_12": list(_smooth(closes, 2 / 13)), "ema_26": list(_smooth(closes, 2 / 27))}


def compute_macd(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `MACD` (EMA12 - EMA26) and `MACD_hist` (what it is above its EMA9)."""
    closes = [bar.close for bar in bars]
    pairs = zip(_smooth(closes, 2 / 13), _smooth(closes, 2 / 27), strict=True)
    macd = [fast - slow for fast, slow in pairs]
    above = [value - signal for value, signal in zip(macd, _smooth(macd, 2 / 10), strict=True)]
    return {"MACD": [*macd], "MACD_hist": [*above]}


def compute_rsi(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `RSI` over 14 bars (Wilder): 100 where there was no loss, 50 where there was neither."""
    changes = [after.close - before.close for before, after in pairwise(bars)]
    gains = _smooth([max(change, 0.0) for change in changes], 1 / RSI_BARS)
    losses = _smooth([max(-change, 0.0) for change in changes], 1 / RSI_BARS)
    values = [_rate(gain, loss) for gain, loss in zip(gains, losses, strict=True)]
    return {"RSI": [None, *values] if bars else []}


def compute_atr(bars: Sequence[Bar]) -> dict[str, Line]:
    """Return `ATR_14`, the Wilder mean of the true range."""
    if not bars:
        return {"ATR_14": []}
    ranges = [bars[0].high - bars[0].low]
    ranges += [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)]
    return {"ATR_14": list(_smooth(ranges, 1 / ATR_BARS))}


INDICATORS: dict[str, Callable[[Sequence[Bar]], dict[str, Line]]] = {
    "sma": compute_sma,
    "bollinger": compute_bollinger,
    "ema": compute_ema,
    "macd": compute_macd,
    "rsi": compute_rsi,
    "atr": compute_atr,
}


def _windows(bars: Sequence[Bar]) -> Iterator[list[float] | None]:
    closes = [bar.close for bar in bars]
    for stop in range(1, len(closes) + 1):
        yield closes[stop - BAND_BARS : stop] if stop >= BAND_BARS else None


def _smooth(values: Sequence[float], alpha: float) -> Iterator[float]:
    mean: float | None = None
    for value in values:
        mean = value if mean is None else mean + alpha * (value - mean)
        yield mean


def _rate(gain: float, loss: float) -> float:
    if loss == 0:
        return 50.0 if gain == 0 else 100.0
    return 100 - 100 / (1 + gain / loss)
