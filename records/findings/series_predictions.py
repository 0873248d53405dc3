"""Stored predictions of single series. Apart from the labels that people give, they never change.

A prediction's `_id` names series, version and time, so that a repeated request stores nothing
twice.
"""

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING, ReturnDocument
from pymongo.client_session import ClientSession

from core.errors import NotFound
from core.words import Feedback
from records.database import Db, match
from records.findings.documents import PredictionLabel, StoredPrediction, predictions_in
from records.keyset import Key, Keyset, Position, find_page

LATEST = Keyset((Key("timestamp", int, DESCENDING), Key("version", int, DESCENDING)))


def build_prediction_id(series_id: str, version: int, timestamp: int) -> str:
    """Return the `_id` of a stored prediction."""
    return f"{series_id}::{version}::{timestamp}"


def find_stored(
    database: Db, ids: Sequence[str], session: ClientSession
) -> dict[str, StoredPrediction]:
    """Return the stored ones among these predictions, by `_id`."""
    return {
        found["_id"]: found
        for found in predictions_in(database).find({"_id": {"$in": ids}}, session=session)
    }


def find_by_ids(database: Db, ids: Sequence[str]) -> list[StoredPrediction]:
    """Return the stored ones among these predictions, in order of time."""
    return list(predictions_in(database).find({"_id": {"$in": list(ids)}}).sort("timestamp", 1))


def insert_predictions(
    database: Db, predictions: Sequence[StoredPrediction], session: ClientSession
) -> None:
    """Store predictions inside the transaction that made them."""
    if predictions:
        predictions_in(database).insert_many(list(predictions), session=session)


def find_predictions(
    database: Db,
    series_id: str,
    *,
    version: int | None,
    anomaly: bool | None = None,
    after: Position | None = None,
    limit: int,
) -> list[StoredPrediction]:
    """Return stored predictions of a series in the order LATEST, from the one after `after` on."""
    query = match(series_id=series_id, version=version, anomaly=anomaly)
    return find_page(predictions_in(database), query, LATEST, after=after, limit=limit)


def build_prediction_label(feedback: Feedback, by: str, now: datetime) -> PredictionLabel:
    """Return the label that somebody gives a prediction, as it is stored."""
    return {"feedback": feedback, "labelled_by": by, "labelled_at": now}


def label_predictions(
    database: Db, ids: Sequence[str], label: PredictionLabel | None, session: ClientSession
) -> None:
    """Give several stored predictions the same label, or none."""
    predictions_in(database).update_many(
        {"_id": {"$in": list(ids)}}, {"$set": {"label": label}}, session=session
    )


def label_prediction(
    database: Db,
    series_id: str,
    version: int,
    timestamp: int,
    *,
    feedback: Feedback,
    by: str,
    now: datetime,
) -> StoredPrediction:
    """Give a stored prediction a label, and return the prediction. Raises NotFound."""
    labelled: StoredPrediction | None = predictions_in(database).find_one_and_update(
        {"_id": build_prediction_id(series_id, version, timestamp)},
        {"$set": {"label": build_prediction_label(feedback, by, now)}},
        return_document=ReturnDocument.AFTER,
    )
    if labelled is None:
        raise NotFound(
            f"no prediction of {series_id!r} for {timestamp} by version {version} is stored; "
            "only predictions asked for with store=true are stored",
            reason="prediction_not_found",
        )
    return labelled
