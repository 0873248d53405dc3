"""The fused pass from bars to features: one compiled function over all series of a panel.

The kernel works block by block; blocks of bars are counted from the start of the stored series, and
a block's first bar is its anchor. A block's recursions start a fixed number of bars (the history)
before its anchor; everything else is a sum over a fixed window, added in a fixed order. So a bar's
values are the same to the last bit whatever bars were loaded around it. `fastmath` stays off for
the same reason: it would let the order of additions depend on the length of a loop. The inner loops
run over the rows of a block, the outer ones over the bars of a window, so that the compiler can use
vector instructions without changing the order of additions.

All compiled functions are in this file: numba's cache notices a change in the file of `run_kernel`,
and in no other.
"""

from typing import Any

import numpy as np
from numba import float32, float64, int64, njit, types

from core.arrays import Float32, Float64, Int64
from detection.features.feature_sets import (
    EVENT_COLUMN,
    MARKET14,
    RETURNS,
    TIME_OF_DAY,
    TWO_YARDSTICKS,
)

# Open, high, low, close, volume.
Bars = tuple[Float64, Float64, Float64, Float64, Float64]
# Ring buffers of the last 20 bars of each time of day: the positions of the bars before them
# (clocks, 20), values (clocks, 20, 4), and how many bars were put in so far (clocks,).
Rings = tuple[Int64, Float64, Int64]
# The first row to compute, counted within the arrays that are passed, and how many rows.
Span = tuple[int, int]

# All columns that a feature set may pick, in the order in which a block's columns are filled.
COLUMNS: tuple[str, ...] = (
    *MARKET14.columns,
    *TWO_YARDSTICKS.columns,
    *TIME_OF_DAY.columns,
    *RETURNS.columns,
    EVENT_COLUMN,
)
# How far a bar is from the ticker's usual, for the reasons of an anomaly: see `_measure`.
MEASURES: tuple[str, ...] = (
    "return",
    "gap",
    "range",
    "wick",
    "volume",
    "unrest",
    # The same, measured by what is usual at the bar's time of day.
    "clock_return",
    "clock_range",
    "clock_wick",
    "clock_volume",
    # The fast yardstick of the time of day in its slow ones; the fast yardstick in steady ones.
    "clock_unrest",
    "steady_unrest",
)

# The columns before this one are made from the documented features.
PRICE_COLUMNS = len(MARKET14.columns)
CLOCK_COLUMNS = COLUMNS.index("clock_return_fast")
RETURN_COLUMN = COLUMNS.index("return_percent")
STEADY_COLUMN = COLUMNS.index(EVENT_COLUMN)
CLOCK_MEASURES = MEASURES.index("clock_return")
STEADY_MEASURE = MEASURES.index("steady_unrest")
# Rows of the measured values that only the kernel uses: the slow and the steady yardstick.
SLOW, STEADY = len(MEASURES), len(MEASURES) + 1

WINDOW = 20
# The slow yardstick looks back at most 250 bars, in steps of ten. The usual volume is of the last
# 60 bars; so is the second factor of the steady yardstick, which adapts to a crisis.
SLOW_TENS = 25
VOLUME_TENS = 6
# A yardstick, and the body that wicks are divided by, are at least one basis point of the close, so
# that values of flat bars stay finite.
SMALLEST_SHARE = 1e-4
# In the fast yardstick a bar's true range counts as at most so many times the yardstick before it.
LARGEST_RANGE = 3.0
# In the slow yardsticks it counts as at most this share of the close before it. Even the fourth
# root of a price that is a billion times off is some hundred times a usual one, and would dominate
# the mean of a year.
LARGEST_SHARE = 1.0
# A wick or a volume, times its weight, is as rare as a range of so many yardsticks, on daily bars
# of stocks and indices.
WICK_WEIGHT = 2.0
VOLUME_WEIGHT = 0.8
# Smaller departures are raised to this one: a forest would find the calmest bars strange.
LEAST_DEPARTURE = 1.5
# Inputs are multiples of 1 / GRID from -BOUND to BOUND. So float32 holds them exactly, and the
# float noise that another price scale brings (1e-13) is rounded away.
GRID = 65536.0
# What is usual at a time of day is computed from the last 20 sessions, from 10 at least.
CLOCK_SESSIONS = 20
FEWEST_SESSIONS = 10
# The usual return at a time of day counts as at least half the usual range: at some times of day
# most returns are next to nothing.
LEAST_RETURN = 0.5
# Smaller returns than the usual one of their time are raised to it, as small departures are.
LEAST_CLOCK_RETURN = 1.0
BOUND = 127.0


@njit(nogil=True, error_model="numpy")
def _cut(bars: Bars, start: int, stop: int) -> Bars:
    open_, high, low, close, volume = bars
    return (
        open_[start:stop],
        high[start:stop],
        low[start:stop],
        close[start:stop],
        volume[start:stop],
    )


@njit(nogil=True, error_model="numpy")
def _run_recursions(high: Float64, low: Float64, close: Float64, out: Float64) -> None:
    """Fill the rows of `out`: 0 ATR_14, 1 and 2 mean gain and loss, 3 MACD, 4 its signal."""
    previous = close[0]
    atr = high[0] - low[0]
    gain = loss = 0.0
    fast = slow = previous
    signal = 0.0
    for t in range(close.size):
        now = close[t]
        if t > 0:
            true_range = max(high[t], previous) - min(low[t], previous)
            atr += (true_range - atr) * (1.0 / 14.0)
        move = now - previous
        up, down = max(move, 0.0), max(-move, 0.0)
        if t == 1:
            gain, loss = up, down
        gain += (up - gain) * (1.0 / 14.0)
        loss += (down - loss) * (1.0 / 14.0)
        fast += (now - fast) * (2.0 / 13.0)
        slow += (now - slow) * (2.0 / 27.0)
        macd = fast - slow
        signal += (macd - signal) * 0.2
        out[0, t], out[1, t], out[2, t], out[3, t], out[4, t] = atr, gain, loss, macd, signal
        previous = now


@njit(nogil=True, error_model="numpy")
def _run_yardstick(high: Float64, low: Float64, close: Float64, out: Float64) -> None:
    """Put into `out` the mean true range of the last weeks, as a share of the close before it.

    A bar's true range counts as at most three times the mean before it. Else a price that is a
    hundred times off would raise the mean so much that the next 60 bars all look usual.
    """
    usual = (high[0] - low[0]) / close[0]
    out[0] = usual
    for t in range(1, close.size):
        before = close[t - 1]
        true_range = (max(high[t], before) - min(low[t], before)) / before
        most = LARGEST_RANGE * max(usual, SMALLEST_SHARE)
        usual += (min(true_range, most) - usual) * (1.0 / 14.0)
        out[t] = usual


@njit(nogil=True, error_model="numpy")
def _begin_block(bars: Bars, recursions: Float64, lately: Float64) -> None:
    """Run the recursions of a block whose output array is not empty."""
    _, high, low, close, _ = bars
    if recursions.size:
        _run_recursions(high, low, close, recursions)
    if lately.size:
        _run_yardstick(high, low, close, lately)


@njit(nogil=True, error_model="numpy")
def _compute_bands(close: Float64, span: Span, out: Float64) -> None:
    """Put into out[0] the mean of 20 closes minus the last of them, into out[1] their population
    standard deviation.
    """
    first, count = span
    now, mean, variance = close[first : first + count], out[0], out[1]
    mean[:count] = 0.0
    variance[:count] = 0.0
    for back in range(WINDOW):
        shifted = close[first - back : first - back + count]
        for i in range(count):
            mean[i] += shifted[i] - now[i]
    for i in range(count):
        mean[i] *= 1.0 / WINDOW
    for back in range(WINDOW):
        shifted = close[first - back : first - back + count]
        for i in range(count):
            off = shifted[i] - now[i] - mean[i]
            variance[i] += off * off
    for i in range(count):
        variance[i] = np.sqrt(variance[i] * (1.0 / WINDOW))


@njit(nogil=True, error_model="numpy")
def _weigh_window(
    typical: Float64, volume: Float64, span: Span, out: Float64, shares: Float64
) -> None:
    """Put into `out` the volume-weighted typical price of the last 20 bars; `shares` is scratch."""
    first, count = span
    out[:count] = 0.0
    shares[:count] = 0.0
    for back in range(WINDOW):
        start, stop = first - back, first - back + count
        price, weight = typical[start:stop], volume[start:stop]
        for i in range(count):
            out[i] += price[i] * weight[i]
            shares[i] += weight[i]
    for i in range(count):
        if shares[i] > 0.0:
            out[i] /= shares[i]
        else:
            out[i] = np.sum(typical[first + i - WINDOW + 1 : first + i + 1]) / WINDOW


@njit(nogil=True, error_model="numpy")
def _weigh_sessions(
    typical: Float64, volume: Float64, sessions: Int64, span: Span, out: Float64
) -> None:
    """Put into `out` the volume-weighted typical price since the session's first bar."""
    first, count = span
    money = shares = plain = 0.0
    bars = 0
    for t in range(first + count):
        if t == 0 or sessions[t] != sessions[t - 1]:
            money = shares = plain = 0.0
            bars = 0
        money += typical[t] * volume[t]
        shares += volume[t]
        plain += typical[t]
        bars += 1
        if t >= first:
            out[t - first] = money / shares if shares > 0.0 else plain / bars


@njit(nogil=True, error_model="numpy")
def _document(
    bars: Bars,
    sessions: Int64,
    recursions: Float64,
    span: Span,
    scratch: tuple[Float64, Float64],
    out: Float64,
) -> None:
    """Put the documented features of the span's rows into the rows of `out`.

    VWAP starts with the session; where `sessions` is empty, it is of the last 20 bars.
    """
    first, count = span
    open_, high, low, close, volume = bars
    rows, typical = scratch
    bands = rows[:2]
    for t in range(max(first - WINDOW, 0) if sessions.size == 0 else 0, first + count):
        typical[t] = (high[t] + low[t] + close[t]) / 3.0
    _compute_bands(close, span, bands)
    if sessions.size:
        _weigh_sessions(typical, volume, sessions, span, out[9])
    else:
        _weigh_window(typical, volume, span, out[9], rows[2])
    o, h = open_[first : first + count], high[first : first + count]
    low_, c = low[first : first + count], close[first : first + count]
    atr, gain, loss = recursions[0, first:], recursions[1, first:], recursions[2, first:]
    macd, signal = recursions[3, first:], recursions[4, first:]
    c1, c3, c6 = close[first - 1 :], close[first - 3 :], close[first - 6 :]
    for i in range(count):
        out[0, i] = c[i] / c1[i] - 1.0
        out[1, i] = c[i] / c3[i] - 1.0
        out[2, i] = c[i] / c6[i] - 1.0
        mean, deviation = bands[0, i], bands[1, i]
        out[3, i] = -mean / deviation if deviation > 0.0 else 0.0
        out[4, i] = atr[i]
        out[5, i] = 4.0 * deviation
        moved = gain[i] + loss[i]
        out[6, i] = 100.0 * gain[i] / moved if moved > 0.0 else 50.0
        out[7, i] = macd[i]
        out[8, i] = macd[i] - signal[i]
        body = abs(c[i] - o[i])
        upper = h[i] - max(o[i], c[i])
        lower = min(o[i], c[i]) - low_[i]
        out[10, i], out[11, i], out[12, i] = body, upper, lower
        out[13, i] = (upper + lower) / max(body, c[i] * SMALLEST_SHARE)


@njit(nogil=True, error_model="numpy")
def _sum_tens(values: Float64, out: Float64) -> None:
    """Put into out[t] the sum of the ten values that end with row t, for rows from 10 on.

    Row 0 is in no sum, as its value, which needs the bar before it, is undefined.
    """
    rows = values.size - 10
    if rows <= 0:
        return
    ten = out[10 : values.size]
    ten[:] = 0.0
    for back in range(10):
        shifted = values[10 - back : values.size - back]
        for i in range(rows):
            ten[i] += shifted[i]


@njit(nogil=True, error_model="numpy")
def _mean_tens(sums: Float64, tens: int, span: Span, out: Float64) -> None:
    """Put into `out` the mean of the 10 * `tens` bars that end just before each row, made of `sums`
    of ten bars.

    Where the series has fewer bars before a row, the mean is of as many whole tens as there are.
    """
    first, count = span
    out[:count] = 0.0
    k = 0
    while k < tens:
        skipped = max(10 * k + 11 - first, 0)
        if skipped >= count:
            break
        at = first - 1 - 10 * k
        if k + 5 <= tens and at >= 50:
            # Five at once, added in the same order: most of the time goes into walking the rows.
            a, b, c = sums[at:], sums[at - 10 :], sums[at - 20 :]
            d, e = sums[at - 30 :], sums[at - 40 :]
            for i in range(count):
                out[i] = out[i] + a[i] + b[i] + c[i] + d[i] + e[i]
            k += 5
            continue
        ten, mean = sums[at + skipped : at + count], out[skipped:count]
        for i in range(count - skipped):
            mean[i] += ten[i]
        k += 1
    for i in range(count):
        out[i] /= 10.0 * min(tens, (first + i - 1) // 10)


@njit(nogil=True, error_model="numpy")
def _prepare(bars: Bars, out: Float64) -> None:
    """Fill the rows of `out` with the values of a series that do not depend on where blocks begin.

    0 fourth root of the true range as a share of the close before it, at most LARGEST_SHARE; 1 and
    2 sums of ten bars of row 0 and of volume.
    """
    _, high, low, close, volume = bars
    roots = out[0]
    h, low_, before = high[1:], low[1:], close[: close.size - 1]
    for i in range(before.size):
        moved = (max(h[i], before[i]) - min(low_[i], before[i])) / before[i]
        roots[i + 1] = np.sqrt(np.sqrt(min(moved, LARGEST_SHARE)))
    _sum_tens(roots[: close.size], out[1])
    _sum_tens(volume, out[2])


@njit(nogil=True, error_model="numpy")
def _find_yardsticks(
    close: Float64, lately: Float64, prepared: Float64, span: Span, usual: Float64, out: Float64
) -> None:
    """Put the slow and the steady yardstick of the span's rows into rows SLOW and STEADY of `out`,
    and into rows of `usual` 1 the mean of 60 volumes, 3 the fast yardstick, 4 one over the fast
    yardstick in units of the price.

    The fast yardstick is that of `_run_yardstick` at the bar before. The slow one is the mean of up
    to 250 true ranges (each over the close before it), as the fourth power of the mean of fourth
    roots, which one bad tick hardly moves. The steady one is the geometric mean of the slow one and
    of the same over the last 60 bars, which grows with a crisis of months.
    """
    first, count = span
    c1, yesterday = close[first - 1 :], lately[first - 1 :]
    _mean_tens(prepared[1], SLOW_TENS, span, usual[0])
    _mean_tens(prepared[2], VOLUME_TENS, span, usual[1])
    _mean_tens(prepared[1], VOLUME_TENS, span, usual[2])
    year, quarter, fast, unit = usual[0], usual[2], usual[3], usual[4]
    slow, steady = out[SLOW], out[STEADY]
    for i in range(count):
        square = year[i] * year[i]
        slow[i] = max(square * square, SMALLEST_SHARE)
    for i in range(count):
        square = quarter[i] * quarter[i]
        steady[i] = np.sqrt(slow[i] * max(square * square, SMALLEST_SHARE))
    for i in range(count):
        fast[i] = max(yesterday[i], SMALLEST_SHARE)
        unit[i] = 1.0 / (c1[i] * fast[i])


@njit(nogil=True, error_model="numpy")
def _measure(bars: Bars, usual: Float64, span: Span, out: Float64) -> None:
    """Put how far the span's rows are from the ticker's usual into the rows of `out`.

    0 return, 1 gap, 2 true range and 3 longest wick in fast yardsticks; 4 volume over its mean of
    60 bars; 5 the fast yardstick in slow ones; STEADY_MEASURE the fast yardstick in steady ones.
    """
    first, count = span
    o, h, low, c, v = _cut(bars, first, first + count)
    c1 = bars[3][first - 1 : first + count - 1]
    shares, fast, unit = usual[1], usual[3], usual[4]
    slow, steady = out[SLOW], out[STEADY]
    change, gap, moved, wick, loud = out[0], out[1], out[2], out[3], out[4]
    for i in range(count):
        change[i] = (c[i] - c1[i]) * unit[i]
    for i in range(count):
        gap[i] = (o[i] - c1[i]) * unit[i]
    for i in range(count):
        moved[i] = (max(h[i], c1[i]) - min(low[i], c1[i])) * unit[i]
    for i in range(count):
        wick[i] = max(h[i] - max(o[i], c[i]), min(o[i], c[i]) - low[i]) * unit[i]
    for i in range(count):
        loud[i] = v[i] / shares[i] if shares[i] > 0.0 else 1.0
    unrest, steady_unrest = out[5], out[STEADY_MEASURE]
    for i in range(count):
        unrest[i] = fast[i] / slow[i]
    for i in range(count):
        steady_unrest[i] = fast[i] / steady[i]


@njit(nogil=True, error_model="numpy")
def _free_of_price(
    close: Float64, atr: Float64, documented: Float64, span: Span, out: Float64
) -> None:
    """Put the columns made from the documented features into the rows of `out`, for the span's
    rows.

    Features that are prices are divided by ATR_14 of the bar before.
    """
    first, count = span
    c = close[first : first + count]
    c1, c3, c6, yesterday = (
        close[first - 1 :],
        close[first - 3 :],
        close[first - 6 :],
        atr[first - 1 :],
    )
    for i in range(count):
        unit = 1.0 / max(yesterday[i], c1[i] * SMALLEST_SHARE)
        out[0, i] = (c[i] - c1[i]) * unit
        out[1, i] = (c[i] - c3[i]) * unit
        out[2, i] = (c[i] - c6[i]) * unit
        for f in (4, 5, 7, 8, 10, 11, 12):
            out[f, i] = documented[f, i] * unit
        out[9, i] = (c[i] - documented[9, i]) * unit
        for f in (3, 6, 13):
            out[f, i] = documented[f, i]


@njit(nogil=True, error_model="numpy")
def _free_of_scale(
    close: Float64, measured: Float64, span: Span, scratch: Float64, out: Float64
) -> None:
    """Put the columns that need no documented features into the rows of `out`, but for those of the
    time of day.

    They are the return in percent, and the squares of the other columns, of which `_hand_out` takes
    the roots. Of roots, one bad tick among the training bars does not take up the whole range from
    which a forest draws its splits. A departure is the largest of true range, wick and volume, each
    weighted so that equal values are equally rare.
    """
    first, count = span
    c, c1 = close[first : first + count], close[first - 1 :]
    percent = out[RETURN_COLUMN]
    for i in range(count):
        percent[i] = 100.0 * (c[i] / c1[i] - 1.0)
    change, gap, moved, wick = measured[0], measured[1], measured[2], measured[3]
    volume, unrest, steady_unrest = measured[4], measured[5], measured[STEADY_MEASURE]
    loud = scratch[0]
    for i in range(count):
        loud[i] = max(moved[i], WICK_WEIGHT * wick[i])
    by_fast, by_slow = out[14], out[15]
    for i in range(count):
        by_fast[i] = abs(change[i])
        by_slow[i] = abs(change[i]) * unrest[i]
    opened = out[16]
    for i in range(count):
        opened[i] = abs(gap[i])
    by_fast, by_slow, by_steady = out[17], out[18], out[STEADY_COLUMN]
    for i in range(count):
        by_fast[i] = max(loud[i], VOLUME_WEIGHT * volume[i])
    for i in range(count):
        by_slow[i] = max(loud[i] * unrest[i], VOLUME_WEIGHT * volume[i])
    for i in range(count):
        departed = max(loud[i] * steady_unrest[i], VOLUME_WEIGHT * volume[i])
        by_steady[i] = max(departed, LEAST_DEPARTURE)


@njit(nogil=True, error_model="numpy")
def _recall(
    bars: Bars, calendar: tuple[Int64, Int64], place: tuple[int, int], rings: Rings, out: Float64
) -> None:
    """Put into the rows of `out` what was usual at the time of day of each of a series' rows, in
    the sessions before it.

    Of at most 20 earlier bars of the same time of day: 0 half the second largest true range (over
    the close before it), 1 the same of the size of the return, 2 the same of volume, 3 the mean
    fourth root of the true range, 4 how many bars there are. A new value exceeds the second largest
    of 20 equally seldom at a time of day that jumps, such as the open, and at a quiet one; and one
    bad tick does not move it. The bars lie at most `window` bars before the row's anchor, so that
    they do not depend on what was loaded.
    calendar: clock of each row, and its position in the stored series. place: bars from anchor to
    anchor, and `window`.
    """
    clocks, indices = calendar
    anchor_bars, window = place
    positions, values, pushed = rings
    _, high, low, close, volume = bars
    pushed[:] = 0
    for t in range(1, close.size):
        clock, index = clocks[t], indices[t]
        oldest = max(index // anchor_bars * anchor_bars - window, 0)
        known = min(pushed[clock], CLOCK_SESSIONS)
        count = 0
        while (
            count < known
            and positions[clock, (pushed[clock] - 1 - count) % CLOCK_SESSIONS] >= oldest
        ):
            count += 1
        for value in range(3):
            first = second = 0.0
            for back in range(1, count + 1):
                found = values[clock, (pushed[clock] - back) % CLOCK_SESSIONS, value]
                if found > first:
                    first, second = found, first
                elif found > second:
                    second = found
            out[value, t] = 0.5 * second
        total = 0.0
        for back in range(1, count + 1):
            total += values[clock, (pushed[clock] - back) % CLOCK_SESSIONS, 3]
        out[3, t], out[4, t] = total / max(count, 1), count
        at = pushed[clock] % CLOCK_SESSIONS
        c1 = close[t - 1]
        moved = (max(high[t], c1) - min(low[t], c1)) / c1
        # The position of the bar before, which the values of this bar need as well.
        positions[clock, at] = indices[t - 1]
        values[clock, at, 0], values[clock, at, 1] = moved, abs(close[t] - c1) / c1
        values[clock, at, 2] = volume[t]
        values[clock, at, 3] = np.sqrt(np.sqrt(min(moved, LARGEST_SHARE)))
        pushed[clock] += 1


@njit(nogil=True, error_model="numpy")
def _compare_by_clock(
    bars: Bars, recalled: tuple[Float64, Float64], span: Span, measured: Float64, columns: Float64
) -> None:
    """Put how far the span's rows are from what is usual at their time of day into rows of
    `measured` and `columns`.

    recalled: the rows of `_recall`, and the fourth root of the true range, of the same bars. Where
    fewer than FEWEST_SESSIONS bars of a time of day are known, all values count as usual (1). The
    slow yardstick is the usual range of the time of day; the fast one is the slow one times how
    lively the 20 bars before were for their times of day.
    """
    first, count = span
    usual, roots = recalled
    open_, high, low, close, volume = bars
    for i in range(count):
        t = first + i
        for row in range(5):
            measured[CLOCK_MEASURES + row, i] = 1.0
        for row in range(4):
            columns[CLOCK_COLUMNS + row, i] = 1.0
        if usual[4, t] < FEWEST_SESSIONS:
            continue
        lately = expected = 0.0
        for back in range(1, WINDOW + 1):
            if usual[4, t - back] >= FEWEST_SESSIONS:
                lately += roots[t - back]
                expected += usual[3, t - back]
        unrest = lately / expected if expected > 0.0 else 1.0
        unrest = min(max(unrest * unrest * unrest * unrest, 1.0 / BOUND), BOUND)
        slow = max(usual[0, t], SMALLEST_SHARE)
        change = max(usual[1, t], LEAST_RETURN * slow)
        fast = max(slow * unrest, SMALLEST_SHARE)
        c1 = close[t - 1]
        moved = (close[t] - c1) / c1
        true_range = (max(high[t], c1) - min(low[t], c1)) / c1
        wick = max(high[t] - max(open_[t], close[t]), min(open_[t], close[t]) - low[t]) / c1
        loud = volume[t] / usual[2, t] if usual[2, t] > 0.0 else 1.0
        measured[CLOCK_MEASURES, i] = moved / slow
        measured[CLOCK_MEASURES + 1, i] = true_range / slow
        measured[CLOCK_MEASURES + 2, i] = wick / slow
        measured[CLOCK_MEASURES + 3, i] = loud
        measured[CLOCK_MEASURES + 4, i] = fast / slow
        wide = max(true_range, WICK_WEIGHT * wick)
        loud = VOLUME_WEIGHT * loud
        columns[CLOCK_COLUMNS, i] = max(abs(moved) / (change * unrest), LEAST_CLOCK_RETURN)
        columns[CLOCK_COLUMNS + 1, i] = max(abs(moved) / change, LEAST_CLOCK_RETURN)
        columns[CLOCK_COLUMNS + 2, i] = max(wide / fast, loud)
        columns[CLOCK_COLUMNS + 3, i] = max(wide / slow, loud)


@njit(nogil=True, error_model="numpy")
def _score_block(
    bars: Bars,
    lately: Float64,
    known: tuple[Float64, Float64],
    span: Span,
    scratch: Float64,
    out: tuple[Float64, Float64],
) -> None:
    """Put the measures and the columns that need no documented features into `out`.

    known: the rows of `_prepare` and those of `_recall` of the same bars; the latter are empty
        where
    the time of day does not count.
    """
    prepared, recalled = known
    measured, columns = out
    _find_yardsticks(bars[3], lately, prepared, span, scratch, measured)
    _measure(bars, scratch, span, measured)
    _free_of_scale(bars[3], measured, span, scratch, columns)
    if recalled.size:
        _compare_by_clock(bars, (recalled, prepared[0]), span, measured, columns)


@njit(nogil=True, error_model="numpy")
def _hand_out(
    measured: Float64,
    columns: Float64,
    picked: Int64,
    span: Span,
    inputs: Float32,
    measures: Float32,
) -> None:
    """Copy the measures and the `picked` columns of a block into `measures` and `inputs`, from the
    bar that `span` names on; the columns as roots, on the grid and within the bounds.
    """
    to, count = span
    for f in range(measures.shape[0]):
        measure = measures[f, to : to + count]
        for i in range(count):
            measure[i] = measured[f, i]
    for f in range(picked.size):
        column = columns[picked[f]]
        if picked[f] >= PRICE_COLUMNS and picked[f] != RETURN_COLUMN:
            for i in range(count):
                column[i] = np.sqrt(column[i])
        for i in range(count):
            column[i] = np.rint(min(max(column[i], -BOUND), BOUND) * GRID) / GRID
        for i in range(count):
            inputs[to + i, f] = column[i]


_floats = types.Array(float64, 1, "C", readonly=True)
_integers = types.Array(int64, 1, "C", readonly=True)


# numba's tuple types are classes without annotations.
_tuple_of: Any = types.UniTuple
_mixed: Any = types.Tuple
_out = _mixed((int64[::1], float64[:, ::1], float32[:, ::1], float32[:, ::1]))


@njit(
    int64(
        _tuple_of(_floats, 5),
        _tuple_of(_integers, 3),
        _tuple_of(_integers, 4),
        _tuple_of(int64, 5),
        _integers,
        _out,
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def run_kernel(
    bars: Bars,
    calendar: tuple[Int64, Int64, Int64],
    layout: tuple[Int64, Int64, Int64, Int64],
    rules: tuple[int, int, int, int, int],
    picked: Int64,
    out: tuple[Int64, Float64, Float32, Float32],
) -> int:
    """Compute the features of the bars of q spans of rows, and return how many bars they are.

    All input arrays must be marked read-only, as the signature has them so. The caller must have
    loaded the history of each span.

    bars: open, high, low, close, volume, each (n,), without bars that are set aside. calendar:
    sessions, clocks and positions in the stored series, each (n,). layout: offsets of the series
    (k + 1,), and of each span its series, its first row and the row after its last, each (q,).
    rules: bars from anchor to anchor, bars of history, 1 where VWAP starts with the session, how
    many bars before an anchor are looked at for what is usual at a time of day (0 where no column
    needs that), and the warm-up: a row with fewer bars in its history is left out. picked: (d,)
    positions in COLUMNS. out: arrays to fill, rows (m,), and either documented (m, 14), or inputs
    (m, d) and measures (12, m); the others are empty.
    """
    offsets, series, first_rows, stop_rows = layout
    anchor_bars, history_bars, intraday, clock_bars, warm_up = rules
    sessions, clocks, positions = calendar
    rows, documented, inputs, measures = out
    scores, documents = measures.size > 0, documented.size > 0
    needs_documented = documents or (picked < PRICE_COLUMNS).any()
    longest = np.max(offsets[1:] - offsets[:-1]) if scores else 0
    prepared = np.empty((3, longest))
    recalled = np.zeros((5, longest if clock_bars else 0))
    most = np.max(clocks) + 1 if scores and clock_bars else 0
    rings = (
        np.empty((most, CLOCK_SESSIONS), np.int64),
        np.empty((most, CLOCK_SESSIONS, 4)),
        np.zeros(most, np.int64),
    )
    longest_block = history_bars + anchor_bars
    recursions, lately, typical, scratch = (
        np.empty((5, longest_block if needs_documented else 0)),
        np.empty(longest_block if scores else 0),
        np.empty(longest_block),
        np.empty((5, anchor_bars)),
    )
    features, measured, columns = (
        np.empty((documented.shape[1], anchor_bars)),
        np.empty((measures.shape[0] + 2, anchor_bars)),
        np.empty((len(COLUMNS), anchor_bars)),
    )
    measured[:], columns[:] = 1.0, 1.0
    to, begun = 0, -1
    for each in range(series.size):
        begin, end = offsets[series[each]], offsets[series[each] + 1]
        row, last = first_rows[each], stop_rows[each]
        if scores and row < last:
            _prepare(_cut(bars, begin, end), prepared)
            if clock_bars:
                own, within = (clocks[begin:end], positions[begin:end]), (anchor_bars, clock_bars)
                _recall(_cut(bars, begin, end), own, within, rings, recalled)
        while row < last:
            anchor = positions[row] // anchor_bars * anchor_bars
            start = begin + np.searchsorted(positions[begin:end], anchor - history_bars)
            stop = begin + np.searchsorted(positions[begin:end], anchor + anchor_bars)
            stop = min(stop, last)
            row = max(row, min(start + warm_up, stop))
            if row == stop:
                continue
            span = row - start, stop - row
            block = _cut(bars, start, min(start + longest_block, end))
            # A block that starts where the last one did has the same recursions.
            if start != begun:
                _begin_block(block, recursions, lately)
                begun = start
            if needs_documented:
                own_sessions = sessions[start:stop] if intraday else sessions[:0]
                _document(block, own_sessions, recursions, span, (scratch, typical), features)
                _free_of_price(block[3], recursions[0], features, span, columns)
            if documents:
                documented[to : to + span[1]] = features[:, : span[1]].T
            if scores:
                part = slice(start - begin, stop - begin)
                known = prepared[:, part], recalled[:, part]
                _score_block(block, lately, known, span, scratch, (measured, columns))
                _hand_out(measured, columns, picked, (to, span[1]), inputs, measures)
            rows[to : to + span[1]] = np.arange(row, stop)
            row, to = stop, to + span[1]
    return to
