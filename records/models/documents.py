"""The documents and collections of models, champions and thresholds."""

from datetime import datetime
from typing import Any, Literal, TypedDict

from pymongo.collection import Collection

from core.words import ModelState, ScopeKind, ThresholdKind
from records.database import Db


class TrainedTicker(TypedDict):
    """A ticker that a model learned from, and how many of its bars."""

    ticker: str
    rows: int


class LeftOutTicker(TypedDict):
    """A ticker that a model could not learn from, and why."""

    ticker: str
    reason: str


class FitSummary(TypedDict):
    """What a model learned from, and what came of it.

    Attributes:
        columns: what it sees of a bar.
        warm_up_bars: how many bars it needs before the first that it scores.
        window_start, window_end: first and last bar that it may have learned from.
        rows, rows_fitted: how many bars that were, and how many of them were fitted.
        synthetic: whether any of them were made up.
        parameters: of its algorithm, with the algorithm's name.
        threshold: bars with a lower score are anomalies.
        score_quantiles: how rare a score is, as a grade table writes itself down.
    """

    market: str
    interval: str
    feature_set: str
    columns: list[str]
    warm_up_bars: int
    window_start: datetime
    window_end: datetime
    rows: int
    rows_fitted: int
    ticker_count: int
    synthetic: bool
    seed: int
    parameters: dict[str, Any]
    threshold: float
    score_quantiles: dict[str, Any]


class FitFields(FitSummary):
    """The same with the tickers, of which a market has thousands."""

    tickers: list[TrainedTicker]
    left_out: list[LeftOutTicker]


class _VersionFields(TypedDict):
    _id: str
    version: str
    sha256: str
    artefact_bytes: int
    # Of an artefact that was brought to another form; `sha256` stays, by which anomalies name the
    # model.
    artefact_sha256: str | None
    library_versions: dict[str, str]
    training_run_id: str | None
    created_at: datetime
    promoted_at: datetime | None
    retired_at: datetime | None


class _UseFields(TypedDict):
    state: ModelState
    champion_of: list[str]


class ModelDocument(FitFields, _VersionFields):
    """A version of a market's model, as it is stored."""


class ModelSummary(FitSummary, _VersionFields, _UseFields):
    """A version as lists show it: with its state and who uses it, without its tickers."""


class ModelRecord(ModelDocument, _UseFields):
    """A version with all that is known of it."""


class LineageFields(TypedDict):
    """What of a version the number of the next depends on."""

    _id: str
    feature_set: str
    parameters: dict[str, Any]


class MoveFields(TypedDict):
    """A move of a pointer: when, how and to which version; None where the wider scope's counts."""

    version: str | None
    sha256: str | None
    action: Literal["promoted", "rolled_back"]
    at: datetime


class PointerDocument(TypedDict):
    """Which version is in use in a scope for bars of an interval, with every move."""

    _id: str
    scope: ScopeKind
    name: str
    interval: str
    market: str
    version: str | None
    sha256: str | None
    changed_at: datetime
    history: list[MoveFields]


class ChampionAge(TypedDict):
    """How long ago a market's champion was trained."""

    market: str
    version: str
    age_seconds: float


class PolicyFields(TypedDict):
    """What passes: by `contamination`, by `grade` or as a `score`."""

    kind: ThresholdKind
    value: float


class ThresholdDocument(PolicyFields):
    """What passes in a scope, in place of the threshold that a model was trained with."""

    _id: str
    scope: ScopeKind
    name: str
    changed_at: datetime


def models_in(database: Db) -> Collection[ModelDocument]:
    """Return the collection of models."""
    return database.models


def pointers_in(database: Db) -> Collection[PointerDocument]:
    """Return the collection of the champions' pointers."""
    return database.champions


def thresholds_in(database: Db) -> Collection[ThresholdDocument]:
    """Return the collection of thresholds."""
    return database.thresholds


class SeriesHead(TypedDict):
    """What is known of a single series; `latest` is raised by the transaction
    that inserts a version.
    """

    _id: str
    latest: int
    detector: str
    predictions: int
    created_at: datetime
    updated_at: datetime


class StateFields(TypedDict):
    """What a detector knows, as JSON text, and the hash of it."""

    state: str
    state_sha256: str


class SeriesFit(StateFields):
    """What a fit of a single series came to, before it has its version.

    `data_sha256` is the hash of the history under `fit_id`, and `fingerprint` that of the history
    with detector and parameters.
    """

    series_id: str
    detector: str
    parameters: dict[str, Any]
    points_used: int
    first_timestamp: int
    last_timestamp: int
    fit_id: str
    data_sha256: str
    fingerprint: str
    points_learned: int
    created_at: datetime


class SeriesVersion(SeriesFit):
    """A version of a single series' model. Only a detector that learns changes its state."""

    _id: str
    version: int


class SeriesPoints(TypedDict):
    """A part of the history of a fit: two columns of 8 bytes a number."""

    _id: str
    fit_id: str
    chunk: int
    timestamps: bytes
    values: bytes
    created_at: datetime


def heads_in(database: Db) -> Collection[SeriesHead]:
    """Return the collection of single series."""
    return database.single_series


def versions_in(database: Db) -> Collection[SeriesVersion]:
    """Return the collection of the versions of single series."""
    return database.series_models


def points_in(database: Db) -> Collection[SeriesPoints]:
    """Return the collection of the histories of single series."""
    return database.series_points
