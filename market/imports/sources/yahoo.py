"""Reads bars from Yahoo through yfinance; no other module knows either.

Yahoo adjusts all prices and volumes for splits up to today, so that each split would rewrite the
whole history. This module undoes the adjustment and returns the split factors: bars are stored as
they were quoted, and adjusted when read.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from core.arrays import Float64, Int64
from core.errors import BadInput
from market.imports.times.labels import label_times
from market.imports.times.read import read_times
from market.intervals import DAY_SECONDS, is_intraday, parse_period, period_start
from market.markets import Market
from market.sessions.calendar import find_closes, load_sessions

INTERVAL_NAMES = {
    "1m": "1m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1h",
    "1d": "1d",
    "1w": "1wk",
}
BATCH_TICKERS = 8
MOST_TRIES = 5
FIRST_PAUSE_SECONDS = 5.0
# Yahoo sends 32-bit floats, which hold seven digits; further digits are noise that differs between
# answers.
DIGITS = 7
PRICE_COLUMNS = ("Open", "High", "Low", "Close")

Fetch = Callable[[str, datetime | None, str], pd.DataFrame]
"""(ticker, start or None for all, Yahoo's interval) -> yfinance's table of one ticker;
raises its errors.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Yahoo's answer for one ticker: a table or an error, and notes on what the table lacks.

    `is_empty` says that Yahoo answered and has no bars.
    """

    ticker: str
    frame: pd.DataFrame | None
    error: str | None = None
    is_empty: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Yahoo:
    """Asks Yahoo for bars, of a few tickers at once; waits longer and longer while the answer is
    "too many requests".

    Attributes:
        fetch: asks for one ticker.
        sleep: waits so many seconds.
    """

    fetch: Fetch
    sleep: Callable[[float], None] = time.sleep

    def download(
        self, markets: Mapping[str, Market], *, period: str, interval: str, now: datetime
    ) -> Iterator[Answer]:
        """Yield an answer for each ticker of `markets`, in order.

        Raises BadInput on an interval that Yahoo does not have.
        """
        if interval not in INTERVAL_NAMES:
            raise BadInput(
                f"Yahoo has no {interval} bars: choose one of {', '.join(INTERVAL_NAMES)}"
            )
        start, tickers = period_start(parse_period(period), now), list(markets)
        for position in range(0, len(tickers), BATCH_TICKERS):
            batch = tickers[position : position + BATCH_TICKERS]
            answers = self._ask(batch, start, interval)
            for ticker in batch:
                yield _examine(ticker, markets[ticker], answers[ticker], interval, now)

    def _ask(
        self, tickers: Sequence[str], start: datetime | None, interval: str
    ) -> dict[str, pd.DataFrame | Exception]:
        answers: dict[str, pd.DataFrame | Exception] = {}
        waiting = list(tickers)
        for attempt in range(MOST_TRIES):
            with ThreadPoolExecutor(len(waiting)) as pool:
                asked = pool.map(lambda ticker: self._ask_one(ticker, start, interval), waiting)
                answers |= dict(zip(waiting, asked, strict=True))
            waiting = [ticker for ticker in waiting if _is_rate_limit(answers[ticker])]
            if not waiting:
                break
            if attempt + 1 < MOST_TRIES:
                self.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        return answers

    def _ask_one(
        self, ticker: str, start: datetime | None, interval: str
    ) -> pd.DataFrame | Exception:
        try:
            return self.fetch(ticker, start, INTERVAL_NAMES[interval])
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one ticker is that ticker's answer
            return error


def build_fetch() -> Fetch:
    """Return a function that asks Yahoo over the network. Raises BadInput where yfinance is not
    installed.
    """
    try:
        import yfinance  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise BadInput(
            "Yahoo is asked through yfinance, which is not installed: pip install"
            " 'yfinance>=1.7,<2'"
        ) from error
    yfinance.config.debug.hide_exceptions = False

    def fetch(ticker: str, start: datetime | None, interval: str) -> pd.DataFrame:
        window = {"period": "max"} if start is None else {"start": f"{start:%Y-%m-%d}"}
        history: pd.DataFrame = yfinance.Ticker(ticker).history(
            **window, interval=interval, auto_adjust=False, actions=True
        )
        return history

    return fetch


def _is_rate_limit(answer: object) -> bool:
    """Return whether an answer is HTTP status 429, in any of the forms that yfinance gives it."""
    named = type(answer).__name__ == "YFRateLimitError"
    return isinstance(answer, Exception) and (
        named or "429" in str(answer) or "Too Many Requests" in str(answer)
    )


def _examine(
    ticker: str, market: Market, answer: pd.DataFrame | Exception, interval: str, now: datetime
) -> Answer:
    """Return an answer as a table of bars as they were quoted, without a bar that has not
    closed.
    """
    if isinstance(answer, Exception):
        error = f"{type(answer).__name__}: {str(answer)[:200]}"
        if _is_rate_limit(answer):
            error = f"Yahoo answered 'too many requests' {MOST_TRIES} times; try again later"
        return Answer(ticker, None, error)
    missing = [name for name in (*PRICE_COLUMNS, "Volume") if name not in answer]
    if answer.empty or missing:
        error = f"Yahoo has no {interval} bars of it in this period"
        return Answer(ticker, None, error, is_empty=True)
    if not is_intraday(interval):
        # Yahoo's days begin at its own midnight: for currencies London's, an hour before UTC's in
        # summer.
        answer = answer.tz_localize(None)
    times = label_times(read_times(pd.Series(answer.index)), market, interval).seconds
    sessions = load_sessions(market)
    _, closes = find_closes(times, market, interval, sessions)
    closed = closes <= now.timestamp()
    notes = [] if closed.all() else ["the last bar has not closed yet and is left out"]
    if interval == "1d":
        notes += _find_gaps(times[closed], sessions.days, sessions.closes, now)
    return Answer(ticker, _quote(answer)[closed], notes=notes)


def _find_gaps(times: Int64, days: Int64, closes: Int64, now: datetime) -> Iterator[str]:
    """Yield notes on the sessions that an answer leaves out."""
    if not len(times):
        return
    held = times // DAY_SECONDS
    inside = days[(days >= held.min()) & (days <= held.max())]
    gaps = len(np.setdiff1d(inside, held))
    behind = np.count_nonzero((days > held.max()) & (closes <= now.timestamp()))
    if gaps:
        yield f"partial answer: {gaps} sessions between its first and last bar are missing"
    if behind > 1:
        yield f"partial answer: the last {behind} sessions are missing"


def _quote(answer: pd.DataFrame) -> pd.DataFrame:
    """Return prices and volumes as they were quoted on the day, with the `split` factors of the
    days that had one.
    """
    factors = (
        answer["Stock Splits"].to_numpy(np.float64)
        if "Stock Splits" in answer
        else np.zeros(len(answer))
    )
    factors = np.where(np.isfinite(factors) & (factors > 0), factors, 1.0)
    later = np.append(np.cumprod(factors[::-1])[::-1][1:], 1.0)
    quoted = {
        name.lower(): _round(answer[name].to_numpy(np.float64) * later) for name in PRICE_COLUMNS
    }
    volume = np.round(answer["Volume"].to_numpy(np.float64) / later)
    return pd.DataFrame({"time": answer.index, **quoted, "volume": volume, "split": factors})


def _round(prices: Float64) -> Float64:
    """Round to seven significant digits."""
    magnitude = np.floor(np.log10(np.where(prices > 0, prices, 1.0)))
    scale = 10.0 ** (DIGITS - 1 - magnitude)
    rounded: Float64 = np.round(prices * scale) / scale
    return rounded
