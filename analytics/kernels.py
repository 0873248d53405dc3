"""Compiled loops: recursions, rolling sums and ranks, each a function of stored bars alone.

Each value is summed afresh over its own window, in the window's order, or computed by a recursion
that starts at an anchor of the stored series. So it does not depend on what else was loaded. All
compiled code stays in this file, because numba's cache notices changes of no other file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import float64, int64, njit, types

from core.arrays import Float64, Int64

WILDER = 14
REGIMES = 8
_floats = types.Array(float64, 1, "C", readonly=True)
_integers = types.Array(int64, 1, "C", readonly=True)
Function = TypeVar("Function", bound=Callable[..., Any])


def _compile(signature: Any = None) -> Callable[[Function], Function]:
    """Return numba's decorator; without a signature a function is compiled when it is called."""
    decorator: Any = njit(signature, cache=True, nogil=True, error_model="numpy")
    return cast("Callable[[Function], Function]", decorator)


@_compile(float64[::1](_floats, _integers, int64))
def roll_deviation(values: Float64, offsets: Int64, window: int) -> Float64:
    """Return the standard deviation (ddof 1) of each row's last `window` values within its series.

    values: (n,); offsets: (k + 1,). NaN where a series has not so many yet or one of them is NaN.
    """
    out = np.full(values.size, np.nan)
    mean = np.empty(values.size)
    for s in range(offsets.size - 1):
        first, count = offsets[s] + window - 1, offsets[s + 1] - offsets[s] - window + 1
        if count <= 0:
            continue
        mean[:count] = 0.0
        for back in range(window - 1, -1, -1):
            shifted = values[first - back : first - back + count]
            for i in range(count):
                mean[i] += shifted[i]
        for i in range(count):
            mean[i] /= window
        total = out[first : first + count]
        total[:] = 0.0
        for back in range(window - 1, -1, -1):
            shifted = values[first - back : first - back + count]
            for i in range(count):
                off = shifted[i] - mean[i]
                total[i] += off * off
        for i in range(count):
            total[i] = np.sqrt(total[i] / (window - 1))
    return out


@_compile(float64[::1](_floats, _integers, int64))
def roll_mean(values: Float64, offsets: Int64, window: int) -> Float64:
    """Return the mean of each row's last `window` values within its series; NaN as above."""
    out = np.full(values.size, np.nan)
    for s in range(offsets.size - 1):
        first, count = offsets[s] + window - 1, offsets[s + 1] - offsets[s] - window + 1
        if count <= 0:
            continue
        total = out[first : first + count]
        total[:] = 0.0
        for back in range(window - 1, -1, -1):
            shifted = values[first - back : first - back + count]
            for i in range(count):
                total[i] += shifted[i]
        for i in range(count):
            total[i] /= window
    return out


@_compile(float64[::1](_floats, _integers, _integers, int64))
def run_ema(values: Float64, starts: Int64, rows: Int64, period: int) -> Float64:
    """Return the exponential mean, alpha 2/(period + 1), at each of `rows`.

    It is seeded with the plain mean of the first `period` values from the row's own start on.
    """
    out = np.full(rows.size, np.nan)
    alpha = 2.0 / (period + 1)
    for i in range(rows.size):
        start, row = starts[i], rows[i]
        if row - start + 1 < period:
            continue
        mean = 0.0
        for t in range(start, start + period):
            mean += values[t]
        mean /= period
        for t in range(start + period, row + 1):
            mean += alpha * (values[t] - mean)
        out[i] = mean
    return out


@_compile(float64[::1](_floats, _integers, _integers))
def run_rsi(close: Float64, starts: Int64, rows: Int64) -> Float64:
    """Return Wilder's relative strength index of 14 bars at each
    of `rows`; 50 where nothing moved.
    """
    out = np.full(rows.size, np.nan)
    for i in range(rows.size):
        start, row = starts[i], rows[i]
        if row - start < WILDER:
            continue
        gain = loss = 0.0
        for t in range(start + 1, start + WILDER + 1):
            move = close[t] - close[t - 1]
            gain += max(move, 0.0)
            loss += max(-move, 0.0)
        gain /= WILDER
        loss /= WILDER
        for t in range(start + WILDER + 1, row + 1):
            move = close[t] - close[t - 1]
            gain = (gain * (WILDER - 1) + max(move, 0.0)) / WILDER
            loss = (loss * (WILDER - 1) + max(-move, 0.0)) / WILDER
        moved = gain + loss
        out[i] = 100.0 * gain / moved if moved > 0.0 else 50.0
    return out


@_compile()
def _move(high: Float64, low: Float64, close: Float64, t: int) -> tuple[float, float, float]:
    """Return the upward and downward directional movement and the true range of bar t."""
    up, down = high[t] - high[t - 1], low[t - 1] - low[t]
    plus = up if up > 0.0 and up > down else 0.0
    minus = down if down > 0.0 and down > up else 0.0
    return plus, minus, max(high[t], close[t - 1]) - min(low[t], close[t - 1])


@_compile(float64[:, ::1](_floats, _floats, _floats, _integers, _integers))
def run_directional(
    high: Float64, low: Float64, close: Float64, starts: Int64, rows: Int64
) -> Float64:
    """Return ADX, +DI and -DI of 14 bars (Wilder) at each of `rows`, shape (3, m).

    Where a smoothed true range is zero nothing moved, and the two indicators are NaN.
    """
    out = np.full((3, rows.size), np.nan)
    for i in range(rows.size):
        start, row = starts[i], rows[i]
        if row - start < WILDER:
            continue
        plus = minus = ranges = 0.0
        for t in range(start + 1, start + WILDER):
            p, m, r = _move(high, low, close, t)
            plus, minus, ranges = plus + p, minus + m, ranges + r
        index = 0.0
        for t in range(start + WILDER, row + 1):
            p, m, r = _move(high, low, close, t)
            plus += p - plus / WILDER
            minus += m - minus / WILDER
            ranges += r - ranges / WILDER
            both = plus + minus
            if t < start + 2 * WILDER:
                if both > 0.0:
                    index += 100.0 * abs(plus - minus) / both / WILDER
            elif both > 0.0:
                index = (index * (WILDER - 1) + 100.0 * abs(plus - minus) / both) / WILDER
        if ranges > 0.0:
            out[1, i], out[2, i] = 100.0 * plus / ranges, 100.0 * minus / ranges
            if row - start >= 2 * WILDER - 1:
                out[0, i] = index
    return out


@_compile()
def _mean_to(values: Float64, row: int, window: int) -> float:
    total = 0.0
    for t in range(row - window + 1, row + 1):
        total += values[t]
    return total / window


@_compile(int64[:, ::1](_floats, _integers, _integers, int64, int64, int64))
def find_crossings(
    close: Float64, firsts: Int64, rows: Int64, fast: int, slow: int, farthest: int
) -> Int64:
    """Return the sign of the fast mean minus the slow one at each of `rows`, and since when.

    Shape (2, m): the sign, 0 where the means are equal or there are too few bars; and how many
    bars ago they crossed, -1 where that was more than `farthest` bars ago or cannot be seen.
    """
    out = np.zeros((2, rows.size), np.int64)
    out[1] = -1
    for i in range(rows.size):
        row, first = rows[i], firsts[i] + slow - 1
        if row < first:
            continue
        now = np.sign(_mean_to(close, row, fast) - _mean_to(close, row, slow))
        out[0, i] = int(now)
        for back in range(1, farthest + 2):
            if now == 0.0 or row - back < first:
                break
            if (_mean_to(close, row - back, fast) - _mean_to(close, row - back, slow)) * now < 0.0:
                out[1, i] = back - 1
                break
    return out


@_compile()
def _correlate(one: Float64, other: Float64, row: int, window: int) -> float:
    """Return Pearson's correlation of the `window` values that end at `row`."""
    a = b = 0.0
    for t in range(row - window + 1, row + 1):
        a += one[t]
        b += other[t]
    a /= window
    b /= window
    aa = bb = ab = 0.0
    for t in range(row - window + 1, row + 1):
        x, y = one[t] - a, other[t] - b
        aa += x * x
        bb += y * y
        ab += x * y
    if aa <= 0.0 or bb <= 0.0:
        return np.nan
    rho: float = ab / np.sqrt(aa * bb)
    return max(-1.0, min(1.0, rho))


@_compile(float64[:, ::1](_floats, _floats, _integers, _integers, int64, int64))
def roll_correlation(
    one: Float64, other: Float64, firsts: Int64, rows: Int64, window: int, count: int
) -> Float64:
    """Return the correlations of the last `window` values at each row and the bars before it.

    Shape (m, count), the row's own last; NaN where the window reaches before `firsts` or holds NaN.
    """
    out = np.full((rows.size, count), np.nan)
    for i in range(rows.size):
        for j in range(count):
            row = rows[i] - count + 1 + j
            if row - window + 1 >= firsts[i]:
                out[i, j] = _correlate(one, other, row, window)
    return out


@_compile()
def _rank(values: Float64, row: int, window: int) -> float:
    """Return the rank of values[row] among the last `window`, from 0 to 1, ties in the middle.

    NaN where one of them is NaN, or all are equal.
    """
    now, below, equal = values[row], 0, 0
    for t in range(row - window + 1, row + 1):
        if not np.isfinite(values[t]):
            return np.nan
        if values[t] < now:
            below += 1
        elif values[t] == now:
            equal += 1
    if equal == window:
        return np.nan
    return (below + 0.5 * (equal - 1)) / (window - 1)


@_compile()
def _classify(v: float, q: float, u: float, low: float, high: float) -> int:
    """Return the number of the regime, by the order of its conditions, from 0 to 7."""
    lively, calm = v >= high, v <= low
    busy, quiet = q >= high, q <= low
    if lively and busy:
        return 0 if u > 1.0 else 1 if u < -1.0 else 2
    if lively and quiet:
        return 3
    if calm and busy:
        return 4
    if calm and quiet:
        return 5
    if not (lively or calm or busy or quiet):
        return 6
    return 7


@_compile()
def _place(
    close: Float64, deviations: Float64, volumes: Float64, row: int, window: int
) -> tuple[float, float, float]:
    """Return v, q and u of the bar at `row`."""
    s = deviations[row]
    u = np.log(close[row] / close[row - 10]) / (s * np.sqrt(10.0)) if s > 0.0 else 0.0
    return _rank(deviations, row, window), _rank(volumes, row, window), u


_tuple_of: Any = types.UniTuple
_limits = _tuple_of(int64, 3)
_bounds = _tuple_of(float64, 2)


@_compile(float64[:, ::1](_tuple_of(_floats, 3), _integers, _integers, _limits, _bounds))
def find_regimes(
    columns: tuple[Float64, Float64, Float64],
    firsts: Int64,
    rows: Int64,
    limits: tuple[int, int, int],
    bounds: tuple[float, float],
) -> Float64:
    """Return v, q, u, the number of the regime and how many bars it has lasted, shape (5, m).

    columns: closes, deviations and volumes, (n,) each. limits: bars of a series up to the first
    that has a regime; how many the ranks are among; how far back a regime's beginning is looked
    for. The age is 0 on a regime's first bar, NaN where that lies further back, or before the
    series' first regime. NaN where a rank is not defined.
    """
    close, deviations, volumes = columns
    needed, window, farthest = limits
    low, high = bounds
    out = np.full((5, rows.size), np.nan)
    for i in range(rows.size):
        row, first = rows[i], firsts[i] + needed - 1
        if row < first:
            continue
        v, q, u = _place(close, deviations, volumes, row, window)
        out[0, i], out[1, i], out[2, i] = v, q, u
        if not (np.isfinite(v) and np.isfinite(q)):
            continue
        now = _classify(v, q, u, low, high)
        out[3, i] = now
        for back in range(1, farthest + 2):
            if row - back < first:
                break
            v, q, u = _place(close, deviations, volumes, row - back, window)
            defined = np.isfinite(v) and np.isfinite(q)
            if not defined or _classify(v, q, u, low, high) != now:
                out[4, i] = back - 1
                break
    return out
