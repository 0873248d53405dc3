"""The moments of what a clock on a wall shows, also where a change of the clocks repeats it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from core.arrays import Bools, Int64
from market.imports.times.uniques import EARLIEST, LATEST, Uniques, to_seconds


def localize(wall_seconds: Int64, zone: ZoneInfo) -> tuple[Int64, Bools]:
    """Return the UTC seconds of local times,
    and which of these a change of the clocks skips or repeats.
    """
    wall = pd.DatetimeIndex(wall_seconds.astype("datetime64[s]"))
    local = wall.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return to_seconds(pd.Series(local)), np.asarray(local.isna())


def apply_zone(read: Uniques, zone: ZoneInfo) -> None:
    """Make moments of times of day that have no zone; a date alone stays one."""
    rows = np.flatnonzero(~read.zoned & ~read.bad & ~read.dated)
    if len(rows):
        make_moments(read, rows, zone)
        read.notes.append(f"times without a zone are those of {zone.key}")


def make_moments(read: Uniques, rows: Int64, zone: ZoneInfo) -> None:
    """Make moments of what a clock of this zone shows."""
    inside = rows[(read.seconds[rows] >= EARLIEST) & (read.seconds[rows] < LATEST)]
    wall = read.seconds[inside]
    read.seconds[inside], skipped = localize(wall, zone)
    read.bad[inside] |= skipped
    read.zoned[inside] = True
    for row, shown in zip(inside[skipped], wall[skipped], strict=True):
        read.repeated[int(row)] = find_moments(int(shown), zone)


def find_moments(wall: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return both moments of a time that a change of the clock repeats; of one that it skips the
    second is the earlier.
    """
    shown = datetime.fromtimestamp(wall, UTC).replace(tzinfo=zone)
    first, second = (int(shown.replace(fold=fold).timestamp()) for fold in (0, 1))
    return first, second


def tell_repeated_apart(seconds: Int64, bad: Bools, moments: Int64, series: Int64 | None) -> None:
    """Read times that the clock shows twice, with both of their moments, shape (n, 2), where the
    rows of a series have each twice: the earlier one first, or last where they descend. They must
    have all others once: what lacks a name of its own may be several series, of which one lacks a
    bar.
    """
    is_twice = moments[:, 0] < moments[:, 1]
    if not is_twice.any():
        return
    series = np.zeros(len(seconds), np.int64) if series is None else series
    order = np.argsort(series, kind="stable")
    for one in np.unique(series[is_twice]):
        first, stop = np.searchsorted(series, [one, one + 1], sorter=order)
        rows = order[first:stop]
        good = seconds[rows[~bad[rows]]]
        if len(np.unique(good)) < len(good):
            continue
        descends = len(good) > 1 and good[0] > good[-1]
        shown = rows[is_twice[rows]]
        for earlier in np.unique(moments[shown, 0]):
            pair = shown[moments[shown, 0] == earlier]
            if len(pair) == moments.shape[1]:
                seconds[pair] = moments[pair[0]][:: -1 if descends else 1]
                bad[pair] = False
