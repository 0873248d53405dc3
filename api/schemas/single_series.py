"""Models of single series."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, WithJsonSchema

from api.schemas.common import Body, Page, PageQuery, Query, Record
from api.schemas.runs import WaitQuery
from core.words import Feedback

SERIES_ID = "sensor_01"
Timestamps = Annotated[
    list[Any],
    WithJsonSchema(
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 1_000_000}
    ),
]
Values = Annotated[
    list[Any],
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "maxItems": 1_000_000}),
]
Version = Annotated[
    str, Field(max_length=4_000, description="digits, with or without v; 0 or nothing: the latest")
]


class FitBody(Body):
    """The history of a series, and which detector is to learn from it."""

    timestamps: Timestamps = Field(description="whole numbers of at least 0, strictly rising")
    values: Values = Field(description="finite numbers, as many as timestamps; not all equal")
    detector: str | None = Field(
        None, max_length=40, description="simple (default), mad, moving_average, seasonal or stream"
    )
    k: float | None = Field(
        None, description="deviations from the expected value that are still normal"
    )
    direction: str | None = Field(
        None, max_length=40, description="above, below or both: on which side a value is strange"
    )
    season: int | None = Field(None, description="seasonal: points of one cycle; null: to be found")
    window: int | None = Field(
        None, description="moving_average: how many of the last values count"
    )


class FitQuery(WaitQuery):
    """Whether to wait for the outcome of a fit of more than 100,000 points."""


class Fitted(BaseModel):
    """The version that holds what was learned."""

    series_id: str = Field(examples=[SERIES_ID])
    version: str = Field(examples=["1"])
    points_used: int = Field(examples=[4])


class PredictQuery(Query):
    """By which version, and whether to keep what comes of it."""

    version: Version | None = None
    store: bool = Field(default=False, description="keep the predictions; needs the scope enqueue")


class Prediction(BaseModel):
    """What a version says of one point."""

    anomaly: bool
    model_version: str = Field(examples=["1"])
    score: float = Field(
        description="distance from the expected value in deviations, with its sign"
    )
    expected: float
    lower: float | None = Field(description="least normal value; null: nothing is too low")
    upper: float | None = Field(description="greatest normal value; null: nothing is too high")


class Predictions(RootModel[list[Prediction]]):
    """What a version says of each of a list of points, in their order."""


class Latency(BaseModel):
    """Latencies of the last 100 successful requests of a kind, over all processes;
    0 where there were none.
    """

    avg: float
    p95: float = Field(description="nearest rank")


class SeriesHealth(BaseModel):
    """How models of single series are."""

    series_trained: int
    inference_latency_ms: Latency
    training_latency_ms: Latency


class PlotQuery(Query):
    """Of which series and version, and in which form."""

    series_id: str | None = Field(
        None,
        max_length=1000,
        description="the name of a series, as `/series` lists them",
        examples=[SERIES_ID],
    )
    version: Version | None = None
    format: str = Field("html", max_length=40, description="html, svg or json")


class SeriesVersion(Record):
    """A version as lists show it."""

    version: int
    detector: str
    parameters: dict[str, Any]
    points_used: int
    points_learned: int = Field(
        description="stored predictions that a detector that learns took in"
    )
    first_timestamp: int
    last_timestamp: int
    data_sha256: str
    created_at: datetime


class SingleSeries(Record):
    """A series with models."""

    id: str = Field(alias="_id", examples=[SERIES_ID])
    latest: int = Field(description="its latest version")
    detector: str = Field(description="of the latest version")
    predictions: int = Field(description="how many are stored")
    created_at: datetime
    updated_at: datetime


class SingleSeriesPage(Page[SingleSeries]):
    """Series, by id."""


class SingleSeriesDetails(SingleSeries):
    """A series with its versions."""

    versions: list[SeriesVersion] = Field(description="the latest 100, the last first")


class PredictionLabel(Record):
    """What somebody said of a prediction."""

    feedback: Feedback
    labelled_by: str
    labelled_at: datetime


class StoredPrediction(Record):
    """A prediction that was kept."""

    series_id: str = Field(examples=[SERIES_ID])
    version: int
    detector: str
    timestamp: int
    value: float
    anomaly: bool
    score: float
    expected: float
    lower: float | None
    upper: float | None
    label: PredictionLabel | None
    created_at: datetime


class StoredPredictionPage(Page[StoredPrediction]):
    """Stored predictions, the latest first."""


class StoredPredictionQuery(PageQuery):
    """Which stored predictions."""

    version: Version | None = None
    anomaly: bool | None = Field(
        None, description="only points that were judged strange, or only the others"
    )


class LabelBody(Body):
    """What it was."""

    feedback: Feedback


PlotFormat = Literal["html", "svg", "json"]


class PlotPoint(BaseModel):
    """A point with what the version says of it, as far as it does."""

    timestamp: int
    value: float
    anomaly: bool
    expected: float | None
    lower: float | None
    upper: float | None


class Plot(BaseModel):
    """What a plot shows: of long series the lowest and highest point of each stretch."""

    series_id: str
    version: str
    detector: str
    versions: list[str] = Field(description="the latest 100, the last first")
    training: list[PlotPoint]
    predictions: list[PlotPoint] = Field(description="the last that are stored, in order of time")
