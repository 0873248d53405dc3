"""Checks which rows can be bars: every row gets a code, of the first reason against it or
of none.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Int64
from core.words import PRICES
from market.bars.buckets import LEAST_PRICE, MOST_VALUE, VALUES, Columns
from market.bars.overlaps import STRAY_SHARE
from market.imports.rejection import REASONS
from market.intervals import DAY_SECONDS

Codes = NDArray[np.int8]
ACCEPTED = 0
CODES = {reason: code for code, reason in enumerate(REASONS, start=1)}
NAMES = dict(enumerate(REASONS, start=1))
# A vendor's float rounding may put a close above its high; the high is then raised to the close.
# Real faults are larger, as no price is quoted in steps of less than 1e-6 of itself.
ROUNDING = 1e-6
# At least so many rows with the same fault, and more than `STRAY_SHARE` of a ticker's, are a fault
# of the source and no accident.
FEWEST_MANY = 3
# A bar this little in the future is of today, or of a zone that is ahead, not of a wrong year.
AHEAD_SECONDS = 7 * DAY_SECONDS
BACKWARDS = "the source runs from the newest to the oldest bar"
UNORDERED = "the source's rows are in no order of time, and are put into it"


def check_values(columns: Columns) -> Codes:
    """Return a code for each row by its prices and its volume only."""
    o, h, l, c = (columns[name] for name in PRICES)  # noqa: E741 - the four letters of the field
    with np.errstate(invalid="ignore"):
        slack = ROUNDING * h
        faults = {
            "not_a_number": ~np.all(
                [np.abs(columns[name]) < MOST_VALUE for name in VALUES], axis=0
            ),
            "non_positive_price": np.minimum.reduce([o, h, l, c]) < LEAST_PRICE,
            "negative_volume": columns["volume"] < 0,
            "high_below_low": h < l - slack,
            "outside_range": (np.maximum(o, c) > h + slack) | (np.minimum(o, c) < l - slack),
        }
    return _first_fault(faults, len(o))


def check_times(held: NDArray[np.bool_], closes: Int64, now_seconds: int) -> Codes:
    """Return a code for each row by whether its time lies in a session, and whether the bar has
    closed.
    """
    return _first_fault({"not_a_session": ~held, "not_closed": closes > now_seconds}, len(held))


def check_order(times: Int64) -> tuple[Codes, str | None]:
    """Return a code for each row of one ticker, in the order of the source, and a note about that
    order, None where it ascends.

    Of several rows with the same time the first is accepted. Where most times descend, the source
    is read from its end. Then the fewest rows are rejected that leave the others ascending, so that
    one wrong date costs one row. Where these would be more than a few, the rows are in no order,
    and all of them are accepted.
    """
    codes = np.zeros(len(times), np.int8)
    if (np.diff(times) > 0).all():
        return codes, None
    _, firsts = np.unique(times, return_index=True)
    codes[:] = CODES["duplicate_time"]
    codes[firsts] = ACCEPTED
    standing = np.sort(firsts)
    steps = np.diff(times[standing])
    said = BACKWARDS if 2 * np.count_nonzero(steps < 0) > len(steps) else None
    if said:
        standing, steps = standing[::-1], -steps[::-1]
    if (steps < 0).any():
        wrong = np.delete(standing, _longest_ascent(times[standing].tolist()))
        if is_many(len(wrong), len(standing)):
            return codes, UNORDERED
        codes[wrong] = CODES["out_of_order"]
    return codes, said


def is_many(faulty: int, rows: int) -> bool:
    """Return whether so many of a ticker's rows have the same fault that it is a fault of the
    source, not of single rows.
    """
    return faulty >= FEWEST_MANY and faulty > STRAY_SHARE * rows


def find_many(columns: Columns, numbers: Int64, empty: Bools | None) -> str | None:
    """Return why none of a ticker's rows can be used, where many of them lack a value of a bar;
    else None.

    The rows left would be a series full of holes that nobody meant. Rows without any prices do not
    count: a table may have the days of its oldest ticker for all tickers.

    Args:
        columns: prices and volume of the ticker's rows within sessions, each (n,).
        numbers: the rows' numbers in the source, from 0 (n,).
        empty: which volumes are empty; None where there is no volume.
    """
    least = np.minimum.reduce([columns[name] for name in PRICES])
    has_prices = ~np.isnan(least)
    rows = int(np.count_nonzero(has_prices))
    below = np.flatnonzero(least < 0)
    if is_many(len(below), rows):
        return (
            f"{len(below):,} of its {rows:,} rows have prices below zero, as spreads do, the first"
            f" is row {numbers[below[0]] + 1:,}: returns are not defined of them. Import what the"
            " spread is of, each under a ticker of its own"
        )
    lacks = np.isnan(columns["volume"]) & (False if empty is None else empty)
    without = np.flatnonzero(lacks & has_prices)
    if is_many(len(without), rows):
        return (
            f"{len(without):,} of its {rows:,} rows have no volume, the first is row"
            f" {numbers[without[0]] + 1:,}, and others have one: write 0 where nothing traded, or"
            " say that no column is the volume (volume=), which is 0 then"
        )
    return None


def find_wrong_times(columns: Columns, reasons: Codes, now_seconds: int) -> tuple[str, int] | None:
    """Return what is wrong with the times of many of a ticker's rows, and the first of these rows;
    None where at most a few are wrong.

    The rows left would be a series full of holes that nobody meant. Only rows with prices count.
    """
    # Rows that a sheet has for days to come have no prices, or zeros.
    has_prices = np.minimum.reduce([columns[name] for name in PRICES]) > 0.0
    is_bad = reasons == CODES["bad_time"]
    is_ahead = (columns["times"] > now_seconds + AHEAD_SECONDS) & ~is_bad
    rows = int(np.count_nonzero(has_prices))
    # Programs write a missing date as their first date, 1970-01-01.
    is_first = (columns["times"] == 0) & ~is_bad
    for said, wrong in (
        ("cannot be read", is_bad),
        ("are to come", is_ahead),
        ("are the first of all", is_first),
    ):
        found = np.flatnonzero(wrong & has_prices)
        if is_many(len(found), rows) and len(found) < rows:
            return f"{len(found):,} of its {rows:,} rows have times that {said}", int(found[0])
    return None


def clip_rounding(columns: Columns) -> Columns:
    """Return accepted rows whose highs and lows are adjusted to include open and close exactly."""
    high = np.maximum.reduce([columns[name] for name in PRICES])
    low = np.minimum.reduce([columns[name] for name in PRICES])
    return columns | {"high": high, "low": low}


def _first_fault(faults: dict[str, NDArray[np.bool_]], rows: int) -> Codes:
    codes = np.zeros(rows, np.int8)
    for reason, faulty in faults.items():
        codes[faulty & (codes == ACCEPTED)] = CODES[reason]
    return codes


def _longest_ascent(values: Sequence[int]) -> list[int]:
    """Return the positions of a longest strictly ascending subsequence (patience sorting,
    n log n).
    """
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for position, value in enumerate(values):
        length = bisect_left(tails, value)
        previous.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [value]
        ends[length : length + 1] = [position]
    chain: list[int] = []
    position = ends[-1]
    while position >= 0:
        chain.append(position)
        position = previous[position]
    return chain[::-1]
