"""Notification rules and deliveries."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from alerts.channels import LEAST_SECRET, LONGEST_ADDRESS, LONGEST_SECRET
from alerts.messages import DIGEST_AT, ESCALATED_AFTER_MINUTES
from api.schemas.common import (
    MAX_PAGE,
    Body,
    Clock,
    Page,
    PageQuery,
    Record,
    Ticker,
    WatchlistName,
    Zone,
)
from core.words import AnomalyKind, DeliveryKind, DeliveryState, Digest, MoveScope

# Most of an address may be secret, also in rules for which an earlier version stored more of it to
# show.
ShownChannel = Annotated[
    str,
    AfterValidator(lambda shown: shown.partition("://")[0]),
    Field(description="what kind of channel it is", examples=["slack"]),
]


Address = Annotated[str, Field(min_length=4, max_length=LONGEST_ADDRESS)]
Secret = Annotated[str, Field(min_length=LEAST_SECRET, max_length=LONGEST_SECRET)]


class RuleBody(Body):
    """What a channel is told of."""

    channel: Address = Field(
        description="an address that apprise knows; it is never shown again in full",
    )
    watchlist: WatchlistName | None = Field(
        None, description="only anomalies of its tickers; null: of all"
    )
    kind: AnomalyKind | None = Field(None, description="only anomalies of this kind; null: of both")
    min_grade: float = Field(
        75.0, ge=0, le=100, description="only anomalies of at least this grade"
    )
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="and of at least this confidence, from 0 to 1"
    )
    quiet_from: Clock | None = Field(None, description="from this local time on nothing is sent")
    quiet_until: Clock | None = Field(
        None, description="from this local time on what was held back is sent"
    )
    timezone: Zone = Field("UTC", description="IANA name; of the quiet hours and of the digest")
    backfills: bool = Field(default=False, description="tell of backfills too")
    failures: bool = Field(
        default=True,
        description="tell of runs that failed, whole or in part; with a watchlist or ticker, of"
        " those in which one of its tickers failed",
    )
    enabled: bool = True
    scope: MoveScope | None = Field(None, description="only alerts whose move was this")
    ticker: Ticker | None = Field(None, description="only alerts of it")
    secret: Secret | None = Field(
        None, description="of a webhook: what its messages are signed with; never shown again"
    )
    next_channel: Address | None = Field(
        None, description="who is told of critical alerts that nobody acknowledges; never shown"
    )
    escalate_after_minutes: int = Field(ESCALATED_AFTER_MINUTES, ge=1, le=1_440)
    digest: Digest | None = Field(
        None, description="one message a day, or on Mondays, in place of one a scan"
    )
    digest_at: Clock = Field(DIGEST_AT, description="at which local time")

    @model_validator(mode="after")
    def _name_both_ends(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError(
                "quiet hours have two ends: give quiet_from and quiet_until, or neither"
            )
        return self


class RulePatch(Body):
    """What is changed of a rule; what is not named stays as it is, secrets too, and null takes back
    what may be null.
    """

    channel: Address | None = None
    watchlist: WatchlistName | None = None
    kind: AnomalyKind | None = None
    min_grade: float | None = Field(None, ge=0, le=100)
    min_confidence: float | None = Field(None, ge=0, le=1)
    quiet_from: Clock | None = None
    quiet_until: Clock | None = None
    timezone: Zone | None = None
    backfills: bool | None = None
    failures: bool | None = None
    enabled: bool | None = None
    scope: MoveScope | None = None
    ticker: Ticker | None = None
    secret: Secret | None = None
    next_channel: Address | None = None
    escalate_after_minutes: int | None = Field(None, ge=1, le=1_440)
    digest: Digest | None = None
    digest_at: Clock | None = None


class Rule(Record):
    """A notification rule; of its channels only what kind they are, of its secret nothing."""

    name: str
    shown_channel: ShownChannel
    watchlist: str | None = None
    kind: AnomalyKind | None = None
    min_grade: float
    min_confidence: float = 0.0
    quiet_from: str | None = None
    quiet_until: str | None = None
    timezone: str
    backfills: bool
    failures: bool
    enabled: bool
    scope: MoveScope | None = None
    ticker: str | None = None
    signed: bool = Field(default=False, description="whether a webhook's messages are signed")
    shown_next_channel: ShownChannel | None = None
    escalate_after_minutes: int = 15
    digest: Digest | None = None
    digest_at: str = "08:00"
    updated_at: datetime


class RulePage(Page[Rule]):
    """Rules, by name."""


class RuleQuery(PageQuery):
    """How much of the list."""

    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="how many at the most")


class Tried(BaseModel):
    """What became of a message sent to try a channel."""

    sent: bool
    error: str | None = Field(None, description="what the channel said, where it did not take it")


class Delivery(Record):
    """One message to one channel."""

    id: str = Field(alias="_id")
    rule: str
    kind: DeliveryKind = "alerts"
    shown_channel: ShownChannel
    run_id: str | None = None
    title: str
    body: str
    state: DeliveryState = Field(
        description="not_needed: somebody acknowledged its alerts, or took its rule away, in time"
    )
    attempts: int
    due_at: datetime = Field(description="when it is tried next, or was last due")
    created_at: datetime
    sent_at: datetime | None = None
    error: str | None = None


class DeliveryPage(Page[Delivery]):
    """Deliveries, the newest first."""


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    state: DeliveryState | None = Field(
        None,
        description="`pending`: still tried; `failed`: given up; `not_needed`: nobody had to"
        " be told any more",
    )
    rule: WatchlistName | None = Field(None, description="the name of a notification rule")
