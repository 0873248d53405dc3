"""Which rows can be bars."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.imports.checks import (
    BACKWARDS,
    NAMES,
    UNORDERED,
    check_order,
    check_values,
    clip_rounding,
)

GOOD = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0}


def reason(**changes: float) -> str | None:
    columns = {name: np.array([value]) for name, value in (GOOD | changes).items()}
    return NAMES.get(int(check_values(columns)[0]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"high": float("nan")}, "not_a_number"),
        ({"close": float("inf")}, "not_a_number"),
        ({"volume": float("nan")}, "not_a_number"),
        ({"high": 1e300}, "not_a_number"),
        ({"volume": 1e300}, "not_a_number"),
        ({"low": 0.0}, "non_positive_price"),
        ({"low": 5e-324}, "non_positive_price"),
        ({"low": 1e-20}, None),
        ({"open": -10.0}, "non_positive_price"),
        ({"volume": -1.0}, "negative_volume"),
        ({"volume": 0.0}, None),
        ({"high": 8.0}, "high_below_low"),
        ({"close": 12.01}, "outside_range"),
        ({"open": 8.99}, "outside_range"),
        ({"close": 12.000001}, None),
        ({"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0}, None),
    ],
)
def test_a_row_is_rejected_with_the_first_reason_against_it(
    changes: dict[str, float], expected: str | None
) -> None:
    assert reason(**changes) == expected


def test_rounding_is_clipped_so_that_the_high_holds_the_close() -> None:
    columns = {
        name: np.array([value])
        for name, value in (GOOD | {"close": 12.000001, "open": 8.999999}).items()
    }
    clipped = clip_rounding(columns)
    assert clipped["high"].tolist() == [12.000001]
    assert clipped["low"].tolist() == [8.999999]


@pytest.mark.parametrize(
    ("times", "expected", "order"),
    [
        ([1, 2, 3], [None, None, None], None),
        ([3, 2, 1], [None, None, None], BACKWARDS),
        ([1, 2, 2, 3], [None, None, "duplicate_time", None], None),
        ([1, 2, 99, 3, 4], [None, None, "out_of_order", None, None], None),
        ([5, 1, 2, 3], ["out_of_order", None, None, None], None),
        ([9, 8, 1, 7, 6, 5], [None, None, "out_of_order", None, None, None], BACKWARDS),
        ([1, 2, 3, 1], [None, None, None, "duplicate_time"], None),
        ([4, 5, 6, 1, 2, 3], [None] * 6, UNORDERED),
        ([4, 2, 6, 3, 1, 5, 5], [None] * 6 + ["duplicate_time"], UNORDERED),
        ([7], [None], None),
        ([], [], None),
    ],
)
def test_order_of_rows(times: list[int], expected: list[str | None], order: str | None) -> None:
    codes, said = check_order(np.array(times, np.int64))
    assert [NAMES.get(int(code)) for code in codes] == expected
    assert said == order


def longest_ascent_by_brute_force(times: list[int]) -> int:
    lengths = []
    for position, time in enumerate(times):
        before = [
            length for length, other in zip(lengths, times[:position], strict=True) if other < time
        ]
        lengths.append(1 + max(before, default=0))
    return max(lengths)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=25, unique=True))
def test_as_few_rows_as_possible_are_rejected_so_that_the_rest_ascends(times: list[int]) -> None:
    codes, order = check_order(np.array(times, np.int64))
    kept = [time for time, code in zip(times, codes, strict=True) if code == 0]
    if order == BACKWARDS:
        times, kept = times[::-1], kept[::-1]
    most = longest_ascent_by_brute_force(times)
    if order == UNORDERED:
        assert kept == times
        assert len(times) - most >= max(3, len(times) / 10)
    else:
        assert kept == sorted(kept)
        assert len(kept) == most
