"""Intervals and periods."""

from datetime import UTC, datetime

import pytest

from core.errors import BadInput
from market.intervals import (
    is_intraday,
    parse_interval,
    parse_period,
    period_start,
    read_interval,
)

LAST = datetime(2024, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2d", "1D", "1M", "", "1h30m", "daily"])
def test_unknown_interval_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_interval(text)
    assert "1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w" in refused.value.message
    assert repr(text) in refused.value.message


@pytest.mark.parametrize(
    ("meant", "words"),
    [
        (("1m",), "1m 1min 1minute M1 PERIOD_M1 1 ohlcv-1m minute"),
        (("5m",), "5m 5mins 5-min 5_min M5 5 300"),
        (("1h",), "1h 1H 1hour H1 hourly 60min 3600"),
        (("4h",), "4h H4 240 14400"),
        (("1d",), "1d D D1 1D 1day day daily Daily 24h 1440 86400"),
        (("1w",), "1w W1 W weekly 7d 10080 604800"),
        # Minutes, as TradingView writes them, or seconds, as Coinbase does.
        (("1h", "1m"), "60"),
        ((), "regular Q1 2024-01 AAPL"),
    ],
)
def test_vendors_words_for_intervals_are_read(meant: tuple[str, ...], words: str) -> None:
    texts = words.split()
    assert {text: read_interval(text) for text in texts} == dict.fromkeys(texts, meant)
    assert read_interval(" 5 mins ") == ("5m",)


@pytest.mark.parametrize("text", ["3m", "1M", "M", "MN1", "1mo", "monthly", "1s", "M3", "7"])
def test_lengths_that_are_no_interval_are_left_unchanged(text: str) -> None:
    assert read_interval(text) == (text,)


def test_day_and_week_are_not_intraday() -> None:
    assert [name for name in ("1m", "4h", "1d", "1w") if is_intraday(name)] == ["1m", "4h"]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("30d", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2w", datetime(2024, 3, 17, tzinfo=UTC)),
        ("1mo", datetime(2024, 2, 29, tzinfo=UTC)),
        ("13mo", datetime(2023, 2, 28, tzinfo=UTC)),
        ("3mo", datetime(2023, 12, 31, tzinfo=UTC)),
        ("5Y", datetime(2019, 3, 31, tzinfo=UTC)),
        ("max", None),
        ("9999y", None),
    ],
)
def test_period_counts_back_from_the_last_bar(text: str, start: datetime | None) -> None:
    assert period_start(parse_period(text), LAST) == start


def test_year_before_a_leap_day_ends_in_february() -> None:
    assert period_start(parse_period("1y"), datetime(2024, 2, 29, tzinfo=UTC)) == datetime(
        2023, 2, 28, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["5x", "0d", "-1d", "", "y", "1.5y", "5 y", "10000d", "max5"])
def test_an_invalid_period_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(BadInput, match="is no period") as refused:
        parse_period(text)
    assert repr(text) in refused.value.message
