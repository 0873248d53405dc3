"""From the outbox to the channels: an event becomes one delivery a rule,
and each is sent until it arrives.
"""

from datetime import UTC, datetime
from random import shuffle
from time import monotonic

import structlog
from pymongo.client_session import ClientSession

from alerts.channels import send_message
from alerts.choosing import NOTHING, News
from alerts.messages import (
    build_body,
    build_link,
    build_title,
    find_due,
    is_concerned,
    tell_alert,
    tells_failure,
)
from alerts.raising import raises
from core.errors import TapewatchError
from records.alerts import deliveries
from records.alerts.alerts import is_any_active
from records.alerts.documents import DeliveryDocument, RuleDocument
from records.alerts.notification_rules import find_rules
from records.database import Db, in_transaction
from records.tenancy import each_tenant, get_tenant, of_owner
from records.work import outbox
from records.work.documents import EventDocument, RunDocument
from records.work.heartbeats import NOTIFIER, beat
from records.work.runs import find_bare_run
from tasks.engine.one_of_many import going_on
from tasks.periodic import alerting
from tasks.periodic.later_messages import build_data, build_digest, build_text, plan_escalation
from tasks.periodic.model_messages import plan_model_news
from tasks.periodic.run_news import RunNews, concerns_failure, find_failed, find_unalerted
from tasks.periodic.series_alerting import plan_series_messages, raise_series
from tasks.process.worker import Worker

# Messages that are not sent within this time wait for the next round, so that slow channels do not
# occupy a worker for long.
ROUND_SECONDS = 30.0
# The same for all tenants together: well within the task's time limit.
ROUNDS_SECONDS = 120.0
log = structlog.get_logger()


def has_work(database: Db) -> bool:
    """Whether an event or a message is waiting, or an alert is due to wake, expire or move to the
    history.
    """
    return outbox.find_undelivered(database, limit=1) != [] or any(
        deliveries.has_due(own) or alerting.has_due(own, datetime.now(UTC))
        for own in each_tenant(database)
    )


def notify(worker: Worker) -> dict[str, int]:
    """Turn events into alerts and deliveries and send those that are due; return how many were
    sent, how many failed, and how many events need another round.
    """
    tenants = list(each_tenant(worker.database))
    for own in tenants:
        with going_on("time_not_kept", str(get_tenant(own))):
            alerting.keep_time(own, datetime.now(UTC))
    unfinished = 0
    for event in outbox.find_undelivered(worker.database, limit=1_000):
        # A second notifier that takes this one for lost would leave no process for detection.
        beat(worker.database, NOTIFIER)
        with going_on("event_failed", event["_id"]):
            unfinished += not _dispatch(worker, event, datetime.now(UTC))
    done = {"sent": 0, "not_sent": 0, "unfinished": unfinished}
    # Shuffled, so that not always the same ones have to wait for the next round.
    shuffle(tenants)
    started = monotonic()
    for own in tenants:
        _send_due(worker, own, done)
        if monotonic() - started > ROUNDS_SECONDS:
            break
    return done


def _send_due(worker: Worker, database: Db, done: dict[str, int]) -> None:
    """Send a tenant's due messages for at most half a minute: its slow channels delay only
    itself.
    """
    started = monotonic()
    while (
        monotonic() - started < ROUND_SECONDS
        and (delivery := deliveries.claim_due(database)) is not None
    ):
        beat(worker.database, NOTIFIER)
        with going_on("delivery_failed", delivery["_id"]):
            is_sent = _send(database, delivery, allow_private=worker.settings.private_channels)
            done["sent" if is_sent else "not_sent"] += 1


def _dispatch(worker: Worker, event: EventDocument, now: datetime) -> bool:
    """Raise the alerts of an event's run. Then, in one transaction, write a delivery for each rule
    that it concerns and mark the event as done.

    Return False if the event needs another round because its run is not explained yet.
    """
    database = worker.database
    planned = _raise_and_plan(database, event, worker.settings.public_url, now)
    if planned is None:
        return False

    def write(session: ClientSession) -> None:
        if outbox.mark_delivered(database, event["_id"], now, session):
            for own, messages in planned:
                deliveries.add_deliveries(own, messages, session)

    in_transaction(database, write)
    return True


def _raise_and_plan(
    database: Db, event: EventDocument, public_url: str, now: datetime
) -> list[tuple[Db, list[DeliveryDocument]]] | None:
    """Raise the alerts of an event; return the messages of each tenant that has any, or None if
    something must still be done first.
    """
    if event["event"] == "series_anomalies":
        own = of_owner(database, event)
        alerts = raise_series(own, event, now)
        return [(own, plan_series_messages(own, event, alerts, public_url, now))]
    if event["event"] == "model_news":
        own = of_owner(database, event)
        return [(own, plan_model_news(own, event, now))]
    run = find_bare_run(database, event["run_id"])
    if run is None:
        return []
    if not alerting.settle_run(database, run, now):
        return None
    return [(own, _plan(own, event, run, public_url, now)) for own in each_tenant(database)]


def _plan(
    database: Db, event: EventDocument, run: RunDocument, public_url: str, now: datetime
) -> list[DeliveryDocument]:
    rules = [rule for rule in find_rules(database, enabled=True) if is_concerned(rule, run)]
    if not rules:
        return []
    planned: list[DeliveryDocument] = []
    of_alerts = RunNews(database, run["_id"], rules) if raises(run) else None
    seen = alerting.see_run(database, run)
    if seen is not run:
        if of_alerts is None or not of_alerts.watchlists:
            return planned
        named = sorted(name for name in of_alerts.watchlists if name)
        seen = {**seen, "watchlist": ", ".join(named[:3])}
    is_asked = any(tells_failure(rule, run) for rule in rules)
    failed = find_failed(database, run) if is_asked else set()
    for rule in rules:
        if of_alerts is None:
            news, critical = find_unalerted(database, rule, run), NOTHING
        else:
            news, critical = of_alerts.load(rule)
        is_digested = bool(rule.get("digest") and news.alerts)
        if is_digested:
            planned.append(build_digest(event["_id"], rule, run["_id"], news, public_url, now))
        told = NOTHING if is_digested else news
        delivery = _build_delivery(event, rule, seen, told, public_url, now)
        tells = seen is run and tells_failure(rule, run)
        is_failure = tells and concerns_failure(database, rule, run, failed)
        if told.anomalies or told.wide or is_failure:
            planned.append(delivery)
        if critical.alerts:
            if not told.alerts:
                delivery = _build_delivery(event, rule, seen, critical, public_url, now)
            planned += plan_escalation(rule, delivery, critical, public_url, now)
    return planned


def _build_delivery(
    event: EventDocument,
    rule: RuleDocument,
    run: RunDocument,
    told: News,
    public_url: str,
    now: datetime,
) -> DeliveryDocument:
    link, total = build_link(public_url, told.alerts), len(told.anomaly_ids)
    return deliveries.build_delivery(
        f"{event['_id']}:{rule['_id']}",
        rule,
        run_id=run["_id"],
        title=build_title(run, total, told.wide),
        body=build_body(run, told.anomalies, total, told.wide, link),
        anomaly_ids=told.anomaly_ids,
        alerts=[tell_alert(alert, public_url) for alert in told.alerts],
        alerts_total=len(told.alert_ids),
        kind="alerts" if told.anomalies or told.wide else "failure",
        link=link,
        due_at=find_due(rule, now),
        now=now,
    )


def _send(database: Db, delivery: DeliveryDocument, *, allow_private: bool) -> bool:
    awaited = delivery.get("unless_acknowledged")
    if awaited is not None and not is_any_active(database, awaited):
        deliveries.mark_not_needed(database, delivery)
        return True
    try:
        send_message(
            delivery["channel"],
            delivery["title"],
            build_text(delivery),
            allow_private=allow_private,
            data=build_data(delivery),
            secret=delivery.get("secret"),
        )
    except TapewatchError as error:
        log.warning(
            "notification_not_sent",
            delivery=delivery["_id"],
            attempts=delivery["attempts"],
            error=error.message,
        )
        deliveries.mark_failed(database, delivery, error.message)
        return False
    deliveries.mark_sent(database, delivery, datetime.now(UTC))
    return True
