"""The compiled arithmetic of taking moves apart, a ticker at a time: 5,000 tickers take some ms.

Functions that are called from outside have a signature, so they are compiled when the module is
loaded, and cached on disk. All compiled code is in this file, because numba's cache notices changes
of no other file.
"""

from math import isfinite, nan, sqrt

import numpy as np
from numba import boolean, float64, int64, njit, types

from core.arrays import Bools, Float64, Int64

LEAST_BARS = 60
YARDSTICK_BARS = 60
OWN_WEIGHT = 0.67
# In a normal distribution, the factor from the median of absolute values to the deviation.
MAD_TO_DEVIATION = 1.4826
LEAST_Z = 2.0
MARKET_Z = 2.5
# The index is the market's move unless the median of at least this many other tickers shows that
# most did not move with it: then one heavy sector or member moved it.
LEAST_OTHERS = 5
OTHERS_Z = 2.0
# A sector that is at least this share of all tickers is left out of its members' market.
LARGE_SECTOR = 0.2
LARGEST_Z = 1000.0
# To see who moved first, this many bars before are looked at.
MOST_BEFORE = 3
# With at least this many values, the median is searched among those that a sample says are near it.
MANY, SAMPLE = 1_000, 200
_table = types.Array(float64, 2, "C", readonly=True)
_row = types.Array(float64, 1, "C", readonly=True)
_numbers = types.Array(int64, 1, "C", readonly=True)
_medians = types.Array(float64, 3, "C", readonly=True)
_marks = types.Array(boolean, 1, "C", readonly=True)


@njit()
def find_middle(values: Float64, count: int, middle: Float64) -> None:
    """Write into `middle` what `leave_out` needs to know about the first `count` values, all
    finite: the three around the median of all but one of them, and their number. The values are
    reordered.
    """
    middle[:] = nan
    middle[3] = count
    if count < 2:
        return
    # The order statistics around the middle of the others, of whom there is one fewer.
    low = (count - 2) // 2
    below, count = narrow(values, count, low) if count >= MANY else (0, count)
    low -= below
    part(values, count, low + 1)
    first, second = values[0], values[low + 1]
    for i in range(1, low + 1):
        first = max(first, values[i])
    third = second
    if low + 2 < count:
        third = values[low + 2]
        for i in range(low + 3, count):
            third = min(third, values[i])
    middle[0], middle[1], middle[2] = first, second, third


@njit()
def narrow(values: Float64, count: int, low: int) -> tuple[int, int]:
    """Move to the front those of many values among which the ranks `low` to `low + 2` lie; return
    how many values are below them, and how many were moved.

    They lie between two values of a sample (Floyd and Rivest 1975); where the sample misleads, all
    are kept.
    """
    step = count // SAMPLE
    sample = np.sort(values[:count:step])
    middle = len(sample) * low // count
    spread = int(2.0 * sqrt(len(sample)))
    bottom = sample[max(middle - spread, 0)]
    top = sample[min(middle + spread + 1, len(sample) - 1)]
    below, inside = 0, 0
    kept = np.empty(count)
    for i in range(count):
        below += values[i] < bottom
        kept[inside] = values[i]
        inside += (values[i] >= bottom) & (values[i] <= top)
    if low < below or low + 2 >= below + inside:
        return 0, count
    for i in range(inside):
        values[i] = kept[i]
    return below, inside


@njit()
def leave_out(value: float, middle: Float64) -> float:
    """Return the median of all values but this one; NaN where it is none, or is the only one."""
    if not isfinite(value):
        return nan
    first, second, third = float(middle[0]), float(middle[1]), float(middle[2])
    lower = first if value > first else second
    if middle[3] % 2 == 0:
        return lower
    return (lower + (second if value > second else third)) / 2.0


@njit()
def part(values: Float64, count: int, k: int) -> None:
    """Put the k-th smallest of the first `count` values at its place, with none larger before it
    and none smaller behind (Hoare's quickselect, median of three), without a copy.
    """
    left, right = 0, count - 1
    while right > left + 1:
        half = (left + right) // 2
        values[half], values[left + 1] = values[left + 1], values[half]
        if values[left] > values[right]:
            values[left], values[right] = values[right], values[left]
        if values[left + 1] > values[right]:
            values[left + 1], values[right] = values[right], values[left + 1]
        if values[left] > values[left + 1]:
            values[left], values[left + 1] = values[left + 1], values[left]
        pivot = values[left + 1]
        i, j = left + 1, right
        while True:
            i += 1
            while values[i] < pivot:
                i += 1
            j -= 1
            while values[j] > pivot:
                j -= 1
            if j < i:
                break
            values[i], values[j] = values[j], values[i]
        values[left + 1], values[j] = values[j], pivot
        if j >= k:
            right = j - 1
        if j <= k:
            left = i
    if right == left + 1 and values[right] < values[left]:
        values[left], values[right] = values[right], values[left]


@njit(float64[:, ::1](_table), cache=True)
def find_others_median(values: Float64) -> Float64:
    """Return for each of n rows the median, bar by bar, of all other rows, shape (n, t).

    Missing values do not count; where the row itself has none, or no other has, it is NaN.
    """
    n, t = values.shape
    found = np.empty((n, t))
    present, middle = np.empty(n), np.empty(4)
    for bar in range(t):
        # A plain 0 would have a type of its own, and everything would be compiled once more for it.
        count = int(np.int64(0))
        for i in range(n):
            if isfinite(values[i, bar]):
                present[count] = values[i, bar]
                count += 1
        find_middle(present, count, middle)
        for i in range(n):
            found[i, bar] = leave_out(values[i, bar], middle)
    return found


@njit()
def find_sectors(  # noqa: PLR0917 - what is compiled has no arguments by name only
    moves: Float64,
    index: Float64,
    medians: Float64,
    which: Int64,
    beta: Float64,
    mean: Float64,
    order: Int64,
    starts: Int64,
    wanted: Bools,
) -> Float64:
    """Return for each wanted ticker, in their order, its sector's move, shape (wanted, t): the
    median of what the market leaves of the moves of the sector's other members, 0 where it has
    none.
    """
    t, n = moves.shape
    place = np.cumsum(wanted) - 1
    found = np.zeros((place[-1] + 1 if n else 0, t))
    beyond, present, middle = np.empty(n), np.empty(n), np.empty(4)
    sectors = len(starts) - 1
    asked = np.zeros(sectors, np.bool_)
    for each in range(sectors):
        asked[each] = wanted[order[starts[each] : starts[each + 1]]].any()
    # Bar by bar, in the memory order of moves.
    for bar in range(t):
        for each in range(sectors):
            if not asked[each]:
                continue
            count = int(np.int64(0))
            for at in range(starts[each], starts[each + 1]):
                i = order[at]
                value = moves[bar, i]
                factor = index[bar] if which[i] < 0 else leave_out(value, medians[bar, which[i]])
                beyond[i] = value - beta[i] * factor - mean[i]
                if isfinite(beyond[i]):
                    present[count] = beyond[i]
                    count += 1
            find_middle(present, count, middle)
            for at in range(starts[each], starts[each + 1]):
                i = order[at]
                others = leave_out(beyond[i], middle) if wanted[i] else nan
                if isfinite(others):
                    found[place[i], bar] = others
    return found


@njit()
def choose_markets(n: int, index: Float64, medians: Float64, order: Int64, starts: Int64) -> Int64:
    """Return for each of n tickers which of the medians of `find_medians` is the market; negative
    for the index.

    The market is the index or, without one, the median of the other tickers. For members of a large
    sector it is the median of the tickers outside it, so that a shock of the sector is not taken
    for the market's. If the index moved and these others did not, one sector or member moved it,
    and the median of the others is used. `medians` is empty for an index that did not move.
    """
    which = np.full(n, -1 if index.size else 0)
    if not len(medians):
        return which
    if index.size and n > LEAST_OTHERS and not goes_with(index, medians, 0):
        which[:] = 0
    used = 1
    for each in range(len(starts) - 1):
        members = order[starts[each] : starts[each + 1]]
        if len(members) < LARGE_SECTOR * n:
            continue
        if not is_left_out(len(members), n):
            which[members] = -1 if index.size else 0
            continue
        kept = index.size > 0 and goes_with(index, medians, used)
        which[members] = -1 if kept else used
        used += 1
    return which


@njit()
def goes_with(index: Float64, medians: Float64, group: int) -> bool:
    """Whether the median of the others moved on the last bar too, in the same direction."""
    others = np.full(len(index), nan)
    for bar in range(len(index)):
        middle = medians[bar, group]
        others[bar] = middle[1] if middle[3] % 2 == 1 else (middle[0] + middle[1]) / 2.0
    z = scale_last(others)
    return abs(z) >= OTHERS_Z and (z > 0.0) == (index[-1] > 0.0)


@njit()
def find_market(
    moves: Float64,
    bars: Int64,
    among: Bools,
    whole: bool,  # noqa: FBT001 - what is compiled has no arguments by name only
    found: Float64,
    group: int,
) -> None:
    """Write for some bars, shape (t, k, 4), what `leave_out` needs for the median of a group of
    tickers: of all others of them or, as a `whole`, of all of them.
    """
    n = moves.shape[1]
    present = np.empty(n)
    for bar in bars:
        count = int(np.int64(0))
        for i in range(n):
            if among[i] and isfinite(moves[bar, i]):
                present[count] = moves[bar, i]
                count += 1
        middle = found[bar, group]
        find_middle(present, count, middle)
        if whole:
            if count % 2 == 0:
                middle[1] = (middle[0] + middle[1]) / 2.0
            middle[0] = middle[2] = middle[1]
            middle[3] = 0.0 if count < 2 else 2.0


@njit()
def is_left_out(members: int, n: int) -> bool:
    """Whether a sector of so many members is left out of its members' market, with enough other
    tickers left.
    """
    return members >= LARGE_SECTOR * n and n - members >= LEAST_OTHERS


@njit(int64(int64, _numbers), cache=True)
def count_medians(n: int, starts: Int64) -> int:
    """Return of how many groups of n tickers the median may be the market: of all, and of all
    outside each large sector.
    """
    count = 1
    for each in range(len(starts) - 1):
        count += is_left_out(starts[each + 1] - starts[each], n)
    return count


@njit(types.void(_table, _numbers, _numbers, _numbers, float64[:, :, ::1]), cache=True)
def find_medians(moves: Float64, bars: Int64, order: Int64, starts: Int64, found: Float64) -> None:
    """Write for some bars what `leave_out` needs for the medians that may be the market, shape (t,
    `count_medians`, 4): of all tickers, then of those outside each large sector.
    """
    n = moves.shape[1]
    everybody = np.ones(n, np.bool_)
    find_market(moves, bars, everybody, False, found, 0)  # noqa: FBT003 - likewise
    used = 1
    for each in range(len(starts) - 1):
        members = order[starts[each] : starts[each + 1]]
        if is_left_out(len(members), n):
            outside = everybody.copy()
            outside[members] = False
            find_market(moves, bars, outside, True, found, used)  # noqa: FBT003 - likewise
            used += 1


@njit()
def fit_all(
    moves: Float64, index: Float64, medians: Float64, which: Int64
) -> tuple[Float64, Float64]:
    """Return the shrunk market beta of each ticker, and the mean of what the market leaves of its
    moves, over all bars but the last; NaN with fewer than 60.
    """
    t, n = moves.shape
    counts, sum_x, sum_y = np.zeros(n), np.zeros(n), np.zeros(n)
    sum_xx, sum_xy = np.zeros(n), np.zeros(n)
    for bar in range(t - 1):
        for i in range(n):
            y = moves[bar, i]
            x = index[bar] if which[i] < 0 else leave_out(y, medians[bar, which[i]])
            if isfinite(y) and isfinite(x):
                counts[i] += 1.0
                sum_x[i] += x
                sum_y[i] += y
                sum_xx[i] += x * x
                sum_xy[i] += x * y
    beta, mean = np.full(n, nan), np.full(n, nan)
    for i in range(n):
        if counts[i] < LEAST_BARS:
            continue
        spread = sum_xx[i] - sum_x[i] * sum_x[i] / counts[i]
        together = sum_xy[i] - sum_x[i] * sum_y[i] / counts[i]
        beta[i] = shrink(together / spread if spread > 0.0 else 0.0)
        mean[i] = (sum_y[i] - beta[i] * sum_x[i]) / counts[i]
    return beta, mean


@njit()
def fit_slope(y: Float64, x: Float64) -> float:
    """Return the least-squares slope over all bars but the last that have both;
    NaN with fewer than 60, 0 where x does not move.
    """
    count, sum_x, sum_y, sum_xx, sum_xy = 0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(y) - 1):
        if isfinite(y[i]) and isfinite(x[i]):
            count += 1
            sum_x += x[i]
            sum_y += y[i]
            sum_xx += x[i] * x[i]
            sum_xy += x[i] * y[i]
    if count < LEAST_BARS:
        return nan
    spread = sum_xx - sum_x * sum_x / count
    return (sum_xy - sum_x * sum_y / count) / spread if spread > 0.0 else 0.0


@njit()
def shrink(slope: float) -> float:
    """Return a beta between that of least squares and one."""
    return OWN_WEIGHT * slope + (1.0 - OWN_WEIGHT)


@njit()
def average(values: Float64) -> float:
    """Return the mean of all bars but the last that are there; NaN of none."""
    count, total = 0, 0.0
    for i in range(len(values) - 1):
        if isfinite(values[i]):
            count += 1
            total += values[i]
    return total / count if count else nan


@njit(float64(_row), cache=True)
def scale_last(values: Float64) -> float:
    """Return the last bar's move in usual deviations of the bars before.

    The usual deviation is the smaller of two: that of the last 60 bars, which follows calm and
    turmoil, and that of all bars by their median, which an earlier shock does not widen. The second
    is computed only if the first gives more than 2. The result is at most 1,000, also if nothing
    ever moved before; NaN with fewer than 60 bars.
    """
    last = abs(values[-1])
    usual = last / (LEAST_Z * MAD_TO_DEVIATION)
    sizes = np.empty(len(values))
    count, recent, total, squares, below = 0, 0, 0.0, 0.0, 0
    for i in range(len(values) - 2, -1, -1):
        if isfinite(values[i]):
            sizes[count] = abs(values[i])
            below += sizes[count] < usual
            count += 1
            if recent < YARDSTICK_BARS:
                recent += 1
                total += values[i]
                squares += values[i] * values[i]
    if count < LEAST_BARS:
        return nan
    yardstick = sqrt(max(squares / recent - (total / recent) ** 2, 0.0))
    middle = count // 2
    if below > middle:
        part(sizes, count, middle)
        whole = MAD_TO_DEVIATION * sizes[middle]
        if whole > 0.0:
            yardstick = min(yardstick, whole) if yardstick > 0.0 else whole
    if last == 0.0 or not isfinite(last):
        return float(values[-1])
    if yardstick * LARGEST_Z <= last:  # also where nothing ever moved
        return LARGEST_Z if values[-1] > 0.0 else -LARGEST_Z
    return float(values[-1] / yardstick)


@njit()
def count_moving(values: Float64) -> int:
    """Return on how many consecutive bars just before the last the moves were as strange, in the
    same direction.
    """
    count = int(np.int64(0))
    while count < MOST_BEFORE:
        z = scale_last(values[: len(values) - 1 - count])
        if not (abs(z) >= MARKET_Z and (z > 0.0) == (values[-1] > 0.0)):
            break
        count += 1
    return count


@njit(float64[:, ::1](_table, _row, _medians, _numbers, _numbers, _marks), cache=True)
def take_columns_apart(
    moves: Float64, index: Float64, medians: Float64, order: Int64, starts: Int64, wanted: Bools
) -> Float64:
    """Return by rows, shape (12, n): alpha, both betas, market, sector, own, z of these three and
    of what is left with a sector's beta of one, and by how many bars market and sector lead.

    Bars are gone through one after the other, as they lie in memory; what the market was for each
    ticker is made as it is needed.

    Args:
        moves: shape (t, n), log returns; the last bar is decomposed.
        index: shape (t,), the market factor; empty for the median of the other tickers.
        medians: shape (t, k, 4), from `find_medians`; empty if an index is given that did not move.
        order: the n tickers, with those of one sector side by side.
        starts: where in `order` each sector starts, and where the last ends.
        wanted: shape (n,), whether each ticker is decomposed; for the others only what these need
            is computed.
    """
    t, n = moves.shape
    which = choose_markets(n, index, medians, order, starts)
    beta, mean = fit_all(moves, index, medians, which)
    sector = find_sectors(moves, index, medians, which, beta, mean, order, starts, wanted)
    found = np.full((12, n), nan)
    row, beyond, own_moves = np.empty(t), np.empty(t), np.empty(t)
    place = -1
    for i in range(n):
        if not wanted[i]:
            continue
        place += 1
        for bar in range(t):
            row[bar] = (
                index[bar] if which[i] < 0 else leave_out(moves[bar, i], medians[bar, which[i]])
            )
            beyond[bar] = moves[bar, i] - beta[i] * row[bar] - mean[i]
            own_moves[bar] = moves[bar, i]
        beta_sector = shrink(fit_slope(beyond, sector[place]))
        rest = beyond - beta_sector * sector[place]
        remains = average(rest)
        own = rest[-1] - remains
        alone = beyond - sector[place]
        at_sector = sector[place, -1]
        found[0, i] = moves[-1, i] - beta[i] * row[-1] - beta_sector * at_sector - own
        found[1, i], found[2, i] = beta[i], beta_sector
        found[3, i], found[4, i], found[5, i] = row[-1], at_sector, own
        found[6, i], found[7, i] = scale_last(row), scale_last(sector[place])
        found[8, i] = scale_last(rest - remains)
        found[9, i] = scale_last(alone - average(alone))
        since = count_moving(own_moves)
        found[10, i] = count_moving(row) - since
        found[11, i] = count_moving(sector[place]) - since
    return found


@njit(float64[::1](_table, _row, _row, _numbers, boolean), cache=True)
def measure_without(
    moves: Float64,
    whole: Float64,
    shares: Float64,
    left: Int64,
    together: bool,  # noqa: FBT001 - what is compiled has no arguments by name only
) -> Float64:
    """Return how strange the last bar of a whole is: with all of its members, and without each of
    some, alone or together with those before.

    Args:
        moves: shape (t, n), log returns of the members; NaN where there is none.
        whole: shape (t,), log returns of the whole; empty if it is the mean of its members.
        shares: shape (n,), the weight of each member's return in that of the whole.
        left: shape (m,), the members to leave out.
        together: whether each member is left out together with those before it.
    """
    t, n = moves.shape
    found = np.empty(len(left) + 1)
    total, count, rest = np.zeros(t), np.zeros(t), np.empty(t)
    for bar in range(t):
        for i in range(n):
            if isfinite(moves[bar, i]):
                total[bar] += moves[bar, i]
                count[bar] += 1.0
        if whole.size:
            total[bar], count[bar] = whole[bar], 1.0
    for bar in range(t):
        rest[bar] = total[bar] / count[bar] if count[bar] else nan
    found[0] = scale_last(rest)
    for each in range(len(left)):
        i = left[each]
        for bar in range(t):
            gone = isfinite(moves[bar, i])
            of_total = total[bar] - (shares[i] * moves[bar, i] if gone else 0.0)
            of_count = count[bar] - (1.0 if gone and not whole.size else 0.0)
            rest[bar] = of_total / of_count if of_count else nan
            if together:
                total[bar], count[bar] = of_total, of_count
        found[each + 1] = scale_last(rest)
    return found
