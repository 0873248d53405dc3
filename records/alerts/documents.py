"""The documents and collections of alerts, notification rules and deliveries."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import (
    AlertEvent,
    AlertState,
    AnomalyKind,
    DeliveryKind,
    DeliveryState,
    Digest,
    Direction,
    EntityType,
    Feedback,
    FeedbackCause,
    GroupType,
    MoveScope,
    Severity,
)
from records.database import Db
from records.findings.documents import InputFields, RootCauseFields


class RuleFields(TypedDict):
    """What a notification rule says.

    Attributes:
        channel: the channel's address, which often holds a secret.
        shown_channel: the same without it.
        watchlist: only anomalies of its tickers; None for all.
        kind: only anomalies of this kind; None for both.
        min_grade: only anomalies of at least this grade.
        min_confidence: and of at least this confidence; none is asked for where it is missing.
        quiet_from, quiet_until: times of day (`22:00`), local to `timezone`, between which nothing
        is
            sent; None for none.
        backfills: whether backfills are told too.
        failures: whether runs that failed, whole or in part, are told.
        enabled: whether the rule counts.
        scope: only alerts whose move was this; None for all.
        ticker: only alerts of it; None for all.
        secret: what a webhook's messages are signed with.
        next_channel: who is told of a critical alert that nobody acknowledged in
            `escalate_after_minutes`; `shown_next_channel` is it without its secrets.
        digest: all alerts of a day or week in one message, at `digest_at`, local to `timezone`;
            None for a message a scan.
    """

    channel: str
    shown_channel: str
    watchlist: str | None
    kind: AnomalyKind | None
    min_grade: float
    min_confidence: NotRequired[float]
    quiet_from: str | None
    quiet_until: str | None
    timezone: str
    backfills: bool
    failures: bool
    enabled: bool
    scope: NotRequired[MoveScope | None]
    ticker: NotRequired[str | None]
    secret: NotRequired[str | None]
    next_channel: NotRequired[str | None]
    shown_next_channel: NotRequired[str | None]
    escalate_after_minutes: NotRequired[int]
    digest: NotRequired[Digest | None]
    digest_at: NotRequired[str]


class RuleDocument(RuleFields):
    """A notification rule, under its name."""

    _id: str
    name: str
    updated_at: datetime


class ToldAlert(TypedDict):
    """An alert as a message tells of it; times are ISO 8601 in UTC, as JSON has them."""

    id: str
    watchlist: str | None
    entity_type: EntityType
    entity_id: str
    market: str
    interval: str
    direction: Direction
    bar_time: str
    last_bar: str
    count: int
    grade: float
    severity: Severity
    scope: MoveScope | None
    metric_name: str | None
    actual_value: float | None
    expected_value: float | None
    reasons: list[str]
    root_causes: list[str]
    breadth: "BreadthFields | None"
    link: str | None


class DeliveryDocument(TypedDict):
    """One message to one channel.

    Attributes:
        due_at: when it is tried next or, of one that was sent or given up, was last due.
        alerts: what it tells of, the first 100; `alerts_total` counts all.
        secret: what it is signed with.
        unless_acknowledged: it is needed while any of these alerts is active.
    """

    _id: str
    kind: NotRequired[DeliveryKind]
    alerts: NotRequired[list[ToldAlert]]
    alerts_total: NotRequired[int]
    link: NotRequired[str | None]
    secret: NotRequired[str | None]
    unless_acknowledged: NotRequired[list[str]]
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


class CommentFields(TypedDict):
    """What somebody wrote under an alert, and when."""

    by: str
    at: datetime
    text: str


class BreadthFields(TypedDict):
    """How many tickers of a watchlist were strange on one bar, of how many it has."""

    strange: int
    of: int


class StepFields(TypedDict, total=False):
    """What a step of its life writes into an alert."""

    owner: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution_notes: str | None
    feedback: Feedback | None
    cause: FeedbackCause | None
    snoozed_until: datetime | None


class ToldFields(TypedDict):
    """What a list says of the strangest of an alert's bars.

    Attributes:
        anomaly_score, threshold: None of a feed.
        confidence: None where it is not known, as of a fault; and of what rests on no one bar.
        detector_type: the detector that found it, `rules` of a fault.
        explanation: the share of each input of the model.
        metric_name, actual_value, expected_value: of the weightiest input; what is expected is its
            median.
    """

    anomaly_score: float | None
    threshold: float | None
    grade: float
    severity: Severity
    confidence: float | None
    detector_type: str | None
    explanation: dict[str, float]
    reasons: list[str]
    detection_timestamp: datetime
    model_version: str | None
    metric_name: str | None
    actual_value: float | None
    expected_value: float | None
    scope: MoveScope | None
    root_causes: list[str]
    root_cause: RootCauseFields | None


class StrangestFields(ToldFields):
    """What an alert says of its strangest bar, and what the model read, beside what is usual."""

    inputs: list[InputFields]


class ReviewFields(TypedDict):
    """What people made of an anomaly: the state of its alert, and what they said it was."""

    alert_id: str
    state: AlertState
    owner: str | None
    feedback: Feedback | None


class ListedAlert(StepFields, ToldFields):
    """What a person must look at: strange bars of one ticker of a watchlist, or of its market.

    Attributes:
        watchlist: None where the ticker is on none.
        entity_type, entity_id: a ticker; the code of a market on a market-wide bar; the feed, of
            which bars of the last session did not come; or a single series. A series has neither
            market nor interval, and its times are those at which predictions were stored.
        direction: of the move.
        bar_time, last_bar: the first and the last strange bar.
        count: how many there are.
        parent_id: the alert of the market-wide bar that it belongs to.
        muted_by: the mute for which it was resolved as it was raised.
        breadth, bars: of a market-wide alert: of its widest bar, and which bars it holds.
        run_id: the run that raised it, or added to it last.
        grade_before: its grade before that run; -1 where that run raised it.
    """

    _id: str
    watchlist: str | None
    entity_type: EntityType
    entity_id: str
    market: str
    interval: str
    direction: Direction
    bar_time: datetime
    last_bar: datetime
    count: int
    anomaly_ids: list[str]
    parent_id: str | None
    muted_by: NotRequired[str]
    breadth: NotRequired[BreadthFields]
    bars: NotRequired[list[datetime]]
    run_id: str
    grade_before: float
    state: AlertState
    comments: list[CommentFields]
    created_at: datetime
    updated_at: datetime


class AlertDocument(ListedAlert, StrangestFields):
    """An alert with what the model read, which is most of its bytes."""


class GroupDocument(TypedDict):
    """An edge of the graph of groups: what belongs to what, and who says so."""

    _id: str
    child: str
    child_type: GroupType
    parent: str
    parent_type: GroupType
    source: str
    order: NotRequired[int]


class MarketConditions(TypedDict):
    """What the market did on an alert's bar; None where no metrics of it are stored."""

    regime: str | None
    breadth: float | None
    z: float | None


class EndedAlert(AlertDocument):
    """An alert in the history.

    Attributes:
        market_conditions: on its first bar.
        resolution_time_minutes: from when it was raised.
        resolution_action: its feedback or, where nobody gave any, who resolved it.
        return_after_1, return_after_5, return_after_20: simple returns from the close of its first
            bar to the close so many bars later; None where there are not so many.
    """

    market_conditions: MarketConditions
    was_resolved: bool
    resolution_time_minutes: float
    resolution_action: str
    return_after_1: float | None
    return_after_5: float | None
    return_after_20: float | None
    archived_at: datetime


class TrailDocument(TypedDict):
    """One step of an alert's life: who did what, when, and from which state to which.

    What is of no one alert, such as a mute or a threshold, has a `subject` in words.
    """

    _id: str
    alert_id: str | None
    subject: NotRequired[str]
    step: AlertEvent
    by: str
    at: datetime
    from_state: AlertState | None
    to_state: AlertState | None
    details: dict[str, Any]


def groups_in(database: Db) -> Collection[GroupDocument]:
    """Return the collection of groups."""
    return database.groups


def alerts_in(database: Db) -> Collection[AlertDocument]:
    """Return the collection of alerts."""
    return database.alerts


def history_in(database: Db) -> Collection[EndedAlert]:
    """Return the collection of alerts that ended long ago."""
    return database.alert_history


def trail_in(database: Db) -> Collection[TrailDocument]:
    """Return the collection of steps of alerts."""
    return database.alert_trail


def rules_in(database: Db) -> Collection[RuleDocument]:
    """Return the collection of notification rules."""
    return database.notification_rules


def deliveries_in(database: Db) -> Collection[DeliveryDocument]:
    """Return the collection of deliveries."""
    return database.deliveries
