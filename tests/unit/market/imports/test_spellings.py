"""Rows of one ticker that are written in several ways."""

from datetime import UTC, datetime

from market.imports.rows import TickerRows, read_rows
from market.markets import SHIPPED
from tests.unit.market.imports.reading import settle


def read(*rows: tuple[str, int]) -> list[TickerRows]:
    lines = (f"{ticker},2024-01-{day:02},1,2,1,2\n" for ticker, day in rows)
    return read_rows(
        settle("ticker,date,open,high,low,close\n" + "".join(lines)),
        interval="1d",
        ticker=None,
        market=None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )


def test_all_ways_in_which_a_ticker_is_written_are_said() -> None:
    (found,) = read(("AAPL", 2), ("AAPL.O", 3), ("aapl us equity", 4))
    assert (found.ticker, len(found.columns["times"])) == ("AAPL", 3)
    assert found.notes == ["AAPL.O is taken for AAPL", "aapl us equity is taken for AAPL"]


def test_rows_of_the_same_times_that_are_written_in_several_ways_are_refused_by_these() -> None:
    ibm, msft = read(("NYSE:IBM", 2), ("BATS:IBM", 2), ("MSFT", 2))
    assert ibm.error is not None
    assert ibm.error.startswith("NYSE:IBM, BATS:IBM are one ticker, and 1 of their rows share")
    assert (msft.error, len(msft.columns["times"])) == (None, 1)
