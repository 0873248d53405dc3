"""The fused pass from bars to features: one compiled function over all series of a panel.

Work goes by blocks of bars, counted from the start of the stored series. A block's recursions start
at its anchor minus the history; everything else is a sum over a fixed window, added in a fixed
order. So a bar's values are the same to the last bit whatever was loaded around it. `fastmath`
stays off for the same reason: it would let the order of additions depend on the length of a loop.
Loops run over the rows of a block inside and over the bars of a window outside, so that they
compile to vector instructions all the same.

All that is compiled stays in this file: numba's cache notices a change of the file of `run_kernel`,
and of no other.
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
# Of each time of day the last 20 bars: the positions of the bars before them (clocks, 20), values
# (clocks, 20, 4), and how many came.
Rings = tuple[Int64, Float64, Int64]
# The first row to compute within what is at hand, and how many.
Span = tuple[int, int]

# What a model may see of a bar, in the order of `_free_of_scale`; a feature set picks from these.
COLUMNS: tuple[str, ...] = (
    *MARKET14.columns,
    *TWO_YARDSTICKS.columns,
    *TIME_OF_DAY.columns,
    *RETURNS.columns,
    EVENT_COLUMN,
)
# How far a bar is from the ticker's usual, for the words of an anomaly: see `_measure`.
MEASURES: tuple[str, ...] = (
    "return",
    "gap",
    "range",
    "wick",
    "volume",
    "unrest",
    # The same by what is usual at the bar's time of day.
    "clock_return",
    "clock_range",
    "clock_wick",
    "clock_volume",
    # The fast yardstick of a time of day in slow ones, and the other in steady ones.
    "clock_unrest",
    "steady_unrest",
)

# The first columns are of the documented features.
PRICE_COLUMNS = len(MARKET14.columns)
CLOCK_COLUMNS = COLUMNS.index("clock_return_fast")
RETURN_COLUMN = COLUMNS.index("return_percent")
STEADY_COLUMN = COLUMNS.index(EVENT_COLUMN)
CLOCK_MEASURES = MEASURES.index("clock_return")
STEADY_MEASURE = MEASURES.index("steady_unrest")
# What is measured and not handed out.
SLOW, STEADY = len(MEASURES), len(MEASURES) + 1

WINDOW = 20
# The slow yardstick looks back at most 250 bars, in steps of ten; usual volume is that of the last
# 60, and so is the half of the yardstick that knows of a crisis.
SLOW_TENS = 25
VOLUME_TENS = 6
# A yardstick, and the body under the wicks, count as at least one basis point of the close: flat
# prices stay finite.
SMALLEST_SHARE = 1e-4
# What a bar's range may be in the fast yardstick of the bars before it.
LARGEST_RANGE = 3.0
# And what share of the close before it in the slower ones: of a price a billion times off even the
# fourth root is some hundred times the usual one, and would make the mean of a year of them.
LARGEST_SHARE = 1.0
# What makes a wick or volume as rare as a range of so many yardsticks, on daily bars of
# stocks and indices.
WICK_WEIGHT = 2.0
VOLUME_WEIGHT = 0.8
# A smaller departure is a usual one: a forest would take the calmest bars for strange.
LEAST_DEPARTURE = 1.5
# Inputs lie on this grid within these bounds, so float32 holds them exactly, and the float noise
# that another price scale brings (1e-13) is rounded away.
GRID = 65536.0
# What is usual at a time of day is that of the last 20 sessions, and not known of fewer than 10.
CLOCK_SESSIONS = 20
FEWEST_SESSIONS = 10
# A return is measured by at least half the usual range: at some times of day most are next to
# nothing.
LEAST_RETURN = 0.5
# One below what is usual at its time counts as a usual one, as small departures do.
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

    One bar counts as at most three of the usual ones before it: a price that is a hundred times off
    would leave nothing to be seen for 60 bars.
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
    """Run those recursions of a block that have a place to be put."""
    _, high, low, close, _ = bars
    if recursions.size:
        _run_recursions(high, low, close, recursions)
    if lately.size:
        _run_yardstick(high, low, close, lately)


@njit(nogil=True, error_model="numpy")
def _compute_bands(close: Float64, span: Span, out: Float64) -> None:
    """Put into out[0] the mean of 20 closes minus the last one,
    into out[1] their population deviation.
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
    """Put into `out` the typical price weighted by volume over the last 20 bars;
    `shares` is scratch.
    """
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
    """Put into `out` the typical price weighted by volume since the session's first bar."""
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
    """Put the documented features of the span's rows into the rows of `out`;
    without `sessions` VWAP is of the last 20 bars.
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
    """Put into out[t] the sum of the ten values that end at row t, for rows from 10 on:
    row 0 never counts.
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
    """Put into `out` the mean over the `tens` times ten bars that end just before each row,
    `sums` being of ten.

    Where the series has not so many yet, it is over as many tens as there are.
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
            # Five at once, each added in its turn: to go over the rows is most of the work.
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
    """Fill the rows of `out` for a series: what does not depend on where a block begins.

    0 fourth root of the relative true range, of the whole price at most, 1 and 2 sums over ten bars
    of it and of volume.
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
    """Put the slow yardstick of the span's rows, and the steady one, into rows of `out`,
    and into those of `usual` 1 the mean of 60 volumes, 3 the fast yardstick, 4 one over its price.

    The fast yardstick is yesterday's of `_run_yardstick`; the slow one the mean of up to 250 true
    ranges (each over the close before it), as the fourth power of the mean of fourth roots, which
    one bad tick hardly moves; the steady one the geometric mean of it and of that of the last 60
    bars, which grows with a crisis of months.
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
    60 bars; 5 the fast yardstick in slow ones.
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
    """Put the documented features of the span's rows into the rows of `out`,
    in ATR_14 of yesterday where they are prices.
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
    """Put the model's other input columns of the span's rows into the rows of `out`.

    They are the return in percent, and squares of columns: `_hand_out` takes the roots, so that one
    bad tick among the training bars does not take up the whole range that splits are drawn from. A
    departure is the largest of true range, wick and volume, each in the range's measure of rarity.
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
    """Put what was usual at the time of day of each of a series' rows,
    in the sessions before, into the rows of `out`.

    Of at most 20 bars of the same time of day: 0 half the second largest true range (over the close
    before it), 1 the same of the return, 2 of volume, 3 mean fourth root of the true range, 4 how
    many there are. The second largest is passed as seldom by what jumps, such as an
    open, as by what hardly does, and one bad tick does not move it. The bars lie among the `window`
    before the row's anchor and those after it, so that they do not depend on what was loaded.
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
        # A bar is known from the one before it on.
        positions[clock, at] = indices[t - 1]
        values[clock, at, 0], values[clock, at, 1] = moved, abs(close[t] - c1) / c1
        values[clock, at, 2] = volume[t]
        values[clock, at, 3] = np.sqrt(np.sqrt(min(moved, LARGEST_SHARE)))
        pushed[clock] += 1


@njit(nogil=True, error_model="numpy")
def _compare_by_clock(
    bars: Bars, recalled: tuple[Float64, Float64], span: Span, measured: Float64, columns: Float64
) -> None:
    """Put how far the span's rows are from what is usual at their time
    of day into rows of `measured` and `columns`.

    recalled: the rows of `_recall`, and the fourth root of the true range, of the same bars. Of a
        time of day that is
    not known, all counts as usual. The fast yardstick is the slow one, which is that of the time of
    day, times how lively the 20 bars before were for theirs.
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

    known: the rows of `_prepare` and those of `_recall`, if there are any, of the same bars.
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
    """Put what was computed of a block into the bars of `out` that the span names."""
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
    """Compute the bars of some spans of rows and return how many they are;
    arrays that are read must be marked read-only.

    bars: open, high, low, close, volume, each (n,), of the bars that count. calendar: sessions,
    clocks and positions in the stored series, each (n,). layout: offsets of the series (k + 1,),
    and the series of each span, its first row and the one after its last, each (q,); the caller has
    seen to it that the history is loaded. rules: bars from anchor to anchor, bars of history, 1
    where VWAP starts with the session, how many bars before an anchor are looked at for what is
    usual at a time of day (0 where nothing asks for that), and the warm-up: a row that has fewer
    bars in its history is passed over. picked: (d,) positions in COLUMNS. out: to fill, rows (m,),
    and either documented (m, 14), or inputs (m, d) and measures (12, m); what is not asked for is
    empty.
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
            # What begins where the last block did has run already.
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
