"""Requests to detect anomalies again and say whether they are found again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery import Celery

from core.errors import NotFound
from records.database import Db
from records.findings.verifications import find_any_selected
from records.models.models import get_model_record
from records.work.documents import RunDocument
from records.work.requests import NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run


def request_verification(
    database: Db,
    celery: Celery,
    options: Mapping[str, Any],
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a verification and return its run; `options` are those of
    `verifications.build_selection`.

    Raises NotFound where there is no such anomaly or model version, and BadInput.
    """
    if "model_version" in options:
        get_model_record(database, options["model_version"])
    anomaly = find_any_selected(database, options)
    if anomaly is None:
        asked = ", ".join(f"{name} {value}" for name, value in options.items())
        advice = ""
        if "run_id" in options:
            advice = (
                "; an anomaly belongs to the run that found it first, so verify a ticker or a model"
                " version instead"
            )
        elif "model_version" in options:
            advice = "; each belongs to the version that found it first: verify a ticker instead"
        raise NotFound(f"there is no anomaly to verify for {asked}{advice}", reason="no_anomalies")
    is_single = len(options.get("anomaly_ids", ())) == 1 or "ticker" in options
    request = RunRequest(
        "verify",
        "verification",
        tickers=(anomaly["Ticker"],) if is_single else (),
        interval=anomaly["interval"],
        market=anomaly["market"] if is_single else None,
        options=options,
        once=once,
    )
    return accept_run(database, celery, request, now=now)
