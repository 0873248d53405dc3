"""Sessions of the exchanges, compared with real events."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import libfaketime
import numpy as np
import pandas as pd
import pytest

from core.arrays import Int64
from market.markets import SHIPPED
from market.sessions import calendar
from market.sessions.calendar import (
    Override,
    apply_overrides,
    find_closes,
    find_last_listed_year,
    list_closes,
    load_sessions,
    local_days,
)

ROOT = Path(__file__).parents[4]


def seconds(*moments: str) -> Int64:
    return np.array(moments, dtype="datetime64[s]").astype(np.int64)


def test_new_york_was_closed_after_11_september_2001() -> None:
    days = seconds(
        "2001-09-10",
        "2001-09-11",
        "2001-09-12",
        "2001-09-13",
        "2001-09-14",
        "2001-09-15",
        "2001-09-17",
    )
    held, _ = find_closes(days, SHIPPED["US"], "1d", load_sessions(SHIPPED["US"]))
    assert held.tolist() == [True, False, False, False, False, False, True]


def test_new_york_kept_its_holidays_before_1970() -> None:
    """The closings of 1962 as its exchange lists them, and days of the paper crisis of 1968."""
    days = local_days(load_sessions(SHIPPED["US"]).closes, ZoneInfo("America/New_York"))
    weekdays = np.arange("1962-01-01", "1963-01-01", dtype="datetime64[D]")
    weekdays = weekdays[np.is_busday(weekdays)]
    closed = [str(day)[5:] for day in weekdays if day.astype(np.int64) not in days]
    assert closed == [
        "01-01",  # New Year's Day
        "02-22",  # Washington's Birthday
        "04-20",  # Good Friday
        "05-30",  # Memorial Day
        "07-04",  # Independence Day
        "09-03",  # Labor Day
        "11-06",  # Election Day
        "11-22",  # Thanksgiving
        "12-25",  # Christmas
    ]
    paper = np.array(["1968-07-04", "1968-07-05", "1968-12-18"], "datetime64[D]").astype(np.int64)
    assert not np.isin(paper, days).any()


def test_rules_of_holidays_reject_no_bars_of_years_before_they_were_in_force() -> None:
    """London's first Monday of May is a holiday since 1978, the last of August since 1965."""
    days = seconds("1962-05-07", "1962-08-27")
    held, _ = find_closes(days, SHIPPED["UK"], "1d", load_sessions(SHIPPED["UK"]))
    assert held.all()


def test_daily_bar_closes_with_its_session() -> None:
    # 24 November 2023, the day after Thanksgiving, ended at 13:00 in New York.
    _, closes = find_closes(
        seconds("2023-11-22", "2023-11-24"), SHIPPED["US"], "1d", load_sessions(SHIPPED["US"])
    )
    assert closes.tolist() == seconds("2023-11-22T21:00", "2023-11-24T18:00").tolist()


@pytest.mark.parametrize(
    ("market", "holiday"),
    [("JP", "2024-02-12"), ("TH", "2024-04-15"), ("US", "2024-07-04"), ("US", "2012-10-29")],
)
def test_each_exchange_has_its_own_holidays(market: str, holiday: str) -> None:
    held, _ = find_closes(seconds(holiday), SHIPPED[market], "1d", load_sessions(SHIPPED[market]))
    assert not held.any()


def test_a_week_needs_at_least_one_session() -> None:
    held, closes = find_closes(
        seconds("2001-09-10", "2001-09-17"), SHIPPED["US"], "1w", load_sessions(SHIPPED["US"])
    )
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
    held, _ = find_closes(seconds(start), SHIPPED["US"], interval, load_sessions(SHIPPED["US"]))
    assert held.tolist() == [inside]


def test_last_intraday_bar_closes_with_its_session() -> None:
    _, closes = find_closes(
        seconds("2001-09-10T19:30"), SHIPPED["US"], "1h", load_sessions(SHIPPED["US"])
    )
    assert closes.tolist() == seconds("2001-09-10T20:00").tolist()


def test_before_the_calendar_begins_all_weekdays_count() -> None:
    held, _ = find_closes(
        seconds("1989-12-29", "1989-12-30"), SHIPPED["JP"], "1d", load_sessions(SHIPPED["JP"])
    )
    assert held.tolist() == [True, False]


def test_local_days_agree_with_the_time_zone_database() -> None:
    zone = ZoneInfo("America/New_York")
    times = np.arange(0, 2_000_000_000, 1_234_567)
    expected = [
        (datetime.fromtimestamp(t, UTC).astimezone(zone).date() - date(1970, 1, 1)).days
        for t in times.tolist()
    ]
    assert local_days(times, zone).tolist() == expected


def closes_between(market: str, interval: str, start: str, end: str) -> list[str]:
    found = list_closes(load_sessions(SHIPPED[market]), interval, *seconds(start, end).tolist())
    return np.array(found, "datetime64[s]").astype("datetime64[m]").astype(str).tolist()


def test_currencies_trade_from_sunday_to_friday_evening_in_new_york() -> None:
    # New York set its clocks forward on 8 March 2026: 17:00 was 22:00 in UTC, then 21:00.
    assert closes_between("FX", "1h", "2026-03-06T21:00", "2026-03-09T00:00") == [
        "2026-03-06T21:00",
        "2026-03-06T22:00",
        "2026-03-08T22:00",
        "2026-03-08T23:00",
        "2026-03-09T00:00",
    ]
    assert closes_between("FX", "1d", "2026-03-12T00:00", "2026-03-17T00:00") == [
        "2026-03-12T00:00",
        "2026-03-13T00:00",
        "2026-03-13T21:00",
        "2026-03-17T00:00",
    ]
    labels = seconds("2026-03-06T20:00", "2026-03-06T22:00", "2026-03-08T16:00", "2026-03-08T20:00")
    held, closes = find_closes(labels, SHIPPED["FX"], "4h", load_sessions(SHIPPED["FX"]))
    assert held.tolist() == [True, False, False, True]
    assert closes[held].tolist() == seconds("2026-03-06T22:00", "2026-03-09T00:00").tolist()


def test_four_hours_of_currencies_close_on_one_grid_all_week() -> None:
    found = closes_between("FX", "4h", "2026-03-08T20:00", "2026-03-10T04:00")
    assert found == [
        "2026-03-09T00:00",
        *(f"2026-03-09T{hour}:00" for hour in ("04", "08", "12", "16", "20")),
        "2026-03-10T00:00",
        "2026-03-10T04:00",
    ]


def test_a_bar_over_a_close_at_which_trade_goes_on_is_no_shorter() -> None:
    """On a grid from 17:00 in New York, that of 21:00 in UTC is half done at midnight."""
    labels = seconds("2026-03-09T21:00", "2026-03-13T17:00", "2026-03-13T20:00")
    _, closes = find_closes(labels, SHIPPED["FX"], "4h", load_sessions(SHIPPED["FX"]))
    expected = seconds("2026-03-10T01:00", "2026-03-13T21:00", "2026-03-13T21:00")
    assert closes.tolist() == expected.tolist()


def test_futures_rest_from_17_to_18_in_new_york() -> None:
    # New York set its clocks forward on 8 March 2026: 17:00 is 21:00 in UTC.
    assert closes_between("FUT", "4h", "2026-03-10T20:00", "2026-03-11T21:00") == [
        "2026-03-10T21:00",
        "2026-03-11T02:00",
        "2026-03-11T06:00",
        "2026-03-11T10:00",
        "2026-03-11T14:00",
        "2026-03-11T18:00",
        "2026-03-11T21:00",
    ]
    half_hours = closes_between("FUT", "30m", "2026-03-10T20:30", "2026-03-10T22:30")
    assert half_hours == ["2026-03-10T20:30", "2026-03-10T21:00", "2026-03-10T22:30"]
    assert closes_between("FUT", "1h", "2026-03-13T20:00", "2026-03-15T23:00") == [
        "2026-03-13T20:00",
        "2026-03-13T21:00",
        "2026-03-15T23:00",
    ]


def test_a_bar_over_the_rest_of_futures_goes_on_and_one_that_ends_in_it_does_not() -> None:
    labels = seconds("2026-03-10T18:00", "2026-03-10T20:00", "2026-03-10T21:00")
    held, closes = find_closes(labels, SHIPPED["FUT"], "4h", load_sessions(SHIPPED["FUT"]))
    assert held.all()
    stamps = ["2026-03-10T21:00", "2026-03-11T00:00", "2026-03-11T01:00"]
    assert closes.tolist() == seconds(*stamps).tolist()


@pytest.mark.parametrize("calendar_name", ["CMES", "us_futures"])
def test_half_days_of_futures_end_without_a_rest(calendar_name: str) -> None:
    known = calendar._make_sessions(calendar_name, date(2026, 3, 1))
    at = np.searchsorted(known.days, seconds("2025-11-26", "2025-11-28") // 86_400)
    lengths = (known.pauses - known.opens)[at] // 3_600
    # CMES has Friday, 28 November 2025, end at 12:00 in Chicago; us_futures has no half days.
    assert lengths.tolist() == ([23, 19] if calendar_name == "CMES" else [23, 23])


def test_a_bar_that_ends_in_a_lunch_break_closes_with_its_beginning() -> None:
    # Tokyo pauses from 11:30 to 12:30, 02:30 to 03:30 in UTC.
    labels = seconds("2024-06-03T02:00", "2024-06-03T03:00", "2024-06-03T00:00")
    known = load_sessions(SHIPPED["JP"])
    closes = find_closes(labels[:2], SHIPPED["JP"], "1h", known)[1]
    assert closes.tolist() == seconds("2024-06-03T02:30", "2024-06-03T04:00").tolist()
    over = find_closes(labels[2:], SHIPPED["JP"], "4h", known)[1]
    assert over.tolist() == seconds("2024-06-03T04:00").tolist()


@pytest.mark.parametrize("day", ["2025-12-25", "2023-12-25", "2026-01-02"])
def test_a_day_on_which_currencies_are_closed_is_new_york_s(day: str) -> None:
    """A Thursday, a Monday and a Friday: from 17:00 on the eve to 17:00 nobody trades."""
    shut = pd.Timestamp(day, tz="America/New_York")
    sundays = pd.date_range(shut - pd.Timedelta("20D"), periods=6, freq="W-SUN")
    expected = [
        hour
        for sunday in sundays
        for hour in pd.date_range(sunday + pd.Timedelta("18h"), periods=120, freq="h")
        if not shut - pd.Timedelta("7h") < hour <= shut + pd.Timedelta("17h")
    ]
    known = apply_overrides(load_sessions(SHIPPED["FX"]), [Override(date.fromisoformat(day))], "FX")
    first, last = (int(hour.timestamp()) for hour in (expected[0], expected[-1]))
    closes = list_closes(known, "1h", first, last)
    assert closes.tolist() == [int(hour.timestamp()) for hour in expected]
    assert seconds(day)[0] // 86_400 not in known.days


def test_hours_that_were_announced_for_the_eve_of_a_closed_day_stay() -> None:
    eve = Override(
        date(2025, 12, 24),
        datetime(2025, 12, 24, tzinfo=UTC),
        datetime(2025, 12, 24, 18, tzinfo=UTC),
    )
    known = apply_overrides(load_sessions(SHIPPED["FX"]), [eve, Override(date(2025, 12, 25))], "FX")
    at = np.searchsorted(known.days, seconds("2025-12-24", "2025-12-26") // 86_400)
    assert known.closes[at[:1]].tolist() == seconds("2025-12-24T18:00").tolist()
    assert known.opens[at].tolist() == seconds("2025-12-24T00:00", "2025-12-25T22:00").tolist()


def test_daily_closes_follow_daylight_saving_holidays_and_half_days() -> None:
    # New York set its clocks forward on 10 March 2024; 29 March was Good Friday.
    assert closes_between("US", "1d", "2024-03-08T00:00", "2024-03-11T23:00") == [
        "2024-03-08T21:00",
        "2024-03-11T20:00",
    ]
    assert closes_between("US", "1d", "2024-03-28T00:00", "2024-04-01T23:00") == [
        "2024-03-28T20:00",
        "2024-04-01T20:00",
    ]
    # The day after Thanksgiving ended at 13:00.
    assert closes_between("US", "1d", "2023-11-23T00:00", "2023-11-25T00:00") == [
        "2023-11-24T18:00"
    ]


def test_a_close_counts_on_both_ends_of_the_window() -> None:
    assert closes_between("US", "1d", "2024-03-08T21:00", "2024-03-08T21:00") == [
        "2024-03-08T21:00"
    ]
    assert closes_between("US", "1d", "2024-03-08T21:01", "2024-03-11T19:59") == []


def test_intraday_bars_close_with_the_session_and_with_its_lunch_break() -> None:
    # Tokyo, until 4 November 2024: 09:00 to 11:30 and 12:30 to 15:00, nine hours ahead of UTC.
    assert closes_between("JP", "1h", "2024-06-03T00:00", "2024-06-03T12:00") == [
        "2024-06-03T01:00",
        "2024-06-03T02:00",
        "2024-06-03T02:30",
        "2024-06-03T04:00",
        "2024-06-03T05:00",
        "2024-06-03T06:00",
    ]
    quarters = closes_between("JP", "15m", "2024-06-03T02:00", "2024-06-03T04:00")
    assert quarters == [
        "2024-06-03T02:00",
        "2024-06-03T02:15",
        "2024-06-03T02:30",
        "2024-06-03T03:45",
        "2024-06-03T04:00",
    ]


def test_hours_are_counted_from_the_open_and_the_last_bar_is_short() -> None:
    assert closes_between("US", "4h", "2024-06-03T00:00", "2024-06-03T23:00") == [
        "2024-06-03T17:30",
        "2024-06-03T20:00",
    ]


def test_a_week_closes_with_its_last_session() -> None:
    # Friday 29 March 2024 was a holiday.
    weeks = closes_between("US", "1w", "2024-03-18T00:00", "2024-04-06T00:00")
    assert weeks == ["2024-03-22T20:00", "2024-03-28T20:00", "2024-04-05T20:00"]


def test_an_announced_day_overrides_the_calendar() -> None:
    shut = Override(date(2024, 6, 3))
    short = Override(
        date(2024, 6, 4),
        datetime(2024, 6, 4, 13, 30, tzinfo=UTC),
        datetime(2024, 6, 4, 17, tzinfo=UTC),
    )
    saturday = Override(
        date(2024, 6, 8), datetime(2024, 6, 8, 14, tzinfo=UTC), datetime(2024, 6, 8, 16, tzinfo=UTC)
    )
    known = apply_overrides(load_sessions(SHIPPED["US"]), [saturday, shut, short])
    closes = list_closes(known, "1d", *seconds("2024-06-03", "2024-06-09").tolist())
    stamps = [
        "2024-06-04T17:00",
        "2024-06-05T20:00",
        "2024-06-06T20:00",
        "2024-06-07T20:00",
        "2024-06-08T16:00",
    ]
    assert closes.tolist() == seconds(*stamps).tolist()
    held, _ = find_closes(seconds("2024-06-03", "2024-06-08"), SHIPPED["US"], "1d", known)
    assert held.tolist() == [False, True]


@pytest.mark.slow
def test_calendars_are_extended_in_a_process_that_outlives_them(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from market.markets import SHIPPED
from market.sessions.calendar import load_sessions
for clock in ("2026-02-10 12:00:00", "2028-03-10 12:00:00"):
    Path(sys.argv[1]).write_text("@" + clock)
    for market in (SHIPPED[code] for code in ("US", "JP", "TH")):
        print(load_sessions(market).days[-1])
"""
    clock = tmp_path / "clock"
    clock.write_text("@2026-02-10 12:00:00")
    environment = {**os.environ, **libfaketime.get_reload_information()[1]}
    environment |= {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "TZ": "UTC"}
    environment.pop("FAKETIME", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(clock)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ends = np.array(done.stdout.split(), np.int64).reshape(2, 3)
    asked = np.array(["2027-02-01", "2029-03-01"], "datetime64[D]").astype(np.int64)
    assert (ends <= asked[:, None]).all()
    assert (ends > asked[:, None] - 7).all()


@pytest.mark.slow
def test_calendars_by_lists_of_holidays_end_and_those_by_rules_do_not() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    last = {code: find_last_listed_year(market, now) for code, market in SHIPPED.items()}
    # Thailand's lunar holidays are announced a few years ahead; Japan's equinoxes are computed up
    # to 2040.
    assert last["US"] is None
    assert last["TH"] is not None
    assert 2029 <= last["TH"] < 2040
    assert last["JP"] == 2040


def test_a_calendar_that_ends_is_continued_with_weekdays() -> None:
    """Shanghai's holidays are announced year by year; its library ends with the last year that it
    knows.
    """
    known = calendar._make_sessions("XSHG", date(2026, 3, 1))
    longer = calendar._go_on(known, ZoneInfo("Asia/Shanghai"), date(2026, 4, 1))
    added = longer.days[len(known.days) :]
    assert (longer.days[: len(known.days)] == known.days).all()
    assert len(added) == 23
    assert ((added + 3) % 7 < 5).all()
    monday = slice(*np.searchsorted(longer.days, seconds("2026-03-16", "2026-03-17") // 86_400))
    hours = [longer.opens, longer.pauses, longer.resumes, longer.closes]
    stamps = ["2026-03-16T01:30", "2026-03-16T03:30", "2026-03-16T05:00", "2026-03-16T07:00"]
    assert [int(each[monday][0]) for each in hours] == seconds(*stamps).tolist()
    assert calendar._go_on(longer, ZoneInfo("Asia/Shanghai"), date(2026, 4, 1)) is longer
