"""Times in the forms in which vendors and programs write them."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.times.read import read_times
from tests.unit.market.imports.times.labelling import label


@pytest.mark.parametrize(
    "written",
    [
        1000733400000000,
        1000733400000000000,
        "1000733400000000",
        "1000733400000000000",
        "20010917 13:30:00 UTC",
        "20010917-13:30:00",
        "20010917 09:30:00 US/Eastern",
        "20010917  09:30:00",
        "20010917 093000",
        "200109170930",
        "20010917093000",
        "20010917T093000-0400",
        "20010917T133000+00:00",
        "2001.09.17 09:30",
        "2001-9-17 9:30",
        "2001/09/17 09:30:00",
        "9/17/2001 9:30 AM",
        "9/17/2001, 09:30:00",
        "17 Sep 2001 09:30",
        "Sep 17, 2001 9:30 a.m.",
        "2001年9月17日 09:30",
        "2001-09-17 09:30:00 EDT",
        "2001-09-17 22:30:00 Asia/Tokyo",
        37151.395833333336,
        "37151.3958333333",
    ],
)
def test_the_open_of_new_york_is_read_in_vendors_forms(written: object) -> None:
    assert label([written], interval="1h") == [datetime(2001, 9, 17, 13, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    "written",
    [
        "Mon Sep 17 2001",
        "Mon 17 Sep 2001",
        "17SEP2001",
        "20010917T000000Z",
        "Mon Sep 17 2001 09:30:00 GMT-0400 (Eastern Daylight Time)",
        "17.09.2001 16:00:00.000 GMT+0200",
        "2001-09-17 09:30:00 America/New_York",
    ],
)
def test_dates_of_more_programs_are_read(written: str) -> None:
    assert label([written]) == [datetime(2001, 9, 17, tzinfo=UTC)]


@pytest.mark.parametrize(
    "written",
    ["soon", "", "2001", "2001-02-30", "1850-01-02", "2999-01-02", None, float("nan"), 12.5],
)
def test_an_invalid_time_does_not_affect_its_neighbours(written: object) -> None:
    column = pd.Series(["2001-09-17", written, "2001-09-18"], dtype=object)
    assert label(column) == [
        datetime(2001, 9, 17, tzinfo=UTC),
        None,
        datetime(2001, 9, 18, tzinfo=UTC),
    ]


@pytest.mark.parametrize("written", ["Sep 17", "20011317", "2001-09-17 25:00", "1.5", "x" * 1000])
def test_a_time_that_leaves_the_day_open_is_never_read(written: str) -> None:
    assert label([written, "2001-09-18"]) == [None, datetime(2001, 9, 18, tzinfo=UTC)]


def test_a_column_without_times_is_invalid() -> None:
    assert np.all(read_times(pd.Series([None, None], dtype=object)).bad)


@pytest.mark.parametrize("written", ["2024-01-02 24:00", "2024-01-02T24:00:00Z", "20240102 240000"])
def test_a_bar_labelled_24_00_shows_that_labels_are_ends(written: str) -> None:
    with pytest.raises(BadInput, match=r"labels of a bar's end"):
        label(["2024-01-02 23:00", written], market="CRYPTO", interval="1h")


@pytest.mark.parametrize(
    ("written", "readings"),
    [
        ("2024-07-02 09:30 EST", ("14:30", "13:30")),
        ("2024-01-02 9:30 AM EDT", ("13:30", "14:30")),
        ("7/15/2024 09:30:00 est", ("14:30", "13:30")),
        ("15.07.2024 09:00 CET", ("08:00", "07:00")),
    ],
)
def test_a_zone_abbreviation_of_the_other_season_is_asked_about(
    written: str, readings: tuple[str, str]
) -> None:
    with pytest.raises(BadInput, match="can be read two ways") as refused:
        read_times(pd.Series([written]))
    assert f"{readings[0]} or {readings[1]} UTC" in str(refused.value)


def test_a_zone_abbreviation_is_read_on_each_side_of_a_clock_change() -> None:
    written = ["2024-03-08 09:30 EST", "2024-03-11 09:30 EDT"]
    times = [datetime(2024, 3, 8, 14, 30, tzinfo=UTC), datetime(2024, 3, 11, 13, 30, tzinfo=UTC)]
    assert label(written, interval="1h") == times


def test_a_zone_abbreviation_is_asked_about_only_if_its_two_meanings_differ() -> None:
    """02:30 of that day did not exist on any clock, and no bar is of the year 9999."""
    read = read_times(
        pd.Series(["2024-03-10 02:30 EST", "2024-03-08 09:30 EST", "9999-12-31 23:59 EST"])
    )
    times = [datetime(2024, 3, 10, 7, 30, tzinfo=UTC), datetime(2024, 3, 8, 14, 30, tzinfo=UTC)]
    assert read.seconds[:2].tolist() == [int(time.timestamp()) for time in times]
    assert read.bad.tolist() == [False, False, True]
