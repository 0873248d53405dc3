"""Tickers as they are written, and the market each belongs to."""

import pytest

from core.errors import BadInput
from market.markets import complete_ticker, get_market, get_market_of
from market.tickers import normalize_ticker


@pytest.mark.parametrize(
    ("text", "ticker"),
    [(" aapl ", "AAPL"), ("brk.b", "BRK.B"), ("^gspc", "^GSPC"), ("7203.t", "7203.T"), ("A" * 20,) * 2],
)
def test_ticker_is_normalized(text: str, ticker: str) -> None:
    assert normalize_ticker(text) == ticker


@pytest.mark.parametrize("text", ["", " ", "A B", "AAPL::1d", "../x", "A" * 21, "ÄÖ", "A\n"[:1] + "\x00"])
def test_what_is_no_ticker_is_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        normalize_ticker(text)
    assert repr(text[:40]) in refused.value.message


@pytest.mark.parametrize(
    ("ticker", "code"),
    [
        ("AAPL", "US"),
        ("^GSPC", "US"),
        ("BRK.B", "US"),
        ("7203.T", "JP"),
        ("PTT.BK", "TH"),
        ("^SET.BK", "TH"),
        ("T", "US"),
    ],
)
def test_market_is_told_by_the_suffix(ticker: str, code: str) -> None:
    assert get_market_of(ticker).code == code


def test_market_adds_its_suffix_once() -> None:
    japan = get_market("jp")
    assert complete_ticker("7203", japan) == "7203.T"
    assert complete_ticker("7203.T", japan) == "7203.T"
    assert complete_ticker("aapl", get_market("US")) == "AAPL"


def test_ticker_of_another_market_is_refused() -> None:
    with pytest.raises(BadInput, match=r"PTT\.BK is a ticker of market TH, not of JP"):
        complete_ticker("PTT.BK", get_market("JP"))


def test_unknown_market_is_refused_with_the_choices() -> None:
    with pytest.raises(BadInput, match="'MARS' is no market that is known: choose one of US, JP, TH"):
        get_market("MARS")
