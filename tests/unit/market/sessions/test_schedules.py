"""Slots of cron expressions, also when clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.errors import BadInput
from market.sessions.schedules import find_cron_slots, parse_schedule

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots_around(schedule: str, now: str, zone: ZoneInfo = NEW_YORK) -> tuple[str, str]:
    latest, following = find_cron_slots(schedule, zone, utc(now))
    return f"{latest:%Y-%m-%dT%H:%M}", f"{following:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2024-01-05T22:59", "2024-01-04T23:00", "2024-01-05T23:00"),
        ("2024-01-05T23:00", "2024-01-05T23:00", "2024-01-08T23:00"),
        ("2024-01-07T12:00:00.5", "2024-01-05T23:00", "2024-01-08T23:00"),
    ],
)
def test_a_slot_is_due_at_its_exact_moment(now: str, latest: str, following: str) -> None:
    assert slots_around("0 18 * * 1-5", now) == (latest, following)


def test_fields_are_the_market_s_local_time_in_summer_and_in_winter() -> None:
    assert slots_around("0 18 * * *", "2024-03-09T23:30") == (
        "2024-03-09T23:00",
        "2024-03-10T22:00",
    )
    assert slots_around("0 18 * * *", "2024-11-02T22:30") == (
        "2024-11-02T22:00",
        "2024-11-03T23:00",
    )
    assert slots_around("0 18 * * *", "2024-06-03T10:00", ZoneInfo("Asia/Tokyo")) == (
        "2024-06-03T09:00",
        "2024-06-04T09:00",
    )


def test_a_time_that_the_clock_skips_is_due_once_when_it_is_set_forward() -> None:
    # 02:30 did not exist in New York on 10 March 2024.
    slots = [
        slots_around("30 2 * * *", now)
        for now in ("2024-03-10T06:30", "2024-03-10T08:00", "2024-03-11T08:00")
    ]
    assert [latest for latest, _ in slots] == [
        "2024-03-09T07:30",
        "2024-03-10T07:00",
        "2024-03-11T06:30",
    ]


@pytest.mark.parametrize("minute", range(0, 180, 10))
def test_a_time_that_comes_twice_is_due_only_the_first_time(minute: int) -> None:
    # 01:30 came at 05:30 and at 06:30 UTC on 3 November 2024.
    now = f"2024-11-03T{5 + minute // 60:02}:{minute % 60:02}"
    latest, following = slots_around("30 1 * * *", now)
    if minute < 30:
        assert (latest, following) == ("2024-11-02T05:30", "2024-11-03T05:30")
    else:
        assert (latest, following) == ("2024-11-03T05:30", "2024-11-04T06:30")


@pytest.mark.parametrize(
    "text", ["after_close", "0 18 * * 1-5", " 0  18 * *  MON-FRI ", "*/5 9-16 * * *"]
)
def test_schedules_are_stored_with_single_spaces(text: str) -> None:
    assert parse_schedule(text) == " ".join(text.split())


@pytest.mark.parametrize(
    "text", ["", "now and then", "61 * * * *", "0 0 30 2 *", "* * * * * *", "@daily"]
)
def test_an_invalid_schedule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"0 18 \* \* 1-5"):
        parse_schedule(text)
