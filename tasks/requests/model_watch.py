"""Requests for a champion's drift once a session, for a challenger, and for the report that
compares the two.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import Celery

from detection.detectors.catalogue import get_detector
from detection.models.gates import choose_held_out
from records.database import Db
from records.findings.labels import find_said_of_bars
from records.market.documents import MarketExtent
from records.models.challengers import add_challenger
from records.models.documents import (
    AskedFields,
    ChallengerDocument,
    DriftDocument,
    LabelFields,
    ModelDocument,
)
from records.models.evaluations import add_evaluation
from records.tenancy import each_tenant
from records.work import runs
from records.work.documents import RunDocument
from records.work.requests import Once
from tasks.requests.evaluations import MOST_LABELS, accept_evaluation
from tasks.requests.trainings import request_training

# A champion is watched on this many of its latest bars, of so many days at least and a year at
# most.
WATCHED_BARS = 2_000
LEAST_DAYS, MOST_DAYS = 30, 365


def find_session(extent: MarketExtent) -> str:
    """Return the day (ISO date) of a market's last bar."""
    return f"{extent['last_bar']:%Y-%m-%d}"


def choose_watched(extent: MarketExtent) -> datetime:
    """Return the time of the first of the bars on which a market's champion is watched."""
    days = max(1.0, (extent["last_bar"] - extent["first_bar"]) / timedelta(days=1))
    wanted = WATCHED_BARS / (extent["bars"] / days)
    return extent["last_bar"] - timedelta(days=min(max(wanted, LEAST_DAYS), MOST_DAYS))


def request_drift(
    database: Db, celery: Celery, extent: MarketExtent, version: str, now: datetime
) -> RunDocument | None:
    """Request the drift of a market's champion; return the run, None where the drift of this
    session was requested before.
    """
    market, interval, session = extent["market"], extent["interval"], find_session(extent)
    key = f"drift of {market} {interval} on {session}"
    if runs.find_by_key(database, key) is not None:
        return None
    evaluation = add_evaluation(
        database,
        market=market,
        interval=interval,
        versions=(version,),
        stretch=(choose_watched(extent), extent["last_bar"]),
        tickers=(),
        labels=(),
        keep_scores=False,
        session_day=session,
        now=now,
    )
    return accept_evaluation(database, celery, evaluation, "scheduler", Once(key), now)


def request_challenger(
    database: Db,
    celery: Celery,
    drift: DriftDocument,
    champion: ModelDocument,
    last_bar: datetime,
    now: datetime,
) -> RunDocument:
    """Request the training of a challenger, by the champion's plan with a later window; return the
    run.
    """
    end = choose_held_out(champion["window_end"], last_bar)
    market, interval = champion["market"], champion["interval"]
    asked = _find_asked(champion)
    run = request_training(
        database,
        celery,
        market,
        interval=interval,
        tickers=asked["tickers"],
        options=_describe_plan(champion, asked["window_start"], end),
        now=now,
        trigger="scheduler",
        once=Once(f"challenger of {market} {interval} on {now:%Y-%m-%d}"),
    )
    add_challenger(
        database,
        run["_id"],
        market=market,
        interval=interval,
        champion=champion["_id"],
        reasons=drift["reasons"],
        held_out_from=end,
        last_bar=last_bar,
        now=now,
    )
    return run


def _find_asked(champion: ModelDocument) -> AskedFields:
    """Return which bars a champion's training was asked to learn from; if its record does not say
    so, all of the market.
    """
    return champion.get("asked") or {"tickers": [], "window_start": None}


def _describe_plan(
    champion: ModelDocument, window_start: datetime | None, end: datetime
) -> dict[str, Any]:
    """Return the options of the champion's training with its window moved to another end."""
    of_plan = {"detector", "interval", "seed", "threshold"}
    known = champion["parameters"]
    threshold = known["threshold"]
    options = {
        **{name: value for name, value in known.items() if name not in of_plan},
        "detector": known["detector"],
        "seed": known["seed"],
        threshold["kind"]: threshold["value"],
        "window_end": end.isoformat(),
        "promote": False,
    }
    # A detector that accepts only its own feature sets may have got another one since.
    if not get_detector(known["detector"]).only_its_sets:
        options["feature_set"] = champion["feature_set"]
    if window_start is not None:
        moved = window_start + (end - champion["window_end"])
        options["window_start"] = moved.isoformat()
    return options


def request_report(
    database: Db,
    celery: Celery,
    challenger: ChallengerDocument,
    champion: ModelDocument,
    version: str,
    now: datetime,
) -> RunDocument:
    """Request the comparison of a challenger with the champion on bars that neither learned from;
    return the run.
    """
    market, interval = challenger["market"], challenger["interval"]
    end = challenger["last_bar"]
    # If there are no bars that neither has seen, the gates say so for the last bar.
    start = max(champion["window_end"], challenger["held_out_from"]) + timedelta(seconds=1)
    start = min(start, end)
    tickers = _find_asked(champion)["tickers"]
    evaluation = add_evaluation(
        database,
        market=market,
        interval=interval,
        versions=(champion["_id"], version),
        stretch=(start, end),
        tickers=tickers,
        labels=_find_labels(database, interval, start, tickers),
        keep_scores=False,
        now=now,
    )
    once = Once(f"report of {challenger['_id']}")
    return accept_evaluation(database, celery, evaluation, "scheduler", once, now)


def _find_labels(
    database: Db, interval: str, start: datetime, tickers: Sequence[str]
) -> list[LabelFields]:
    """Return the labels of all tenants; nothing where all are of one class."""
    said: list[LabelFields] = [
        {"ticker": ticker, "time": time, "is_anomaly": is_anomaly}
        for own in each_tenant(database)
        for ticker, time, is_anomaly in find_said_of_bars(
            own, interval, start, tickers or None, MOST_LABELS
        )
    ]
    return said[:MOST_LABELS] if len({label["is_anomaly"] for label in said}) == 2 else []
