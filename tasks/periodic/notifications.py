"""From the outbox to the channels: an event becomes one delivery a rule,
and each is sent until it arrives.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import shuffle
from time import monotonic
from typing import NamedTuple

import structlog
from pymongo.client_session import ClientSession

from alerts.channels import send_message
from alerts.messages import (
    CRITICAL_GRADE,
    Before,
    Told,
    build_body,
    build_link,
    build_title,
    choose_alerts,
    choose_critical,
    find_due,
    is_concerned,
    tell_alert,
    tells_failure,
)
from alerts.raising import raises
from core.errors import TapewatchError
from records.alerts import deliveries
from records.alerts.alerts import is_any_active
from records.alerts.documents import AlertDocument, DeliveryDocument, RuleDocument
from records.alerts.notification_rules import find_rules
from records.alerts.raised import find_of_run
from records.database import Db, in_transaction
from records.findings.anomalies import find_asked
from records.findings.anomaly_queries import find_new
from records.findings.documents import AnomalyDocument, AskedFields
from records.tenancy import each_tenant, get_tenant, of_owner
from records.work import outbox
from records.work.documents import EventDocument, RunDocument
from records.work.heartbeats import NOTIFIER, beat
from records.work.runs import find_bare_run
from records.work.watchlists import find_watchlist
from tasks.engine.one_of_many import going_on
from tasks.periodic import alerting
from tasks.periodic.later_messages import build_data, build_digest, plan_escalation
from tasks.periodic.model_messages import plan_model_news
from tasks.periodic.series_alerting import plan_series_messages, raise_series
from tasks.process.worker import Worker

# Messages that are not sent within this time wait for the next round, so that slow channels do not
# occupy a worker for long.
ROUND_SECONDS = 30.0
# The same for all tenants together: well within the task's time limit.
ROUNDS_SECONDS = 120.0
# The fields of an anomaly that choose messages, and stand in them.
TOLD = (
    "Ticker",
    "Datetime",
    "interval",
    "kind",
    "severity",
    "grade",
    "reasons",
    "scope",
    "root_cause",
)

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
    planned: list[DeliveryDocument] = []
    alerts = find_of_run(database, run["_id"]) if raises(run) else None
    before = _find_before(database, run, alerts or ())
    seen = alerting.see_run(database, run)
    if seen is not run:
        if not alerts:
            return planned
        named = sorted({alert["watchlist"] for alert in alerts if alert["watchlist"]})
        seen = {**seen, "watchlist": ", ".join(named[:3])}
    for rule in find_rules(database, enabled=True):
        if not is_concerned(rule, run):
            continue
        news, critical = _choose(rule, _find_news(database, rule, run), alerts, before)
        is_digested = bool(rule.get("digest") and news.alerts)
        if is_digested:
            digest = build_digest(event["_id"], rule, run["_id"], news.alerts, public_url, now)
            planned.append(digest)
        told = NOTHING if is_digested else news
        delivery = _build_delivery(event, rule, seen, told, public_url, now)
        if told.anomalies or told.wide or (seen is run and tells_failure(rule, run)):
            planned.append(delivery)
        if critical.alerts:
            if not told.alerts:
                delivery = _build_delivery(event, rule, seen, critical, public_url, now)
            planned += plan_escalation(rule, delivery, critical.alerts, public_url, now)
    return planned


class _News(NamedTuple):
    """The contents of a message about a run: anomalies, market-wide alerts, stopped feeds, and the
    alerts of single tickers to which the anomalies belong.
    """

    anomalies: list[AnomalyDocument]
    wide: list[AlertDocument]
    single: list[AlertDocument]

    @property
    def alerts(self) -> list[AlertDocument]:
        """Return all alerts."""
        return [*self.wide, *self.single]


NOTHING = _News([], [], [])


def _find_before(database: Db, run: RunDocument, alerts: Sequence[AlertDocument]) -> Before:
    """Return the anomalies of tickers' alerts that were there before a run."""
    held = {
        anomaly_id: alert["_id"]
        for alert in alerts
        if alert["entity_type"] == "ticker" and alert["count"] > 1
        for anomaly_id in alert["anomaly_ids"]
    }
    before: dict[str, list[AskedFields]] = {}
    for anomaly in find_asked(database, list(held)) if held else ():
        if anomaly["detection_run_id"] != run["_id"]:
            before.setdefault(held[anomaly["_id"]], []).append(anomaly)
    return before


def _choose(
    rule: RuleDocument,
    found: list[AnomalyDocument],
    alerts: Sequence[AlertDocument] | None,
    before: Before,
) -> tuple[_News, _News]:
    """Return, from the anomalies that a rule asks for and the run's alerts, those that are new to
    the channel and those that have become critical. For a run that raises no alerts, return its
    anomalies.
    """
    if alerts is None:
        return _News(found, [], []), NOTHING
    news = choose_alerts(rule, alerts, before)
    critical = choose_critical(rule, alerts, before)
    strangest = [anomaly for anomaly in found if anomaly["grade"] >= CRITICAL_GRADE]
    return _narrow(found, news), _narrow(strangest, critical)


def _narrow(found: Sequence[AnomalyDocument], told: Told) -> _News:
    """Return alerts with those of their anomalies that were found; leave out alerts without any,
    which the rule does not ask for.
    """
    held = {each for alert in told.single for each in alert["anomaly_ids"]}
    anomalies = [anomaly for anomaly in found if anomaly["_id"] in held]
    passed = {anomaly["_id"] for anomaly in anomalies}
    single = [alert for alert in told.single if passed.intersection(alert["anomaly_ids"])]
    return _News(anomalies, told.wide, single)


def _build_delivery(
    event: EventDocument,
    rule: RuleDocument,
    run: RunDocument,
    told: _News,
    public_url: str,
    now: datetime,
) -> DeliveryDocument:
    link = build_link(public_url, told.alerts)
    return deliveries.build_delivery(
        f"{event['_id']}:{rule['_id']}",
        rule,
        run_id=run["_id"],
        title=build_title(run, told.anomalies, told.wide),
        body=build_body(run, told.anomalies, told.wide, link),
        anomaly_ids=[anomaly["_id"] for anomaly in told.anomalies],
        alerts=[tell_alert(alert, public_url) for alert in told.alerts],
        kind="alerts" if told.anomalies or told.wide else "failure",
        link=link,
        due_at=find_due(rule, now),
        now=now,
    )


def _find_news(database: Db, rule: RuleDocument, run: RunDocument) -> list[AnomalyDocument]:
    """Return the anomalies that a run found first and a rule asks for, the strangest first."""
    tickers = None if rule.get("ticker") is None else [str(rule.get("ticker"))]
    if rule["watchlist"] is not None:
        watchlist = find_watchlist(database, rule["watchlist"])
        is_watched = watchlist is not None and watchlist["interval"] == run["interval"]
        listed = watchlist["tickers"] if watchlist and is_watched else []
        tickers = [each for each in listed if tickers is None or each in tickers]
    found = find_new(
        database,
        run["_id"],
        kind=rule.get("kind"),
        min_grade=rule["min_grade"],
        min_confidence=rule.get("min_confidence", 0.0),
        tickers=tickers,
        fields=TOLD,
    )
    scope = rule.get("scope")
    return [anomaly for anomaly in found if scope in {None, anomaly.get("scope")}]


def _send(database: Db, delivery: DeliveryDocument, *, allow_private: bool) -> bool:
    awaited = delivery.get("unless_acknowledged")
    if awaited is not None and not is_any_active(database, awaited):
        deliveries.mark_not_needed(database, delivery)
        return True
    try:
        send_message(
            delivery["channel"],
            delivery["title"],
            delivery["body"],
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
