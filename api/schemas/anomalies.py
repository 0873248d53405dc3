"""Anomalies."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from api.schemas.analytics import Breadth
from api.schemas.common import (
    KINDS,
    SCOPES,
    SEVERITIES,
    Interval,
    Market,
    Page,
    PageQuery,
    Record,
    Ticker,
    Time,
    TimesQuery,
    WatchlistName,
    checked,
)
from core.errors import BadInput
from core.words import (
    AlertState,
    AnomalyKind,
    AnomalyStatus,
    FaultName,
    Feedback,
    GroupType,
    MoveScope,
    Severity,
)
from detection.features.names import FEATURES

ANOMALY_ID = "AAPL::1d::2001-09-17T00:00:00Z"


class Opinion(Record):
    """What a later run found of the same bar, under another model or from other bars."""

    kind: AnomalyKind
    fault: FaultName | None = None
    Close: float | None = Field(None, description="of the bars it was found from")
    reasons: list[str] = Field(default_factory=list)
    detection_run_id: str
    detection_timestamp: datetime
    model_version: str
    model_hash: str
    anomaly_score: float
    grade: float
    threshold: float
    bars_fingerprint: str


class ModelInput(Record):
    """One input that the model read: its value, and the range of the 250 bars before."""

    name: str = Field(examples=["return_fast"])
    label: str = Field(description="the same in words, with its unit")
    actual: float | None
    low: float | None = Field(description="one bar in 20 lies below")
    median: float | None
    high: float | None = Field(description="one bar in 20 lies above")
    share: float | None = Field(description="of the score")


class RootCauseCandidate(Record):
    """Something above a ticker that may be behind its move."""

    name: str
    type: GroupType
    level: int = Field(description="how many levels above the ticker")
    move: float = Field(description="its own, as a log return")
    explained: float = Field(description="share of the ticker's move, 0 to 1")
    strange: int = Field(description="siblings there that are strange the same way")
    siblings: int
    z: float
    score: float
    sentence: str


class RootCause(Record):
    """A move taken apart; log returns, and each part in its usual deviations."""

    move: float | None
    alpha: float | None
    beta_market: float | None
    market: float | None
    z_market: float | None
    sector: str | None
    beta_sector: float | None
    sector_move: float | None
    z_sector: float | None
    own: float | None
    z_own: float | None
    causes: list[RootCauseCandidate]
    carriers: list[str] = Field(
        description="of an index: the members without which it would be none"
    )
    impact: list[str] = Field(description="others that are strange on this bar, the same way")
    flagged: int | None = Field(
        None, description="how many of the market's tickers are anomalies on this bar"
    )
    of: int | None = Field(None, description="how many have bars that reach over it")


class ConfidenceFactors(BaseModel):
    """What a confidence is the product of, each from 0 to 1."""

    stability: float = Field(
        description="how probably a model of other bars of the same kind would flag the bar too"
    )
    agreement: float = Field(
        description="weight of the members of an ensemble that find it strange; else 1"
    )
    completeness: float = Field(description="share of the history it is measured by that is there")


class Vote(BaseModel):
    """What one member of an ensemble said of a bar."""

    detector: str = Field(examples=["half_space_trees"])
    weight: float
    score: float | None
    grade: float | None
    missing: str | None = Field(description="why it said nothing", examples=["not_enough_bars"])


class Review(Record):
    """What people made of an anomaly: the state of its alert, and what they said it was."""

    alert_id: str
    state: AlertState
    owner: str | None = None
    feedback: Feedback | None = Field(None, description="null: nobody said yet what it was")


class Anomaly(Record):
    """A bar whose score passed the threshold,
    with what is needed to understand it and to derive it again.
    """

    id: str = Field(alias="_id", examples=[ANOMALY_ID])
    ticker: str = Field(alias="Ticker", examples=["AAPL"])
    time: datetime = Field(
        alias="Datetime", description="start of the bar; daily bars: the session's date"
    )
    interval: str = Field(examples=["1d"])
    market: str = Field(examples=["US"])
    close: float = Field(alias="Close")
    volume: float = Field(alias="Volume")
    anomaly_score: float = Field(description="raw score; lower is stranger", examples=[-0.71])
    threshold: float = Field(description="scores below it are anomalies")
    grade: float = Field(
        description="0 to 100; 50 is one bar in 100, 75 one in 1,000", examples=[83.1]
    )
    severity: Severity
    confidence: float | None = Field(
        None,
        description="0 to 1, how far the finding can be relied on: the product of its factors;"
        " null: it was found before this was kept",
        examples=[0.97],
    )
    confidence_factors: ConfidenceFactors | None = None
    members: list[Vote] = Field(
        default_factory=list, description="what each member of an ensemble said of the bar"
    )
    kind: AnomalyKind = Field(
        description="`event`: something happened, by a model; `fault`: the bar is wrong, by a rule"
    )
    detector: str | None = Field(
        None, description="what found it; `rules`: it is a fault", examples=["isolation_forest"]
    )
    fault: FaultName | None = Field(None, description="which rule; null: it is an event")
    features: dict[str, float | None] = Field(
        description="the 14, by name; none of a bar without a warm-up"
    )
    inputs: list[ModelInput] = Field(
        default_factory=list,
        description="what the model read beside what is usual, the largest share first",
    )
    attribution: dict[str, float] = Field(
        default_factory=dict, description="share of each column in the score"
    )
    reasons: list[str] = Field(
        default_factory=list, description="the same in words, the weightiest first"
    )
    status: AnomalyStatus
    sent: bool
    detection_run_id: str
    detection_timestamp: datetime
    model_version: str = Field(examples=["US_model-0.1.0"])
    model_hash: str = Field(examples=["sha256:9f86d081884c7d65"])
    feature_set: str = Field(examples=["events/6"])
    bars_fingerprint: str = Field(description="of exactly the bars it was computed from")
    market_fingerprint: str | None = Field(
        None, description="of what its market did that day; null: the model does not look at it"
    )
    in_training_window: bool = Field(description="whether the model had seen this bar's time")
    suspected_split: float | None = Field(
        None, description="ratio, where the bar looks like an unadjusted split"
    )
    scope: MoveScope | None = Field(
        None, description="whose move it was; null until it is told, or where it cannot be"
    )
    root_causes: list[str] = Field(default_factory=list, description="the same in sentences")
    root_cause: RootCause | None = Field(None, description="the numbers they rest on")
    opinions: list[Opinion] = Field(default_factory=list)
    superseded_by: str | None = Field(None, description="the run that no longer found it")
    superseded_at: datetime | None = None
    bars_gone_at: datetime | None = Field(
        None, description="since when its bars are not stored any more"
    )
    review: Review | None = Field(
        None,
        description="what became of its alert; in a list only where `fields` names it. null: no"
        " alert was raised",
    )
    created_at: datetime


class BarConditions(BaseModel):
    """What a market was like at a bar, looked up as it is read: as computed last."""

    time: datetime
    words: list[str] = Field(
        description="what is out of the ordinary",
        examples=[["in a turbulent week for the whole market"]],
    )
    regime: dict[str, Any] | None = Field(description="the series' own")
    regimes: dict[str, int] = Field(description="how many tickers were in each")
    turbulent_share: float | None
    breadth: Breadth
    market_return: float | None = Field(alias="return", description="median log return")
    z: float | None = Field(description="of the return by its deviation over the 60 bars before")
    set: str = Field(examples=["analytics/1"])
    computed_at: datetime
    run_id: str


class AnomalyInFull(Anomaly):
    """An anomaly, and what its market was like."""

    market_conditions: BarConditions | None = Field(
        description="null where the market was not computed at this bar"
    )


NAMES = [field.alias or name for name, field in Anomaly.model_fields.items()]
FEATURE_NAMES = [f"features.{name}" for name in FEATURES]


def _check_fields(text: str) -> str:
    unknown = [name for name in text.split(",") if name not in (*NAMES, *FEATURE_NAMES)]
    if unknown:
        choices = f"{', '.join(NAMES)}, or one feature, as in {FEATURE_NAMES[0]}"
        raise BadInput(f"{unknown[0]!r} is none of {choices}")
    return text


class AnomalyPart(RootModel[dict[str, Any]]):
    """What was asked for of an anomaly, its `_id`, and what it is sorted by."""


# Whole anomalies are tried first, because a partial one may have any fields.
class AnomalyPage(Page[Annotated[Anomaly | AnomalyPart, Field(union_mode="left_to_right")]]):
    """Anomalies, whole unless `fields` were named."""


class AnomalyFilter(TimesQuery):
    """Which anomalies; those that are superseded, or of bars that are gone, only where their status
    is asked for.
    """

    ticker: Ticker | None = None
    watchlist: WatchlistName | None = Field(None, description="only of its tickers")
    market: Market | None = None
    interval: Interval | None = None
    min_grade: float | None = Field(
        None,
        ge=0,
        le=100,
        description="how rare at the least: 50 is one bar in a hundred, 75 one in a thousand, 100 "
        "one in ten thousand or rarer",
    )
    kind: AnomalyKind | None = Field(None, description=KINDS)
    min_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="above 0, faults and what was found before confidence was kept are left out",
    )
    severity: Severity | None = Field(None, description=SEVERITIES)
    scope: MoveScope | None = Field(None, description=SCOPES)
    status: AnomalyStatus | None = Field(
        None,
        description="`new`, as without it; `superseded`: a later look found the bar usual; "
        "`bars_gone`: its bar is not stored any more",
    )
    run_id: str | None = Field(None, max_length=64, description="only what this run found first")
    model_version: str | None = Field(
        None, max_length=64, description="only of this version, as `/models` lists them"
    )

    def build_filter(self, watched: Collection[str] | None) -> dict[str, Any]:
        """Return the arguments of `records.findings.anomaly_queries.build_query`;
        `watched` are the tickers of the watchlist, where one is named.
        """
        own = set(AnomalyFilter.model_fields) - {"ticker", "watchlist"}
        tickers = watched if self.ticker is None else [self.ticker]
        if self.ticker is not None and watched is not None:
            tickers = {self.ticker} & set(watched)
        return self.model_dump(include=own) | {"tickers": tickers}


class AnomalyQuery(AnomalyFilter, PageQuery):
    """Which anomalies, in which order. `sort=-grade&limit=10` gives the ten strangest."""

    sort: Literal[
        "-Datetime", "Datetime", "anomaly_score", "-grade", "grade", "Ticker", "-Ticker"
    ] = Field(
        "-Datetime",
        description="the latest first, or with `-` left out the oldest; `-grade`: the strangest;"
        " `anomaly_score`: the lowest score, which is comparable within a kind only",
    )
    fields: Annotated[str, checked(_check_fields)] | None = Field(
        None,
        max_length=500,
        description="what to return of each, with commas between; everything if it is not given",
        examples=["Ticker,Datetime,grade,reasons,features.return_1"],
    )

    @property
    def wants_review(self) -> bool:
        """Whether each anomaly's `review` is named."""
        return self.fields is not None and "review" in self.fields.split(",")

    def list_fields(self) -> list[str] | None:
        """Return the fields that are wanted, and the one they are sorted by; None for all."""
        if self.fields is None:
            return None
        names = {*self.fields.split(","), self.sort.lstrip("-")}
        names -= {"review"}  # is looked up
        return sorted(names - set(FEATURE_NAMES) if "features" in names else names)


class TickerCount(BaseModel):
    """How many anomalies a ticker has."""

    ticker: str
    count: int
    latest: datetime


class AnomalySummary(BaseModel):
    """How many anomalies there are, counted four ways."""

    total: int
    by_kind: dict[str, int] = Field(examples=[{"event": 13, "fault": 2}])
    by_severity: dict[str, int] = Field(examples=[{"medium": 12, "high": 3}])
    by_market: dict[str, dict[str, int]] = Field(
        description="of each market by severity", examples=[{"US": {"medium": 12, "high": 3}}]
    )
    by_ticker: list[TickerCount] = Field(description="most first, 1,000 tickers at the most")


class HistogramQuery(AnomalyFilter):
    """Which anomalies, counted over which time."""

    start: Time = Field(description="where the first span begins")
    end: Time = Field(description="last bar time, inclusive")
    bins: int = Field(60, ge=1, le=500, description="how many spans at the most")


class SpanCount(BaseModel):
    """How many anomalies a span of time has."""

    start: datetime
    by_severity: dict[str, int] = Field(examples=[{"medium": 3, "high": 1}])


class AnomalyHistogram(BaseModel):
    """Anomalies counted over time, in spans of whole days."""

    start: datetime
    span_seconds: int = Field(examples=[2_592_000])
    spans: list[SpanCount] = Field(description="in order; those without any are left out")
