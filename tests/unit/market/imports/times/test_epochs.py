"""Numbers that are times."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.times.read import read_times
from tests.unit.market.imports.times.labelling import label


def test_excels_number_of_a_day_is_said() -> None:
    read = read_times(pd.Series([45293, 45294]))
    assert [datetime.fromtimestamp(int(s), UTC).date().isoformat() for s in read.seconds] == [
        "2024-01-02",
        "2024-01-03",
    ]
    assert "Excel's number of a day: 2024-01-02" in read.notes[0]


def test_times_of_day_alone_are_no_moments_of_january_1970() -> None:
    assert label(["93000", "100000", "163000"], market="CRYPTO", interval="1m") == [None] * 3


def test_numbers_of_rows_are_neither_moments_nor_days_of_excel() -> None:
    assert read_times(pd.Series(range(50_000))).bad.all()
    assert read_times(pd.Series(range(10_000, 50_000)).astype(str)).bad.all()


def test_bars_of_january_1970_are_read_among_the_others_of_their_series() -> None:
    days = pd.date_range("1969-12-29 14:30", "1970-02-03", freq="B").drop("1970-01-01 14:30")
    times = read_times(pd.Series(days.as_unit("s").astype("int64")))
    assert not times.bad.any()
    assert times.seconds.tolist() == [int(day.timestamp()) for day in days]


@pytest.mark.parametrize("form", ["%d%m%Y", "%m%d%Y"])
@pytest.mark.parametrize("is_text", [True, False])
def test_digits_that_end_with_their_year_are_no_seconds_since_1970(
    form: str, *, is_text: bool
) -> None:
    texts = [f"{datetime(2024, 1, day):{form}}" for day in range(2, 9)]  # noqa: DTZ001 - a date
    with pytest.raises(BadInput, match="seem to end with their year"):
        read_times(pd.Series(texts if is_text else [int(text) for text in texts]))
    hours = pd.Series(range(7_200_000, 8_000_000, 3_600))
    assert not read_times(hours).bad.any()
