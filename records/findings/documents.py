"""The documents and collections of anomalies, watermarks and verifications."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import (
    AnomalyKind,
    AnomalyStatus,
    Cause,
    FaultName,
    Feedback,
    FeedbackCause,
    GroupType,
    MoveScope,
    Severity,
    Verdict,
)
from records.database import Db


class FindingFields(TypedDict):
    """One model's finding for one bar: its score, and the bars that it was computed from."""

    anomaly_score: float
    model_version: str
    model_hash: str
    bars_fingerprint: str


class OpinionFields(FindingFields):
    """A later run's finding for the same bar, by another model or from other bars.

    Opinions that were stored before there were `Close`, `fault` and `reasons` lack them.
    """

    kind: AnomalyKind
    fault: NotRequired[FaultName | None]
    Close: NotRequired[float]
    reasons: NotRequired[list[str]]
    grade: float
    threshold: float
    detection_run_id: str
    detection_timestamp: datetime


class StoredAnomaly(FindingFields):
    """The fields of a stored anomaly by which a run decides whether it has an opinion to add."""

    _id: str
    Ticker: str
    Datetime: datetime
    status: AnomalyStatus
    opinions: list[OpinionFields]


class InputFields(TypedDict):
    """One input that the model read of a bar.

    Attributes:
        name, label: the model's column, and the same in words with its unit.
        actual: its value; of a column of distances, of which the model reads the square root, the
            distance.
        low, median, high: of the 250 bars before: nine in ten lie between low and high.
        share: of the score.
    """

    name: str
    label: str
    actual: float
    low: float
    median: float
    high: float
    share: float


class CauseFields(TypedDict):
    """Something above a ticker that may be behind its move; see alerts/root_cause/ranking.py."""

    name: str
    type: GroupType
    level: int
    move: float
    explained: float
    strange: int
    siblings: int
    z: float
    score: float
    sentence: str


class RootCauseFields(TypedDict):
    """A move taken apart: log returns, and how strange each part is.

    Attributes:
        sector: the ticker's sector, `residual cluster ...` where none was set.
        causes: ranked.
        carriers: for an index, the members without which it would be no anomaly.
        impact: the other tickers that are strange on the same bar, in the same direction.
        flagged: how many of the market's tickers are anomalies on the same bar, this one included.
        of: how many of the market's tickers have bars that span it.
    """

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
    causes: list[CauseFields]
    carriers: list[str]
    impact: list[str]
    flagged: NotRequired[int]
    of: NotRequired[int]


class ExplainedFields(TypedDict, total=False):
    """The explanation of an anomaly besides its score: the model's inputs, and the root causes."""

    inputs: list[InputFields]
    scope: MoveScope | None
    root_causes: list[str]
    root_cause: RootCauseFields | None


class ConfidenceFactors(TypedDict):
    """The factors of a confidence; see `detection/scoring/confidence.py`."""

    stability: float
    agreement: float
    completeness: float


class VoteFields(TypedDict):
    """One member's vote on a bar; `missing` is the reason where the member has none, else None."""

    detector: str
    weight: float
    score: float | None
    grade: float | None
    missing: str | None


class AnomalyDocument(TypedDict):
    """A strange bar, with everything that is needed to understand it and to derive it again.

    Attributes:
        in_training_window: whether the model had seen this bar's time.
        suspected_split: the ratio, where the bar looks like an unadjusted split.
        opinions: what later runs found, in order.
        sent: whether somebody was told.
        kind: `event`, a bar whose score passed the threshold: something happened; or `fault`, told
            by a rule: the bar is wrong.
        detector: the model's; `rules` of a fault.
        fault: which rule; None of an event.
        features: the documented features, by name; none of a bar without a warm-up.
        confidence: how far the finding can be relied on, from 0 to 1, the product of its factors.
        members: what each member of an ensemble said; empty where the detector has none.
        attribution: the share of each column of the model's in the score; none of a fault.
        reasons: the same in words, the weightiest first.
        bars_revision: the series' revision that it was found in.
        market_fingerprint: a hash of what the market did that day, and on those before that the
            score depends on; None where the model does not look at it.
        inputs: what the model read, beside what is usual; written once its run has ended.
        scope, root_causes, root_cause: whose move it was; likewise.
        superseded_by: the run that no longer found it.
    """

    _id: str
    Ticker: str
    Datetime: datetime
    interval: str
    market: str
    Close: float
    Volume: float
    detection_run_id: str
    detection_timestamp: datetime
    model_version: str
    model_hash: str
    feature_set: str
    bars_fingerprint: str
    in_training_window: bool
    suspected_split: float | None
    opinions: list[OpinionFields]
    sent: bool
    status: AnomalyStatus
    created_at: datetime
    kind: AnomalyKind
    detector: NotRequired[str]
    fault: FaultName | None
    anomaly_score: float
    threshold: float
    grade: float
    severity: Severity
    features: dict[str, float]
    confidence: NotRequired[float]
    confidence_factors: NotRequired[ConfidenceFactors]
    members: NotRequired[list[VoteFields]]
    attribution: dict[str, float]
    reasons: list[str]
    bars_revision: NotRequired[int]
    market_fingerprint: NotRequired[str | None]
    inputs: NotRequired[list[InputFields]]
    scope: NotRequired[MoveScope | None]
    root_causes: NotRequired[list[str]]
    root_cause: NotRequired[RootCauseFields | None]
    superseded_by: NotRequired[str]
    superseded_at: NotRequired[datetime]


class FlaggedFields(TypedDict):
    """The fields of an anomaly that tell whether its bar is market-wide; `features` has `return_1`
    at least.
    """

    _id: str
    Ticker: str
    Datetime: datetime
    interval: str
    market: str
    detection_run_id: str
    detection_timestamp: datetime
    model_version: str
    fault: FaultName | None
    anomaly_score: float
    threshold: float
    grade: float
    severity: Severity
    features: dict[str, float]
    confidence: NotRequired[float]


class AskedFields(TypedDict):
    """What rules of notification ask for of an anomaly, which run found it first, and its id."""

    _id: str
    detection_run_id: str
    status: AnomalyStatus
    kind: AnomalyKind
    anomaly_score: float
    grade: float
    confidence: NotRequired[float]
    scope: NotRequired[MoveScope | None]


class LabelDocument(TypedDict):
    """The label of an anomaly, given by a person who resolved its alert.

    Attributes:
        is_true_anomaly: whether it was one; only a false alarm was not.
        cause: None where nobody named one.
        predicted_score: the anomaly's raw score, lower is stranger.
        was_correct: whether the model, which called it one, was right.
    """

    _id: str
    anomaly_id: str
    alert_id: str
    ticker: str
    interval: str
    features: dict[str, float]
    feedback: Feedback
    is_true_anomaly: bool
    cause: FeedbackCause | None
    labelled_by: str
    labelled_at: datetime
    predicted_score: float
    grade: float
    model_version: str
    was_correct: bool


class AnomalySubject(TypedDict):
    """Which series an anomaly is of."""

    _id: str
    Ticker: str
    interval: str
    market: str


class TickerCount(TypedDict):
    """How many anomalies a ticker has, and when the latest was."""

    ticker: str
    count: int
    latest: datetime


class AnomalyCounts(TypedDict):
    """How many anomalies there are, counted four ways; of a market, by severity."""

    total: int
    by_kind: dict[AnomalyKind, int]
    by_severity: dict[Severity, int]
    by_market: dict[str, dict[Severity, int]]
    by_ticker: list[TickerCount]


class DetectedRange(TypedDict):
    """The first and the last detected bar of a series, and the bars' revision at the time.

    `market_revision` is the revision of the market's days, where the model looked at them.
    """

    _id: str
    ticker: str
    first_detected_timestamp: datetime
    last_detected_timestamp: datetime
    bars_revision: int
    market_revision: NotRequired[int | None]


class WatermarkDocument(DetectedRange):
    """How far a series has been detected, and the result of the last run that detected it."""

    interval: str
    last_detection_run: str
    model_version: str
    model_hash: str
    rows_processed: int
    anomalies_found: int
    status: str
    updated_at: datetime


class LibraryChange(TypedDict):
    """A library whose version is not the one that a model was trained under."""

    name: str
    then: str | None
    now: str


class VerificationDocument(TypedDict):
    """The result of deriving one anomaly again from today's bars.

    Attributes:
        verified: whether the model that found it gives the recorded score.
        verdict: what today's champion says of it.
        cause: what moved since.
        original_score: as it was recorded.
        recomputed_score, current_score: of today's bars, by the same model and by the champion.
        data_changes: the revisions of its bars since, without their series.
    """

    _id: str
    verification_run_id: str
    verified_at: datetime
    anomaly_id: str
    ticker: str
    interval: str
    datetime: datetime
    verified: bool
    verdict: Verdict
    cause: Cause | None
    original_model: str | None
    current_model: str | None
    original_score: float | None
    recomputed_score: float | None
    current_score: float | None
    original_features: dict[str, float] | None
    current_features: dict[str, float] | None
    feature_set: str
    data_changes: list[Mapping[str, Any]]
    code_changes: list[LibraryChange]


def anomalies_in(database: Db) -> Collection[AnomalyDocument]:
    """Return the collection of anomalies."""
    return database.anomalies


def watermarks_in(database: Db) -> Collection[WatermarkDocument]:
    """Return the collection of watermarks."""
    return database.detection_metadata


def verifications_in(database: Db) -> Collection[VerificationDocument]:
    """Return the collection of verifications."""
    return database.verifications


class PredictionLabel(TypedDict):
    """The label of a stored prediction, given by a person."""

    feedback: Feedback
    labelled_by: str
    labelled_at: datetime


class StoredPrediction(TypedDict):
    """A prediction of a single series that was kept;
    `timestamp` is in the unit of the series' own timestamps.
    """

    _id: str
    series_id: str
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


def predictions_in(database: Db) -> Collection[StoredPrediction]:
    """Return the collection of stored predictions."""
    return database.series_predictions


def labels_in(database: Db) -> Collection[LabelDocument]:
    """Return the collection of labels."""
    return database.labels
