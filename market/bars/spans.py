"""Spans: a span is the part of the calendar (UTC) whose bars are in one bucket.

To store a bar its whole bucket is written again; so shorter bars have shorter spans. Plain Python,
as the web process does not load numpy.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

Span = Literal["week", "month", "year"]

# A bucket of a market that never closes has at most 10,080 bars of 1m, 2,976 of 15m or 8,784 of 1h:
# half a MB of the 16 MB that a document may have.
_SHORT: dict[str, Span] = {"1m": "week", "5m": "week", "15m": "month", "30m": "month"}


def choose_span(interval: str) -> Span:
    """Return the kind of span that buckets of an interval have."""
    return _SHORT.get(interval, "year")


def build_bucket_id(ticker: str, interval: str, span: str) -> str:
    """Return the `_id` of one span's bucket."""
    return f"{ticker}::{interval}::{span}"


@lru_cache(10_000)
def name_span(seconds: float, interval: str) -> str:
    """Return the span of a moment in UTC seconds: a year `2026`, a month `2026-09`, or a week by
    its Monday, `2026-09-28`. Names of one interval are in the order of time.
    """
    day = datetime.fromtimestamp(seconds, UTC).date()
    match choose_span(interval):
        case "year":
            return day.isoformat()[:4]
        case "month":
            return day.isoformat()[:7]
        case "week":
            return (day - timedelta(days=day.weekday())).isoformat()
