"""Times as sources write them, and the labels of bars."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.times import label_times, read_times
from market.markets import MARKETS


def label(values: object, *, market: str = "US", interval: str = "1d") -> list[datetime | None]:
    labels = label_times(read_times(pd.Series(values)), MARKETS[market], interval)
    return [
        None if bad else datetime.fromtimestamp(int(seconds), UTC)
        for seconds, bad in zip(labels.seconds, labels.bad, strict=True)
    ]


@pytest.mark.parametrize(
    "written",
    [
        "2001-09-17",
        "20010917",
        20010917,
        "2001-09-17T00:00:00Z",
        "2001-09-17 16:00:00",
        "2001-09-17 00:00:00-04:00",
        "2001-09-17T09:30:00-04:00",
        "9/17/2001",
        "17.9.2001",
        "2001/09/17",
        1000733400,
        1000733400000,
        "1000733400",
        pd.Timestamp("2001-09-17"),
        pd.Timestamp("2001-09-17", tz="America/New_York"),
    ],
)
def test_daily_bar_is_labelled_by_its_session(written: object) -> None:
    assert label([written]) == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_midnight_in_tokyo_is_that_session_though_utc_is_a_day_behind() -> None:
    midnight = pd.Timestamp("2001-09-17", tz="Asia/Tokyo")
    assert midnight.tz_convert("UTC").day == 16
    assert label([midnight], market="JP") == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_weekly_bar_is_labelled_by_its_monday() -> None:
    assert label(["2001-09-17", "2001-09-21", "2001-09-23"], interval="1w") == [datetime(2001, 9, 17, tzinfo=UTC)] * 3


@pytest.mark.parametrize(
    ("market", "written", "utc"),
    [
        ("US", "2001-09-17 09:30", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
        ("US", "2001-12-17 09:30", datetime(2001, 12, 17, 14, 30, tzinfo=UTC)),
        ("JP", "2001-09-17 09:00", datetime(2001, 9, 17, 0, 0, tzinfo=UTC)),
        ("TH", "2001-09-17 10:00", datetime(2001, 9, 17, 3, 0, tzinfo=UTC)),
        ("US", "2001-09-17T13:30:00Z", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
        ("US", "2001-09-17 15:30+0200", datetime(2001, 9, 17, 13, 30, tzinfo=UTC)),
    ],
)
def test_intraday_time_without_zone_is_the_exchanges(market: str, written: str, utc: datetime) -> None:
    assert label([written], market=market, interval="1h") == [utc]


def test_local_time_that_a_change_of_clocks_skips_or_repeats_cannot_be_read() -> None:
    assert label(["2001-04-01 02:30", "2001-10-28 01:30"], interval="1h") == [None, None]


@pytest.mark.parametrize(
    "written", ["soon", "", "2001", "2001-02-30", "1850-01-02", "2999-01-02", None, float("nan"), 12.5]
)
def test_what_is_no_time_is_bad_and_leaves_its_neighbours_alone(written: object) -> None:
    column = pd.Series(["2001-09-17", written, "2001-09-18"], dtype=object)
    assert label(column) == [datetime(2001, 9, 17, tzinfo=UTC), None, datetime(2001, 9, 18, tzinfo=UTC)]


def test_one_row_settles_whether_the_day_comes_first() -> None:
    assert label(["3/4/2001", "17/9/2001"])[0] == datetime(2001, 4, 3, tzinfo=UTC)
    assert label(["3/4/2001", "9/17/2001"])[0] == datetime(2001, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize("column", [["3/4/2001", "5/6/2001"], ["13/4/2001", "4/13/2001"]])
def test_dates_that_can_be_read_two_ways_are_refused(column: list[str]) -> None:
    with pytest.raises(BadInput, match="can be read two ways"):
        read_times(pd.Series(column))


def test_column_of_nothing_is_all_bad() -> None:
    assert np.all(read_times(pd.Series([None, None], dtype=object)).bad)
