"""Turns the times of a source into the labels under which bars are stored."""

from dataclasses import replace

import numpy as np

from core.arrays import Int64
from core.errors import BadInput
from market.imports.times.read import ReadTimes
from market.imports.times.zones import find_moments, localize, tell_repeated_apart
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from market.sessions.calendar import local_days

SUNDAY = 6
MINUTE_SECONDS = 60
# The share of a series' times that must be the last second of a minute.
MOST_LAST = 0.95


def label_times(
    times: ReadTimes, market: Market, interval: str, series: Int64 | None = None
) -> ReadTimes:
    """Return the labels (UTC seconds, all zoned) of the bars of one market and interval; `series`
    is that of `read_times`.
    """
    zoned = np.ones_like(times.zoned)
    if is_intraday(interval):
        local, skipped = localize(times.seconds, market.zone)
        seconds = np.where(times.zoned, times.seconds, local)
        bad = times.bad | (skipped & ~times.zoned)
        moments = np.zeros((len(seconds), 2), np.int64)
        for row in np.flatnonzero(bad & ~times.bad):
            moments[row] = find_moments(int(times.seconds[row]), market.zone)
        tell_repeated_apart(seconds, bad, moments, series)
        return _move_last_seconds(ReadTimes(seconds, zoned, bad, labels=times.labels), series)
    days = times.seconds // DAY_SECONDS
    elsewhere = times.zoned & (times.seconds % DAY_SECONDS != 0) & ~times.bad
    days[elsewhere] = local_days(times.seconds[elsewhere], market.zone)
    if interval == "1w":
        _refuse_sundays(days[~times.bad])
        days -= _find_weekdays(days)
    return ReadTimes(days * DAY_SECONDS, zoned, times.bad)


def _move_last_seconds(labels: ReadTimes, series: Int64 | None) -> ReadTimes:
    """Return intraday labels as those of the ends of bars, where almost all labels of each series
    are the last second of a minute, as in 00:59:59.999; other labels unchanged.

    No bar begins with such a second. All series must have such labels, as those of a series that is
    labelled by its starts would become wrong.
    """
    good = np.flatnonzero(~labels.bad)
    groups = np.zeros(len(good), np.int64) if series is None else series[good]
    is_last = labels.seconds[good] % MINUTE_SECONDS == MINUTE_SECONDS - 1
    lasts, rows = np.bincount(groups, is_last), np.bincount(groups)
    if labels.labels == "start" or not len(good) or (lasts < MOST_LAST * rows).any():
        return labels
    seconds = labels.seconds.copy()
    seconds[good] += is_last
    return replace(labels, seconds=seconds, labels="end")


def _refuse_sundays(days: Int64) -> None:
    """Raise BadInput where all weekly bars are dated by a Sunday. That day ends a week, but some
    vendors date a week by the Sunday before it.
    """
    if len(days) and (_find_weekdays(days) == SUNDAY).all():
        first = days[:1].astype("datetime64[D]")[0]
        raise BadInput(
            f"weeks dated by Sundays, such as {first}, can be read two ways: as those that end with"
            " it, or that begin the day after. Date them by their Mondays"
        )


def _find_weekdays(days: Int64) -> Int64:
    """Return the weekday of days since 1970 (a Thursday), Monday being 0."""
    return (days + 3) % 7
