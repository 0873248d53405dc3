"""How tickers are written, and the market to which each belongs."""

import re
from contextlib import suppress

import exchange_calendars
import pytest

from core.errors import BadInput
from market.market_rows import CALENDARS
from market.markets import SHIPPED, Markets, UnknownMarket
from market.sessions.calendar import CURRENCIES, load_sessions
from market.tickers import normalize_ticker
from records.market.markets import SHIPPED_ROWS


@pytest.mark.parametrize(
    ("text", "ticker"),
    [
        (" aapl ", "AAPL"),
        ("brk.b", "BRK.B"),
        ("^gspc", "^GSPC"),
        ("7203.t", "7203.T"),
        ("A" * 20,) * 2,
    ],
)
def test_ticker_is_normalized(text: str, ticker: str) -> None:
    assert normalize_ticker(text) == ticker


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "..", "--", "^", "A B", "AAPL::1d", "../x", "A" * 21, "ÄÖ", "A\n"[:1] + "\x00"],
)
def test_an_invalid_ticker_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        normalize_ticker(text)
    assert repr(text[:40]) in refused.value.message


@pytest.mark.parametrize(
    ("text", "proposed"),
    [
        ("BF/B", "; write BF.B or BF-B"),
        ("brk b", "; write BRK.B or BRK-B"),
        ("EUR/USD", " (currencies), or say of which market it is, CRYPTO or FX"),
        ("SPX Index", " write it as Yahoo does (^GSPC, ^N225; ES=F of a future)"),
        ("台積電", "(AAPL, 7203.T, ^GSPC)"),
        ("../x", "(AAPL, 7203.T, ^GSPC)"),
    ],
)
def test_an_invalid_ticker_is_answered_with_how_it_is_written_here(
    text: str, proposed: str
) -> None:
    with pytest.raises(BadInput) as refused:
        normalize_ticker(text)
    assert refused.value.message.endswith(proposed)


@pytest.mark.parametrize(
    ("ticker", "code"),
    [
        ("AAPL", "US"),
        ("^GSPC", "US"),
        ("^IXIC", "US"),
        ("BRK.B", "US"),
        ("BF-B", "US"),
        ("BAC-PL", "US"),
        ("T", "US"),
        ("NA", "US"),
        ("TRUE", "US"),
        ("1E5", "US"),
        ("7203.T", "JP"),
        ("^N225", "JP"),
        ("PTT.BK", "TH"),
        ("^SET.BK", "TH"),
        ("0700.HK", "HK"),
        ("VOD.L", "UK"),
        ("SAP.DE", "DE"),
        ("MC.PA", "FR"),
        ("RELIANCE.NS", "IN"),
        ("500325.BO", "IN"),
        ("BHP.AX", "AU"),
        ("RY.TO", "CA"),
        ("005930.KS", "KR"),
        ("600519.SS", "CN"),
        ("000001.SZ", "CN"),
        ("D05.SI", "SG"),
        ("2330.TW", "TW"),
        ("8069.TWO", "TW"),
        ("BTC-USD", "CRYPTO"),
        ("ETH-USDT", "CRYPTO"),
        ("BTCUSDT.BINANCE", "CRYPTO"),
        ("EURUSD=X", "FX"),
        ("ES=F", "FUT"),
    ],
)
def test_the_market_is_found_by_the_longest_suffix_or_the_style(ticker: str, code: str) -> None:
    assert SHIPPED.get_of(ticker).code == code


@pytest.mark.parametrize(
    "ticker",
    [
        "7203",
        "72030",
        "0700",
        "BTCUSDT",
        "BTC_USDT",
        "ETHBTC",
        "EURUSD",
        "VOD.XY",
        "285A0",
        "BTCUSDT.P",
        "BTCUSDT_PERP",
        "SH600519",
        "ESZ24",
        "CLF5",
        "6EH24",
        "ESZ2024",
        "PETR4",
        "SANB11",
        "AAPL34",
        "B3SA3",
        "PETR4F",
        "A005930",
        "SAP.F",
        "NESN.S",
        "ENI.MI",
        "US0378331005",
        "^X",
    ],
)
def test_an_ambiguous_market_is_asked_for_with_the_choices(ticker: str) -> None:
    with pytest.raises(
        UnknownMarket, match=r"of which market is it\?.*with a market \(US, JP, TH, HK"
    ):
        SHIPPED.get_of(ticker)


@pytest.mark.parametrize(
    ("text", "ticker"),
    [("aapl.us", "AAPL"), ("7203.jp", "7203.T"), ("vod.uk", "VOD.L"), ("600519.sh", "600519.SS")],
)
def test_suffixes_of_vendors_are_read_as_the_markets_own(text: str, ticker: str) -> None:
    assert SHIPPED.spell(text) == ticker


@pytest.mark.parametrize(
    ("text", "code", "ticker"),
    [
        ("7203", "JP", "7203.T"),
        ("7203.T", "JP", "7203.T"),
        ("72030", "JP", "7203.T"),
        ("285A0", "JP", "285A.T"),
        ("25935", "JP", "25935.T"),
        ("700", "HK", "0700.HK"),
        ("00700", "HK", "0700.HK"),
        ("vod", "UK", "VOD.L"),
        ("EURUSD", "FX", "EURUSD=X"),
        ("BTCUSDT", "CRYPTO", "BTCUSDT"),
        ("aapl", "US", "AAPL"),
        ("1234", "US", "1234"),
    ],
)
def test_a_named_market_adds_its_suffix_once(text: str, code: str, ticker: str) -> None:
    assert SHIPPED.complete(text, SHIPPED[code]) == ticker


@pytest.mark.parametrize(("ticker", "code"), [("PTT.BK", "TH"), ("^GSPC", "US"), ("AAPL.US", "US")])
def test_ticker_of_another_market_is_refused(ticker: str, code: str) -> None:
    with pytest.raises(
        BadInput, match=rf"{re.escape(ticker)} is a ticker of market {code}, not of JP"
    ):
        SHIPPED.complete(ticker, SHIPPED["JP"])


def test_a_market_set_by_hand_takes_precedence_over_style() -> None:
    markets = Markets({row["code"]: row for row in SHIPPED_ROWS}, {"7203": "US", "BTC-USD": "US"})
    assert [markets.get_of(ticker).code for ticker in ("7203", "BTC-USD", "ETH-USD")] == [
        "US",
        "US",
        "CRYPTO",
    ]


def test_unknown_market_is_refused_with_the_choices() -> None:
    with pytest.raises(
        BadInput, match="'MARS' is no market that is known: choose one of US, JP, TH"
    ):
        SHIPPED.choose("MARS")


@pytest.mark.slow
def test_every_calendar_that_can_be_built_can_be_chosen_and_no_other() -> None:
    """A market of another one could be added, and then no bar of it be imported."""
    built = set()
    for name in exchange_calendars.get_calendar_names(include_aliases=False):
        with suppress(ValueError, NotImplementedError):
            exchange_calendars.get_calendar(name, start="2024-01-02", end="2025-12-30")
            built.add(name)
    assert set(CALENDARS) == {*built, CURRENCIES}
    assert {market.calendar for market in SHIPPED.values()} <= set(CALENDARS)


@pytest.mark.parametrize("code", SHIPPED)
def test_every_shipped_market_has_sessions(code: str) -> None:
    sessions = load_sessions(SHIPPED[code])
    assert len(sessions.days) > 5_000
    assert SHIPPED[code].zone is not None


@pytest.mark.parametrize(
    ("text", "ticker"),
    [
        ("AAPL US Equity", "AAPL"),
        ("aapl uw equity", "AAPL"),
        ("VOD LN", "VOD.L"),
        ("7203 JT Equity", "7203.T"),
        ("700 HK Equity", "0700.HK"),
        ("BRK/B US Equity", "BRK.B"),
        ("BT/A LN Equity", "BT-A.L"),
        ("AAPL.O", "AAPL"),
        ("IBM.N", "IBM"),
        ("BRKb.N", "BRK.B"),
        ("NASDAQ:AAPL", "AAPL"),
        ("LON:VOD", "VOD.L"),
        ("BTC/USDT", "BTC-USDT"),
        ("ETH/BTC", "ETH-BTC"),
        ("BTC/USD", "BTC-USD"),
        ("EURUSD Curncy", "EURUSD=X"),
        ("BF.B", "BF.B"),
        ("VOD.L", "VOD.L"),
    ],
)
def test_a_vendors_spelling_of_a_ticker_is_read(text: str, ticker: str) -> None:
    assert SHIPPED.spell(text) == ticker


@pytest.mark.parametrize(
    "text",
    [
        "EUR/USD",
        "XAU/USD",
        "US30/USD",
        "PHP/EUR",
        "600519 CN",
        "RELIANCE IN Equity",
        "TSE:7203",
        "BF/B",
        "CL1 Comdty",
    ],
)
def test_a_vendors_spelling_of_several_tickers_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        SHIPPED.spell(text)


@pytest.mark.parametrize(
    ("text", "code", "ticker"),
    [
        ("EUR/USD", "FX", "EURUSD=X"),
        ("EUR_USD", "FX", "EURUSD=X"),
        ("XAU/USD", "FX", "XAUUSD=X"),
        ("EUR/USD", "CRYPTO", "EUR-USD"),
        ("SOL/USD", "CRYPTO", "SOL-USD"),
        ("300750", "CN", "300750.SZ"),
        ("000001", "CN", "000001.SZ"),
        ("600519", "CN", "600519.SS"),
        ("SZ000001", "CN", "000001.SZ"),
        ("sh.600519", "CN", "600519.SS"),
        ("A005930", "KR", "005930.KS"),
        ("RCI.B", "CA", "RCI-B.TO"),
        ("BT.A", "UK", "BT-A.L"),
        ("BP.", "UK", "BP.L"),
        ("BRK.B", "US", "BRK.B"),
    ],
)
def test_a_ticker_of_a_named_market_is_the_same_from_all_sources(
    text: str, code: str, ticker: str
) -> None:
    assert SHIPPED.complete(text, SHIPPED[code]) == ticker


def test_a_ticker_with_an_unknown_suffix_is_told_how_to_add_its_market() -> None:
    with pytest.raises(UnknownMarket, match=r"add the market whose suffix is \.MI \(flask mark"):
        SHIPPED.get_of("ENI.MI")


def test_a_markets_suffix_takes_precedence_over_a_vendors_meaning() -> None:
    nairobi = {**SHIPPED_ROWS[0], "code": "KE", "suffixes": [".N"], "aliases": [], "indices": []}
    markets = Markets({row["code"]: row for row in (*SHIPPED_ROWS, nairobi)})
    assert SHIPPED.spell("SCOM.N") == "SCOM"
    assert markets.spell("SCOM.N") == "SCOM.N"
    assert markets.get_of("SCOM.N").code == "KE"


@pytest.mark.parametrize("code", ["430047", "830799", "920002"])
def test_a_code_of_beijing_is_not_taken_for_one_of_shanghai(code: str) -> None:
    with pytest.raises(BadInput, match=r"\.BJ"):
        SHIPPED.complete(code, SHIPPED["CN"])
    assert SHIPPED.complete("900901", SHIPPED["CN"]) == "900901.SS"


@pytest.mark.parametrize("ticker", ["US30", "US500", "NAS100", "SPX500", "GER40", "UK100", "HSI50"])
def test_an_index_name_that_brokers_use_is_asked_about(ticker: str) -> None:
    """When it was taken for a US share, its bars at night and on US holidays were rejected."""
    assert SHIPPED.find_of(ticker) is None
    with pytest.raises(UnknownMarket, match="an index as brokers call it"):
        SHIPPED.get_of(ticker)
