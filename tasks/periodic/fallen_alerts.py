"""Alerts that have lost all their anomalies: a later run no longer finds them, or their bars are
gone.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from alerts.lifecycle import OPEN, SYSTEM, Asked, take_step
from core.errors import Conflict
from core.words import AlertEvent
from records.alerts import raised
from records.database import Db
from records.findings import anomalies
from records.tenancy import each_tenant

FALLEN = "the anomaly was superseded: a later run no longer finds it, or its bar is gone"
SERIES_GONE = "the series was deleted, and its predictions with it"
NONE_LEFT = "none of its tickers' alerts is open"


def follow_gone_bars(database: Db, series: Iterable[tuple[str, str]], now: datetime) -> None:
    """Resolve the open alerts, of all tenants, that are only about deleted or undone bars of these
    series (ticker, interval). Done here, because no run of a deleted series may ever end.
    """
    by_interval: dict[str, list[str]] = {}
    for ticker, interval in series:
        by_interval.setdefault(interval, []).append(ticker)
    for own in each_tenant(database):
        for interval, tickers in by_interval.items():
            follow_anomalies(own, tickers, interval, now)


def follow_gone_series(database: Db, series_id: str, now: datetime) -> None:
    """Resolve the open alerts, of all tenants, of a single series that was deleted."""
    for own in each_tenant(database):
        held = raised.find_open(own, [series_id], "")
        ids = [alert["_id"] for alert in held if alert["entity_type"] == "series"]
        step_all(own, ids, "supersede", now, SERIES_GONE)


def follow_anomalies(database: Db, tickers: Sequence[str], interval: str, now: datetime) -> None:
    """Resolve open alerts all of whose anomalies are superseded or have lost their bars; open
    alerts that were resolved in this way again if one of their anomalies is found again.
    """
    held = raised.find_held(database, tickers, interval, (*OPEN, "resolved"))
    # An alert that was resolved because of a mute stays resolved.
    held = [
        a
        for a in held
        if a["state"] != "resolved" or (a.get("resolved_by") == SYSTEM and "muted_by" not in a)
    ]
    ids = [anomaly_id for alert in held for anomaly_id in alert["anomaly_ids"]]
    gone = anomalies.find_fallen(database, ids)
    for alert in held:
        is_gone = gone.issuperset(alert["anomaly_ids"])
        if is_gone and alert["state"] != "resolved":
            step_all(database, [alert["_id"]], "supersede", now, FALLEN)
        elif not is_gone and alert["state"] == "resolved":
            step_all(database, [alert["_id"]], "return", now)
    step_all(database, raised.find_childless(database), "supersede", now, NONE_LEFT)


def step_all(
    database: Db,
    alert_ids: Iterable[str],
    step: AlertEvent,
    now: datetime,
    text: str | None = None,
) -> None:
    """Take a step by `system` on alerts; skip an alert on which somebody else was faster with
    another.
    """
    for alert_id in alert_ids:
        with suppress(Conflict):
            take_step(database, alert_id, step, Asked(SYSTEM, now, text=text))
