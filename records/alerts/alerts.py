"""Alerts: what people must look at. A change of an alert and its entry in the audit trail are
written in one transaction.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.errors import NotFound
from core.words import AlertOrder, AlertState, MoveScope, Severity
from records.alerts.documents import (
    AlertDocument,
    CommentFields,
    EndedAlert,
    ListedAlert,
    ReviewFields,
    StepFields,
    TrailDocument,
    alerts_in,
    history_in,
)
from records.alerts.trail import add_entries
from records.database import Db, Query, among, between, in_transaction, match
from records.findings.labels import add_labels, remove_labels
from records.findings.series_predictions import build_prediction_label, label_predictions
from records.keyset import Key, Keyset, Position, find_page
from records.questions import Question

NEWEST_FIRST = Keyset((Key("created_at", datetime, DESCENDING), Key("_id", str)))
ORDERS: dict[AlertOrder, Keyset] = {
    "-created_at": NEWEST_FIRST,
    "-grade": Keyset((Key("grade", float, DESCENDING), *NEWEST_FIRST.keys)),
}
OPEN_STATES: tuple[AlertState, ...] = ("active", "acknowledged", "snoozed")
# Alerts in these states are neither resolved, expired nor snoozed.
ACTIVE_STATES: tuple[AlertState, ...] = ("active", "acknowledged")
LONGEST_TEXT = 100
# Lists leave these fields out.
_UNLISTED = {"inputs": 0}
# A text is searched for in these fields.
SEARCHED = (
    "entity_id",
    "watchlist",
    "reasons",
    "root_causes",
    "owner",
    "resolution_notes",
    "comments.text",
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to an alert: its states before and after, the fields that are written, and a
    comment.
    """

    from_state: AlertState
    to_state: AlertState
    fields: StepFields
    comment: str | None
    by: str
    now: datetime


Plan = Callable[[AlertDocument], tuple[Change, TrailDocument]]


def change_alert(
    database: Db,
    alert_id: str,
    plan: Plan,
    *,
    children_in: Sequence[AlertState],
    also: Callable[[AlertDocument, ClientSession], object] | None,
) -> AlertDocument:
    """Change an alert as `plan` says, and each of its children in the states `children_in`, and
    call `also` for the alert itself: all in one transaction. Return the changed alert.

    Raises NotFound, and whatever `plan` and `also` raise.
    """

    def write(session: ClientSession) -> AlertDocument:
        alert = alerts_in(database).find_one({"_id": alert_id}, session=session)
        if alert is None:
            raise _build_not_found(alert_id)
        affected = [alert]
        if children_in and alert["entity_type"] == "market":
            # Of the resolved children, only those that were resolved together with this alert.
            children = {
                "parent_id": alert_id,
                "state": {"$in": list(children_in)},
                "resolved_at": alert.get("resolved_at"),
            }
            affected += alerts_in(database).find(children, session=session)
        for each in affected:
            _apply(database, each, *plan(each), session)
        if also is not None:
            also(alert, session)
        changed = alerts_in(database).find_one({"_id": alert_id}, session=session)
        return changed or alert

    return in_transaction(database, write)


def _apply(
    database: Db,
    alert: AlertDocument,
    change: Change,
    entry: TrailDocument,
    session: ClientSession,
) -> None:
    """Write one change and its entry, and write or delete the labels of a resolution."""
    update: dict[str, Any] = {
        "$set": {**change.fields, "state": change.to_state, "updated_at": change.now}
    }
    if change.comment is not None:
        comment: CommentFields = {"by": change.by, "at": change.now, "text": change.comment}
        update["$push"] = {"comments": comment}
    alerts_in(database).update_one({"_id": alert["_id"]}, update, session=session)
    add_entries(database, [entry], session)
    feedback = change.fields.get("feedback")
    if alert["entity_type"] == "series":
        said = None if feedback is None else build_prediction_label(feedback, change.by, change.now)
        if said is not None or change.from_state == "resolved" != change.to_state:
            label_predictions(database, alert["anomaly_ids"], said, session)
        return
    if change.from_state == "resolved" != change.to_state:
        remove_labels(database, alert["_id"], session)
    if feedback is not None:
        add_labels(
            database,
            alert["_id"],
            alert["anomaly_ids"],
            feedback,
            change.fields.get("cause"),
            by=change.by,
            now=change.now,
            session=session,
        )


def get_alert(database: Db, alert_id: str) -> AlertDocument | EndedAlert:
    """Return an alert, open or in the history. Raises NotFound."""
    found = alerts_in(database).find_one({"_id": alert_id})
    ended = None if found else history_in(database).find_one({"_id": alert_id})
    if found is None and ended is None:
        raise _build_not_found(alert_id)
    return found or cast("EndedAlert", ended)


def find_reviews(database: Db, anomaly_ids: Sequence[str]) -> dict[str, ReviewFields]:
    """Return the reviews of these anomalies, by `_id`; anomalies without an alert are left out.

    Where an anomaly has several alerts, one with feedback counts before others, and then the one
    that changed last.
    """
    asked = ask_reviews(database, anomaly_ids)
    return asked.read([*alerts_in(database).aggregate(asked.stages)])


def ask_reviews(database: Db, anomaly_ids: Sequence[str]) -> Question[dict[str, ReviewFields]]:
    """Ask for what `find_reviews` returns, in one query with a reader's other questions."""
    fields = ("anomaly_ids", "state", "owner", "feedback", "updated_at")
    stages: list[Query] = [
        {"$match": {"anomaly_ids": {"$in": list(anomaly_ids)}}},
        {"$project": dict.fromkeys(fields, 1)},
    ]
    ended = {"$unionWith": {"coll": history_in(database).name, "pipeline": stages}}
    return Question(alerts_in(database), [*stages, ended], _tell_reviews)


def _tell_reviews(found: list[Any]) -> dict[str, ReviewFields]:
    found.sort(key=lambda alert: (alert.get("feedback") is not None, alert["updated_at"]))
    return {
        anomaly_id: {
            "alert_id": alert["_id"],
            "state": alert["state"],
            "owner": alert.get("owner"),
            "feedback": alert.get("feedback"),
        }
        for alert in found
        for anomaly_id in alert["anomaly_ids"]
    }


def build_query(  # noqa: PLR0913 - one argument a filter, all by name
    *,
    states: Sequence[AlertState] | None = None,
    severity: Severity | None = None,
    scope: MoveScope | None = None,
    watchlist: str | None = None,
    market: str | None = None,
    ticker: str | None = None,
    interval: str | None = None,
    owner: str | None = None,
    parent_id: str | None = None,
    entity_type: str | None = None,
    muted: bool | None = None,
    text: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Query:
    """Return the MongoDB query of these filters.

    `start` and `end` are times of bars, both inclusive. Each word of `text` must be in one of the
    SEARCHED fields.
    """
    words = [{"$regex": re.escape(word), "$options": "i"} for word in (text or "").split()]
    said = [{"$or": [{name: word} for name in SEARCHED]} for word in words]
    return match(
        state=among(states),
        muted_by=None if muted is None else {"$exists": muted},
        severity=severity,
        scope=scope,
        watchlist=watchlist,
        market=market,
        entity_id=ticker,
        interval=interval,
        owner=owner,
        parent_id=parent_id,
        entity_type=entity_type,
        last_bar=between(start, None),
        bar_time=between(None, end),
        **{"$and": said or None},
    )


def find_alerts(
    database: Db,
    query: Query,
    *,
    sort: AlertOrder = "-created_at",
    after: Position | None = None,
    limit: int,
) -> list[ListedAlert]:
    """Return alerts that match `build_query(...)` without their `inputs`, the one raised last first
    or, by `sort`, the one with the highest grade.
    """
    found = find_page(
        alerts_in(database), query, ORDERS[sort], after=after, limit=limit, fields=_UNLISTED
    )
    return [*found]


def count_open(database: Db, ticker: str, interval: str) -> int:
    """Return how many alerts of a series are open."""
    query = {"entity_id": ticker, "interval": interval, "state": {"$in": list(OPEN_STATES)}}
    return alerts_in(database).count_documents(query)


def find_raised(database: Db, watchlist: str, since: datetime) -> list[AlertDocument]:
    """Return the alerts of a watchlist's tickers that were raised from `since` on, also those in
    the history.
    """
    query = {"watchlist": watchlist, "entity_type": "ticker", "created_at": {"$gte": since}}
    return [*alerts_in(database).find(query), *history_in(database).find(query)]


def is_any_active(database: Db, alert_ids: Sequence[str]) -> bool:
    """Return whether one of these alerts is active: neither acknowledged, snoozed nor ended."""
    query = {"_id": {"$in": list(alert_ids)}, "state": "active"}
    return alerts_in(database).find_one(query, {"_id": 1}) is not None


def find_market_wide(database: Db, alert_ids: Sequence[str]) -> set[str]:
    """Return which of these alerts are of market-wide bars."""
    query = {"_id": {"$in": list(alert_ids)}, "entity_type": "market"}
    return {alert["_id"] for alert in alerts_in(database).find(query, {"_id": 1})}


def _build_not_found(alert_id: str) -> NotFound:
    shown = alert_id[:LONGEST_TEXT]
    return NotFound(f"there is no alert {shown!r}; `flask alerts list` shows all alerts")
