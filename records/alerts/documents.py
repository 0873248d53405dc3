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
    """The fields that a user sets of a notification rule.

    Attributes:
        channel: the channel's address, which often contains a secret.
        shown_channel: the address without its secrets.
        watchlist: only anomalies of its tickers; None for all.
        kind: only anomalies of this kind; None for both.
        min_grade: only anomalies of at least this grade.
        min_confidence: only anomalies of at least this confidence; absent for all.
        quiet_from, quiet_until: times of day (`22:00`), local to `timezone`, between which nothing
            is sent; None for no quiet hours.
        backfills: whether alerts of backfills are sent, too.
        failures: whether messages about failed or partly failed runs are sent.
        enabled: whether the rule is in force.
        scope: only alerts of moves with this scope; None for all.
        ticker: only alerts of this ticker; None for all.
        secret: the key with which a webhook's messages are signed.
        next_channel: the address that gets a critical alert that nobody acknowledged within
            `escalate_after_minutes`; `shown_next_channel` is this address without its secrets.
        digest: a day or week whose alerts are sent in one message, at `digest_at`, local to
            `timezone`; None for a message for each scan.
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
    """A notification rule; its `_id` is its name."""

    _id: str
    name: str
    updated_at: datetime


class ToldAlert(TypedDict):
    """An alert in a message; its times are ISO 8601 texts in UTC, as JSON has them."""

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
        due_at: when it is tried next; after it was sent or given up, when it was last due.
        alerts: the first 100 alerts of the message; `alerts_total` counts all.
        secret: the key with which the message is signed.
        unless_acknowledged: it is sent only while one of these alerts is active.
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
    """How many tickers of a watchlist were strange on one bar, and how many (`of`) it has."""

    strange: int
    of: int


class StepFields(TypedDict, total=False):
    """The fields of an alert that a step, such as a resolution, may write."""

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
    """The fields that a list shows of the strangest of an alert's bars.

    Attributes:
        anomaly_score, threshold: None in the alert of a feed.
        confidence: None where it is not known, as for a fault, and in alerts that do not rest on
            one bar.
        detector_type: the detector that found the bar; `rules` for a fault.
        explanation: the share that each input of the model has in the score.
        metric_name, actual_value, expected_value: those of the input with the largest share; the
            expected value is its median.
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
    """All fields of an alert's strangest bar; `inputs` are the model's, beside usual values."""

    inputs: list[InputFields]


class ReviewFields(TypedDict):
    """How people reviewed an anomaly: state and owner of its alert, and their feedback."""

    alert_id: str
    state: AlertState
    owner: str | None
    feedback: Feedback | None


class ListedAlert(StepFields, ToldFields):
    """An alert as lists show it: strange bars of one ticker of a watchlist, or of its market.

    Attributes:
        watchlist: None where the ticker is on no watchlist.
        entity_type, entity_id: a ticker; a market's code for market-wide bars; the feed, whose bars
            of the last session did not arrive; or a single series. A series has neither market nor
            interval, and its times are those at which predictions were stored.
        direction: that of the move.
        bar_time, last_bar: the first and the last strange bar.
        count: the number of strange bars.
        parent_id: the market-wide alert to which it belongs.
        muted_by: the mute because of which it was resolved when it was raised.
        untold_ids: those of its anomalies of old bars, which no message tells of.
        breadth, bars: only in a market-wide alert: the breadth of its widest bar, and all its bars.
        run_id: the run that raised it or was the last to add bars.
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
    untold_ids: NotRequired[list[str]]
    breadth: NotRequired[BreadthFields]
    bars: NotRequired[list[datetime]]
    run_id: str
    grade_before: float
    state: AlertState
    comments: list[CommentFields]
    created_at: datetime
    updated_at: datetime


class AlertDocument(ListedAlert, StrangestFields):
    """An alert with the model's inputs, which are most of its bytes."""


class AskedAlert(TypedDict):
    """The fields of an alert by which notification rules choose it."""

    _id: str
    watchlist: str | None
    entity_type: EntityType
    entity_id: str
    scope: MoveScope | None
    state: AlertState
    grade: float
    grade_before: float
    parent_id: str | None
    anomaly_ids: list[str]
    untold_ids: NotRequired[list[str]]


class GroupDocument(TypedDict):
    """An edge of the graph of groups: a child, the parent to which it belongs, and the source."""

    _id: str
    child: str
    child_type: GroupType
    parent: str
    parent_type: GroupType
    source: str
    order: NotRequired[int]


class MarketConditions(TypedDict):
    """Regime, breadth and z of the market on an alert's bar; None where they are not stored."""

    regime: str | None
    breadth: float | None
    z: float | None


class EndedAlert(AlertDocument):
    """An alert in the history.

    Attributes:
        market_conditions: those on its first bar.
        resolution_time_minutes: from when it was raised to when it was resolved.
        resolution_action: its feedback or, without feedback, who resolved it.
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
    """An entry of the audit trail: who did what and when, and an alert's states before and after.

    An entry that is not about one alert, such as of a threshold or bars, has a `subject` in
    words.
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
    """Return the collection of archived alerts: the history."""
    return database.alert_history


def trail_in(database: Db) -> Collection[TrailDocument]:
    """Return the collection of the audit trail."""
    return database.alert_trail


def rules_in(database: Db) -> Collection[RuleDocument]:
    """Return the collection of notification rules."""
    return database.notification_rules


def deliveries_in(database: Db) -> Collection[DeliveryDocument]:
    """Return the collection of deliveries."""
    return database.deliveries
