"""Coverage of the exchanges' sessions, compared with real events."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import exchange_calendars as xc
import numpy as np
import pandas as pd
import pytest

from core.arrays import Int64
from market.bars.coverage import Held, find_session_start, measure_held, split_stretches
from market.intervals import DAY_SECONDS, INTERVALS
from market.markets import SHIPPED
from market.sessions.calendar import (
    Override,
    Sessions,
    apply_overrides,
    list_closes,
    load_sessions,
)

US = SHIPPED["US"]
KNOWN = load_sessions(US)


def seconds(*moments: str) -> Int64:
    return np.array(moments, dtype="datetime64[s]").astype(np.int64)


def measure(*moments: str, interval: str = "1d", known: Sessions = KNOWN) -> Held:
    times = seconds(*moments)
    return measure_held(times, interval, known, first=int(times[0]), last=int(times[-1]))


def name_gaps(held: Held) -> list[tuple[str, str]]:
    """Return the first and last day of each stretch of sessions that lack bars."""
    days = held.days.astype("datetime64[D]").astype(str)
    return [(days[rows[0]], days[rows[-1]]) for rows in split_stretches(held.lacking)]


def test_days_on_which_the_exchange_was_closed_are_no_gap() -> None:
    # From 11 to 14 September 2001 New York was closed; then came a weekend.
    found = measure("2001-09-10", "2001-09-17")
    assert name_gaps(found) == []
    assert found.count() == {
        "sessions": 2,
        "missing": 0,
        "gap_count": 0,
        "bars_expected": 2,
        "bars_held": 2,
    }


def test_neighbouring_sessions_are_one_gap_over_a_weekend() -> None:
    found = measure("2024-01-03", "2024-01-04", "2024-01-09", "2024-01-11")
    assert name_gaps(found) == [("2024-01-05", "2024-01-08"), ("2024-01-10", "2024-01-10")]
    counts = found.count()
    assert (counts["sessions"], counts["missing"], counts["gap_count"]) == (7, 3, 2)


def test_a_session_lacks_the_bars_that_its_hours_should_have() -> None:
    # From 09:30 to 16:00 in New York there are seven hourly bars, the last of them half an hour
    # long. The first session counts from the first bar on, the last one up to the last bar.
    found = measure("2024-01-02T15:30", "2024-01-02T20:30", "2024-01-04T14:30", interval="1h")
    assert found.expected.tolist() == [6, 7, 1]
    assert found.held.tolist() == [2, 0, 1]
    assert name_gaps(found) == [("2024-01-02", "2024-01-03")]


def test_a_half_day_and_a_lunch_break_have_fewer_bars() -> None:
    # New York closed at 13:00 on 3 July 2024.
    half = measure("2024-07-02T13:30", "2024-07-03T16:55", interval="5m")
    assert half.expected.tolist() == [78, 42]
    # Tokyo: 09:00 to 11:30 and 12:30 to 15:00.
    tokyo = load_sessions(SHIPPED["JP"])
    found = measure("2024-01-05T00:00", "2024-01-09T05:59", interval="1m", known=tokyo)
    assert found.expected.tolist() == [300, 300]


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "30m", "1h", "4h"])
@pytest.mark.parametrize("market", ["US", "JP", "HK", "CRYPTO", "FX", "FUT", "TH"])
def test_a_session_has_as_many_bars_as_the_scans_expect_closes(market: str, interval: str) -> None:
    known = load_sessions(SHIPPED[market])
    rows = slice(-700, -600)
    first, end = int(known.opens[rows][0]), int(known.closes[rows][-1])
    # A bar after each lunch break, so that it is known that these bars are counted from the open.
    length, opens = INTERVALS[interval], known.opens[rows]
    later = opens - (opens - known.pauses[rows]) // length * length
    times = np.array([first, *later[later < known.closes[rows]], end - 60])
    found = measure_held(times, interval, known, first=first, last=end - 60)
    closes = list_closes(known, interval, first + 1, end)
    sessions = np.searchsorted(known.closes[rows], closes)
    expected = np.bincount(sessions)
    if (market, interval) == ("FX", "4h"):  # on a grid from 17:00 in New York Fridays have one less
        expected -= (known.days[rows] + 3) % 7 == 4
    assert found.expected.tolist()[:-1] == expected.tolist()[:-1]


@pytest.mark.parametrize("zone", ["America/New_York", "UTC"])
def test_weeks_of_currencies_lack_no_four_hours_by_new_york_s_clock_or_by_utc_s(zone: str) -> None:
    """By UTC's the first and the last of a week are cut."""
    bars: list[pd.Timestamp] = []
    for sunday in pd.date_range("2025-03-02 17:00", periods=4, freq="7D", tz="America/New_York"):
        begins, ends = (each.tz_convert("UTC") for each in (sunday, sunday + pd.DateOffset(days=5)))
        first = begins.replace(hour=20) if zone == "UTC" else begins
        bars.extend(pd.date_range(first, ends - pd.Timedelta("1min"), freq="4h"))
    moments = [f"{bar:%Y-%m-%dT%H:%M}" for bar in bars]
    known = load_sessions(SHIPPED["FX"])
    found = measure(*moments, interval="4h", known=known)
    assert (len(found.days), name_gaps(found)) == (20, [])
    del moments[40]
    assert len(name_gaps(measure(*moments, interval="4h", known=known))) == 1


@pytest.mark.parametrize("hours", [1, 5, 9, 13, 17, 21])
def test_the_first_and_last_day_of_coins_lack_no_four_hours_by_a_broker_s_clock(
    hours: int,
) -> None:
    (last,) = seconds("2026-11-29") + hours * 3_600
    times = np.arange(last - 60 * 14_400, last + 1, 14_400)
    found = measure_held(
        times, "4h", load_sessions(SHIPPED["CRYPTO"]), first=int(times[0]), last=int(last)
    )
    assert name_gaps(found) == []
    counts = found.count()
    assert (counts["missing"], counts["bars_expected"], counts["bars_held"]) == (0, 61, 61)


@pytest.mark.parametrize("interval", ["1m", "15m", "30m", "1h", "4h"])
@pytest.mark.parametrize(("market", "calendar"), [("JP", "XTKS"), ("HK", "XHKG"), ("CN", "XSHG")])
def test_bars_that_are_counted_anew_after_a_lunch_break_leave_no_gap(
    market: str, calendar: str, interval: str
) -> None:
    """Each day of hours lacked one: three or two before the break, three or two after it."""
    schedule = xc.get_calendar(calendar, start="2025-01-02", end="2025-03-31").schedule
    bars: list[pd.Timestamp] = []
    for day in schedule.itertuples():
        parts = [(day.open, day.break_start), (day.break_end, day.close)]
        parts = [(day.open, day.close)] if pd.isna(day.break_start) else parts
        for begins, ends in parts:
            bars.extend(pd.date_range(begins, ends, freq=f"{INTERVALS[interval]}s"))
            bars = bars[:-1] if bars[-1] == ends else bars
    moments = [f"{bar:%Y-%m-%dT%H:%M}" for bar in bars]
    known = load_sessions(SHIPPED[market])
    found = measure(*moments, interval=interval, known=known)
    assert (len(found.days), name_gaps(found)) == (len(schedule), [])
    assert found.expected.sum() == len(moments)
    after_break = schedule["break_end"].iloc[20] + pd.Timedelta(seconds=INTERVALS[interval])
    if interval != "4h":
        moments.remove(f"{after_break:%Y-%m-%dT%H:%M}")
        assert len(name_gaps(measure(*moments, interval=interval, known=known))) == 1


@pytest.mark.parametrize(
    ("market", "day", "lost"),
    [
        ("CN", "01:30 02:30 05:00 06:00", "05:00"),
        ("CN", "01:30 02:30 05:00 06:00", "05:00 06:00"),
        ("HK", "01:30 02:30 03:30 05:00 06:00 07:00", "05:00"),
        ("HK", "01:30 02:30 03:30 04:30 05:30 06:30 07:30", "04:30"),
        ("JP", "00:00 01:00 02:00 03:30 04:30 05:30", "03:30 04:30"),
        ("JP", "00:00 01:00 02:00 03:00 04:00 05:00 06:00", "03:00"),
        ("JP", "00:00 01:00 02:00 03:30 04:30 05:30", "00:00 01:00 02:00 03:30 04:30 05:30"),
    ],
)
def test_as_many_hours_around_a_lunch_break_are_lacking_as_were_lost(
    market: str, day: str, lost: str
) -> None:
    """Without the first bar after the break, hours that are counted anew lacked one more."""
    hours = [f"2025-02-{date}T{hour}" for date in (18, 19, 20) for hour in day.split()]
    held = [
        hour for hour in hours if not (hour.startswith("2025-02-19") and hour[-5:] in lost.split())
    ]
    found = measure(*held, interval="1h", known=load_sessions(SHIPPED[market]))
    assert (found.expected - found.held).tolist() == [0, len(lost.split()), 0]


@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h", "4h"])
@pytest.mark.parametrize("grid", ["UTC", "America/New_York", "America/Chicago", ""])
def test_futures_lack_no_bar_in_their_hour_of_rest(interval: str, grid: str) -> None:
    """By each clock on which bars of four hours are counted, and from the sessions' open."""
    step = pd.Timedelta(seconds=INTERVALS[interval])
    bars: list[pd.Timestamp] = []
    days = pd.date_range("2025-03-02 18:00", periods=26, tz="America/New_York")
    for opens in days[~days.day_of_week.isin([4, 5])]:
        starts = pd.date_range(opens, periods=23 * 60, freq="min")
        starts = starts.tz_convert(grid).floor(step) if grid else starts[:: int(step.seconds / 60)]
        bars.extend(starts.unique())
    moments = sorted({f"{bar.tz_convert('UTC'):%Y-%m-%dT%H:%M}" for bar in bars})
    known = load_sessions(SHIPPED["FUT"])
    found = measure(*moments, interval=interval, known=known)
    assert (len(found.days), name_gaps(found)) == (20, [])
    moments.remove(next(moment for moment in moments if moment > "2025-03-12T12"))
    assert len(name_gaps(measure(*moments, interval=interval, known=known))) == 1


@pytest.mark.parametrize("first", range(1, 13))
@pytest.mark.parametrize("zone", ["America/Chicago", "Europe/Athens", "Asia/Kolkata"])
def test_the_first_day_of_futures_lacks_no_four_hours_by_any_clock(zone: str, first: int) -> None:
    """The hour of rest counted as time into which one more bar fits."""
    midnight = int(datetime(2024, 3, 19, tzinfo=ZoneInfo(zone)).timestamp())
    times = midnight + 14_400 * np.arange(first, 17)
    found = measure_held(
        times, "4h", load_sessions(SHIPPED["FUT"]), first=int(times[0]), last=int(times[-1])
    )
    assert name_gaps(found) == []


@pytest.mark.parametrize("hours", [11, 12, 15])
def test_a_history_by_full_hours_that_begins_during_a_session_lacks_no_bar(hours: int) -> None:
    moments = [f"2024-01-02T{hour:02}:00" for hour in range(hours + 5, 21)]
    moments += ["2024-01-03T14:30", *(f"2024-01-03T{hour}:00" for hour in range(15, 21))]
    found = measure(*moments, interval="1h")
    assert found.expected.tolist() == [16 - hours, 7]
    assert name_gaps(found) == []


def test_a_bar_by_full_hours_that_the_last_day_lacks_is_missed_before_its_close() -> None:
    days = ["2024-01-02T14:30", *(f"2024-01-02T{hour}:00" for hour in range(15, 21))]
    found = measure(
        *days, *(f"2024-01-03T{at}" for at in ("14:30", "15:00", "17:00")), interval="1h"
    )
    assert (found.expected.tolist(), found.held.tolist()) == ([7, 4], [7, 3])


def test_bars_at_full_hours_leave_no_gap_in_a_session_that_opens_at_half_past() -> None:
    hours = [f"2024-01-03T{hour}:00" for hour in range(15, 21)]
    days = ["2024-01-02T14:30", *[h.replace("03T", "02T") for h in hours], "2024-01-03T14:30"]
    assert name_gaps(measure(*days, *hours, interval="1h")) == []
    early = [h.replace("T15", "T14", 1) for h in ("2024-01-02T15:00", "2024-01-03T15:00")]
    full = [early[0], *[h.replace("03T", "02T") for h in hours], early[1], *hours]
    assert name_gaps(measure(*full, interval="1h")) == []


def test_a_week_may_be_labelled_by_a_holiday() -> None:
    # Monday, 15 January 2024, was a holiday.
    assert name_gaps(measure("2024-01-08", "2024-01-15", "2024-01-22", interval="1w")) == []
    assert len(name_gaps(measure("2024-01-08", "2024-01-22", interval="1w"))) == 1


def test_an_announced_day_counts_as_announced() -> None:
    shut = apply_overrides(KNOWN, [Override(date(2025, 1, 10))])
    assert len(measure("2025-01-08", "2025-01-13", known=shut).days) == 2
    assert len(measure("2025-01-08", "2025-01-13").days) == 3


def test_bars_on_days_without_a_session_cover_nothing() -> None:
    found = measure("2024-01-05", "2024-01-06", "2024-01-09")
    assert name_gaps(found) == [("2024-01-08", "2024-01-08")]


@pytest.mark.parametrize("interval", ["1d", "1w", "1h", "5m"])
def test_coverage_measured_since_a_bar_is_the_end_of_the_whole(interval: str) -> None:
    random = np.random.default_rng(4)
    if interval in {"1h", "5m"}:
        length = INTERVALS[interval]
        starts = np.concatenate(
            [np.arange(o, c, length) for o, c in zip(KNOWN.opens, KNOWN.closes, strict=True)][
                -700:-500
            ]
        )
    else:
        starts = KNOWN.days[-3_000:-500] * DAY_SECONDS
    times = starts[random.random(len(starts)) < 0.5]
    first, last = int(times[0]), int(times[-1])
    whole = measure_held(times, interval, KNOWN, first=first, last=last)
    since = int(times[len(times) // 3])
    start = find_session_start(since, interval, KNOWN)
    part = measure_held(times[times >= start], interval, KNOWN, first=first, last=last, since=since)
    assert 0 < len(part.days) < len(whole.days)
    for name in ("days", "expected", "held"):
        end = getattr(whole, name)[-len(part.days) :]
        assert getattr(part, name).tolist() == end.tolist()
