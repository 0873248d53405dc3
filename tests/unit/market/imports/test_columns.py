"""Columns of tables, however they are named."""

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.columns import match_columns


@pytest.mark.parametrize(
    "names",
    [
        ["date", "open", "high", "low", "close", "volume"],
        ["Date", "Open", "High", "Low", "Close", "Volume"],
        ["timestamp", "O", "H", "L", "C", "V"],
        ["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"],
        [" Datetime ", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"],
    ],
)
def test_usual_names_are_known_in_any_case(names: list[str]) -> None:
    frame = pd.DataFrame([["2001-09-17", 1, 2, 3, 4, 5]], columns=names)
    assert match_columns(frame).to_dict("records") == [
        {"time": "2001-09-17", "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
    ]


def test_columns_of_adjusted_data_are_left_aside() -> None:
    names = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Stock Splits", "Symbol", "Split Factor"]
    matched = match_columns(pd.DataFrame([["2001-09-17", 1, 2, 3, 4, 0.5, 2.0, "AAPL", 3.0]], columns=names))
    assert list(matched) == ["ticker", "time", "open", "high", "low", "close", "split"]
    assert matched["split"].tolist() == [3.0]


def test_named_index_is_a_column() -> None:
    index = pd.DatetimeIndex(["2001-09-17"], name="Date")
    assert match_columns(pd.DataFrame({"o": [1], "h": [2], "l": [3], "c": [4]}, index=index))["time"].tolist() == [
        pd.Timestamp("2001-09-17")
    ]


def test_date_and_time_columns_are_joined() -> None:
    frame = pd.DataFrame({"Date": ["2001-09-17"], "Time": ["09:30"], "o": [1], "h": [2], "l": [3], "c": [4]})
    assert match_columns(frame)["time"].tolist() == ["2001-09-17 09:30"]


def test_missing_columns_are_named_beside_what_was_found() -> None:
    with pytest.raises(BadInput) as refused:
        match_columns(pd.DataFrame({"date": ["2001-09-17"], "price": [1.0]}))
    assert "no usable column for open, high, low, close; found: date, price" in refused.value.message


def test_table_without_a_row_is_refused() -> None:
    with pytest.raises(BadInput, match="no row"):
        match_columns(pd.DataFrame(columns=["date", "open", "high", "low", "close"]))
