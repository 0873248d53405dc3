"""Requests to fit models: of a market, and of a single series."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

from celery import Celery

from alerts.learned import find_enough_votes
from core.words import Trigger
from detection.detectors.weights import MEASURED
from detection.models.plan import TrainingPlan, find_training_series
from detection.models.single_series import FitRequest
from market.markets import load_markets
from records.database import Db
from records.models.single_series import write_points
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run


def request_training(
    database: Db,
    celery: Celery,
    market: str,
    *,
    interval: str,
    tickers: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
    trigger: Trigger = "manual",
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a training and return its run. `options` are those of `TrainingPlan.from_options`.

    Raises BadInput at once where an option cannot be used or there are no bars to learn from, and
    NotFound where too few labels are there for weights that are to be measured by them.
    """
    plan = TrainingPlan.from_options(
        market, markets=load_markets(database), interval=interval, tickers=tickers, options=options
    )
    find_training_series(database, plan)
    if plan.parameters.get("weights") == MEASURED:
        find_enough_votes(database, plan.market, plan.interval)
    request = RunRequest(
        "train",
        trigger,
        tickers=plan.tickers,
        interval=plan.interval,
        market=plan.market,
        options=options,
        once=once,
    )
    return accept_run(database, celery, request, now=now)


def request_series_fit(
    database: Db, celery: Celery, request: FitRequest, *, now: datetime, once: Once = NOT_ONCE
) -> RunDocument:
    """Keep a long history and accept its fit; return the run.

    Options of the run: fit_id (under which the history is stored), series_id, detector, parameters.
    """
    fit_id = uuid4().hex
    write_points(database, fit_id, request.timestamps, request.values, now)
    options = {
        "fit_id": fit_id,
        "series_id": request.series_id,
        "detector": request.kind.name,
        "parameters": asdict(request.parameters),
        "points": request.count,
    }
    wanted = RunRequest("fit_series", "manual", options=options, once=once)
    return accept_run(database, celery, wanted, now=now)
