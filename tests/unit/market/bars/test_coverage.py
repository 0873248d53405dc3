"""Coverage of the exchanges' sessions, against what happened."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from core.arrays import Int64
from market.bars.coverage import LISTED_GAPS, add_coverage, measure_coverage
from market.markets import SHIPPED
from market.sessions.calendar import Override, apply_overrides, load_sessions
from records.database import Document

US = SHIPPED["US"]
KNOWN = load_sessions(US)


def seconds(*moments: str) -> Int64:
    return np.array(moments, dtype="datetime64[s]").astype(np.int64)


def measure(*moments: str, interval: str = "1d") -> Document:
    return measure_coverage(seconds(*moments), US, interval, KNOWN, no_trade=0)


def test_days_on_which_the_exchange_was_closed_are_no_gap() -> None:
    # from the 11th to the 14th of September 2001 New York was closed; then came a weekend
    assert measure("2001-09-10", "2001-09-17") == {
        "sessions": 2,
        "missing": 0,
        "gap_count": 0,
        "gaps": [],
        "no_trade": 0,
    }


def test_neighbouring_sessions_are_one_gap_over_a_weekend() -> None:
    found = measure("2024-01-03", "2024-01-04", "2024-01-09", "2024-01-11")
    gaps = [(gap["first"].date(), gap["last"].date(), gap["sessions"]) for gap in found["gaps"]]
    assert gaps == [
        (date(2024, 1, 5), date(2024, 1, 8), 2),
        (date(2024, 1, 10), date(2024, 1, 10), 1),
    ]
    assert (found["sessions"], found["missing"], found["gap_count"]) == (7, 3, 2)


def test_one_bar_covers_an_intraday_session() -> None:
    # 20:30 in New York of the 2nd of January would be the 3rd in UTC: sessions go by the exchange's
    # own date
    found = measure("2024-01-02T14:30", "2024-01-02T20:30", "2024-01-04T14:30", interval="1h")
    assert (found["sessions"], found["missing"]) == (3, 1)
    assert found["gaps"][0]["first"] == datetime(2024, 1, 3, tzinfo=UTC)


def test_a_week_may_be_labelled_by_a_holiday() -> None:
    # Monday the 15th of January 2024 was a holiday
    assert measure("2024-01-08", "2024-01-15", "2024-01-22", interval="1w")["missing"] == 0
    assert measure("2024-01-08", "2024-01-22", interval="1w")["missing"] == 1


def test_an_announced_day_counts_as_announced() -> None:
    shut = apply_overrides(KNOWN, [Override(date(2025, 1, 10))])
    assert (
        measure_coverage(seconds("2025-01-08", "2025-01-13"), US, "1d", shut, no_trade=0)[
            "sessions"
        ]
        == 2
    )
    assert (
        measure_coverage(seconds("2025-01-08", "2025-01-13"), US, "1d", KNOWN, no_trade=0)[
            "sessions"
        ]
        == 3
    )


def test_no_bars_cover_nothing() -> None:
    assert measure()["sessions"] == 0


@pytest.mark.parametrize("interval", ["1d", "1w", "1h"])
def test_coverage_of_parts_adds_up_to_that_of_the_whole(interval: str) -> None:
    random = np.random.default_rng(4)
    starts = (KNOWN.opens if interval == "1h" else KNOWN.days * 86_400)[-3_000:-500]
    times = starts[random.random(len(starts)) < 0.5]
    whole = measure_coverage(times, US, interval, KNOWN, no_trade=7)
    assert len(whole["gaps"]) == min(LISTED_GAPS, whole["gap_count"])
    cut = len(times) // 3
    last = datetime.fromtimestamp(int(times[cut - 1]), UTC)
    first = measure_coverage(times[:cut], US, interval, KNOWN, no_trade=2)
    later = measure_coverage(times[cut:], US, interval, KNOWN, no_trade=5, after=last)
    assert add_coverage(first, later) == whole
