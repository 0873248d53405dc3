"""Mutes, and thresholds that labels suggest."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator

from api.schemas.alerts import Text, Until
from api.schemas.common import (
    Body,
    Interval,
    Market,
    Page,
    PageQuery,
    Record,
    Ticker,
    WatchlistName,
)
from core.words import Direction, MoveScope, ThresholdKind


class MuteBody(Body):
    """What is expected for a while: alerts that have all that is named."""

    ticker: Ticker | None = None
    watchlist: WatchlistName | None = None
    market: Market | None = None
    interval: Interval | None = None
    direction: Direction | None = None
    scope: MoveScope | None = Field(None, description="whose move it is")
    until: Until
    reason: Text

    @model_validator(mode="after")
    def _name_something(self) -> Self:
        if not (self.ticker or self.watchlist or self.market):
            raise ValueError("name a ticker, a watchlist or a market")
        return self


class Mute(Record):
    """A mute, and what it silenced."""

    id: str = Field(alias="_id")
    ticker: str | None
    watchlist: str | None
    market: str | None
    interval: str | None
    direction: Direction | None
    scope: MoveScope | None
    until: datetime = Field(description="its end; `ended_at` where somebody ended it before")
    reason: str
    alert_id: str | None = Field(description="with which it was said")
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    silenced: int = Field(description="how many alerts were raised and resolved at once for it")
    last_silenced_at: datetime | None


class MutePage(Page[Mute]):
    """Mutes, the newest first."""


class MuteQuery(PageQuery):
    """Which mutes."""

    active: bool | None = Field(None, description="those in force, or those that ended")
    ticker: Ticker | None = None


class Policy(BaseModel):
    """A threshold that is set."""

    kind: ThresholdKind
    value: float


class Quality(BaseModel):
    """How labelled anomalies fare at a threshold."""

    precision: float | None = Field(description="share of what passes that is true")
    recall: float | None = Field(description="share of what is true that passes")
    f1: float | None = Field(description="their harmonic mean")


class Suggestion(BaseModel):
    """A threshold for a watchlist, and what would have been otherwise in the last 90 days."""

    watchlist: str
    current: Policy | None = Field(description="the watchlist's own")
    suggested: float | None = Field(description="a grade; null where labels do not tell")
    reason: str
    labels: int
    true: int
    false: int
    now: Quality
    then: Quality
    days: int
    alerts_lost: int
    alerts_gained: int = Field(description="of anomalies that some run stored")
    lost: list[str] = Field(description="the first 20 alerts")
    gained: list[str] = Field(description="the first 20 anomalies")


class SuggestedThresholdBody(Body):
    """The grade that is applied."""

    grade: float = Field(ge=0, le=125, examples=[80.0])
