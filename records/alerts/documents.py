"""The documents and collections of notification rules and deliveries."""

from datetime import datetime
from typing import TypedDict

from pymongo.collection import Collection

from core.words import AnomalyKind, DeliveryState
from records.database import Db


class RuleFields(TypedDict):
    """What a notification rule says.

    Attributes:
        channel: the channel's address, which often holds a secret.
        shown_channel: the same without it.
        watchlist: only anomalies of its tickers; None for all.
        kind: only anomalies of this kind; None for both.
        min_grade: only anomalies of at least this grade.
        quiet_from, quiet_until: times of day (`22:00`), local to `timezone`, between which nothing
        is
            sent; None for none.
        backfills: whether backfills are told too.
        failures: whether runs that failed, whole or in part, are told.
        enabled: whether the rule counts.
    """

    channel: str
    shown_channel: str
    watchlist: str | None
    kind: AnomalyKind | None
    min_grade: float
    quiet_from: str | None
    quiet_until: str | None
    timezone: str
    backfills: bool
    failures: bool
    enabled: bool


class RuleDocument(RuleFields):
    """A notification rule, under its name."""

    _id: str
    name: str
    updated_at: datetime


class DeliveryDocument(TypedDict):
    """One message to one channel.

    `due_at` is when it is tried next or, of one that was sent or given up, was last due.
    """

    _id: str
    rule: str
    channel: str
    shown_channel: str
    run_id: str | None
    title: str
    body: str
    anomaly_ids: list[str]
    state: DeliveryState
    attempts: int
    due_at: datetime
    created_at: datetime
    sent_at: datetime | None
    error: str | None


def rules_in(database: Db) -> Collection[RuleDocument]:
    """Return the collection of notification rules."""
    return database.notification_rules


def deliveries_in(database: Db) -> Collection[DeliveryDocument]:
    """Return the collection of deliveries."""
    return database.deliveries
