"""Fits, stores and loads models of single series, and judges points by them.

It runs in the web process, in plain Python.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Lock
from typing import Any, cast
from uuid import uuid4

from pymongo.client_session import ClientSession

from core.errors import Conflict, ModelIntegrity, NotFound
from detection.series.catalogue import KINDS, choose_parameters, get_kind
from detection.series.columns import FLOAT64, INT64, hash_bytes, pack, unpack
from detection.series.contract import (
    Judgement,
    LearningDetector,
    Parameters,
    SeriesDetector,
    SeriesDetectorKind,
    State,
)
from detection.series.rules import Point, check_training
from records.database import Db, Document
from records.findings import series_predictions
from records.findings.documents import StoredPrediction
from records.findings.series_predictions import build_prediction_id
from records.models import single_series
from records.models.documents import SeriesFit, SeriesVersion, StateFields
from records.work import outbox
from records.work.documents import SeriesAnomalies

CACHED_MODELS = 256
_LOADED = ("version", "detector", "state_sha256")


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A history that was checked, and the detector that is to learn from it."""

    series_id: str
    kind: SeriesDetectorKind
    parameters: Parameters
    timestamps: bytes
    values: bytes

    @property
    def count(self) -> int:
        """Return how many points there are."""
        return len(self.values) // 8

    @property
    def data_sha256(self) -> str:
        """Return the hash of the history alone."""
        return hash_bytes(self.timestamps, self.values)

    @property
    def fingerprint(self) -> str:
        """Return the hash of everything that the model is a function of."""
        asked = json.dumps({"detector": self.kind.name, **asdict(self.parameters)}, sort_keys=True)
        return hash_bytes(asked.encode(), self.timestamps, self.values)


def read_fit(
    series_id: str,
    timestamps: Sequence[Any],
    values: Sequence[Any],
    *,
    least_points: int,
    detector: str | None = None,
    **options: Any,
) -> FitRequest:
    """Return a checked request, from lists as JSON has them.

    Raises BadInput where the detector or one of its options cannot be used, or where the history
    breaks a rule.
    """
    kind = get_kind(detector)
    parameters = choose_parameters(kind, **options)
    check_training(timestamps, values, least_points=max(least_points, kind.least_points))
    return FitRequest(series_id, kind, parameters, pack(INT64, timestamps), pack(FLOAT64, values))


def find_fitted(database: Db, request: FitRequest) -> SeriesVersion | None:
    """Return the version that the same request made before, or None."""
    return single_series.find_by_fingerprint(database, request.series_id, request.fingerprint)


def fit_series(
    database: Db,
    request: FitRequest,
    now: datetime,
    *,
    fit_id: str | None = None,
    finish: Callable[[ClientSession, SeriesVersion], None] | None = None,
) -> SeriesVersion:
    """Fit a model, store it with its history under the next version, and return its record.

    A repeated request returns the version that the first one made. `fit_id` names a fit whose
    history is stored already. `finish` writes what else belongs into the transaction of the
    version. Raises BadInput where the detector cannot learn from these points.
    """
    known = find_fitted(database, request)
    if known is not None and finish is None:
        return known
    record = _build_record(request, fit_id or uuid4().hex, now)

    def write(session: ClientSession) -> SeriesVersion:
        model = single_series.insert_version(database, record, now, session)
        if fit_id is None and model["fit_id"] == record["fit_id"]:
            single_series.write_points(
                database, model["fit_id"], request.timestamps, request.values, now, session
            )
        if finish is not None:
            finish(session, model)
        return model

    return single_series.write_in_turn(database, request.series_id, write)


def _build_record(request: FitRequest, fit_id: str, now: datetime) -> SeriesFit:
    timestamps: list[int] = unpack(INT64, request.timestamps)
    values: list[float] = unpack(FLOAT64, request.values)
    state = _write_state(request.kind.fit(timestamps, values, request.parameters).to_state())
    return {
        "series_id": request.series_id,
        "detector": request.kind.name,
        "parameters": asdict(request.parameters),
        "points_used": len(values),
        "first_timestamp": timestamps[0],
        "last_timestamp": timestamps[-1],
        "fit_id": fit_id,
        "data_sha256": request.data_sha256,
        "fingerprint": request.fingerprint,
        "points_learned": 0,
        "created_at": now,
        **state,
    }


def _write_state(state: State) -> StateFields:
    text = json.dumps(state, allow_nan=False)
    return {"state": text, "state_sha256": hash_bytes(text.encode())}


@dataclass(frozen=True, slots=True)
class SeriesModel:
    """A loaded version.

    All threads share its detector, so that learning must happen on a copy.
    """

    series_id: str
    version: int
    kind: SeriesDetectorKind
    detector: SeriesDetector

    def judge(self, point: Point) -> Judgement:
        """Judge one point; the model stays as it is."""
        return self.detector.judge(point.timestamp, point.value)

    def judge_all(self, points: Sequence[Point]) -> list[Judgement]:
        """Judge points one after another; a detector that learns does so on a copy, for these
        points only.
        """
        judge = self.copy().learn if self.kind.learns else self.detector.judge
        return [judge(point.timestamp, point.value) for point in points]

    def copy(self) -> LearningDetector:
        """Return a copy that may learn."""
        return cast("LearningDetector", self.kind.load(self.detector.to_state()))


class SeriesModels:
    """A cache of the last used models of this process, of limited size.

    Its key is series, version and the hash of the state, so that a model that has learned, or was
    deleted and made again, is never confused with its earlier state. MongoDB is asked each time for
    the latest version.
    """

    def __init__(self, capacity: int = CACHED_MODELS) -> None:
        self._capacity = capacity
        self._models: OrderedDict[tuple[str, int, str], SeriesModel] = OrderedDict()
        self._lock = Lock()

    def get(self, database: Db, series_id: str, version: int | None) -> SeriesModel:
        """Return a version, the latest where it is None. Raises NotFound and ModelIntegrity."""
        found = single_series.get_version(database, series_id, version, _LOADED)
        key = (series_id, found["version"], found["state_sha256"])
        with self._lock, suppress(KeyError):
            self._models.move_to_end(key)
            return self._models[key]
        model = load_model(single_series.get_version(database, series_id, found["version"]))
        with self._lock:
            self._models[key] = model
            while len(self._models) > self._capacity:
                self._models.popitem(last=False)
        return model


def load_model(record: SeriesVersion) -> SeriesModel:
    """Return the model of a record.

    Raises ModelIntegrity where its state does not have the stored hash.
    """
    text = record["state"]
    if hash_bytes(text.encode()) != record["state_sha256"]:
        raise ModelIntegrity(
            f"the state of {record['series_id']} version {record['version']} is not the one that"
            " was stored; it was not opened; fit the series again"
        )
    kind = KINDS.get(record["detector"])
    if kind is None:
        raise ModelIntegrity(
            f"{record['_id']} is of a detector that this code does not have: {record['detector']}"
        )
    return SeriesModel(record["series_id"], record["version"], kind, kind.load(json.loads(text)))


def read_history(database: Db, record: SeriesVersion) -> tuple[list[int], list[float]]:
    """Return the points that a version was fitted to.

    Raises ModelIntegrity where they do not have the stored hash.
    """
    timestamps, values = single_series.read_points(database, record["fit_id"])
    if hash_bytes(timestamps, values) != record["data_sha256"]:
        raise ModelIntegrity(
            f"the history of {record['_id']} is not the one that was stored; fit the series again"
        )
    return unpack(INT64, timestamps), unpack(FLOAT64, values)


def store_predictions(
    database: Db, series_id: str, version: int, points: Sequence[Point], now: datetime
) -> list[Judgement]:
    """Judge points, store the predictions, and write an event for the anomalies among them, in one
    transaction.

    A detector that learns learns the points. A point that is stored already keeps its judgement.

    Raises:
        NotFound: the series was deleted.
        Conflict: a point is stored with another value.
        BadInput: a detector that learns would have to learn a point that is not later than the last
            one.
    """

    def write(session: ClientSession) -> list[Judgement]:
        record = single_series.find_version(database, series_id, version, session=session)
        if record is None:
            raise NotFound(
                f"there is no version {version} of {series_id!r} any more",
                reason="version_not_found",
            )
        model = load_model(record)
        ids = [build_prediction_id(series_id, version, point.timestamp) for point in points]
        stored = series_predictions.find_stored(database, ids, session)
        detector = model.copy() if model.kind.learns else model.detector
        judge = cast("LearningDetector", detector).learn if model.kind.learns else detector.judge
        judged: list[Judgement] = []
        new: dict[str, StoredPrediction] = {}
        for prediction_id, point in zip(ids, points, strict=True):
            known = stored.get(prediction_id) or new.get(prediction_id)
            if known is None:
                judgement = judge(point.timestamp, point.value)
                new[prediction_id] = _build_prediction(prediction_id, model, point, judgement, now)
            else:
                judgement = _repeat(known, point)
            judged.append(judgement)
        if not single_series.count_stored(database, series_id, len(new), session):
            raise NotFound(f"there is no series {series_id!r} any more", reason="series_not_found")
        series_predictions.insert_predictions(database, list(new.values()), session)
        if model.kind.learns and new:
            learned = record["points_learned"] + len(new)
            single_series.replace_state(
                database, record["_id"], _write_state(detector.to_state()), learned, session
            )
        _tell(database, model, [p for p in new.values() if p["anomaly"]], now, session)
        return judged

    return single_series.write_in_turn(database, series_id, write)


def _build_prediction(
    prediction_id: str, model: SeriesModel, point: Point, judgement: Judgement, now: datetime
) -> StoredPrediction:
    return {
        "_id": prediction_id,
        "series_id": model.series_id,
        "version": model.version,
        "detector": model.kind.name,
        "timestamp": point.timestamp,
        "value": point.value,
        "anomaly": judgement.anomaly,
        "score": judgement.score,
        "expected": judgement.expected,
        "lower": judgement.lower,
        "upper": judgement.upper,
        "label": None,
        "created_at": now,
    }


def _repeat(known: StoredPrediction, point: Point) -> Judgement:
    if known["value"] != point.value:
        raise Conflict(
            f"{known['series_id']!r} has {known['value']!r} stored for {point.timestamp}, not"
            f" {point.value!r}; nothing of this request was stored",
            reason="prediction_differs",
        )
    return Judgement(
        known["anomaly"], known["score"], known["expected"], known["lower"], known["upper"]
    )


def _tell(
    database: Db,
    model: SeriesModel,
    anomalies: Sequence[StoredPrediction],
    now: datetime,
    session: ClientSession,
) -> None:
    """Write the event by which alerts are raised, in the transaction of its anomalies."""
    if anomalies:
        payload: SeriesAnomalies = {
            "series_id": model.series_id,
            "version": model.version,
            "prediction_ids": [anomaly["_id"] for anomaly in anomalies],
        }
        outbox.add_event(
            database, f"series::{uuid4().hex}", "series_anomalies", payload, now, session
        )


def delete_series(database: Db, series_id: str) -> None:
    """Delete a series with all versions, histories and predictions. Raises NotFound."""

    def write(session: ClientSession) -> bool:
        return single_series.delete_series(database, series_id, session)

    if not single_series.write_in_turn(database, series_id, write):
        raise NotFound(f"there is no series {series_id!r}", reason="series_not_found")


def describe_version(record: SeriesVersion) -> Document:
    """Return a version as the answer to a fit."""
    return {
        "series_id": record["series_id"],
        "version": str(record["version"]),
        "points_used": record["points_used"],
    }
