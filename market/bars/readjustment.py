"""Recognises histories that a vendor has re-adjusted: all bars before some day have changed by the
same factor (pure).

Bars are stored as they were quoted, with splits beside them. A history that a vendor delivers later
may be adjusted for a known split. That split is then removed, as it would be applied twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from core.arrays import Bools, Float64
from core.errors import SeriesError
from core.words import PRICES
from market.bars.buckets import Columns
from market.bars.merging import Merge
from market.intervals import day_of, session_of

# How far a factor may be off, as a share: vendors round adjusted prices, low ones by a larger
# share.
TOLERANCE = 0.004
ROUNDING = 0.006
# The factors of so many bars on each side of a day are compared.
SIDE_BARS = 5
LEAST_BARS = 3
# A factor within these bounds may be a dividend's; others are a split's or unexplained.
DIVIDEND = (0.8, 1.0)
SMALL_SPLIT = 0.1


@dataclass(slots=True)
class Readjustment:
    """What the prices of an arrival tell about splits: by day the splits to remove, each with the
    factor 1.0, and messages for the user.
    """

    taken_back: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_adjusted(close_before: float, open_after: float, factor: float) -> bool:
    """Return whether the prices on both sides of a split are already adjusted for it.

    If they are not, the price jumps by the split's factor. A jump of less than a tenth could be an
    ordinary move; then the answer is no, and the split that the source gives is believed.
    """
    expected = np.log(factor)
    if abs(expected) < SMALL_SPLIT or close_before <= 0 or open_after <= 0:
        return False
    jump = np.log(close_before / open_after)
    return bool(abs(jump) < abs(jump - expected))


def recognise(
    stored: Columns,
    incoming: Columns,
    merge: Merge,
    *,
    splits: Sequence[Mapping[str, Any]],
    given: Mapping[int, float],
    first_bar: datetime | None,
    days: "np.ndarray[Any, np.dtype[np.int64]]",
) -> Readjustment:
    """Compare incoming bars with the stored bars at the same times; return what a re-adjustment by
    the vendor has changed.

    Args:
        stored: the stored bars of the arrival's spans.
        incoming: the arrival's bars.
        merge: the result of merging both.
        splits: the known splits of the series.
        given: the factors by day that the arrival itself has.
        first_bar: the series' first bar.
        days: the session of each incoming bar, in days since 1970.

    Raises SeriesError where the arrival's prices are adjusted for a split, and older bars, which it
    does not replace, are not.
    """
    found = Readjustment()
    known = np.flatnonzero(~merge.new)
    if len(known) < LEAST_BARS or not merge.changed.any():
        return found
    ratios = _compare(stored, incoming, merge, known)
    sessions = days[known]
    level = np.ones(len(known))
    for split in sorted(splits, key=lambda split: split["session"], reverse=True):
        day, factor = day_of(split["session"]), float(split["factor"])
        before, after = np.flatnonzero(sessions < day), np.flatnonzero(sessions >= day)
        if not len(before) or given.get(day, 1.0) != 1.0:
            continue
        step = np.median(ratios[before[-SIDE_BARS:]]) / (
            np.median(ratios[after[:SIDE_BARS]]) if len(after) else 1.0
        )
        if abs(step / factor - 1) > TOLERANCE:
            continue
        _check_reach(
            first_bar, incoming, f"a split of {factor:g} for 1 on {session_of(day):%Y-%m-%d}"
        )
        level[before] *= factor
        found.taken_back[day] = 1.0
        found.notes.append(
            f"the prices are adjusted for the split of {factor:g} for 1 on"
            f" {session_of(day):%Y-%m-%d} already: all {len(before):,} bars before it changed by"
            " its factor, so the split is taken back"
        )
    _name_factor(ratios / level, sessions, first_bar, incoming, found)
    return found


def _compare(
    stored: Columns, incoming: Columns, merge: Merge, known: "np.ndarray[Any, Any]"
) -> Float64:
    """Return by which factor the prices of each bar were divided, NaN where the factors of its four
    prices differ.
    """
    rows = merge.stored_rows[known]
    each = np.stack([stored[name][rows] / incoming[name][known] for name in PRICES])
    middle = np.median(each, axis=0)
    agree: Bools = np.max(np.abs(each / middle - 1), axis=0) <= ROUNDING
    return np.where(agree, middle, np.nan)


def _name_factor(
    ratios: Float64,
    sessions: "np.ndarray[Any, Any]",
    first_bar: datetime | None,
    incoming: Columns,
    found: Readjustment,
) -> None:
    """Add a note to `found` where one factor explains all remaining changes: all bars before some
    day have changed by it, and none from that day on.
    """
    same = np.abs(ratios - 1) <= 1e-9
    changed = np.flatnonzero(~same)
    if len(changed) < LEAST_BARS or changed[-1] != len(changed) - 1:
        return
    factor = float(np.median(ratios[changed]))
    if not np.isfinite(factor) or np.nanmax(np.abs(ratios[changed] / factor - 1)) > TOLERANCE / 2:
        return
    if np.isnan(ratios[changed]).any():
        return
    after = (
        f"before {session_of(int(sessions[len(changed)])):%Y-%m-%d}"
        if len(changed) < len(ratios)
        else "both have"
    )
    inverse = 1 / factor
    if DIVIDEND[0] <= inverse < DIVIDEND[1] - 1e-5:
        kind = "as a vendor's adjustment for a dividend does"
    elif abs(np.log(factor)) >= SMALL_SPLIT:
        kind = "as a vendor's adjustment for a split does"
        _check_reach(first_bar, incoming, f"a split of about {factor:.4g} for 1")
    else:
        return
    found.notes.append(
        f"all {len(changed):,} bars {after} changed by one factor, {inverse:.6g}, {kind}"
    )


def _check_reach(first_bar: datetime | None, incoming: Columns, what: str) -> None:
    """Raise SeriesError where bars are stored before the incoming ones: the older bars would not be
    adjusted for the same split.
    """
    if first_bar is not None and first_bar.timestamp() < incoming["times"][0]:
        first = datetime.fromtimestamp(int(incoming["times"][0]), UTC)
        raise SeriesError(
            f"its prices are adjusted for {what}, and the bars that are stored before"
            f" {first:%Y-%m-%d} are not: import the vendor's whole history at once, or prices as"
            " they were quoted"
        )
