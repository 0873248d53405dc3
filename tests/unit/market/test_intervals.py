"""Intervals and periods."""

from datetime import UTC, datetime

import pytest

from core.errors import BadInput
from market.intervals import is_intraday, parse_interval, parse_period, period_start

LAST = datetime(2024, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2d", "1D", "1M", "", "1h30m", "daily"])
def test_unknown_interval_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_interval(text)
    assert "1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w" in refused.value.message
    assert repr(text) in refused.value.message


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
def test_what_is_no_period_is_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(BadInput, match="is no period") as refused:
        parse_period(text)
    assert repr(text) in refused.value.message
