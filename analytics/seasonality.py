"""Seasonality: patterns by clock and calendar, and cycles.

For bars of a day and longer the season is 756 returns, for shorter ones the 90 days before the bar;
see `season` for the exact stretch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from analytics.subject import SEASON_BARS, SEASON_DAYS, Column, Subject, is_flat
from core.arrays import Bools, Float64, Int64
from market.intervals import DAY_SECONDS, is_intraday

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = tuple(str(hour) for hour in range(24))
WEEKS = tuple(str(week) for week in range(1, 6))
WEEK_HOURS = tuple(f"{day} {hour:02d}" for day in WEEKDAYS for hour in range(24))
LEAST_OBSERVATIONS = 5
LEAST_SESSIONS = 10
LEAST_CYCLE_BARS = 128
PEAKS = 3
SIGNIFICANCE = 0.05
SEGMENT = 128
BANDS = 8
HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Season:
    """The returns in which the patterns of m bars are looked for, end to end.

    Attributes:
        offsets: shape (m + 1,), where in `rows` the rows of each of the m bars begin.
        rows: shape (r,), the panel's rows that have a return.
        owners: shape (r,), the bar, of m, to which each row belongs.
    """

    offsets: Int64
    rows: Int64
    owners: Int64


def season(s: Subject) -> Season:
    """Return the season of each bar: up to 756 returns, or those of the last 90 days."""
    first = s.firsts + 1
    if is_intraday(s.panel.interval):
        since = s.panel.times[s.rows] - SEASON_DAYS * DAY_SECONDS
        for i in range(s.size):
            own = s.panel.times[first[i] : s.rows[i] + 1]
            first[i] += np.searchsorted(own, since[i], side="right")
    else:
        first = np.maximum(first, s.rows - SEASON_BARS + 1)
    counts = s.rows + 1 - first
    offsets = np.concatenate(([0], np.cumsum(counts)))
    owners = np.repeat(np.arange(s.size), counts)
    rows = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], counts)
    return Season(offsets, rows, owners)


def compute_hourly_pattern(s: Subject) -> Column:
    """Compute return, move and volume by the hour of the exchange's local time."""
    if not is_intraday(s.panel.interval):
        return Column([None] * s.size, reason="daily_bars")
    found = s.once(season)
    days = s.panel.sessions[found.rows]
    new = np.ones(days.size, np.bool_)
    new[1:] = (days[1:] != days[:-1]) | (found.owners[1:] != found.owners[:-1])
    sessions = np.bincount(found.owners[new], minlength=s.size)
    lacks: list[dict[str, int | str] | None] = [
        None if n >= LEAST_SESSIONS else {"needed": LEAST_SESSIONS, "have": n, "of": "sessions"}
        for n in sessions.tolist()
    ]
    patterns = [
        pattern if lack is None else None
        for pattern, lack in zip(_describe(s, _hours(s), HOURS), lacks, strict=True)
    ]
    return Column(patterns, have=np.diff(found.offsets) + 1, lacks=lacks)


def compute_daily_pattern(s: Subject) -> Column:
    """Compute return, move and volume by the day of the week."""
    if s.panel.interval == "1w":
        return Column([None] * s.size, reason="weekly_bars")
    return _pattern(s, _weekdays(s), WEEKDAYS)


def compute_weekly_pattern(s: Subject) -> Column:
    """Compute the same by the week of the month, or by the hour of the week on intraday bars."""
    if not is_intraday(s.panel.interval):
        return _pattern(s, _weeks_of_month(s), WEEKS)
    return _pattern(s, _weekdays(s) * 24 + _hours(s), WEEK_HOURS)


def compute_seasonal_deviation(s: Subject) -> Column:
    """Compute how many deviations the bar's move is from the mean of its own bucket.

    The bucket is the hour on intraday bars, the weekday on daily ones, the week of the month on
    weekly ones.
    """
    buckets = {"1d": _weekdays, "1w": _weeks_of_month}.get(s.panel.interval, _hours)(s)
    found = s.once(season)
    moves = np.abs(s.returns[found.rows])
    last = found.offsets[1:] - 1
    own = np.zeros(moves.size, np.bool_)
    filled = np.diff(found.offsets) > 0
    mine = np.full(s.size, -1)
    mine[filled] = buckets[last[filled]]
    own = buckets == mine[found.owners]
    owners, moves = found.owners[own], moves[own]
    counts = np.bincount(owners, minlength=s.size)
    mean = np.bincount(owners, moves, s.size) / counts
    variance = np.bincount(owners, (moves - mean[owners]) ** 2, s.size) / (counts - 1)
    usable = (counts >= LEAST_OBSERVATIONS) & (variance > (1e-12 * mean) ** 2)
    now = np.abs(s.returns[s.rows])
    values = np.where(usable, (now - mean) / np.sqrt(variance), np.nan)
    bars = np.diff(found.offsets) + 1
    return Column(np.where(bars >= 100, values, np.nan), have=bars)


def compute_fourier(s: Subject) -> Column:
    """Compute the three largest peaks of the periodogram of moves (linear detrend, Hann)."""
    return _of_spectra(s, 1)


def compute_dominant_cycle(s: Subject) -> Column:
    """Compute the period of the largest ordinate, where Fisher's g-test tells it from noise."""
    return _of_spectra(s, 2)


def compute_entropy_index(s: Subject) -> Column:
    """Compute the spectral entropy of moves, from 0, one cycle, to 1, white noise."""
    return _of_spectra(s, 0)


def compute_spectral_density(s: Subject) -> Column:
    """Compute Welch's spectrum of moves, as shares of power in eight bands."""
    return _of_spectra(s, 3)


def compute_fisher_p(power: Float64) -> Float64:
    """Return Fisher's p-value of each row's largest ordinate under white noise.

    power: shape (g, k), periodogram ordinates that exclude the mean and the Nyquist frequency.
    P(g > x) = sum over j of (-1)^(j-1) C(k, j) (1 - j x)^(k - 1) (Fisher 1929), in which terms
    fall off so fast that those past where they no longer matter are left out.
    """
    k = power.shape[1]
    share = power.max(axis=1) / power.sum(axis=1)
    p, choose, sign = np.zeros(share.size), 1.0, 1.0
    for j in range(1, min(k, 40) + 1):
        choose *= (k - j + 1.0) / j
        p += sign * choose * np.maximum(1.0 - j * share, 0.0) ** (k - 1)
        sign = -sign
    # For shares that noise nearly always shows, the sum consists of large terms that cancel.
    plenty = k * (1.0 - share) ** (k - 1) > 5.0
    return np.where(plenty, 1.0, np.clip(p, 0.0, 1.0))


def _hours(s: Subject) -> Int64:
    hours: Int64 = s.clock[s.once(season).rows] // HOUR_SECONDS % 24
    return hours


def _weekdays(s: Subject) -> Int64:
    # The first of January 1970 was a Thursday.
    weekdays: Int64 = (s.clock[s.once(season).rows] // DAY_SECONDS + 3) % 7
    return weekdays


def _weeks_of_month(s: Subject) -> Int64:
    """Return 0 for days 1 to 7 of a month, 1 for days 8 to 14, and so on."""
    days = s.clock[s.once(season).rows].astype("datetime64[s]").astype("datetime64[D]")
    weeks: Int64 = (days - days.astype("datetime64[M]")).astype(np.int64) // 7
    return weeks


def _pattern(s: Subject, buckets: Int64, names: tuple[str, ...]) -> Column:
    found = s.once(season)
    return Column(_describe(s, buckets, names), have=np.diff(found.offsets) + 1)


def _describe(s: Subject, buckets: Int64, names: tuple[str, ...]) -> list[Any]:
    """Return for each bar the pattern of its season: the values of each bucket that occurs."""
    found, count = s.once(season), len(names)
    cells = found.owners * count + buckets
    total = s.size * count
    returns, volume = s.returns[found.rows], s.panel.volume[found.rows]

    def add_up(values: Float64) -> Float64:
        return np.bincount(cells, values, total).astype(np.float64, copy=False)

    n: Float64 = np.bincount(cells, minlength=total).astype(np.float64)
    mean = add_up(returns) / n
    moves = add_up(np.abs(returns)) / n
    variance = add_up((returns - mean[cells]) ** 2) / (n - 1)
    traded = add_up(volume)
    whole = np.repeat(traded.reshape(s.size, count).sum(axis=1), count)
    shares = traded / np.where(whole > 0.0, whole, np.nan)
    t = mean / np.sqrt(variance / n)
    t[~(variance > (1e-12 * mean) ** 2)] = np.nan
    columns = (column.tolist() for column in (n, mean, moves, shares, t))
    rows = list(zip(*columns, strict=True))
    return [
        {
            name: None if row[0] < LEAST_OBSERVATIONS else _name(row)
            for name, row in zip(names, rows[i * count : (i + 1) * count], strict=True)
            if row[0]
        }
        for i in range(s.size)
    ]


def _name(row: tuple[float, float, float, float, float]) -> dict[str, Any]:
    n, mean, move, share, t = row
    return {
        "n": int(n),
        "mean_return": mean,
        "mean_abs_return": move,
        "volume_share": None if math.isnan(share) else share,
        "t": None if math.isnan(t) else t,
    }


def _of_spectra(s: Subject, part: int) -> Column:
    values, reasons = s.once(_analyse)
    bars = np.diff(s.once(season).offsets) + 1
    return Column(values[part], reason=reasons[part], have=bars)


def _analyse(s: Subject) -> tuple[tuple[list[Any], ...], tuple[list[str], ...]]:
    """Return entropy, peaks, cycle and bands of each bar, and why one is None."""
    values: tuple[list[Any], ...] = tuple([None] * s.size for _ in range(4))
    reasons = tuple(["flat"] * s.size for _ in range(4))
    for members, seasons in _group(s):
        usable = ~is_flat(seasons)
        owners, moves = members[usable], seasons[usable]
        if not owners.size:
            continue
        cycles, p = _find_cycles(moves)
        parts: tuple[list[Any], ...] = (
            _measure_entropy(moves),
            _find_peaks(moves),
            cycles,
            _measure_bands(moves),
        )
        for part, found in zip(values, parts, strict=True):
            for owner, value in zip(owners.tolist(), found, strict=True):
                part[owner] = value
        for owner in owners[p >= SIGNIFICANCE].tolist():
            values[2][owner], reasons[2][owner] = None, "not_significant"
    return values, reasons


def _group(s: Subject) -> Iterator[tuple[Int64, Float64]]:
    """Yield bars whose seasons are equally long, and their absolute returns, shape (g, n)."""
    found = s.once(season)
    counts = np.diff(found.offsets)
    moves = np.abs(s.returns[found.rows])
    for n in np.unique(counts[counts + 1 >= LEAST_CYCLE_BARS]):
        owners = np.flatnonzero(counts == n)
        yield owners, moves[found.offsets[:-1][owners][:, None] + np.arange(n)]


def _measure_power(values: Float64) -> Float64:
    """Return the one-sided periodogram of each row, up to a factor."""
    spectrum = np.fft.rfft(values, axis=-1)
    power: Float64 = spectrum.real**2 + spectrum.imag**2
    doubled = slice(1, -1) if values.shape[-1] % 2 == 0 else slice(1, None)
    power[..., doubled] *= 2.0
    return power


def _centre(values: Float64) -> Float64:
    centred: Float64 = values - values.mean(axis=-1, keepdims=True)
    return centred


def _detrend(values: Float64) -> Float64:
    """Return each row less its least-squares line."""
    n = values.shape[1]
    time = np.arange(n) - (n - 1) / 2.0
    off = _centre(values)
    slope = (off * time).sum(axis=1) / (time**2).sum()
    detrended: Float64 = off - slope[:, None] * time
    return detrended


def _taper(n: int) -> Float64:
    """Return Hann's window of n values, periodic as spectra need it."""
    window: Float64 = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    return window


def _measure_entropy(moves: Float64) -> list[float]:
    power = _measure_power(_centre(moves))
    shares = power / power.sum(axis=1, keepdims=True)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    found: list[float] = (-(shares * logs).sum(axis=1) / np.log(power.shape[1])).tolist()
    return found


def _find_peaks(moves: Float64) -> list[list[dict[str, float]] | None]:
    n = moves.shape[1]
    power = _measure_power(_detrend(moves) * _taper(n))
    inner = power[:, 1:-1]
    is_peak: Bools = (inner > power[:, :-2]) & (inner > power[:, 2:])
    peaks = np.where(is_peak, inner, -1.0)
    order = np.argsort(-peaks, axis=1, kind="stable")[:, :PEAKS]
    heights = np.take_along_axis(peaks, order, axis=1)
    shares = heights / power[:, 1:].sum(axis=1, keepdims=True)
    periods = n / (order + 1.0)
    listed = zip(periods.tolist(), shares.tolist(), strict=True)
    return [
        [
            {"period_bars": period, "power_share": share}
            for period, share in zip(*rows, strict=True)
            if share > 0.0
        ]
        for rows in listed
    ]


def _find_cycles(moves: Float64) -> tuple[list[float], Float64]:
    """Return the period of each row's largest ordinate, and the p-value of its size."""
    n = moves.shape[1]
    power = _measure_power(_detrend(moves))[:, 1 : (n - 1) // 2 + 1]
    periods: list[float] = (n / (power.argmax(axis=1) + 1.0)).tolist()
    return periods, compute_fisher_p(power)


def _measure_bands(moves: Float64) -> list[list[float]]:
    """Return the shares of power in eight bands of frequency, each 1.68 times the one before.

    The first begins at one cycle in 128 bars, the last ends at one in two. Segments of 128 bars
    overlap by half.
    """
    n = min(SEGMENT, moves.shape[1])
    starts = np.arange(0, moves.shape[1] - n + 1, n - n // 2)
    # Contiguous, so that each row is summed in the same order however many rows there are.
    segments = np.ascontiguousarray(moves[:, starts[:, None] + np.arange(n)])
    power = _measure_power(_centre(segments) * _taper(n)).mean(axis=1)[:, 1:]
    edges = 2.0 ** (np.arange(1, BANDS) * 6.0 / BANDS) / SEGMENT
    cuts = [0, *np.searchsorted(np.arange(1, power.shape[1] + 1) / n, edges), power.shape[1]]
    bands = [power[:, first:last].sum(axis=1) for first, last in pairwise(cuts)]
    sums = np.stack(bands, axis=1)
    found: list[list[float]] = (sums / sums.sum(axis=1, keepdims=True)).tolist()
    return found
