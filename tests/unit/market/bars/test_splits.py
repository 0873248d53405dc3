"""Splits by hand: AAPL had splits of two for one on 2000-06-21 and on 2005-02-28."""

from datetime import UTC, date, datetime

import numpy as np

from market.bars.splits import find_adjustment, list_adjustments, merge_splits
from market.intervals import session_of

FIRST = datetime(2000, 6, 21, tzinfo=UTC)
SECOND = datetime(2005, 2, 28, tzinfo=UTC)
SPLITS = [{"session": SECOND, "factor": 2.0}, {"session": FIRST, "factor": 2.0}]


def day(*ymd: int) -> int:
    return (date(*ymd) - date(1970, 1, 1)).days


def test_sessions_before_both_splits_are_divided_by_four() -> None:
    days, factors = list_adjustments(SPLITS)
    dates = [
        day(2000, 6, 20),
        day(2000, 6, 21),
        day(2005, 2, 25),
        day(2005, 2, 28),
        day(2013, 3, 1),
    ]
    assert [find_adjustment(d, days, factors) for d in dates] == [4.0, 2.0, 2.0, 1.0, 1.0]


def test_numpy_finds_the_same_adjustment() -> None:
    days, factors = list_adjustments(SPLITS)
    every = np.arange(day(2000, 1, 1), day(2006, 1, 1))
    found = np.array(factors)[np.searchsorted(days, every, side="right")]
    assert found.tolist() == [find_adjustment(d, days, factors) for d in every.tolist()]


def test_same_split_again_changes_nothing() -> None:
    merged, changed = merge_splits(SPLITS, {day(2005, 2, 28): 2.0})
    assert changed == []
    assert merged == sorted(SPLITS, key=lambda split: str(split["session"]))


def test_a_factor_of_one_removes_a_split() -> None:
    merged, changed = merge_splits(SPLITS, {day(2005, 2, 28): 1.0})
    assert merged == [{"session": FIRST, "factor": 2.0}]
    assert [session_of(d) for d in changed] == [SECOND]
