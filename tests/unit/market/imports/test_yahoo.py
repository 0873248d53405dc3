"""The Yahoo adapter, on tables in the form of yfinance 1.7; no test uses the network."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.rows import read_rows
from market.imports.settling import settle_frame
from market.imports.sources.yahoo import MOST_TRIES, Answer, Fetch, Yahoo
from market.markets import SHIPPED

NOW = datetime(2005, 3, 2, 15, 0, tzinfo=UTC)
SESSIONS = ["2005-02-24", "2005-02-25", "2005-02-28", "2005-03-01"]
# Two weeks from a Monday on, when London is an hour before UTC.
SUMMER = [f"2004-07-{day:02}" for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16)]


class YFRateLimitError(Exception):
    """Has the name of yfinance's own exception."""


def answer_of(sessions: list[str], *, splits: dict[str, float] | None = None) -> pd.DataFrame:
    """AAPL as Yahoo returned it in March 2005: 88.93 and 88.99 from before the split of 2005-02-28
    are halved.
    """
    prices = {
        "2005-02-24": 44.465,
        "2005-02-25": 44.495,
        "2005-02-28": 44.86,
        "2005-03-01": 44.5,
        "2005-03-02": 44.12,
    }
    close = np.array([prices[session] for session in sessions], np.float32).astype(np.float64)
    factors = pd.Series(0.0, index=sessions)
    for session, factor in (splits or {}).items():
        factors[session] = factor
    return pd.DataFrame(
        {
            "Open": close,
            "High": close,
            "Low": close,
            "Close": close,
            "Adj Close": close / 30,
            "Volume": np.full(len(sessions), 32_696_800),
            "Dividends": 0.0,
            "Stock Splits": factors.to_numpy(),
        },
        index=pd.DatetimeIndex(sessions, name="Date").tz_localize("America/New_York"),
    )


def ask(
    fetch: Fetch, *tickers: str, interval: str = "1d", pauses: list[float] | None = None
) -> list[Answer]:
    yahoo = Yahoo(fetch, sleep=(pauses if pauses is not None else []).append)
    return list(
        yahoo.download(
            {t: SHIPPED.get_of(t) for t in tickers}, period="5y", interval=interval, now=NOW
        )
    )


def test_prices_are_stored_as_quoted_with_the_split_factor() -> None:
    (answer,) = ask(lambda *_: answer_of(SESSIONS, splits={"2005-02-28": 2.0}), "AAPL")
    assert answer.frame is not None
    assert answer.frame["close"].tolist() == [88.93, 88.99, 44.86, 44.5]
    assert answer.frame["volume"].tolist() == [16_348_400, 16_348_400, 32_696_800, 32_696_800]
    assert answer.frame["split"].tolist() == [1.0, 1.0, 2.0, 1.0]
    assert answer.notes == []


def test_the_same_bars_returned_after_a_split_have_the_same_quotes() -> None:
    (before,) = ask(lambda *_: answer_of(SESSIONS[2:]), "AAPL")
    halved = answer_of(SESSIONS[2:])
    halved[["Open", "High", "Low", "Close"]] = (
        halved[["Open", "High", "Low", "Close"]] / 7
    ).astype(np.float32)
    halved.loc[halved.index[-1], "Stock Splits"] = 0.0
    later = pd.concat(
        [halved, halved.iloc[-1:].set_axis([pd.Timestamp("2005-03-02", tz="America/New_York")])]
    )
    later["Stock Splits"] = [0.0, 0.0, 7.0]
    (after,) = ask(lambda *_: later, "AAPL")
    assert before.frame is not None
    assert after.frame is not None
    assert after.frame["close"].tolist()[:2] == before.frame["close"].tolist()


def test_period_becomes_a_start() -> None:
    asked: list[tuple[str, datetime | None, str]] = []

    def fetch(ticker: str, start: datetime | None, interval: str) -> pd.DataFrame:
        asked.append((ticker, start, interval))
        return answer_of(SESSIONS)

    ask(fetch, "AAPL", interval="1w")
    assert asked == [("AAPL", datetime(2000, 3, 2, 15, 0, tzinfo=UTC), "1wk")]


@pytest.mark.parametrize(("interval", "dates"), [("1d", SUMMER), ("1w", SUMMER[::5])])
def test_days_and_weeks_of_currencies_have_london_dates(interval: str, dates: list[str]) -> None:
    told = answer_of(SESSIONS[:2]).iloc[[0] * len(dates)]
    told.index = pd.DatetimeIndex(dates).tz_localize("Europe/London")
    (answer,) = ask(lambda *_: told, "EURUSD=X", interval=interval)
    assert answer.frame is not None
    rows = read_rows(
        settle_frame(answer.frame),
        interval=interval,
        ticker="EURUSD=X",
        market=None,
        markets=SHIPPED,
        now=NOW,
    )
    seconds = pd.DatetimeIndex(dates).astype("datetime64[s]").astype(np.int64)
    assert rows[0].columns["times"].tolist() == seconds.tolist()


def test_an_open_bar_is_left_out_and_reported() -> None:
    (answer,) = ask(lambda *_: answer_of([*SESSIONS, "2005-03-02"]), "AAPL")
    assert answer.frame is not None
    assert len(answer.frame) == 4
    assert answer.notes == ["the last bar has not closed yet and is left out"]


def test_partial_answer_is_noticed() -> None:
    (gap,) = ask(lambda *_: answer_of([SESSIONS[0], SESSIONS[3]]), "AAPL")
    assert gap.notes == ["partial answer: 2 sessions between its first and last bar are missing"]
    (short,) = ask(lambda *_: answer_of(SESSIONS[:2]), "AAPL")
    assert short.notes == ["partial answer: the last 2 sessions are missing"]


def test_a_ticker_without_an_answer_does_not_affect_the_others() -> None:
    def fetch(ticker: str, *_: object) -> pd.DataFrame:
        if ticker == "GONE":
            raise ValueError("$GONE: possibly delisted; no price data found")
        return pd.DataFrame() if ticker == "NONE" else answer_of(SESSIONS)

    answers = {answer.ticker: answer for answer in ask(fetch, "AAPL", "GONE", "NONE", "MSFT")}
    assert answers["AAPL"].error is None
    assert answers["MSFT"].error is None
    assert "possibly delisted" in str(answers["GONE"].error)
    assert answers["NONE"].error == "Yahoo has no 1d bars of it in this period"


def test_too_many_requests_are_repeated_after_growing_pauses() -> None:
    refused = {"AAPL": 2, "MSFT": 0}
    asked: list[str] = []

    def fetch(ticker: str, *_: object) -> pd.DataFrame:
        asked.append(ticker)
        if refused[ticker]:
            refused[ticker] -= 1
            raise YFRateLimitError("Too Many Requests. Rate limited. Try after a while.")
        return answer_of(SESSIONS)

    pauses: list[float] = []
    answers = ask(fetch, "AAPL", "MSFT", pauses=pauses)
    assert [answer.error for answer in answers] == [None, None]
    assert pauses == [5.0, 10.0]
    assert sorted(asked) == ["AAPL", "AAPL", "AAPL", "MSFT"]


def test_endless_refusal_ends_with_an_error() -> None:
    def fetch(*_: object) -> pd.DataFrame:
        raise YFRateLimitError("429")

    pauses: list[float] = []
    (answer,) = ask(fetch, "AAPL", pauses=pauses)
    assert answer.frame is None
    assert "too many requests" in str(answer.error)
    assert len(pauses) == MOST_TRIES - 1


def test_an_interval_that_yahoo_lacks_is_refused() -> None:
    with pytest.raises(BadInput, match="Yahoo has no 4h bars"):
        ask(lambda *_: answer_of(SESSIONS), "AAPL", interval="4h")
