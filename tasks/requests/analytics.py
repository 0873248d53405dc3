"""Asking for metrics: of a market's tickers, or of a set of tickers together."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from celery import Celery

from core.errors import BadInput
from records.analytics.sets import build_set_id
from records.database import Db
from records.market.series import find_sizes
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run
from tasks.requests.selection import Selection, select_tickers

MOST_BARS = 1_000


def request_analytics(
    database: Db,
    celery: Celery,
    selection: Selection,
    *,
    interval: str,
    bars: int,
    now: datetime,
    once: Once = NOT_ONCE,
) -> list[RunDocument]:
    """Request the metrics of the last `bars` bars; return the accepted runs, one a market."""
    if not 1 <= bars <= MOST_BARS:
        raise BadInput(f"{bars} bars were asked for: ask for 1 to {MOST_BARS} of each series")
    by_market: dict[str, list[str]] = {}
    tickers, _ = select_tickers(database, selection, interval)
    for series in find_sizes(database, tickers=tickers, interval=interval):
        by_market.setdefault(series["market"], []).append(series["ticker"])
    return [
        accept_run(
            database,
            celery,
            RunRequest(
                "analytics",
                "manual",
                tickers=tuple(members),
                interval=interval,
                market=market,
                watchlist=selection.watchlist,
                options={"bars": bars},
                once=replace(once, key=once.key and f"{once.key}:{market}"),
            ),
            now=now,
        )
        for market, members in by_market.items()
    ]


def request_due_analytics(
    database: Db,
    celery: Celery,
    tickers: Sequence[str],
    *,
    market: str,
    interval: str,
    slot: str,
    now: datetime,
) -> RunDocument:
    """Request the metrics of a market's tickers that have new bars; the same slot gives the same
    run.
    """
    request = RunRequest(
        "analytics",
        "scheduler",
        tickers=tuple(tickers),
        interval=interval,
        market=market,
        options={"bars": 1},
        once=Once(f"analytics of {market} {interval} at {slot}"),
    )
    return accept_run(database, celery, request, now=now)


def request_correlation(
    database: Db,
    celery: Celery,
    tickers: tuple[str, ...],
    *,
    interval: str,
    as_of: datetime | None,
    bars_key: str,
    now: datetime,
) -> RunDocument:
    """Request the correlations of a set of tickers; the same bars, by their key, give the same
    run.
    """
    set_id = build_set_id(tickers, interval, as_of)
    request = RunRequest(
        "correlation",
        "chart_request",
        tickers=tickers,
        interval=interval,
        options={"set_id": set_id, "as_of": as_of and as_of.isoformat(), "bars_key": bars_key},
        once=Once(f"correlation {set_id} {bars_key}"),
    )
    return accept_run(database, celery, request, now=now)
