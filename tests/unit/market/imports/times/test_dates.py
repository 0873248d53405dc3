"""Which number of a date is its day, and which era its years are of."""

import re
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.options import build_options
from market.imports.times.read import read_times
from tests.unit.market.imports.times.labelling import label


def test_one_row_decides_whether_the_day_comes_first() -> None:
    assert label(["3/4/2001", "17/9/2001"])[0] == datetime(2001, 4, 3, tzinfo=UTC)
    assert label(["3/4/2001", "9/17/2001"])[0] == datetime(2001, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize("column", [["3/4/2001", "5/6/2001"], ["13/4/2001", "4/13/2001"]])
def test_dates_that_can_be_read_two_ways_are_refused(column: list[str]) -> None:
    with pytest.raises(BadInput, match="can be read two ways"):
        read_times(pd.Series(column))


@pytest.mark.parametrize("written", ["17-Sep-01", "17-Mär-01", "09/17/01"])
def test_years_of_two_digits_are_refused(written: str) -> None:
    with pytest.raises(BadInput, match="years of two digits"):
        label([written])


@pytest.mark.parametrize(("day_first", "month"), [(True, 4), (False, 3)])
def test_an_option_decides_which_comes_first(day_first: bool, month: int) -> None:  # noqa: FBT001
    read = read_times(pd.Series(["03/04/2024"]), build_options(day_first=day_first))
    day = 3 if day_first else 4
    assert datetime.fromtimestamp(int(read.seconds[0]), UTC) == datetime(
        2024, month, day, tzinfo=UTC
    )


def test_both_readings_of_a_date_are_named() -> None:
    with pytest.raises(BadInput) as refused:
        read_times(pd.Series(["03/04/2024"]))
    assert "2024-04-03 (day first)" in refused.value.message
    assert "2024-03-04 (month first)" in refused.value.message


def test_years_of_taiwan_count_from_1911_and_are_said() -> None:
    times = read_times(pd.Series(["113/01/02", "113/01/03"]))
    assert times.notes == ["113/01/02 is read as 2024-01-02, by the years of another calendar"]
    assert label(["113/01/02"], market="TW") == [datetime(2024, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["25670102", "25670103"], "the Buddhist calendar, as Thailand's, in which 2024 is 2567"),
        ([25670102, 25670103], "the Buddhist calendar, as Thailand's, in which 2024 is 2567"),
        (["2567-01-02"], "the Buddhist calendar, as Thailand's, in which 2024 is 2567"),
        (["31/01/2567 10:30"], "the Buddhist calendar, as Thailand's, in which 2024 is 2567"),
        (["R6.2.1"], "Japan's eras, in which 2024 is R6"),
        (["令和元年5月7日"], "Japan's eras, in which 2019 is 令和元"),
        (["H31/04/26"], "Japan's eras, in which 2019 is H31"),
    ],
)
def test_years_of_other_eras_are_refused_and_named(written: list[Any], said: str) -> None:
    """Such numbers used to be taken for seconds since 1970, and the message was about time
    zones.
    """
    with pytest.raises(BadInput, match=f"{re.escape(str(written[0]))} are of {said}"):
        read_times(pd.Series(written))


@pytest.mark.parametrize("written", [["1130102", "1130103"], [1130102, 1130103]])
def test_dates_in_seven_digits_are_asked_about(written: list[Any]) -> None:
    """They used to be taken for seconds since 1970, and single days for days of that January."""
    with pytest.raises(BadInput) as refused:
        read_times(pd.Series(written))
    assert "1130102 can be read two ways: as 2024-01-02, by Taiwan's years" in refused.value.message
    assert "or as 2013-01-02, by TradeStation's" in refused.value.message


@pytest.mark.parametrize("late", ["{:02}/01/2024", "01/{:02}/2024"])
def test_dates_that_a_spreadsheet_swapped_are_refused(late: str) -> None:
    turned = [f"2024-{day:02}-01 00:00:00" for day in (2, 3, 4, 5)]
    with pytest.raises(BadInput, match="swapped day and month"):
        label(turned + [late.format(day) for day in (16, 17, 18)])
    assert None not in label([*turned, "2024-01-13", *(f"{day}/01/2024" for day in (16, 17, 18))])


@pytest.mark.parametrize("last", [12, 31])
@pytest.mark.parametrize("step", [1, -1])
def test_dates_with_the_day_before_the_month_are_refused(last: int, step: int) -> None:
    """Read as they are written, those up to the 12th would be dates of other months."""
    days = [datetime(2024, month, day) for month in (1, 3) for day in range(1, last + 1, 3)][::step]  # noqa: DTZ001 - a date
    with pytest.raises(BadInput, match=r"seem to have the day before the month.* as 2024-0[13]-\d"):
        read_times(pd.Series([f"{day:%Y-%d-%m}" for day in days]))
    shuffled = [*days[3:], *days[:3]]
    assert not read_times(pd.Series([f"{day:%Y-%m-%d}" for day in shuffled])).bad.any()


@pytest.mark.parametrize("text", ["3. lipnja 2024.", "3.6.2024.", "3 июня 2024 г.", "3.6.2024"])  # noqa: RUF001 - Russian
def test_a_year_may_end_with_a_dot(text: str) -> None:
    """Croatian writes dates so."""
    read = read_times(pd.Series([text, f"{text} 10:30"]), build_options(day_first=True))
    assert read.seconds.tolist() == [1717372800, 1717410600]
