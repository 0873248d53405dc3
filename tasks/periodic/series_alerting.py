"""From stored predictions of single series to alerts and messages, in steps that may be done
again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from pymongo.client_session import ClientSession

from alerts.choosing import News, choose_alerts, get_critical_grade
from alerts.messages import build_link, find_due, tell_alert
from alerts.series_alerts import build_series_alert, extend_series_alert, tell_direction
from records.alerts import deliveries, raised
from records.alerts.documents import AlertDocument, DeliveryDocument
from records.alerts.notification_rules import find_rules
from records.database import Db, in_transaction
from records.findings.documents import StoredPrediction
from records.findings.series_predictions import find_stored
from records.work.documents import EventDocument, SeriesAnomalies
from tasks.periodic.later_messages import build_digest, plan_escalation
from tasks.periodic.one_alert import raise_or_extend


def raise_series(database: Db, event: EventDocument, now: datetime) -> list[AlertDocument]:
    """Raise the alerts of predictions that were stored together, and return them as they are now.

    A series that was deleted since raises none.
    """

    def write(session: ClientSession) -> list[AlertDocument]:
        raised.take_turn(database, session)
        payload = cast("SeriesAnomalies", event["payload"])
        found = find_stored(database, payload["prediction_ids"], session)
        by_side: dict[str, list[StoredPrediction]] = {}
        for prediction in sorted(found.values(), key=lambda each: each["timestamp"]):
            by_side.setdefault(tell_direction(prediction), []).append(prediction)
        for predictions in by_side.values():
            _raise_one(database, build_series_alert(predictions, event["_id"], now), session)
        return raised.find_of_run(database, event["_id"], session)

    return in_transaction(database, write)


def _raise_one(database: Db, fresh: AlertDocument, session: ClientSession) -> None:
    held = [
        alert
        for alert in raised.find_open(database, [fresh["entity_id"]], "", session)
        if (alert["entity_type"], alert["direction"]) == ("series", fresh["direction"])
    ]
    if any(set(fresh["anomaly_ids"]) <= set(alert["anomaly_ids"]) for alert in held):
        return
    raise_or_extend(database, fresh, held, extend_series_alert, fresh["created_at"], session)


def plan_series_messages(
    database: Db,
    event: EventDocument,
    alerts: Sequence[AlertDocument],
    public_url: str,
    now: datetime,
) -> list[DeliveryDocument]:
    """Return a message for each rule of no watchlist that asks for these alerts."""
    planned: list[DeliveryDocument] = []
    for rule in find_rules(database, enabled=True):
        if rule["watchlist"] is not None:
            continue
        news, critical = (
            _tell(choose_alerts(rule, alerts, {}, grade))
            for grade in (rule["min_grade"], get_critical_grade(rule))
        )
        told = news.alerts or critical.alerts
        if not told:
            continue
        link = build_link(public_url, told)
        lines = [reason for alert in told for reason in alert["reasons"]] + ([link] if link else [])
        delivery = deliveries.build_delivery(
            f"{event['_id']}:{rule['_id']}",
            rule,
            run_id=None,
            title=f"series {told[0]['entity_id']}: {told[0]['severity']}",
            body="\n".join(lines),
            alerts=[tell_alert(alert, public_url) for alert in told],
            alerts_total=len(told),
            link=link,
            due_at=find_due(rule, now),
            now=now,
        )
        if news.alerts and rule.get("digest"):
            planned.append(build_digest(event["_id"], rule, None, news, public_url, now))
        elif news.alerts:
            planned.append(delivery)
        planned += plan_escalation(rule, delivery, critical, public_url, now)
    return planned


def _tell(alerts: Sequence[AlertDocument]) -> News:
    """Return the contents of a message about alerts of a single series, of which there are two at
    the most.
    """
    return News((), (), alerts, [alert["_id"] for alert in alerts])
