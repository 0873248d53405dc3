"""Rows of one ticker that are spelled in several ways."""

import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from market.imports.rows import TickerNotThere, TickerRows, read_rows
from market.markets import SHIPPED
from market.spellings import is_same_spelling
from tests.unit.market.imports.reading import settle


def read(*rows: tuple[str, int]) -> list[TickerRows]:
    lines = (f"{ticker},2024-01-{day:02},1,2,1,2\n" for ticker, day in rows)
    return read_text("ticker,date,open,high,low,close\n" + "".join(lines))


def read_text(text: str, market: str | None = None, ticker: str | None = None) -> list[TickerRows]:
    return read_rows(
        settle(text),
        interval="1d",
        ticker=ticker,
        market=SHIPPED.choose(market) if market else None,
        markets=SHIPPED,
        now=datetime(2024, 6, 1, tzinfo=UTC),
    )


def test_all_spellings_of_a_ticker_are_reported() -> None:
    (found,) = read(("AAPL", 2), ("AAPL.O", 3), ("aapl us equity", 4))
    assert (found.ticker, len(found.columns["times"])) == ("AAPL", 3)
    assert found.notes == ["AAPL.O is taken for AAPL", "aapl us equity is taken for AAPL"]


def test_rows_of_the_same_times_with_several_spellings_are_refused_with_their_spellings() -> None:
    ibm, msft = read(("NYSE:IBM", 2), ("BATS:IBM", 2), ("MSFT", 2))
    assert ibm.error is not None
    assert ibm.error.startswith("NYSE:IBM, BATS:IBM are one ticker, and 1 of their rows share")
    assert (msft.error, len(msft.columns["times"])) == (None, 1)


def read_at(
    column: str, *rows: tuple[str, str, int], market: str | None = None
) -> list[TickerRows]:
    """Return the rows of tickers with one more column, on days of January 2024."""
    lines = (f"{ticker},{says},2024-01-{day:02},1,2,1,2\n" for ticker, says, day in rows)
    return read_text(f"ticker,{column},date,open,high,low,close\n" + "".join(lines), market)


@pytest.mark.parametrize(
    ("column", "ticker", "venue", "expected", "market"),
    [
        ("exchange", "SAP", "XETRA", "SAP.DE", "DE"),
        ("mic", "VOD", "XLON", "VOD.L", "UK"),
        ("Series", "INFY", " EQ", "INFY.NS", "IN"),
        ("market", "005930", "KOSPI", "005930.KS", "KR"),
        ("market", "247540", "KOSDAQ", "247540.KQ", "KR"),
        ("exchange", "600519", "SSE", "600519.SS", "CN"),
        ("exchange", "7203", "jp", "7203.T", "JP"),
        # As an import to the exchange's own market stores it.
        ("exchange", "A247540", "KOSDAQ", "247540.KQ", "KR"),
        ("exchange", "RCI.B", "TSX", "RCI-B.TO", "CA"),
        ("exchange", "BP.", "LSE", "BP.L", "UK"),
        ("exchange", "000001", "SZSE", "000001.SZ", "CN"),
        ("exchange", "000001", "SSE", "000001.SS", "CN"),
        # Berlin and Stockholm, which are unknown, and a series that is not of India.
        ("exchange", "SAP", "BE", "SAP", "US"),
        ("exchange", "VOLV-B", "ST", "VOLV-B", "US"),
        ("exchange", "AAPL", "NMS", "AAPL", "US"),
        ("exchange", "VOD", "London Stock Exchange", "VOD.L", "UK"),
        ("exchange", "SAP", "Deutsche Börse XETRA", "SAP.DE", "DE"),
        ("exchange", "VOD", "LSE - MAIN MARKET", "VOD.L", "UK"),
        ("exchange", "INFY", "NSE of India", "INFY.NS", "IN"),
        ("exchange", "AAPL", "NASDAQ Global Select", "AAPL", "US"),
        ("exchange", "AAPL", "NasdaqGS", "AAPL", "US"),
        ("Exchange Name", "7203", "Tokyo  Stock Exchange", "7203.T", "JP"),
        ("market", "INFY", "National Stock Exchange of India", "INFY.NS", "IN"),
        ("exchange", "SU", "TSX Venture Exchange", "SU.V", "CA"),
        # A ticker with its exchange in its name, and a venue that is unknown.
        ("exchange", "VOD.L", "CHIX", "VOD.L", "UK"),
        ("exchange", "VOD.L", "NYSE", "VOD.L", "UK"),
        ("exchange", "AAPL", "DARK", "AAPL", "US"),
    ],
)
def test_a_column_of_exchanges_gives_the_market_of_a_ticker(
    column: str, ticker: str, venue: str, expected: str, market: str
) -> None:
    (found,) = read_at(column, (ticker, venue, 3))
    assert (found.error, found.ticker) == (None, expected)
    assert found.market is not None
    assert found.market.code == market


def test_one_name_on_two_exchanges_is_two_tickers() -> None:
    london, new_york = read_at("exchange", ("VOD", "LSE", 3), ("VOD", "NASDAQ", 3))
    assert (london.ticker, new_york.ticker) == ("VOD.L", "VOD")
    assert (london.error, new_york.error) == (None, None)
    assert london.notes == ["VOD is taken for VOD.L"]


@pytest.mark.parametrize(
    ("title", "file", "expected"),
    [
        ("BTC", "BTC-USD", True),  # A sheet named after the coin alone.
        ("ETH", "ethusdt", True),
        ("AAPL", "AAPL.US", True),
        ("BRK.B", "brk-b", True),
        ("BTC", "ETH-USD", False),
        ("GOOG", "GOOGL", False),
        ("BP.L", "BP.N", False),
    ],
)
def test_a_title_may_be_another_spelling_of_the_files_ticker(
    title: str, file: str, *, expected: bool
) -> None:
    assert is_same_spelling(title, file) is expected
    assert is_same_spelling(file, title) is expected


def test_the_requested_ticker_may_be_spelled_as_in_the_table() -> None:
    text = (
        "ticker,exchange,date,open,high,low,close\n"
        "INFY,NSE,2024-01-03,1,2,1,2\n"
        "VOD,LSE,2024-01-03,1,2,1,2\n"
        "VOD,NASDAQ,2024-01-03,1,2,1,2\n"
        "RY,TSX,2024-01-03,1,2,1,2\n"
        "RY,ASX,2024-01-03,1,2,1,2\n"
    )
    for asked, expected in (("INFY", "INFY.NS"), ("VOD", "VOD"), ("VOD.L", "VOD.L")):
        (found,) = read_text(text, ticker=asked)
        assert (found.ticker, found.read, found.error) == (expected, 1, None)
    with pytest.raises(TickerNotThere, match=r"RY is nowhere in the table; it has RY\.TO, RY\.AX"):
        read_text(text, ticker="RY")


def test_a_ticker_of_two_series_is_one_and_reported_once() -> None:
    (found,) = read_at("SERIES", ("INFY", "EQ", 3), ("INFY", "BE", 4), ("INFY", "EQ", 5))
    assert (found.ticker, found.notes) == ("INFY.NS", ["INFY is taken for INFY.NS"])
    assert len(found.columns["times"]) == 3


@pytest.mark.parametrize("source", [",Src", ""])
def test_series_of_one_share_are_distinguished_by_whatever_names_the_exchange(source: str) -> None:
    """One known series gives the exchange of all series in the table."""
    said = ",NSE" if source else ""
    text = f"TckrSymb,SctySrs{source},TradDt,open,high,low,close\n" + "".join(
        f"{ticker},{series}{said},2024-01-0{day},1,2,1,2\n"
        for day in (3, 4)
        for ticker, series in (("INFY", "BL"), ("INFY", "EQ"), ("SGBMAR28", "GB"))
    )
    share, bond = read_text(text)
    assert (share.ticker, bond.ticker, bond.error) == ("INFY.NS", "SGBMAR28.NS", None)
    assert share.error is not None
    assert share.error.startswith("rows of one time differ in 'SctySrs' ('BL' and 'EQ')")


def test_contracts_of_one_symbol_are_distinguished_by_their_number() -> None:
    """Options of India's exchange used to be taken for bars of less than a day."""
    rows = "".join(f"2024-01-02,{number},INFY,EQ,1,3,1,2\n" for number in range(35001, 35006))
    head = "TradDt,FinInstrmId,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric\n"
    (found,) = read_text(head + rows)
    assert found.error is not None
    assert "differ in 'FinInstrmId' ('35001' and '35002')" in found.error


def test_a_row_without_an_exchange_belongs_to_that_of_its_tickers_other_rows() -> None:
    found = read_at("exchange", ("VOD", "LSE", 3), ("VOD", "", 4), ("IBM", "", 4), ("VOD", " ", 5))
    assert [(one.ticker, one.error, len(one.columns["times"])) for one in found] == [
        ("VOD.L", None, 3),
        ("IBM", None, 1),
    ]


def test_an_exchange_of_an_unknown_market_is_reported_with_its_suffix() -> None:
    (found,) = read_at("boardid", ("SBER", "TQBR", 3))
    assert found.error is not None
    assert "add the market whose suffix is .ME" in found.error


@pytest.mark.parametrize("said", ["EUR", "eur", "GBp", "ZAc"])
def test_a_plain_ticker_with_prices_in_another_currency_is_not_taken_for_a_us_one(
    said: str,
) -> None:
    (found,) = read_at("currency", ("SAP", said, 3))
    assert found.error is not None
    assert found.error.startswith(
        "SAP is in the style of US tickers, whose prices are in USD, and 'currency' says"
        f" '{said}': say of which market it is"
    )
    (told,) = read_at("currency", ("SAP", said, 3), market="DE")
    assert (told.error, told.ticker) == (None, "SAP.DE")


def test_the_currency_in_the_question_is_the_one_in_the_file() -> None:
    (found,) = read_at("currency", ("SAP", "", 3), ("SAP", "EUR", 4))
    assert found.error is not None
    assert "'currency' says 'EUR'" in found.error


def test_a_us_or_unknown_currency_asks_nothing() -> None:
    found = read_at("currency", ("SAP", "USD", 3), ("IBM", "", 3), ("GE", "points", 3))
    assert [(one.ticker, one.error) for one in found] == [
        ("SAP", None),
        ("IBM", None),
        ("GE", None),
    ]


def test_a_foreign_currency_in_the_names_of_prices_is_noticed() -> None:
    names = ",".join(f"{name} (EUR)" for name in ("Open", "High", "Low", "Close"))
    (found,) = read_text(f"ticker,date,{names}\nSAP,2024-01-03,1,2,1,2\n")
    assert found.error is not None
    assert "'Close (EUR)' says 'EUR'" in found.error


@pytest.mark.parametrize(
    ("ticker", "venue", "meant"),
    [
        ("VOLV-B", "Nasdaq Stockholm", "VOLV-B.ST"),
        ("GRD1R", "Nasdaq Riga", "GRD1R.RG"),
        ("ASML", "Euronext Amsterdam", "ASML.AS"),
        ("ENI", "XMIL", "ENI.MI"),
    ],
)
def test_an_exchange_without_a_market_is_asked_about(ticker: str, venue: str, meant: str) -> None:
    (found,) = read_at("exchange", (ticker, venue, 3))
    assert found.error is not None
    assert found.error.startswith(f"{meant} is not in the style of US tickers")


@pytest.mark.parametrize(
    "venue", ["Dark Pool 7", "London Metal Exchange", "New York Mercantile Exchange"]
)
def test_an_unknown_exchange_is_reported_for_tickers_taken_for_us_ones(venue: str) -> None:
    (found,) = read_at("exchange", ("CA", venue, 3))
    assert found.notes == [
        f"'{venue}' is no exchange that is known: CA is taken for a ticker of US by its style"
    ]


@pytest.mark.parametrize(
    ("written", "ticker"),
    [
        ("600519.XSHG", "600519.SS"),
        ("000001.XSHE", "000001.SZ"),
        ("TSCO.LON", "TSCO.L"),
        ("AAPL.NASDAQ", "AAPL"),
        ("'7203.T", "7203.T"),
    ],
)
def test_exchange_behind_a_ticker_is_read(written: str, ticker: str) -> None:
    (found,) = read((written, 4))
    assert (found.error, found.ticker) == (None, ticker)


def test_an_apostrophe_that_keeps_a_code_a_text_is_not_part_of_it() -> None:
    (found,) = read_text("code,date,open,high,low,close\n'600519,2024-01-04,1,2,1,2\n", "CN")
    assert (found.error, found.ticker) == (None, "600519.SS")


def test_many_tickers_with_the_same_times_are_reported_in_time() -> None:
    """The column that separates a table's rows is read once, and not once a ticker from every part
    of the file.
    """
    head, pieces = "ticker,exchange,date,open,high,low,close\n", []
    for number in range(4_000):
        name = f"{number}.T"
        pieces.append(f"{name},A,2024-01-04,1,2,1,2\n{name},B,2024-01-04,1,2,1,2\n")
    settled = settle(head + "".join(pieces))
    venues = settled.written["venue"].combine_chunks()
    seconds = []
    for parts in ([venues], [venues.slice(at, 1) for at in range(len(venues))]):
        settled.written["venue"] = pa.chunked_array(parts)
        began = time.process_time()
        found = read_rows(
            settled,
            interval="1d",
            ticker=None,
            market=None,
            markets=SHIPPED,
            now=datetime(2024, 6, 1, tzinfo=UTC),
        )
        seconds.append(time.process_time() - began)
    assert seconds[1] < 3 * seconds[0]
    assert all(one.error and "differ in 'exchange' ('A' and 'B')" in one.error for one in found)
