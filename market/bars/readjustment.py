"""Recognising histories that a vendor adjusted anew:
all bars before some day changed by the same factor (pure).

Bars are stored as they were quoted, with splits beside them. A vendor's history that comes later
may have a known split in its prices: then that split is taken back, or it would be applied twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from core.arrays import Bools, Float64
from core.errors import SeriesError
from market.bars.buckets import PRICES, Columns
from market.bars.merging import Merge
from market.bars.splits import session_of
from market.intervals import DAY_SECONDS

# How far a factor may be off: vendors round adjusted prices, cheap ones by more.
TOLERANCE = 0.004
ROUNDING = 0.006
# Bars on each side of a day whose factors are compared.
SIDE_BARS = 5
LEAST_BARS = 3
# Changes within these bounds may be dividends; beyond them they are splits, or nothing that is
# known.
DIVIDEND = (0.8, 1.0)
SMALL_SPLIT = 0.1


@dataclass(slots=True)
class Readjustment:
    """What an arrival says of splits beside its own factors:
    those it took back by day (1.0), and notes.
    """

    taken_back: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_adjusted(close_before: float, open_after: float, factor: float) -> bool:
    """Whether prices on both sides of a split of this factor have it in them already.

    A split that is not in them makes the price jump by its factor. One of less than a tenth could
    be hidden by an ordinary day: what the source says of it is believed.
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
    """Compare the bars that both have, and tell what a re-adjustment changed.

    Args:
        stored: the bars of the buckets that bars come of.
        incoming: the bars that come.
        merge: how they fit.
        splits: those that are known of the series.
        given: factors by day that the arrival brings itself.
        first_bar: the series' first one.
        days: the session of each incoming bar, in days since 1970.

    Raises SeriesError where a split is in the arrival's prices and bars stored before them would
    not have it.
    """
    found = Readjustment()
    known = np.flatnonzero(~merge.new)
    if len(known) < LEAST_BARS or not merge.changed.any():
        return found
    ratios = _compare(stored, incoming, merge, known)
    sessions = days[known]
    level = np.ones(len(known))
    for split in sorted(splits, key=lambda split: split["session"], reverse=True):
        day, factor = int(split["session"].timestamp()) // DAY_SECONDS, float(split["factor"])
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
    """Return by what each bar's prices were divided,
    NaN where its four prices do not agree on it.
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
    """Say where one factor explains all other changes: bars before a day changed by it,
    those from it on did not.
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
    """Raise SeriesError where bars are stored before those that come:
    they would be on another footing.
    """
    if first_bar is not None and first_bar.timestamp() < incoming["times"][0]:
        first = datetime.fromtimestamp(int(incoming["times"][0]), UTC)
        raise SeriesError(
            f"its prices are adjusted for {what}, and the bars that are stored before"
            f" {first:%Y-%m-%d} are not: import the vendor's whole history at once, or prices as"
            " they were quoted"
        )
