"""Converts local times to UTC, also those that a change of the clocks repeats or skips."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from core.arrays import Bools, Int64
from market.imports.times.uniques import EARLIEST, LATEST, Uniques, to_seconds


def localize(wall_seconds: Int64, zone: ZoneInfo) -> tuple[Int64, Bools]:
    """Return the UTC seconds of local times, and which of these a change of the clocks skips or
    repeats.
    """
    wall = pd.DatetimeIndex(wall_seconds.astype("datetime64[s]"))
    local = wall.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return to_seconds(pd.Series(local)), np.asarray(local.isna())


def apply_zone(read: Uniques, zone: ZoneInfo) -> None:
    """Convert times without a zone to UTC, in place; dates without a time of day stay as
    they are.
    """
    rows = np.flatnonzero(~read.zoned & ~read.bad & ~read.dated)
    if len(rows):
        make_moments(read, rows, zone)
        read.notes.append(f"times without a zone are those of {zone.key}")


def make_moments(read: Uniques, rows: Int64, zone: ZoneInfo) -> None:
    """Convert the times of some `rows` from the local time of a zone to UTC, in place."""
    inside = rows[(read.seconds[rows] >= EARLIEST) & (read.seconds[rows] < LATEST)]
    wall = read.seconds[inside]
    read.seconds[inside], skipped = localize(wall, zone)
    read.bad[inside] |= skipped
    read.zoned[inside] = True
    for row, shown in zip(inside[skipped], wall[skipped], strict=True):
        read.repeated[int(row)] = find_moments(int(shown), zone)


def find_moments(wall: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return both moments (UTC seconds) of a local time that a change of the clocks repeats. For a
    time that it skips, the second moment is the earlier one.
    """
    shown = datetime.fromtimestamp(wall, UTC).replace(tzinfo=zone)
    first, second = (int(shown.replace(fold=fold).timestamp()) for fold in (0, 1))
    return first, second


def tell_repeated_apart(seconds: Int64, bad: Bools, moments: Int64, series: Int64 | None) -> None:
    """Settle local times that the clocks show twice, in place, where the rows of a series have each
    of them twice: the first row is the earlier moment, or the later one where times descend.

    `moments` has both moments of each time, shape (n, 2). The series must have all other times
    once: rows without a name may be several series, of which one lacks a bar.
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
