"""Bars whose spacing is not that of the stated interval."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.errors import BadInput
from market.bars.overlaps import mark_overlaps
from market.imports.sources.synthetic import make_bars
from market.imports.spacing import (
    describe_off_grid,
    find_fault,
    find_interval,
    mark_off_grid,
)
from market.intervals import INTERVALS
from market.markets import SHIPPED
from market.sessions.calendar import load_sessions

END = datetime(2024, 6, 28, 21, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
KNOWN = load_sessions(SHIPPED["US"])


def list_times(interval: str, market: str = "US", bars: int = 400) -> np.ndarray:
    frame = make_bars(["A"], SHIPPED[market], bars=bars, end=END, seed=1, interval=interval)
    return (
        frame["time"].astype("int64").to_numpy() // 10**9
        if frame["time"].dt.unit == "ns"
        else (frame["time"].to_numpy("datetime64[s]").astype(np.int64))
    )


def at(*clocks: str) -> np.ndarray:
    moments = (datetime.fromisoformat(clock).replace(tzinfo=NEW_YORK) for clock in clocks)
    return np.array([int(moment.timestamp()) for moment in moments], np.int64)


@pytest.mark.parametrize("market", ["US", "JP", "HK", "CRYPTO", "FX"])
@pytest.mark.parametrize("interval", INTERVALS)
def test_bars_are_of_their_own_interval_and_of_no_other(interval: str, market: str) -> None:
    times = list_times(interval, market, 200)
    assert find_interval(times, np.zeros(len(times), np.int64)) == interval
    known = load_sessions(SHIPPED[market])
    assert find_fault(times, interval, SHIPPED[market].zone, known) is None
    assert not mark_overlaps(times, interval, SHIPPED[market].zone, known).any()
    for start in (0, 3, len(times) - 3):  # Many bars, or a few.
        assert not mark_off_grid(times[start : start + 300], interval, SHIPPED[market], known).any()
    if interval == "4h" and market in {"US", "JP", "HK"}:
        return  # Two bars a session: their distances are as long as the night.
    for other in INTERVALS:
        is_longer = INTERVALS[other] > INTERVALS[interval]
        if other != interval and not (is_longer and INTERVALS[other] >= INTERVALS["1d"]):
            fault = find_fault(times, other, SHIPPED[market].zone, known)
            assert fault is not None, other
            assert f"say interval {interval}" in fault


def test_monthly_bars_fit_no_interval() -> None:
    months = (
        np.arange(np.datetime64("2020-01"), np.datetime64("2024-01"))
        .astype("datetime64[s]")
        .astype(np.int64)
    )
    for interval in ("1d", "1w"):
        assert "a month apart" in str(find_fault(months, interval, NEW_YORK, KNOWN))
    with pytest.raises(BadInput, match="a month apart"):
        find_interval(months, np.zeros(len(months), np.int64))


def test_thinly_traded_daily_bars_remain_daily() -> None:
    days = np.cumsum(np.random.default_rng(3).choice([1, 3, 5, 7, 9], 200)) * 86_400
    assert find_fault(days, "1d", NEW_YORK, KNOWN) is None


def test_a_first_bar_that_ends_at_the_full_hour_does_not_overlap() -> None:
    times = at(
        *(
            f"2024-06-0{day} {clock}"
            for day in (3, 4, 5)
            for clock in ("09:30", "10:00", "11:00", "12:00")
        )
    )
    assert find_fault(times, "1h", NEW_YORK, KNOWN) is None
    assert not mark_overlaps(times, "1h", NEW_YORK, KNOWN).any()


def test_a_stray_bar_is_marked_and_the_others_are_kept() -> None:
    times = at(*(f"2024-06-03 {9 + n // 12:02d}:{n % 12 * 5:02d}" for n in range(6, 60)))
    times = np.sort(np.append(times, times[20] + 120))
    assert find_fault(times, "5m", NEW_YORK, KNOWN) is None
    assert np.flatnonzero(mark_overlaps(times, "5m", NEW_YORK, KNOWN)).tolist() == [21]


@pytest.mark.parametrize("seconds", [120, 45, 7_200])
def test_a_spacing_that_is_no_interval_is_reported(seconds: int) -> None:
    with pytest.raises(BadInput, match="no interval that is known: 1m, 5m"):
        find_interval(np.arange(50) * seconds, np.zeros(50, np.int64))


def test_a_single_bar_has_no_spacing() -> None:
    with pytest.raises(BadInput, match="say it"):
        find_interval(np.zeros(3, np.int64), np.arange(3))


def clock_times(first: str, count: int, minutes: int) -> np.ndarray:
    return at(first)[0] + 60 * minutes * np.arange(count)


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 2), ("5m", 10), ("30m", 45), ("1h", 120)])
def test_bars_further_apart_than_their_interval_are_refused(interval: str, minutes: int) -> None:
    days = [clock_times(f"2024-06-0{day} 09:30", 360 // minutes, minutes) for day in (3, 4, 5, 6)]
    fault = find_fault(np.concatenate(days), interval, NEW_YORK, KNOWN)
    assert fault is not None
    assert f"not {interval}" in fault
    assert "no interval that is known" in fault


def test_stray_bars_that_do_not_overlap_are_off_the_grid() -> None:
    us, known = SHIPPED["US"], load_sessions(SHIPPED["US"])
    full = clock_times("2024-06-03 09:30", 78, 5)
    full[[20, 40]] += (120, 180)  # Each a bar later than it should be, and the next one is missing.
    times = np.delete(full, [21, 41])
    assert np.flatnonzero(mark_off_grid(times, "5m", us, known)).tolist() == [20, 39]
    # In a few bars, the session's open and the full hour show the grid.
    few = at("2024-06-03 09:30", "2024-06-03 09:42", "2024-06-03 09:50")
    assert mark_off_grid(few, "5m", us, known).tolist() == [False, True, False]
    hours = at("2024-06-03 09:30", "2024-06-03 11:00", "2024-06-03 12:07")
    assert mark_off_grid(hours, "1h", us, known).tolist() == [False, False, True]
    # Among many hourly bars from the open on, one at the full hour is off their grid.
    days = [clock_times(f"2024-06-0{day} 09:30", 7, 60) for day in (3, 4, 5, 6, 7)]
    times = np.concatenate(days)
    times[10] += 1_800
    times = np.delete(times, 11)
    assert np.flatnonzero(mark_off_grid(times, "1h", us, known)).tolist() == [10]


def test_a_lunch_break_shifts_the_grid() -> None:
    hong_kong = SHIPPED["HK"]
    clocks = ("09:30", "10:30", "11:30", "13:00", "14:00", "15:00")
    times = np.array(
        [
            datetime.fromisoformat(f"2024-06-0{day} {clock}")
            .replace(tzinfo=hong_kong.zone)
            .timestamp()
            for day in (3, 4, 5, 6, 7)
            for clock in clocks
        ]
    ).astype(np.int64)
    assert not mark_off_grid(times, "1h", hong_kong, load_sessions(hong_kong)).any()


def test_a_first_bar_after_a_lunch_break_that_ends_at_the_full_hour_does_not_overlap() -> None:
    tokyo = SHIPPED["JP"]
    clocks = ("09:00", "10:00", "11:00", "12:30", "13:00", "14:00", "15:00")
    moments = (
        datetime.fromisoformat(f"2025-06-0{day} {clock}").replace(tzinfo=tokyo.zone)
        for day in (2, 3, 4, 5, 6)
        for clock in clocks
    )
    times, known = np.array([int(one.timestamp()) for one in moments]), load_sessions(tokyo)
    assert find_fault(times, "1h", tokyo.zone, known) is None
    assert not mark_overlaps(times, "1h", tokyo.zone, known).any()
    assert not mark_off_grid(times, "1h", tokyo, known).any()


def test_a_first_bar_of_the_evening_session_that_is_short_does_not_overlap() -> None:
    """Sessions of futures open at 18:00 in New York, which is amid a day and, by a clock of
    Chicago, amid four hours. They were refused, with the advice to say that they are of four hours.
    """
    futures, chicago = SHIPPED["FUT"], ZoneInfo("America/Chicago")
    moments = (
        datetime.fromisoformat(f"2025-06-{day:02} {hour:02}:00").replace(tzinfo=chicago)
        for day in (2, 3, 4, 5, 9, 10, 11, 12)
        for hour in (0, 4, 8, 12, 17, 20)
    )
    times, known = np.array([int(one.timestamp()) for one in moments]), load_sessions(futures)
    assert find_fault(times, "4h", futures.zone, known) is None
    assert not mark_off_grid(times, "4h", futures, known).any()
    assert not mark_overlaps(times, "4h", futures.zone, known).any()


def test_bars_counted_in_utc_stay_on_their_grid_when_clocks_change() -> None:
    us = SHIPPED["US"]
    hours = np.datetime64("2024-10-14T12:00") + np.timedelta64(4, "h") * np.arange(300)
    times = hours.astype("datetime64[s]").astype(np.int64)
    assert not mark_off_grid(times, "4h", us, load_sessions(us)).any()


@pytest.mark.parametrize(
    ("ticker_market", "hour", "zone"),
    [
        ("FX", 17, ZoneInfo("America/New_York")),
        ("US", 4, ZoneInfo("America/New_York")),
        ("FX", 0, ZoneInfo("Europe/Athens")),
        ("FUT", 0, ZoneInfo("Europe/Athens")),
        ("CRYPTO", 0, ZoneInfo("Europe/Berlin")),
        ("CRYPTO", 0, ZoneInfo("Australia/Sydney")),
    ],
)
@pytest.mark.parametrize(
    ("first", "weeks"), [("2024-03-03", 8), ("2024-01-14", 8), ("2022-01-02", 120)]
)
def test_four_hours_by_any_clock_stay_on_their_grid_when_the_clocks_change(
    ticker_market: str, hour: int, zone: ZoneInfo, first: str, weeks: int
) -> None:
    """Of a few weeks by another season's clock each bar was off the grid."""
    market = SHIPPED[ticker_market]
    days = np.arange(np.datetime64(first), np.datetime64(first) + 7 * weeks).tolist()
    clocks = [
        datetime(day.year, day.month, day.day, each, tzinfo=zone)
        for day in days
        for each in range(hour % 4, 24, 4)
    ]
    times = np.array([int(clock.timestamp()) for clock in clocks], np.int64)
    known = load_sessions(market)
    assert not mark_off_grid(times, "4h", market, known).any()
    assert not mark_overlaps(times, "4h", market.zone, known).any()


@pytest.mark.parametrize(
    ("market", "zone"),
    [("FX", "Europe/Athens"), ("FUT", "America/Chicago"), ("CRYPTO", "Asia/Kolkata")],
)
def test_a_day_of_four_hours_lies_on_its_grid_as_its_history_does(market: str, zone: str) -> None:
    """All but the bars of the session's own grid were off the grid, day after day."""
    midnight = datetime(2025, 6, 3, tzinfo=ZoneInfo(zone))
    times = int(midnight.timestamp()) + 14_400 * np.arange(6)
    known = load_sessions(SHIPPED[market])
    assert not mark_off_grid(times, "4h", SHIPPED[market], known).any()
    assert mark_off_grid(times + 600, "4h", SHIPPED[market], known).all()


def test_a_day_of_four_hours_from_a_quarter_past_lies_on_its_grid() -> None:
    india = SHIPPED["IN"]
    clocks = (datetime(2025, 3, 4, hour, 15, tzinfo=india.zone) for hour in (9, 13))
    times = np.array([int(clock.timestamp()) for clock in clocks])
    assert not mark_off_grid(times, "4h", india, load_sessions(india)).any()


def test_bars_at_random_seconds_lie_on_no_grid() -> None:
    us, known = SHIPPED["US"], load_sessions(SHIPPED["US"])
    times = at("2024-06-03 09:30")[0] + np.cumsum(np.random.default_rng(2).integers(310, 360, 60))
    fault = describe_off_grid(times, mark_off_grid(times, "5m", us, known), "5m")
    assert fault is not None
    assert "do not lie on one grid of 5m" in fault
