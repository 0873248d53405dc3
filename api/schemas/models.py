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
    Record,
    Ticker,
    Time,
    WatchlistName,
)
from core.words import ModelState, RevisionKind
from detection.detectors.catalogue import DEFAULT_DETECTOR, PARAMETERS

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


class ModelPage(Page[ModelSummary]):
    """Versions, the newest first."""


class ModelQuery(PageQuery):
    """Which versions."""

    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="how many at the most")

    market: Market | None = None
    state: ModelState | None = None


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
    name: (int | None, Field(None, description=parameter.meaning))
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
