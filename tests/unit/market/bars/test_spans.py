"""Spans of the calendar, whose bars are one document: bars of any interval and market fit."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars.buckets import COLUMNS, MOST_BUCKET_BARS, VALUES, Columns, split_spans
from market.bars.figures import measure_figures
from market.bars.spans import name_span
from market.bars.splits import is_jump
from market.intervals import INTERVALS

START, END = (int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((2023, 12, 20), (2025, 1, 9)))


def columns_of(times: np.ndarray, price: np.ndarray | None = None) -> Columns:
    prices = np.ones(len(times)) if price is None else price
    return {"times": times} | dict.fromkeys(VALUES, prices)


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_leap_year_round_the_clock_is_divided_into_buckets_that_fit(interval: str) -> None:
    times = np.arange(START, END, INTERVALS[interval])
    parts = list(split_spans(columns_of(times), interval))
    assert np.array_equal(np.concatenate([part["times"] for _, part in parts]), times)
    names = [span for span, _ in parts]
    assert names == sorted(set(names))
    assert max(len(part["times"]) for _, part in parts) < MOST_BUCKET_BARS / 30
    for span, part in parts:
        assert {name_span(int(part["times"][row]), interval) for row in (0, -1)} == {span}


def test_spans_have_the_names_of_calendar_units() -> None:
    new_year = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    named = {interval: name_span(new_year, interval) for interval in ("1m", "15m", "1h", "1w")}
    assert named == {"1m": "2026-12-28", "15m": "2027-01", "1h": "2027", "1w": "2027"}
    assert name_span(new_year - 1, "15m") == "2026-12"


steps = st.lists(st.sampled_from([1.0, 0.5, 2.0, 0.98, 1.01, 0.1, 1 / 3]), min_size=2, max_size=9)


@given(opens=steps, closes=steps, cut=st.integers(1, 8))
def test_the_end_of_a_bucket_hides_no_jump(
    opens: list[float], closes: list[float], cut: int
) -> None:
    """The two sides of the boundary together give the result of the whole."""
    bars = min(len(opens), len(closes))
    cut = min(cut, bars - 1)
    close = np.cumprod(np.array(opens[:bars]) * np.array(closes[:bars]))
    whole = columns_of(np.arange(bars) * 86_400, close) | {"open": close / np.array(closes[:bars])}
    before, after = (
        measure_figures({name: whole[name][rows] for name in COLUMNS})
        for rows in (slice(cut), slice(cut, None))
    )
    found = set(before["jumps"] + after["jumps"])
    if is_jump(before["last_close"], after["first_open"], after["first_close"]):
        found.add(after["first_day"])
    assert sorted(found) == measure_figures(whole)["jumps"]
