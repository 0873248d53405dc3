"""Known splits: bars are stored as they were quoted, and adjusted whenever they are read.

A split of factor f on a session makes f shares of one: prices of earlier sessions are divided by f,
their volumes multiplied. A reverse split has a factor below 1. Plain numbers only, so that the web
process can use this module.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from math import log, prod

from core.errors import BadInput
from market.intervals import day_of, session_of
from records.market.documents import SeriesDocument, SplitFields

# Factors of splits that occur: new shares for each old one.
_WHOLE = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
SPLIT_FACTORS = (*(1 / factor for factor in reversed(_WHOLE)), *_WHOLE)
# On a split day the open is within this share of the close before, divided by the factor: prices
# move by less on most days.
NEAR_SPLIT = 0.03


def check_split_session(series: SeriesDocument, session: date) -> None:
    """Raise BadInput where a split on a session would adjust no bar of a series."""
    if not series["first_bar"].date() < session <= series["last_bar"].date():
        raise BadInput(
            f"{session} is not within the {series['interval']} bars of {series['ticker']}, which"
            f" run from {series['first_bar']:%Y-%m-%d} to {series['last_bar']:%Y-%m-%d}"
        )


def is_jump(close_before: float, open_: float, close: float) -> bool:
    """Return whether a bar opens a split's factor away from the close before, and stays there."""
    ratio = close_before / open_
    return abs(log(close / open_)) < abs(log(ratio)) / 2 and any(
        abs(ratio / factor - 1) < NEAR_SPLIT for factor in SPLIT_FACTORS
    )


def list_adjustments(splits: Sequence[SplitFields]) -> tuple[list[int], list[float]]:
    """Return (days, factors) of a series' splits for `find_adjustment`.

    days: the splits' sessions in days since 1970, ascending. factors: one longer; factors[i] is the
    product of the splits from days[i] on. Prices of sessions from days[i - 1] to before days[i] are
    divided by it.
    """
    ordered = sorted(splits, key=lambda split: split["session"])
    days = [day_of(split["session"]) for split in ordered]
    factors = [
        prod(split["factor"] for split in ordered[position:]) for position in range(len(ordered))
    ]
    return days, [*factors, 1.0]


def find_adjustment(session_day: int, days: Sequence[int], factors: Sequence[float]) -> float:
    """Return the factor by which prices of a session are divided and volumes multiplied."""
    return factors[bisect_right(days, session_day)]


def merge_splits(
    stored: Sequence[SplitFields], incoming: Mapping[int, float]
) -> tuple[list[SplitFields], list[int]]:
    """Return a series' splits after merging the `incoming` factors by session day, and the days
    whose split has changed.

    A factor of 1 removes a split.
    """
    factors = {day_of(split["session"]): float(split["factor"]) for split in stored}
    changed = [day for day, factor in sorted(incoming.items()) if factors.get(day, 1.0) != factor]
    factors |= incoming
    merged: list[SplitFields] = [
        {"session": session_of(day), "factor": factors[day]}
        for day in sorted(factors)
        if factors[day] != 1
    ]
    return merged, changed
