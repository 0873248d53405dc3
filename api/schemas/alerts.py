"""Alerts, their history, their trail, and labels."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from alerts.lifecycle import LONGEST_TEXT
from api.schemas.anomalies import ANOMALY_ID, ModelInput, RootCause
from api.schemas.common import (
    SCOPES,
    SEVERITIES,
    Body,
    Interval,
    IntervalQuery,
    Market,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    Time,
    TimesQuery,
    WatchlistName,
)
from core.words import (
    AlertEvent,
    AlertOrder,
    AlertState,
    AlertStep,
    Direction,
    EntityType,
    Feedback,
    FeedbackCause,
    MoveScope,
    Severity,
)

ALERT_ID = f"tech::{ANOMALY_ID}"
MOST_AT_ONCE = 500
MOST_DAYS = 366
# The fields that a step on many alerts may have, by step; other steps have none.
_SAID_WITH: dict[AlertStep, tuple[str, ...]] = {
    "resolve": ("resolution_notes", "feedback", "cause", "mute_until"),
    "snooze": ("until",),
    "assign": ("owner",),
    "comment": ("text",),
}

Person = Annotated[str, Field(min_length=1, max_length=100, examples=["mia"])]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
# JSON has no times, so a strict body accepts them as text.
Until = Annotated[Time, Field(strict=False, description="at most 90 days ahead")]


class Comment(Record):
    """What somebody wrote under an alert."""

    by: str
    at: datetime
    text: str


class Widespread(Record):
    """How many tickers were strange on one bar."""

    strange: int
    of: int


class ListedAlert(Record):
    """What somebody must look at: strange bars of one ticker of a watchlist, or of its market;
    or that its bars stopped coming. What the model read is told of a single alert.
    """

    id: str = Field(alias="_id", examples=[ALERT_ID])
    watchlist: str | None = Field(description="null: the ticker is on none", examples=["tech"])
    entity_type: EntityType
    entity_id: str = Field(
        description="the ticker, the market's code, feed, or the series' id", examples=["AAPL"]
    )
    market: str = Field(description="empty of a single series", examples=["US"])
    interval: str = Field(description="empty of a single series", examples=["1d"])
    direction: Direction
    bar_time: datetime = Field(description="the first strange bar")
    last_bar: datetime = Field(description="the last one")
    count: int = Field(description="how many strange bars")
    anomaly_ids: list[str]
    anomaly_score: float | None = Field(
        description="of the strangest bar; lower is stranger; null of a feed"
    )
    threshold: float | None
    grade: float
    severity: Severity
    confidence: float | None = Field(
        None, description="0 to 1, of the strangest bar; null of a fault, and where it is not known"
    )
    detector_type: str | None = Field(
        None, description="what found it; `rules`: a fault", examples=["isolation_forest"]
    )
    explanation: dict[str, float] = Field(description="share of each input of the model")
    reasons: list[str] = Field(description="the same in words")
    metric_name: str | None = Field(None, description="the weightiest input")
    actual_value: float | None = None
    expected_value: float | None = Field(None, description="its median of the 250 bars before")
    scope: MoveScope | None = Field(None, description="whose move it was")
    root_causes: list[str] = Field(default_factory=list, description="the same in sentences")
    root_cause: RootCause | None = None
    model_version: str | None
    detection_timestamp: datetime
    parent_id: str | None = Field(None, description="the alert of a market-wide bar it belongs to")
    muted_by: str | None = Field(
        None, description="the mute for which it was resolved as it was raised"
    )
    breadth: Widespread | None = Field(None, description="of a market-wide bar")
    run_id: str = Field(description="the run that raised it, or added to it last")
    state: AlertState
    owner: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution_notes: str | None = None
    feedback: Feedback | None = None
    cause: FeedbackCause | None = None
    snoozed_until: datetime | None = None
    comments: list[Comment] = Field(default_factory=list)
    created_at: datetime
    updated_at: datetime


class Alert(ListedAlert):
    """An alert with what the model read."""

    inputs: list[ModelInput] = Field(
        default_factory=list, description="what the model read beside what is usual"
    )


class AlertPage(Page[ListedAlert]):
    """Alerts in the order that was asked for."""


class MarketConditions(Record):
    """What the market did on the alert's bar; null where no metrics of it are stored."""

    regime: str | None
    breadth: float | None
    z: float | None


class EndedAlert(ListedAlert):
    """An alert of the history."""

    market_conditions: MarketConditions
    was_resolved: bool
    resolution_time_minutes: float
    resolution_action: str
    return_after_1: float | None
    return_after_5: float | None
    return_after_20: float | None
    archived_at: datetime


class EndedPage(Page[EndedAlert]):
    """Alerts of the history, the latest bar first."""


class TrailEntry(Record):
    """One step: who did what, when."""

    id: str = Field(alias="_id")
    alert_id: str | None = Field(
        description="null: it is of no one alert, see `subject`", examples=[ALERT_ID]
    )
    subject: str | None = Field(
        None, description="what changed, where that is no alert: a threshold, bars, a session"
    )
    step: AlertEvent
    by: str = Field(description="the name of a key, or `system`", examples=["mia"])
    at: datetime
    from_state: AlertState | None
    to_state: AlertState | None
    details: dict[str, Any]


class TrailPage(Page[TrailEntry]):
    """Steps, the latest first."""


class AlertDetail(Alert):
    """An alert with its trail and, of a market-wide bar, its tickers' alerts."""

    trail: list[TrailEntry] = Field(description="its last 100 steps, in their order")
    trail_cursor: str | None = Field(
        description="pass it as `cursor` to `GET /audit?alert_id=...` for the steps before these;"
        " null where there are none"
    )
    children: list[ListedAlert] = Field(description="100 at the most")
    children_cursor: str | None = Field(
        description="pass it as `cursor` to `GET /alerts?parent_id=...` for the rest; null where"
        " there is none"
    )
    archived: bool = Field(description="whether it is in the history")


FEEDBACK = "what people said that it was when they resolved it"


class AlertFilter(TimesQuery):
    """Which alerts; `start` and `end` are times of bars."""

    severity: Severity | None = Field(None, description=SEVERITIES)
    scope: MoveScope | None = Field(None, description=SCOPES)
    watchlist: WatchlistName | None = None
    market: Market | None = None
    ticker: Ticker | None = None
    interval: Interval | None = None
    owner: Person | None = Field(None, description="only those that were assigned to this person")
    parent_id: str | None = Field(
        None,
        max_length=200,
        description="the `_id` of a market-wide alert: only those of its tickers",
    )
    entity_type: EntityType | None = Field(
        None, description="what it is about: a ticker, a whole market, a feed or a single series"
    )
    muted: bool | None = Field(None, description="those that a mute silenced, or all others")
    text: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="words, each somewhere in its ticker, watchlist, owner, reasons, root causes,"
        " notes or comments",
    )

    def build_filter(self) -> dict[str, Any]:
        """Return the arguments of `records.alerts.alerts.build_query`."""
        return self.model_dump(include=set(AlertFilter.model_fields))


class ActiveQuery(AlertFilter, PageQuery):
    """Which of the alerts that somebody must look at, in which order."""

    sort: AlertOrder = Field(
        "-created_at",
        description="the one raised last first, or with `-grade` the strangest, of the greatest"
        " severity",
    )


class AlertQuery(ActiveQuery):
    """Which alerts, in which order."""

    state: AlertState | None = Field(
        None, description="`active`: nobody has looked at it yet; without it, all of them"
    )


class HistoryQuery(TimesQuery, PageQuery):
    """Which alerts of the history."""

    ticker: Ticker | None = None
    watchlist: WatchlistName | None = None
    feedback: Feedback | None = Field(None, description=FEEDBACK)


class StepBody(Body):
    """A step that needs no more than to be taken."""


class ResolveBody(Body):
    """How an alert ended; `is_resolved` false takes that back within 7 days."""

    is_resolved: bool = True
    resolution_notes: Text | None = None
    feedback: Feedback | None = Field(
        None, description="writes a label of each of its anomalies; what it was"
    )
    cause: FeedbackCause | None = Field(None, description="why; goes with a feedback")
    mute_until: Until | None = Field(
        None,
        description="with the feedback `expected`: alerts of the same ticker, interval, direction"
        " and scope are silenced until then, at most 90 days",
    )

    @model_validator(mode="after")
    def _say_nothing_of_what_is_taken_back(self) -> Self:
        told = [name for name in _SAID_WITH["resolve"] if getattr(self, name)]
        if told and not self.is_resolved:
            raise ValueError(f"is_resolved false takes back what was said: leave {told[0]} out")
        return self


class CommentBody(Body):
    """A comment."""

    text: Text


class SnoozeBody(Body):
    """Until when an alert is not to be seen."""

    until: Until


class AssignBody(Body):
    """Whose an alert becomes."""

    owner: Person | None = Field(description="null: nobody's")


class BulkBody(Body):
    """One step of many alerts; each is taken, or not, by itself."""

    ids: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=MOST_AT_ONCE)
    action: AlertStep
    resolution_notes: Text | None = None
    feedback: Feedback | None = None
    cause: FeedbackCause | None = None
    until: Until | None = None
    mute_until: Until | None = Field(
        None, description="with the feedback `expected`: silence alerts like these until then"
    )
    owner: Person | None = None
    text: Text | None = Field(None, description="of a comment")

    @model_validator(mode="after")
    def _say_what_the_step_reads(self) -> Self:
        own = _SAID_WITH.get(self.action, ())
        told = [name for name in self.model_fields_set - {"ids", "action"} if getattr(self, name)]
        if others := sorted(set(told) - set(own)):
            raise ValueError(f"{self.action} does not take {', '.join(others)}")
        needed = {"snooze": "until", "comment": "text", "assign": "owner"}.get(self.action)
        if needed and needed not in self.model_fields_set:
            raise ValueError(f"{self.action} needs {needed}")
        return self


class Refused(BaseModel):
    """Why a step was not taken of an alert."""

    id: str
    reason: str = Field(description="a stable word", examples=["wrong_step"])
    error: str
    state: AlertState | None = Field(None, description="the state it is in, where that is why")


class BulkAnswer(BaseModel):
    """Of which alerts the step was taken, and of which not."""

    success: list[str]
    failed: list[Refused]


class StatisticsQuery(Query):
    """Of which alerts."""

    watchlist: WatchlistName | None = None


class Statistics(BaseModel):
    """What all alerts come to, those of the history among them."""

    total_alerts: int
    unresolved_count: int
    critical_count: int = Field(description="these four: of the unresolved ones")
    high_count: int
    medium_count: int
    low_count: int
    avg_resolution_time_minutes: float | None = Field(description="of those that people resolved")
    most_common_entity_type: EntityType | None
    most_common_root_cause: str | None
    detection_rate_last_24h: float | None = Field(
        description="share of the bars scored in that time, of a watchlist by its own scans, that"
        " are anomalies"
    )
    detection_rate_last_7d: float | None
    precision: float | None = Field(description="share of the labelled anomalies that were true")


class TrendQuery(StatisticsQuery):
    """How far back."""

    days: int = Field(30, ge=1, le=MOST_DAYS, description="how many days back from now")


class Trend(BaseModel):
    """The alerts that were raised on one day (UTC)."""

    day: str = Field(examples=["2026-01-05"])
    total: int
    resolved: int
    by_severity: dict[str, int]


class Trends(BaseModel):
    """Days on which alerts were raised, in order."""

    days: list[Trend]


class TrailQuery(PageQuery):
    """Which steps."""

    alert_id: str | None = Field(None, max_length=200, description="the `_id` of an alert")
    by: Person | None = Field(None, description="only what this person did: the name of a key")
    step: AlertEvent | None = Field(None, description="only steps of this kind")


class LabelQuery(PageQuery):
    """Which labels."""

    ticker: Ticker | None = None
    feedback: Feedback | None = Field(None, description=FEEDBACK)


class Label(Record):
    """What somebody said of an anomaly when they resolved its alert."""

    anomaly_id: str = Field(examples=[ANOMALY_ID])
    alert_id: str = Field(examples=[ALERT_ID])
    ticker: str
    interval: str
    features: dict[str, float | None]
    feedback: Feedback
    is_true_anomaly: bool = Field(description="false for a false alarm")
    cause: FeedbackCause | None
    labelled_by: str
    labelled_at: datetime
    predicted_score: float
    grade: float
    model_version: str
    was_correct: bool


class LabelPage(Page[Label]):
    """Labels, the latest first."""


class ProfileQuery(IntervalQuery):
    """Of which of a ticker's series."""


class Quartiles(BaseModel):
    """Simple returns after so many bars: how many are known, and their quartiles."""

    count: int
    first_quartile: float | None
    median: float | None
    third_quartile: float | None


class Followed(BaseModel):
    """What followed the anomalies whose bar went one way."""

    after_1: Quartiles
    after_5: Quartiles
    after_20: Quartiles


class Likeness(BaseModel):
    """What anomalies like an alert's have in common, and how many there are."""

    market: str
    interval: str
    direction: Direction
    severity: Severity
    scope: MoveScope | None
    tickers: int
    anomalies: int = Field(description="the last 500 at the most")


class FollowedAlike(BaseModel):
    """What followed anomalies like an alert's, whichever ticker's."""

    like: Likeness
    followed: Followed


class Profile(BaseModel):
    """What is known of a ticker's strange bars."""

    ticker: str
    interval: str
    anomalies: int
    by_severity: dict[str, int]
    open_alerts: int
    labels: dict[str, int] = Field(description="how often which feedback was given")
    regime: str | None = Field(description="its present one, where metrics are computed")
    followed: dict[str, Followed] = Field(description="by direction, of the last 500 anomalies")
