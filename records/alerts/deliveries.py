"""Deliveries: one message to one channel, tried until the channel accepts it or it is given up.

A delivery is `pending`, then `sent`, `failed`, or `not_needed`: the last where somebody
acknowledged its alerts before it was sent, or its rule was removed or disabled. A sender claims a
delivery for HOLD_SECONDS by the server's clock. If the sender dies after the channel's answer and
before it is stored, the message is sent a second time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from pymongo import DESCENDING, ReturnDocument
from pymongo.client_session import ClientSession

from core.words import DeliveryKind, DeliveryState
from records.alerts.documents import DeliveryDocument, RuleDocument, ToldAlert, deliveries_in
from records.database import Db, Query, match
from records.findings.documents import anomalies_in
from records.keyset import Key, Keyset, Position, find_page

STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
MOST_ATTEMPTS = 8
LISTED_ALERTS = 100
# A document of MongoDB holds 16 MB. Only so many of a message's anomalies are marked as sent, and
# only so many of its alerts are looked at to see whether somebody acknowledged them.
MOST_IDS = 100_000
HOLD_SECONDS = 60
LOST = "it could not be sent, and the logs of the workers have why"
FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 3_600
NEWEST_FIRST = Keyset((Key("created_at", datetime, DESCENDING), Key("_id", str, DESCENDING)))


def build_delivery(
    delivery_id: str,
    rule: RuleDocument,
    *,
    run_id: str | None,
    title: str,
    body: str,
    anomaly_ids: Sequence[str] = (),
    alerts: Sequence[ToldAlert] = (),
    alerts_total: int = 0,
    kind: DeliveryKind = "alerts",
    link: str | None = None,
    due_at: datetime,
    now: datetime,
) -> DeliveryDocument:
    """Return a pending delivery, not yet written. Its message is about `anomaly_ids` and about
    `alerts_total` alerts, of which `alerts` are the first.
    """
    return {
        "_id": delivery_id,
        "kind": kind,
        "alerts": list(alerts[:LISTED_ALERTS]),
        "alerts_total": alerts_total,
        "link": link,
        "secret": rule.get("secret"),
        "rule": rule["_id"],
        "channel": rule["channel"],
        "shown_channel": rule["shown_channel"],
        "run_id": run_id,
        "title": title,
        "body": body,
        "anomaly_ids": list(anomaly_ids[:MOST_IDS]),
        "state": "pending",
        "attempts": 0,
        "due_at": due_at,
        "created_at": now,
        "sent_at": None,
        "error": None,
    }


def add_deliveries(
    database: Db, deliveries: Sequence[DeliveryDocument], session: ClientSession | None = None
) -> None:
    """Write pending deliveries; a digest is added to one of the same rule that waits, if any."""
    plain = [each for each in deliveries if each.get("kind") != "digest"]
    if plain:
        deliveries_in(database).insert_many(plain, session=session)
    for each in deliveries:
        if each.get("kind") == "digest":
            _add_to_digest(database, each, session)


def _add_to_digest(database: Db, more: DeliveryDocument, session: ClientSession | None) -> None:
    # A digest that is being sent has another `due_at`, so it does not match.
    waiting = {name: more[name] for name in ("rule", "kind", "state", "due_at")}
    held = deliveries_in(database).find_one(waiting, session=session)
    if held is None:
        own = {"_id": more["_id"]}
        if deliveries_in(database).find_one(own, own, session=session):  # It was sent already.
            more = {**more, "_id": f"{more['_id']}:{more['run_id']}"}
        deliveries_in(database).insert_one(more, session=session)
        return
    total = held.get("alerts_total", 0) + more.get("alerts_total", 0)
    lines = [*held["body"].split("\n"), *more["body"].split("\n")]
    added = {
        "alerts": [*held.get("alerts", []), *more.get("alerts", [])][:LISTED_ALERTS],
        "alerts_total": total,
        "anomaly_ids": [*held["anomaly_ids"], *more["anomaly_ids"]][:MOST_IDS],
        "body": "\n".join(lines[:LISTED_ALERTS]),
        "title": f"{total} alerts of {more['title'].partition(' of ')[2]}",
        # Each alert has a link of its own; there is none for all of them.
        "link": None,
    }
    deliveries_in(database).update_one({"_id": held["_id"]}, {"$set": added}, session=session)


def has_due(database: Db) -> bool:
    """Return whether a pending delivery is due."""
    return deliveries_in(database).find_one(_DUE, {"_id": 1}) is not None


def claim_due(database: Db) -> DeliveryDocument | None:
    """Claim the delivery that has been due for longest; None where none is due.

    One that was claimed MOST_ATTEMPTS times, and whose senders ended without a word, is given up
    instead: it may end each process that sends it.
    """
    is_used_up = {"$gte": ["$attempts", MOST_ATTEMPTS]}
    hold = {
        "$set": {
            "attempts": {"$add": ["$attempts", {"$cond": [is_used_up, 0, 1]}]},
            "due_at": {"$add": ["$$NOW", HOLD_SECONDS * 1_000]},
            "state": {"$cond": [is_used_up, "failed", "pending"]},
            "error": {"$cond": [is_used_up, LOST, "$error"]},
        }
    }
    while True:
        claimed = deliveries_in(database).find_one_and_update(
            _DUE, [hold], sort=[("due_at", 1)], return_document=ReturnDocument.AFTER
        )
        if claimed is None or claimed["state"] == "pending":
            return claimed


def mark_sent(database: Db, delivery: DeliveryDocument, now: datetime) -> None:
    """Store that the channel accepted a delivery, also on the anomalies of its message."""
    changes = {"state": "sent", "sent_at": now, "error": None}
    deliveries_in(database).update_one({"_id": delivery["_id"]}, {"$set": changes})
    anomalies_in(database).update_many(
        {"_id": {"$in": delivery["anomaly_ids"]}}, {"$set": {"sent": True}}
    )


def mark_not_needed(database: Db, delivery: DeliveryDocument) -> None:
    """Store that a delivery need not be sent, as somebody acknowledged its alerts."""
    changes = {"$set": {"state": "not_needed"}}
    deliveries_in(database).update_one({"_id": delivery["_id"]}, changes)


def follow_rule(
    database: Db, name: str, rule: RuleDocument | None, session: ClientSession | None
) -> None:
    """Redirect a rule's pending deliveries to its present channels; they are not needed where it is
    gone (`rule` of None), is disabled or has no such channel.
    """
    for kind, address in (({"$ne": "escalation"}, "channel"), ("escalation", "next_channel")):
        waiting = {"rule": name, "state": "pending", "kind": kind}
        changes: dict[str, object] = {"state": "not_needed"}
        if rule is not None and rule["enabled"] and (channel := rule.get(address)):
            changes = {
                "channel": channel,
                "shown_channel": rule.get(f"shown_{address}"),
                "secret": rule.get("secret"),
            }
        deliveries_in(database).update_many(waiting, {"$set": changes}, session=session)


def mark_failed(database: Db, delivery: DeliveryDocument, error: str) -> None:
    """Store that the channel did not accept a delivery, which is tried again after a wait that
    doubles each time, and given up after MOST_ATTEMPTS.
    """
    attempts = delivery["attempts"]
    wait = min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS)
    changes = {
        "state": "failed" if attempts >= MOST_ATTEMPTS else "pending",
        "error": {"$literal": error[:500]},
        "due_at": {"$add": ["$$NOW", wait * 1_000]},
    }
    # If its rule was removed meanwhile, the delivery is not pending any more.
    tried = {"_id": delivery["_id"], "state": "pending"}
    deliveries_in(database).update_one(tried, [{"$set": changes}])


def find_last_deliveries(database: Db, rules: Sequence[str]) -> dict[str, DeliveryDocument]:
    """Return the last delivery of each of these rules; rules without a delivery are left out."""
    stages: list[Query] = [
        {"$match": {"rule": {"$in": list(rules)}}},
        {"$sort": {"created_at": -1}},
        {"$group": {"_id": "$rule", "last": {"$first": "$$ROOT"}}},
    ]
    return {one["_id"]: one["last"] for one in database.deliveries.aggregate(stages)}


def count_states(database: Db) -> dict[str, int]:
    """Return how many stored deliveries are in each state; they are stored for 30 days."""
    return {state: deliveries_in(database).count_documents({"state": state}) for state in STATES}


def find_deliveries(
    database: Db,
    *,
    state: DeliveryState | None,
    rule: str | None = None,
    after: Position | None = None,
    limit: int,
) -> list[DeliveryDocument]:
    """Return deliveries in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(state=state, rule=rule)
    # A message may have thousands of anomalies, and channel and secret are not to be shown.
    hidden = {"anomaly_ids": 0, "channel": 0, "secret": 0, "alerts": 0}
    return find_page(
        deliveries_in(database), query, NEWEST_FIRST, after=after, limit=limit, fields=hidden
    )


_DUE = {"state": "pending", "$expr": {"$lte": ["$due_at", "$$NOW"]}}
