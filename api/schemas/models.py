"""Models."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, create_model

from api.schemas.common import (
    MAX_PAGE,
    Body,
    Interval,
    Market,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    Time,
    WatchlistName,
)
from core.words import ChallengerState, GateName, ModelState, RevisionKind
from detection.detectors.catalogue import DEFAULT_DETECTOR, PARAMETERS
from detection.detectors.contract import Parameter
from tasks.requests.evaluations import MOST_LABELS

VERSION = "US_model-0.1.0"


class ModelSummary(Record):
    """A version of a market's model, as lists show it."""

    version: str = Field(examples=[VERSION])
    state: ModelState
    champion_of: list[str] = Field(
        description="the pointers that name it", examples=[["champion::US::1d"]]
    )
    market: str
    interval: str
    sha256: str = Field(
        description="of the artefact; checked before it is opened", examples=["sha256:9f86d081"]
    )
    feature_set: str = Field(examples=["market14/1"])
    columns: list[str] = Field(description="what the model sees of a bar")
    warm_up_bars: int
    window_start: datetime | None = None
    window_end: datetime | None = None
    rows: int = Field(description="bars it was trained on")
    ticker_count: int
    synthetic: bool = Field(description="whether any of them were made up")
    seed: int
    parameters: dict[str, Any]
    library_versions: dict[str, str]
    threshold: float = Field(description="scores below it are anomalies")
    training_run_id: str | None = None
    created_at: datetime
    promoted_at: datetime | None = None
    retired_at: datetime | None = None


class TrainedTicker(Record):
    """A ticker that a model learned from."""

    ticker: str
    rows: int


class LeftOut(Record):
    """A ticker that a model could not learn from."""

    ticker: str
    reason: str


class GoneBars(Record):
    """Bars of a ticker that a model learned from and that are gone since."""

    ticker: str
    kind: RevisionKind = Field(description="how: `deleted`, `renamed` or `undone`")
    at: datetime
    bars: int = Field(description="how many bars of the ticker went then")


class Tail(Record):
    """What a model says of one market's bars."""

    threshold: float = Field(description="scores below it are anomalies")
    score_quantiles: Any = Field(description="from which grades are read")


class Model(ModelSummary):
    """A version with all that is known of it."""

    tickers: list[TrainedTicker]
    left_out: list[LeftOut]
    bars_gone: list[GoneBars] = Field(
        description="what it learned from and that is not stored any more; it cannot be made anew"
    )
    score_quantiles: Any = Field(
        description="distribution of the training scores, from which grades are read"
    )
    by_market: dict[str, Tail] = Field(
        {}, description="of a model of all markets, of each with bars enough of its own"
    )


class ModelPage(Page[ModelSummary]):
    """Versions, the newest first."""


class ModelQuery(PageQuery):
    """Which versions."""

    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="how many at the most")

    market: Market | None = None
    state: ModelState | None = Field(
        None, description="`champion`: in use; `candidate`: not, or not any more; `retired`"
    )


class Promotion(Body):
    """Whose champion for its interval a version becomes: its market's,
    or instead a ticker's or a watchlist's.
    """

    ticker: Ticker | None = None
    watchlist: WatchlistName | None = None


class Rollback(Promotion):
    """Whose champion goes back to the one before: exactly one of these."""

    market: Market | None = None
    interval: Interval = "1d"


class Pointer(Record):
    """Which version is in use for whom."""

    id: str = Field(alias="_id", examples=["champion::US::1d"])
    version: str | None = Field(description="null: that of its market", examples=[VERSION])
    sha256: str | None
    market: str
    interval: str
    changed_at: datetime


# One field for each parameter of the detectors' catalogue.
_PARAMETERS: dict[str, Any] = {
    name: (
        (int | None, Field(None, description=parameter.meaning))
        if isinstance(parameter, Parameter)
        else (str | None, Field(None, max_length=200, description=parameter.meaning))
    )
    for name, parameter in PARAMETERS.items()
}
DetectorParameters = create_model("DetectorParameters", __base__=Body, **_PARAMETERS)


class TrainBody(DetectorParameters):
    """A training. The threshold is by one of contamination, grade and score."""

    market: Market = Field(description="`ALL`: all markets, for each that has none of its own")
    interval: Interval = "1d"
    tickers: list[Ticker] = Field(
        default_factory=list, max_length=10_000, description="none: all of the market"
    )
    feature_set: str | None = Field(None, max_length=64, examples=["market14/1"])
    contamination: float | None = Field(
        None, description="share of bars that are to be anomalies", examples=[0.01]
    )
    grade: float | None = None
    score: float | None = None
    seed: int | None = None
    detector: str | None = Field(None, max_length=64, examples=[DEFAULT_DETECTOR])
    window_start: Time | None = Field(None, strict=False, description="first bar to learn from")
    window_end: Time | None = Field(None, strict=False, description="last bar to learn from")
    promote: bool | None = Field(
        None, description="admin only; null: only where there is none of its interval yet"
    )


class DetectorParameter(BaseModel):
    """What a detector is fitted with."""

    name: str
    default: int | str
    low: int | None = Field(None, description="the least it may be; null: it is no number")
    high: int | None = Field(None, description="the most it may be")
    choices: list[str] = Field(
        default_factory=list, description="what it may be by name, where it is no number"
    )
    meaning: str


class DetectorSummary(BaseModel):
    """An algorithm that a model can be trained with."""

    name: str = Field(examples=[DEFAULT_DETECTOR])
    summary: str = Field(description="what it finds strange")
    is_default: bool = Field(description="whether it is taken where none is named")
    feature_set: str = Field(description="what it sees of bars of a day and longer")
    intraday_feature_set: str = Field(description="the same of shorter bars")
    only_its_sets: bool = Field(description="whether it cannot be shown another feature set")
    warm_up_bars: int = Field(description="bars it needs, besides those of its feature set")
    history_bars: int = Field(
        description="stored bars before a bar on which its score may depend, besides the same:"
        " those that it needs lie among them, between others that stand still"
    )
    parameters: list[DetectorParameter]


class DetectorList(BaseModel):
    """All detectors."""

    detectors: list[DetectorSummary]


class ProcessCache(Record):
    """What one worker process holds, as it said after its last batch."""

    pid: int
    models: list[str] = Field(description="versions, the last used last")
    hits: int
    misses: int
    loads: int
    capacity: int
    at: datetime


class WorkerCaches(BaseModel):
    """What the processes of one worker hold; those that have used no model yet are not named."""

    name: str = Field(examples=["worker@host"])
    queues: list[str]
    processes: list[ProcessCache]


class ModelStats(BaseModel):
    """What the workers' caches really hold."""

    cached_models: list[str] = Field(
        description="markets of which a model is cached", examples=[["US"]]
    )
    model_versions: list[str] = Field(examples=[[VERSION]])
    total_cached: int = Field(description="over all processes")
    workers: list[WorkerCaches]


class LabelledBar(Body):
    """What a person says of one bar."""

    ticker: Ticker
    time: Time = Field(strict=False, description="a time within the bar", examples=["2020-03-16"])
    is_anomaly: bool
    interval: Interval | None = Field(None, description="of the bar; null: that of the versions")


class Evaluation(Body):
    """Versions to be judged on a stretch of bars; two are compared with each other."""

    versions: list[str] = Field(min_length=1, max_length=2, examples=[[VERSION]])
    tickers: list[Ticker] = Field(
        default_factory=list,
        max_length=10_000,
        description="none: those that labels name, or all of the market",
    )
    start: Time | None = Field(
        None,
        strict=False,
        description="first bar; by default that of the first label's day, or the first bar",
    )
    end: Time | None = Field(
        None, strict=False, description="last bar; by default the last label's, or the last bar"
    )
    labels: list[LabelledBar] = Field(
        default_factory=list,
        max_length=MOST_LABELS,
        description="both anomalies and others, or none",
    )
    keep_scores: bool = Field(default=False, description="keep the score of every bar for 30 days")


class JudgedLabels(BaseModel):
    """How a version's alarms fit labels."""

    true_alarms: int
    false_alarms: int
    missed: int
    rightly_quiet: int
    not_scored: int = Field(description="labels whose bar has no score")
    contradictory: int = Field(0, description="bars that were labelled both ways, and are left out")
    precision: float | None = Field(description="true alarms among all alarms on labelled bars")
    recall: float | None = Field(description="flagged ones among the bars labelled as anomalies")


class Drift(BaseModel):
    """Whether the bars of a stretch look to a version as its training bars did."""

    stability_index: float | None = Field(
        description="population stability index of the scores; above .25 they have moved"
    )
    distance: float | None = Field(description="Kolmogorov and Smirnov's D; above .1 they have")
    flagged_share: float | None
    asked_share: float | None = Field(description="null: no share was asked for")
    age_days: float = Field(description="from the last bar it learned from to the last it scored")
    unknown_tickers: float = Field(description="share of tickers that it did not learn from")
    inputs: dict[str, float] = Field(
        description="stability index of each column of its inputs; empty: not known"
    )
    reasons: list[str] = Field(description="what has drifted", examples=[["scores_moved"]])


class Judgement(BaseModel):
    """What a version flags of a stretch."""

    version: str = Field(examples=[VERSION])
    threshold: float = Field(
        description="the version's, or that of the only market of the stretch; see `thresholds`"
    )
    thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="that of each market of the stretch: bars of it with a lower score are alarms;"
        " empty: of an evaluation before it was kept",
        examples=[{"US": -0.58}],
    )
    bars: int = Field(description="bars that it scored: ticker-days, for daily bars")
    tickers: int
    alarms: int
    alarms_per_thousand: float | None = Field(description="alarms a thousand bars")
    large_moves: int = Field(description="bars that moved three of their usual ranges or more")
    large_moves_flagged: int
    faults_planted: int = Field(
        0, description="known faults in copies of the bars; 0: one version is judged alone"
    )
    faults_found: int = Field(0, description="how many of these are anomalies")
    microseconds_a_bar: float | None = Field(description="what scoring took")
    labels: JudgedLabels | None = Field(description="null: there are no labels")
    drift: Drift


class Agreement(BaseModel):
    """How far two versions flag the same, of the bars that both scored."""

    bars: int
    flagged_by_both: int
    only_by_first: int
    only_by_second: int
    strangest_in_common: float | None = Field(
        description="which share of the strangest hundredth is that of both"
    )


class EvaluationResult(Record):
    """What came of an evaluation."""

    id: str = Field(alias="_id")
    market: str
    interval: str
    versions: list[str]
    start: datetime | None
    end: datetime | None
    tickers: list[str]
    keep_scores: bool
    created_at: datetime
    run_id: str | None = Field(description="the run that computed it; null: it goes on, or failed")
    judgements: list[Judgement] | None = Field(description="null: it goes on, or failed")
    agreement: Agreement | None = Field(description="of two versions only")
    errors: dict[str, str] | None = Field(description="what is wrong with a ticker's bars")
    done_at: datetime | None


class SessionDrift(Record, Drift):
    """How a market's champion fared on its latest bars, noted once a session."""

    id: str = Field(alias="_id", examples=["US::1d::2026-01-05"])
    market: str
    interval: str
    session: str = Field(description="the day of the last bar", examples=["2026-01-05"])
    version: str = Field(examples=[VERSION])
    start: datetime = Field(description="first bar that was looked at")
    end: datetime
    bars: int
    labels: int = Field(description="how many of its anomalies were labelled")
    precision: float | None = Field(description="how many of these were true; null: none was")
    run_id: str
    at: datetime


class DriftPage(Page[SessionDrift]):
    """What was noted of champions, the latest first."""


class DriftQuery(PageQuery):
    """Of which champions."""

    market: Market | None = None
    interval: Interval | None = None


class Gate(BaseModel):
    """A condition that a challenger must pass before it is put in use."""

    name: GateName
    passed: bool
    words: str = Field(description="what was found, and what is asked")


class Challenger(Record):
    """A version that was trained because a champion had drifted, and how the two compare."""

    id: str = Field(alias="_id", description="the run that trains it")
    market: str
    interval: str
    champion: str = Field(description="what it challenges", examples=[VERSION])
    reasons: list[str] = Field(description="what had drifted", examples=[["old"]])
    held_out_from: datetime = Field(description="it learns from no later bar")
    last_bar: datetime = Field(description="up to here the two are compared")
    state: ChallengerState
    version: str | None = Field(description="its own, once it is trained")
    evaluation: str | None = Field(description="the report that compares the two")
    gates: list[Gate] = Field(description="what it must pass, once it was judged")
    passed: bool | None = Field(description="whether it passed all")
    promoted_at: datetime | None = Field(description="when it was put in use by itself")
    error: str | None
    created_at: datetime
    updated_at: datetime


class ChallengerPage(Page[Challenger]):
    """Challengers, the newest first."""


class ChallengerQuery(PageQuery):
    """Of which market's models, `ALL` included."""

    market: Market | None = None


class ScoresQuery(Query):
    """Which scores."""

    ticker: Ticker
    version: str = Field(
        max_length=64, description="one of the evaluation's versions", examples=[VERSION]
    )
    start: Time | None = Field(None, description="first bar time, inclusive")
    limit: int = Field(10_000, ge=1, le=10_000, description="how many bars at the most")


class ScoresOfBars(BaseModel):
    """The score of every bar of a ticker by one version."""

    ticker: str
    version: str
    times: list[datetime] = Field(description="starts of the bars, ascending")
    scores: list[float]
    next_start: datetime | None = Field(description="pass it as `start` for the next; null: none")
