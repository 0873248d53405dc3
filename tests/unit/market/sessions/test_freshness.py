"""How many sessions ago the last bar came, without loading a calendar."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from market.markets import SHIPPED
from market.sessions.calendar import load_sessions
from market.sessions.freshness import count_sessions_behind

# A Friday: New York closes at 20:00 UTC, and the next sessions begin on Monday.
CLOSE = datetime(2024, 6, 7, 20, tzinfo=UTC)
DELAY = timedelta(minutes=15)
US = replace(SHIPPED["US"], tick_delay_seconds=900)


def note(market: str) -> dict[str, Any]:
    known = load_sessions(SHIPPED[market])
    return {name: getattr(known, name).tolist() for name in ("days", "opens", "closes")}


@pytest.mark.parametrize(
    ("interval", "last_bar", "now", "behind"),
    [
        ("1d", "2024-06-07", CLOSE + DELAY, 0),
        ("1d", "2024-06-06", CLOSE, 0),  # The bar may still come.
        ("1d", "2024-06-06", CLOSE + DELAY, 1),
        ("1d", "2024-06-07", CLOSE + timedelta(days=2), 0),  # A weekend.
        ("1d", "2024-06-07", CLOSE + timedelta(days=4) + DELAY, 2),
        ("1h", "2024-06-07T19:30", CLOSE + DELAY, 0),
        ("1h", "2024-06-06T19:30", CLOSE + DELAY, 1),
        ("1w", "2024-06-03", CLOSE + DELAY, 0),
        ("1w", "2024-05-27", CLOSE + DELAY, 5),
        ("1d", "2024-06-08", CLOSE, 0),
    ],
)
def test_sessions_that_ended_since_are_counted(
    interval: str, last_bar: str, now: datetime, behind: int
) -> None:
    series = {
        "interval": interval,
        "last_bar": datetime.fromisoformat(last_bar).replace(tzinfo=UTC),
    }
    assert count_sessions_behind(series, note("US"), now, US) == behind


def test_coins_have_sessions_on_weekends() -> None:
    series = {"interval": "1d", "last_bar": datetime(2024, 6, 7, tzinfo=UTC)}
    assert (
        count_sessions_behind(series, note("CRYPTO"), datetime(2024, 6, 10, 1, tzinfo=UTC), None)
        == 2
    )


def test_no_age_is_given_if_the_sessions_are_unknown() -> None:
    assert count_sessions_behind({"interval": "1d", "last_bar": CLOSE}, None, CLOSE, US) is None
