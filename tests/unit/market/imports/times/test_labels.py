"""The labels of bars."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from core.errors import BadInput
from tests.unit.market.imports.times.labelling import label


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
def test_a_daily_bar_is_labelled_by_its_session(written: object) -> None:
    assert label([written]) == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_midnight_in_tokyo_is_that_session_though_utc_is_a_day_behind() -> None:
    midnight = pd.Timestamp("2001-09-17", tz="Asia/Tokyo")
    assert midnight.tz_convert("UTC").day == 16
    assert label([midnight], market="JP") == [datetime(2001, 9, 17, tzinfo=UTC)]


def test_weekly_bar_is_labelled_by_its_monday() -> None:
    assert (
        label(["2001-09-17", "2001-09-21", "2001-09-23"], interval="1w")
        == [datetime(2001, 9, 17, tzinfo=UTC)] * 3
    )


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
def test_an_intraday_time_without_zone_is_in_the_exchanges_zone(
    market: str, written: str, utc: datetime
) -> None:
    assert label([written], market=market, interval="1h") == [utc]


def test_weeks_dated_by_sundays_are_refused() -> None:
    with pytest.raises(BadInput, match="weeks dated by Sundays, such as 2024-01-07, can be read"):
        label(["2024-01-07", "2024-01-14"], interval="1w")
