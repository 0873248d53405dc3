"""The arithmetic of taking moves apart, a ticker at a time: compiled, for 5,000 in some ms."""

from math import isfinite, nan, sqrt

import numpy as np
from numba import njit

from core.arrays import Bools, Float64, Int64

LEAST_BARS = 60
YARDSTICK_BARS = 60
OWN_WEIGHT = 0.67
# Of a normal distribution, what makes the median of absolute values its deviation.
MAD_TO_DEVIATION = 1.4826
LEAST_Z = 2.0
LARGEST_Z = 1000.0


@njit(cache=True)
def find_others_median(values: Float64) -> Float64:
    """Return for each of n rows the median, bar by bar, of all other rows, shape (n, t).

    Missing values do not count; where the row itself has none, or no other has, it is NaN.
    """
    return find_medians_by_bar(values.T.copy()).T.copy()


@njit(cache=True)
def find_medians_by_bar(by_bar: Float64) -> Float64:
    """Return the same of values by bar, shape (t, n); no copy of them is made."""
    t, n = by_bar.shape
    found = np.full((t, n), nan)
    present = np.empty(n)
    for bar in range(t):
        count = 0
        for i in range(n):
            if isfinite(by_bar[bar, i]):
                present[count] = by_bar[bar, i]
                count += 1
        if count < 2:
            continue
        # The order statistics around the middle of the others, of whom there is one fewer.
        low = (count - 2) // 2
        parted = np.partition(present[:count], low + 1)
        second, first, third = parted[low + 1], parted[0], parted[low + 1]
        for i in range(1, low + 1):
            first = max(first, parted[i])
        if low + 2 < count:
            third = parted[low + 2]
            for i in range(low + 3, count):
                third = min(third, parted[i])
        for i in range(n):
            value = by_bar[bar, i]
            if isfinite(value):
                lower = first if value > first else second
                if count % 2 == 0:
                    found[bar, i] = lower
                else:
                    found[bar, i] = (lower + (second if value > second else third)) / 2.0
    return found


@njit(cache=True)
def take_columns_apart(
    moves: Float64, market: Float64, order: Int64, starts: Int64, wanted: Bools
) -> tuple[
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
    Float64,
]:
    """Return alpha, both betas, market, sector, own, and z of these three and of what is left
    with a sector's beta of one.

    Args:
        moves: shape (n, t), log returns; the last bar is taken apart.
        market: shape (1, t) or (n, t), the market factor.
        order: the n rows, those of one sector side by side.
        starts: where in `order` each sector starts, and where the last ends.
        wanted: shape (n,), the rows that are taken apart; of the others only what these need.
    """
    n, t = moves.shape
    alpha, beta_market, beta_sector = np.full(n, nan), np.full(n, nan), np.full(n, nan)
    z_market, z_sector, z_own, z_alone = (
        np.full(n, nan),
        np.zeros(n),
        np.full(n, nan),
        np.full(n, nan),
    )
    own, at_market = np.full(n, nan), np.full(n, nan)
    beyond = np.full((n, t), nan)
    sector = np.zeros((n, t))
    common = scale_last(market[0]) if market.shape[0] == 1 else nan
    for i in range(n):
        row = market[0] if market.shape[0] == 1 else market[i]
        beta_market[i] = shrink(fit_slope(moves[i], row))
        at_market[i] = row[-1]
        if wanted[i]:
            z_market[i] = common if market.shape[0] == 1 else scale_last(row)
        for bar in range(t):
            beyond[i, bar] = moves[i, bar] - beta_market[i] * row[bar]
        beyond[i] -= average(beyond[i])
    for each in range(len(starts) - 1):
        members = order[starts[each] : starts[each + 1]]
        if not wanted[members].any():
            continue
        factor = find_others_median(beyond[members])
        for position in range(len(members)):
            if not wanted[members[position]]:
                continue
            for bar in range(t):
                if isfinite(factor[position, bar]):
                    sector[members[position], bar] = factor[position, bar]
            z_sector[members[position]] = scale_last(sector[members[position]])
    for i in range(n):
        if not wanted[i]:
            continue
        row = market[0] if market.shape[0] == 1 else market[i]
        beta_sector[i] = shrink(fit_slope(beyond[i], sector[i]))
        rest = beyond[i] - beta_sector[i] * sector[i]
        remains = average(rest)
        z_own[i] = scale_last(rest - remains)
        own[i] = rest[-1] - remains
        alpha[i] = moves[i, -1] - beta_market[i] * row[-1] - beta_sector[i] * sector[i, -1] - own[i]
        alone = beyond[i] - sector[i]
        z_alone[i] = scale_last(alone - average(alone))
    return (
        alpha,
        beta_market,
        beta_sector,
        at_market,
        sector[:, -1].copy(),
        own,
        z_market,
        z_sector,
        z_own,
        z_alone,
    )


@njit(cache=True)
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


@njit(cache=True)
def shrink(slope: float) -> float:
    """Return a beta between that of least squares and one."""
    return OWN_WEIGHT * slope + (1.0 - OWN_WEIGHT)


@njit(cache=True)
def average(values: Float64) -> float:
    """Return the mean of all bars but the last that are there; NaN of none."""
    count, total = 0, 0.0
    for i in range(len(values) - 1):
        if isfinite(values[i]):
            count += 1
            total += values[i]
    return total / count if count else nan


@njit(cache=True)
def scale_last(values: Float64) -> float:
    """Return the last bar in the usual deviations of those before.

    The usual is the smaller of two yardsticks: the deviation of the last 60 bars, which follows
    calm and turmoil, and that of all of them by their median, which an earlier shock does not
    widen. The second is looked at where it makes more than 2 of it only. The answer is 1,000 at the
    most, as it is where nothing ever moved before; NaN with fewer than 60 bars.
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
        whole = MAD_TO_DEVIATION * np.partition(sizes[:count], middle)[middle]
        if whole > 0.0:
            yardstick = min(yardstick, whole) if yardstick > 0.0 else whole
    if last == 0.0 or not isfinite(last):
        return float(values[-1])
    if yardstick * LARGEST_Z <= last:  # where nothing ever moved, too
        return LARGEST_Z if values[-1] > 0.0 else -LARGEST_Z
    return float(values[-1] / yardstick)
