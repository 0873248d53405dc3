"""Numbers that mean times."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.options import build_options
from market.imports.times.read import read_times
from tests.unit.market.imports.times.labelling import label


def test_excels_day_number_is_reported() -> None:
    read = read_times(pd.Series([45293, 45294]))
    assert [datetime.fromtimestamp(int(s), UTC).date().isoformat() for s in read.seconds] == [
        "2024-01-02",
        "2024-01-03",
    ]
    assert "Excel's number of a day: 2024-01-02" in read.notes[0]


def test_times_of_day_alone_are_not_moments_of_january_1970() -> None:
    assert label(["93000", "100000", "163000"], market="CRYPTO", interval="1m") == [None] * 3


def test_row_numbers_are_neither_moments_nor_excel_days() -> None:
    assert read_times(pd.Series(range(50_000))).bad.all()
    assert read_times(pd.Series(range(10_000, 50_000)).astype(str)).bad.all()


def test_bars_of_january_1970_are_read_among_others_of_their_series() -> None:
    days = pd.date_range("1969-12-29 14:30", "1970-02-03", freq="B").drop("1970-01-01 14:30")
    times = read_times(pd.Series(days.as_unit("s").astype("int64")))
    assert not times.bad.any()
    assert times.seconds.tolist() == [int(day.timestamp()) for day in days]


@pytest.mark.parametrize("form", ["%d%m%Y", "%m%d%Y"])
@pytest.mark.parametrize("kind", [str, int, float])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_digits_that_end_with_the_year_are_read_if_they_have_one_meaning(
    form: str, kind: type, count: int
) -> None:
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in range(5, 5 + 3 * count, 3)][::-1]
    days[0] = datetime(2024, 1, 31, tzinfo=UTC)
    written = [kind(f"{day:{form}}") for day in days]
    assert label(written, market="CRYPTO") == days
    said = f"dates are read with the {'day' if form == '%d%m%Y' else 'month'} first"
    assert any(said in note for note in read_times(pd.Series(written)).notes)


@pytest.mark.parametrize("kind", [str, int])
def test_digits_that_end_with_the_year_and_can_mean_two_days_are_asked_about(kind: type) -> None:
    for texts in (["01022024"], ["02012024", "03012024", "04012024"]):
        written = pd.Series([kind(text) for text in texts])
        with pytest.raises(BadInput, match="no row settles whether the day or the month"):
            read_times(written)
        seconds = read_times(written, build_options(day_first=True)).seconds
        day, month = int(texts[0][:2]), int(texts[0][2:4])
        assert datetime.fromtimestamp(seconds[0], UTC) == datetime(2024, month, day, tzinfo=UTC)
    with pytest.raises(BadInput, match="can be read two ways"):
        read_times(pd.Series([kind("13012024"), kind("01132024")]))


def test_digits_that_end_with_the_year_may_be_followed_by_a_time_of_day() -> None:
    for text in ("31012024 0930", "31012024 09:30:00", "310120240930", "31012024093000"):
        (seconds,) = read_times(pd.Series([text])).seconds
        assert datetime.fromtimestamp(seconds, UTC) == datetime(2024, 1, 31, 9, 30, tzinfo=UTC)


def test_digits_that_are_no_date_are_not_read_as_seconds_beside_dates() -> None:
    for texts, bad in (
        (["31012024", "30012024", "31012224"], [False, False, True]),
        (["20240131", "20240201", "31012024"], [False, False, True]),
        (["20240131", "31012024"], [False, True]),
        (["32012024", "33012024"], [True, True]),
    ):
        for written in (pd.Series(texts), pd.Series([int(text) for text in texts])):
            assert read_times(written).bad.tolist() == bad


def test_seconds_since_1970_remain_seconds() -> None:
    for first, step in ((7_200_000, 3_600), (31_536_000, 86_400), (1_552_000_000_000, 60_000)):
        stamps = range(first, first + 200 * step, step)
        for written in (pd.Series(stamps), pd.Series([str(stamp) for stamp in stamps])):
            read = read_times(written)
            unit = 1_000 if first > 10**11 else 1
            assert read.seconds.tolist() == [stamp // unit for stamp in stamps]


@pytest.mark.parametrize("kind", [str, int])
@pytest.mark.parametrize(
    ("number", "readings"),
    [
        # 2024-01-02 is day 19,724 since 1970. It is 738,886 days after the start of year 1 and
        # 154,498 after that of 1601; a day has 864,000,000,000 ticks.
        (738_886 * 864_000_000_000, ("1990-03-25", "2024-01-02")),
        (154_498 * 864_000_000_000, ("1974-03-25", "2024-01-02")),
        (20_000, ("1954-10-03", "2024-10-04")),
    ],
)
def test_numbers_that_two_programs_count_from_different_days_are_asked_about(
    kind: type, number: int, readings: tuple[str, str]
) -> None:
    with pytest.raises(BadInput, match="can be read two ways") as refused:
        read_times(pd.Series([kind(number), kind(number + 1)]))
    assert all(f"({reading})" in str(refused.value) for reading in readings)


def test_days_of_excel_and_nanoseconds_are_read_if_some_values_leave_no_choice() -> None:
    assert read_times(pd.Series([20_000, 45_293])).seconds.tolist() == [-481161600, 1704153600]
    moments = pd.Series([638_397_504 * 10**9, 1_704_153_600 * 10**9])
    assert read_times(moments).seconds.tolist() == [638_397_504, 1_704_153_600]
