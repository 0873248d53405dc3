"""Alerts of stopped feeds: a scan found tickers of its watchlist without a bar of the last ended
session.

It is pure: documents in, documents out.
"""

from datetime import datetime

from alerts.new_alert import build_alert_id, build_beginning, leave_unexplained
from core.grades import HIGHEST_GRADE
from records.alerts.documents import AlertDocument, ListedAlert
from records.alerts.raised import LaterFields
from records.work.documents import RunDocument

# No ticker has this name, because tickers are upper case.
FEED = "feed"
# One ticker of many without a bar is high; all of them are critical.
LEAST_GRADE = 75.0


def names_stopped(run: RunDocument) -> bool:
    """Whether a run can show that the feed of a watchlist stopped, or came back."""
    return run["task"] == "incremental" and run["watchlist"] is not None


def build_stopped(run: RunDocument, market: str, now: datetime) -> AlertDocument | None:
    """Return the alert about the bars that did not come for a scan, None if all came.

    `market` is that of the tickers, or of the first of them.
    """
    stale = run["options"].get("stale")
    if not stale or not names_stopped(run):
        return None
    count, of = int(stale["tickers"]), len(run["tickers"])
    named = ", ".join(stale["named"]) + (" and others" if count > len(stale["named"]) else "")
    tickers = "1 ticker has" if of == 1 else f"{count} of {of} tickers have"
    grade = LEAST_GRADE + (HIGHEST_GRADE - LEAST_GRADE) * count / of
    stopped: AlertDocument = {
        "_id": build_alert_id(run["watchlist"], f"{FEED}::{run['interval']}::{run['_id']}"),
        "watchlist": run["watchlist"],
        "entity_type": "feed",
        "entity_id": FEED,
        "market": market,
        "interval": run["interval"],
        "direction": "down",
        "bar_time": run["requested_at"],
        "last_bar": run["requested_at"],
        "count": count,
        "anomaly_ids": [],
        "breadth": {"strange": count, "of": of},
        "anomaly_score": None,
        "threshold": None,
        "grade": grade,
        "severity": "critical" if count == of else "high",
        **leave_unexplained(),
        "reasons": [f"{tickers} no {run['interval']} bar of the last session: {named}"],
        "detection_timestamp": now,
        "model_version": None,
        **build_beginning(run["_id"], now),  # type: ignore[typeddict-item]  # it holds no bars
    }
    return stopped


def extend_stopped(alert: ListedAlert, later: AlertDocument) -> LaterFields:
    """Return what a later scan changes in the alert of a feed that has not come back."""
    fields = {name: later[name] for name in LaterFields.__annotations__ if name in later}  # type: ignore[literal-required]  # its own
    fields |= {"bar_time": alert["bar_time"], "grade_before": alert["grade"]}
    return fields  # type: ignore[return-value]  # made of its names
