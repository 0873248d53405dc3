"""Sessions of the exchanges, against what happened."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detection.bars.markets import MARKETS
from detection.bars.panel import Int64
from detection.bars.sessions import find_closes, local_days


def seconds(*moments: str) -> Int64:
    return np.array(moments, dtype="datetime64[s]").astype(np.int64)


def test_new_york_was_closed_after_11_september_2001() -> None:
    days = seconds("2001-09-10", "2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14", "2001-09-15", "2001-09-17")
    held, _ = find_closes(days, MARKETS["US"], "1d")
    assert held.tolist() == [True, False, False, False, False, False, True]


def test_daily_bar_closes_with_its_session() -> None:
    # 24 November 2023, the day after Thanksgiving, ended at 13:00 in New York.
    _, closes = find_closes(seconds("2023-11-22", "2023-11-24"), MARKETS["US"], "1d")
    assert closes.tolist() == seconds("2023-11-22T21:00", "2023-11-24T18:00").tolist()


@pytest.mark.parametrize(
    ("market", "holiday"), [("JP", "2024-02-12"), ("TH", "2024-04-15"), ("US", "2024-07-04"), ("US", "2012-10-29")]
)
def test_each_exchange_has_its_own_holidays(market: str, holiday: str) -> None:
    held, _ = find_closes(seconds(holiday), MARKETS[market], "1d")
    assert not held.any()


def test_week_needs_one_session() -> None:
    held, closes = find_closes(seconds("2001-09-10", "2001-09-17"), MARKETS["US"], "1w")
    assert held.tolist() == [True, True]
    assert closes.tolist() == seconds("2001-09-10T20:00", "2001-09-21T20:00").tolist()


@pytest.mark.parametrize(
    ("start", "interval", "inside"),
    [
        ("2001-09-10T13:30", "1h", True),
        ("2001-09-10T13:00", "1h", True),
        ("2001-09-10T12:30", "1h", False),
        ("2001-09-10T19:59", "1m", True),
        ("2001-09-10T20:00", "1m", False),
        ("2001-09-11T14:30", "1m", False),
    ],
)
def test_intraday_bar_must_overlap_a_session(start: str, interval: str, *, inside: bool) -> None:
    held, _ = find_closes(seconds(start), MARKETS["US"], interval)
    assert held.tolist() == [inside]


def test_last_intraday_bar_closes_with_its_session() -> None:
    _, closes = find_closes(seconds("2001-09-10T19:30"), MARKETS["US"], "1h")
    assert closes.tolist() == seconds("2001-09-10T20:00").tolist()


def test_before_the_calendar_is_known_weekdays_count() -> None:
    held, _ = find_closes(seconds("1989-12-29", "1989-12-30"), MARKETS["JP"], "1d")
    assert held.tolist() == [True, False]


def test_local_days_agree_with_the_time_zone_database() -> None:
    zone = ZoneInfo("America/New_York")
    times = np.arange(0, 2_000_000_000, 1_234_567)
    expected = [
        (datetime.fromtimestamp(t, UTC).astimezone(zone).date() - date(1970, 1, 1)).days for t in times.tolist()
    ]
    assert local_days(times, zone).tolist() == expected
