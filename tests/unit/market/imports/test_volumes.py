"""Tables in which many rows are incomplete, and volumes that are missing or counted in lots."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from market.imports.rows import TickerRows, read_rows
from market.markets import SHIPPED
from tests.unit.market.imports.reading import settle

HEAD = "Date,Open,High,Low,Close,Volume"
EASTMONEY = "日期,开盘,收盘,最高,最低,成交量,成交额,振幅,涨跌幅,涨跌额,换手率"


def read(ticker: str, rows: Sequence[str], head: str = HEAD) -> TickerRows:
    (found,) = read_rows(
        settle("\n".join([head, *rows])),
        interval="1d",
        ticker=ticker,
        market=None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )
    return found


def list_rows(prices: str, volumes: Sequence[str]) -> list[str]:
    return [f"2024-01-{22 + day},{prices},{volume}" for day, volume in enumerate(volumes)]


@pytest.mark.parametrize("ticker", ["EURUSD=X", "^GSPC", "^N225", "000016.SS", "399006.SZ"])
def test_an_index_or_a_currency_keeps_bars_without_a_volume(ticker: str) -> None:
    found = read(ticker, list_rows("2,3,1,2", ["", "", "-", "5"]))
    assert (found.error, found.rejected) == (None, [])
    assert found.columns["volume"].tolist() == [0, 0, 0, 5]
    assert found.notes == ["3 of its volumes are empty, and are 0"]


def test_prices_of_a_fund_say_that_no_model_looks_at_them() -> None:
    days = [date(2023, 1, 1) + timedelta(days=day) for day in range(120)]
    rows = [f"{day},{100 + n}" for n, day in enumerate(days)]
    alike = [f"{row},{100 + n},{100 + n},{100 + n},0" for n, row in enumerate(rows)]
    (note,) = read("FUND-USD", alike).notes
    assert note.startswith("120 of 120 bars say that nothing traded (one price, no volume, or the")
    assert "`flask series fit`" in note
    traded = [f"{row},{101 + n},{99 + n},{100 + n},0" for n, row in enumerate(rows)]
    assert read("EURUSD-USD", traded).notes == []


@pytest.mark.parametrize("ticker", ["AAPL", "BTC-USD", "ES=F", "600519.SS"])
def test_many_empty_volumes_of_a_traded_ticker_refuse_it(ticker: str) -> None:
    found = read(ticker, list_rows("2,3,1,2", ["5", "", "", "", "5"]))
    assert found.error == (
        "3 of its 5 rows have no volume, the first is row 2, and others have one: write 0 where"
        " nothing traded, or say that no column is the volume (volume=), which is 0 then"
    )
    assert not len(found.columns["times"])
    few = read(ticker, list_rows("2,3,1,2", ["5", "", "5", "5"]))
    assert [(row.row, row.reason) for row in few.rejected] == [(2, "not_a_number")]
    none = read(ticker, list_rows("2,3,1,2", ["", "", "", ""]))
    assert (none.rejected, none.columns["volume"].tolist()) == ([], [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("n/a", "cannot be read"), ("2042-01-02", "are to come"), ("1970-01-01", "are the first of")],
)
def test_many_wrong_times_refuse_a_ticker_and_a_few_reject_rows(wrong: str, said: str) -> None:
    """The ticker used to be stored with a gap for each of them."""
    rows = list_rows("2,3,1,2", ["5"] * 5)
    found = read("AAPL", [*rows, *[f"{wrong},2,3,1,2,5"] * 3])
    assert found.error is not None
    assert f"3 of its 8 rows have times that {said}" in found.error
    assert f"such as '{wrong}' in row 6: mend them" in found.error
    few = read("AAPL", [*rows, *[f"{wrong},2,3,1,2,5"] * 2])
    assert (few.error, len(few.columns["times"])) == (None, 5)
    totals = read("AAPL", [*rows, *["n/a,,,,,"] * 3])
    assert (totals.error, len(totals.columns["times"])) == (None, 5)
    blank = read("AAPL", [*rows, *[f"{wrong},0,0,0,0,0"] * 3])
    assert (blank.error, len(blank.columns["times"])) == (None, 5)


@pytest.mark.parametrize("prices", [",,,", "2,3,1,2"])
def test_days_without_a_session_do_not_count_as_empty_volumes(prices: str) -> None:
    """As in a table with all days of the calendar, some with values and some without."""
    rows = list_rows("2,3,1,2", ["5"] * 5)
    weekends = [f"2024-01-{day},{prices}," for day in (20, 21, 27, 28)]
    found = read("AAPL", [*weekends[:2], *rows, *weekends[2:]])
    assert (found.error, len(found.columns["times"])) == (None, 5)
    assert {row.reason for row in found.rejected} == {"not_a_number"}


def test_days_before_a_listing_do_not_count_as_empty_volumes() -> None:
    """As in a table that has all days of the oldest ticker for each ticker."""
    rows = [*list_rows(",,,", [""] * 3), *list_rows("2,3,1,2", ["5"] * 5)[3:]]
    found = read("AAPL", rows)
    assert (found.error, len(found.columns["times"])) == (None, 2)


def test_a_series_that_crosses_zero_is_refused_and_one_bad_day_is_a_row() -> None:
    above, below = list_rows("2,3,1,2", ["5"] * 5), list_rows("-2,3,-3,2", ["5"] * 5)
    found = read("CL=F", [*above[:2], *below[2:]])
    assert "3 of its 5 rows have prices below zero, as spreads do" in str(found.error)
    assert "the first is row 3" in str(found.error)
    few = read("CL=F", [*above[:2], below[2], *above[3:]])
    assert [(row.row, row.reason) for row in few.rejected] == [(3, "non_positive_price")]
    assert len(few.columns["times"]) == 4


@pytest.mark.parametrize(
    ("ticker", "volume"), [("600519.SS", 3_215_600), ("0700.HK", 32_156), ("AAPL", 32_156)]
)
def test_volumes_of_eastmoney_are_lots_only_for_china(ticker: str, volume: int) -> None:
    row = "2024-01-22,1716,1686.7,1723,1680,32156,5440082500,2.5,-1.6,-27.3,0.26"
    found = read(ticker, [row], EASTMONEY)
    assert found.columns["volume"].tolist() == [volume]
    named = "volumes are read as 100 each, as Eastmoney counts lots"
    assert (named in found.notes) == (volume > 32_156)
    # A table with fewer of its columns comes from another program.
    plain = read(ticker, [row[: row.index(",2.5")]], EASTMONEY[: EASTMONEY.index(",振幅")])
    assert plain.columns["volume"].tolist() == [32_156]


def test_a_table_without_volumes_says_so() -> None:
    settled = settle("Date,Open,High,Low,Close\n2024-01-02,2,3,1,2\n")
    assert settled.notes == ["no column is taken for the volume, which is 0"]
