"""Requests that correct what is known about bars: splits and session exceptions."""

from datetime import date, datetime
from typing import Any

from celery import Celery

from core.errors import BadInput
from market.bars.splits import check_split_session
from records.database import Db
from records.market.series import get_series
from records.market.session_overrides import check_override_day, find_overrides
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run


def request_split(
    database: Db,
    celery: Celery,
    ticker: str,
    interval: str,
    *,
    session: date,
    factor: float,
    by: str,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a split: each share became `factor` shares on a session; 1 removes a split."""
    series = get_series(database, ticker, interval)
    check_split_session(series, session)
    request = RunRequest(
        "correct",
        "manual",
        tickers=(ticker,),
        interval=interval,
        market=series["market"],
        options={"split": {"session": session.isoformat(), "factor": factor, "by": by}},
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_session(
    database: Db,
    celery: Celery,
    market: str,
    asked: dict[str, Any],
    *,
    by: str,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a session exception: {day, session, opens, closes, note}, all as text.

    Raises BadInput where the calendar is to be kept to on a day on which it is, and on a day far
    away.
    """
    if asked["session"] != "calendar":
        check_override_day(date.fromisoformat(asked["day"]), now.date())
    known = [override["day"] for override in find_overrides(database, market)]
    if asked["session"] == "calendar" and asked["day"] not in known:
        raise BadInput(
            f"{market} keeps to its calendar on {asked['day']}; days that were set are:"
            f" {', '.join(known[:10]) or '(none)'}"
        )
    request = RunRequest(
        "correct",
        "manual",
        market=market,
        options={"session": asked | {"by": by}},
        once=once,
    )
    return accept_run(database, celery, request, now=now)
