"""What followed an alert: the returns after its bar, from the bars that are stored."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from statistics import quantiles
from typing import NamedTuple, TypedDict

from alerts.raising import tell_direction
from core.errors import NotFound
from core.words import Direction, Feedback, MoveScope, Severity
from market.bars.reading import Bar, iterate_bars, read_bars
from market.intervals import INTERVALS
from records.alerts.alerts import count_open
from records.alerts.documents import AlertDocument, EndedAlert, MarketConditions
from records.analytics.overview import find_regime
from records.database import Db, Query
from records.findings.anomaly_queries import build_query, find_anomalies, summarize_anomalies
from records.findings.labels import count_feedback
from records.market.series import get_series

HORIZONS = (1, 5, 20)
DIRECTIONS: tuple[Direction, ...] = ("up", "down")
PROFILED_ANOMALIES = 500
PROFILED_BARS = 20_000
# The bars that are needed lie within so many intervals and days, whatever weekend or holiday.
REACH_INTERVALS = 40
REACH_DAYS = 21


class Followed(NamedTuple):
    """Simple returns from a bar's close to that so many bars later; None where there is none."""

    after_1: float | None
    after_5: float | None
    after_20: float | None


NOTHING = Followed(None, None, None)


def find_followed(database: Db, ticker: str, interval: str, bar_time: datetime) -> Followed:
    """Return what followed a bar of a ticker."""
    reach = timedelta(seconds=INTERVALS[interval] * REACH_INTERVALS, days=REACH_DAYS)
    try:
        series = get_series(database, ticker, interval)
    except NotFound:
        return NOTHING
    after = iterate_bars(database, series, start=bar_time, end=bar_time + reach, adjusted=True)
    bars = list(islice(after, 1 + max(HORIZONS)))
    if not bars or bars[0].time != int(bar_time.timestamp()):
        return NOTHING
    closes = [bar.close for bar in bars]
    return Followed(
        *(closes[ahead] / closes[0] - 1.0 if ahead < len(closes) else None for ahead in HORIZONS)
    )


def build_ended(
    alert: AlertDocument, followed: Followed, conditions: MarketConditions, now: datetime
) -> EndedAlert:
    """Return a resolved alert as it is stored in the history."""
    resolved_at = alert.get("resolved_at") or now
    return {
        **alert,
        "market_conditions": conditions,
        "was_resolved": True,
        "resolution_time_minutes": (resolved_at - alert["created_at"]).total_seconds() / 60.0,
        "resolution_action": alert.get("feedback") or f"resolved by {alert.get('resolved_by')}",
        "return_after_1": followed.after_1,
        "return_after_5": followed.after_5,
        "return_after_20": followed.after_20,
        "archived_at": now,
    }


class Quartiles(TypedDict):
    """How many returns are known after so many bars, and their quartiles."""

    count: int
    first_quartile: float | None
    median: float | None
    third_quartile: float | None


class Profile(TypedDict):
    """What is known of a ticker's strange bars; `followed` is by direction and horizon."""

    ticker: str
    interval: str
    anomalies: int
    by_severity: dict[Severity, int]
    open_alerts: int
    labels: dict[Feedback, int]
    regime: str | None
    followed: dict[str, dict[str, Quartiles]]


def build_profile(database: Db, ticker: str, interval: str) -> Profile:
    """Return what is known of a ticker's anomalies, and what followed the last 500 of them.

    Raises NotFound where no bars of it are stored.
    """
    get_series(database, ticker, interval)
    query = build_query(tickers=[ticker], interval=interval)
    counts = summarize_anomalies(database, query)
    bars = read_bars(database, ticker, interval, start=None, end=None, limit=PROFILED_BARS)
    found = find_anomalies(database, query, limit=PROFILED_ANOMALIES)
    times: dict[Direction, list[datetime]] = {direction: [] for direction in DIRECTIONS}
    for anomaly in found:
        times[tell_direction(anomaly)].append(anomaly["Datetime"])
    return {
        "ticker": ticker,
        "interval": interval,
        "anomalies": counts["total"],
        "by_severity": counts["by_severity"],
        "open_alerts": count_open(database, ticker, interval),
        "labels": count_feedback(database, ticker, interval),
        "regime": find_regime(database, ticker, interval),
        "followed": {direction: summarize(bars, times[direction]) for direction in DIRECTIONS},
    }


class Likeness(TypedDict):
    """What makes anomalies alike: these fields are the same, whichever ticker of the market."""

    market: str
    interval: str
    direction: Direction
    severity: Severity
    scope: MoveScope | None
    tickers: int
    anomalies: int


class FollowedAlike(TypedDict):
    """Returns after anomalies like an alert's, by horizon; the alert's own anomalies do not
    count.
    """

    like: Likeness
    followed: dict[str, Quartiles]


def follow_alike(database: Db, alert: AlertDocument) -> FollowedAlike:
    """Return what followed the last 500 anomalies like an alert's: of the same market, interval,
    direction, severity and scope, whichever ticker's.
    """
    query: Query = {
        **build_query(
            market=alert["market"], interval=alert["interval"], severity=alert["severity"]
        ),
        "scope": alert["scope"],
        "features.return_1": {"$lt" if alert["direction"] == "down" else "$gte": 0.0},
        "_id": {"$nin": alert["anomaly_ids"]},
    }
    found = find_anomalies(database, query, limit=PROFILED_ANOMALIES)
    times: dict[str, list[datetime]] = {}
    for anomaly in found:
        times.setdefault(anomaly["Ticker"], []).append(anomaly["Datetime"])
    returns: dict[int, list[float]] = {ahead: [] for ahead in HORIZONS}
    for ticker, of in times.items():
        for ahead, more in _list_returns(_read_after(database, ticker, alert["interval"], of), of):
            returns[ahead] += more
    return {
        "like": {
            "market": alert["market"],
            "interval": alert["interval"],
            "direction": alert["direction"],
            "severity": alert["severity"],
            "scope": alert["scope"],
            "tickers": len(times),
            "anomalies": len(found),
        },
        "followed": {f"after_{ahead}": _find_quartiles(returns[ahead]) for ahead in HORIZONS},
    }


def _read_after(
    database: Db, ticker: str, interval: str, times: Sequence[datetime]
) -> Sequence[Bar]:
    """Return the bars from the first of these times to the last that is needed after the last
    time.
    """
    reach = timedelta(seconds=INTERVALS[interval] * REACH_INTERVALS, days=REACH_DAYS)
    with suppress(NotFound):
        return read_bars(
            database,
            ticker,
            interval,
            start=min(times),
            end=max(times) + reach,
            limit=PROFILED_BARS,
        )
    return []


def summarize(bars: Sequence[Bar], times: Iterable[datetime]) -> dict[str, Quartiles]:
    """Return by horizon (`after_5`) the quartiles of the returns that followed bars at these times.

    A bar that is not among `bars`, which ascend, and one with too few after it, do not count.
    """
    return {
        f"after_{ahead}": _find_quartiles(returns) for ahead, returns in _list_returns(bars, times)
    }


def _list_returns(bars: Sequence[Bar], times: Iterable[datetime]) -> list[tuple[int, list[float]]]:
    """Return by horizon the returns that followed bars at these times."""
    starts = [bar.time for bar in bars]
    rows = [
        row
        for seconds in (int(time.timestamp()) for time in times)
        if (row := bisect_left(starts, seconds)) < len(bars) and starts[row] == seconds
    ]
    return [
        (
            ahead,
            [
                bars[row + ahead].close / bars[row].close - 1.0
                for row in rows
                if row + ahead < len(bars)
            ],
        )
        for ahead in HORIZONS
    ]


def _find_quartiles(returns: Sequence[float]) -> Quartiles:
    """Return quartiles by linear interpolation between order statistics (Hyndman and Fan's 7)."""
    first = middle = third = None
    if len(returns) > 1:
        first, middle, third = quantiles(returns, n=4, method="inclusive")
    elif returns:
        first = middle = third = returns[0]
    return {
        "count": len(returns),
        "first_quartile": first,
        "median": middle,
        "third_quartile": third,
    }
