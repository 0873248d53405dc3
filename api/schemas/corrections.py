"""Corrections: splits, sessions, thresholds."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from api.schemas.common import Body, Clock, Day, Interval, Record
from api.schemas.watchlists import Threshold


class SplitBody(Body):
    """A split that the stored bars are not adjusted for."""

    session: Day = Field(strict=False, description="on which the new shares traded first")
    factor: float = Field(
        ge=1e-4, le=1e4, description="new shares for each old one; 1 takes a split back"
    )
    interval: Interval = "1d"


class SessionBody(Body):
    """How an exchange keeps to its calendar on a day."""

    day: Day = Field(strict=False)
    session: Literal["shut", "open", "calendar"] = Field(
        description=(
            "`shut`: it does not open; `open`: at other hours, `opens` to `closes`; `calendar`: as"
            " its calendar says, again"
        )
    )
    opens: Clock | None = Field(None, description="in the market's own time")
    closes: Clock | None = Field(None, description="in the market's own time")
    note: str = Field("", max_length=200, description="why, for others")

    @model_validator(mode="after")
    def _check_hours(self) -> Self:
        given = self.opens is not None and self.closes is not None
        if (self.session == "open") != given or (self.opens is None) != (self.closes is None):
            raise ValueError("give `opens` and `closes` with the session `open`, and with no other")
        if given and str(self.opens) >= str(self.closes):
            raise ValueError(f"it cannot open at {self.opens} and close at {self.closes}")
        return self


class SessionException(Record):
    """A day on which an exchange does not keep to its calendar."""

    market: str
    day: str = Field(examples=["2025-01-09"])
    opens: datetime | None = Field(None, description="null: it stays shut")
    closes: datetime | None = None
    note: str
    changed_at: datetime


class ProposedSession(Record):
    """A day on which most of a market traded though its calendar calls it closed."""

    day: str = Field(examples=["2025-01-09"])
    tickers: int = Field(description="how many traded; their bars were kept aside")
    of: int = Field(description="of so many that have bars around the day")
    opens: str | None = Field(description="as usual, in the market's own time")
    closes: str | None


class SessionExceptions(Record):
    """The days of a market that were set, and those that its calendar must be wrong of, by day."""

    sessions: list[SessionException]
    proposed: list[ProposedSession]


class TickerThresholdBody(Body):
    """What passes as an anomaly of a ticker."""

    threshold: Threshold | None = Field(
        description="null: as its watchlist, its market or the model says"
    )


class TickerThreshold(Record):
    """What passes as an anomaly of a ticker, where that was set for it."""

    ticker: str
    threshold: Threshold | None
