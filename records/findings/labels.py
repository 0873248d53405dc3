"""Labels: what people said about anomalies, from which training and thresholds learn."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import Feedback, FeedbackCause
from records.database import Db, Query, match
from records.findings.documents import AnomalyDocument, LabelDocument, anomalies_in, labels_in
from records.keyset import Key, Keyset, Position, find_page

NEWEST_FIRST = Keyset((Key("labelled_at", datetime, DESCENDING), Key("_id", str)))


def add_labels(
    database: Db,
    alert_id: str,
    anomaly_ids: Sequence[str],
    feedback: Feedback,
    cause: FeedbackCause | None,
    *,
    by: str,
    now: datetime,
    session: ClientSession,
) -> None:
    """Write a label of each anomaly of an alert, inside the transaction that resolves it."""
    query = {"_id": {"$in": list(anomaly_ids)}}
    for anomaly in list(anomalies_in(database).find(query, session=session)):
        label = _build_label(alert_id, anomaly, feedback, cause, by, now)
        labels_in(database).replace_one({"_id": label["_id"]}, label, upsert=True, session=session)


def remove_labels(database: Db, alert_id: str, session: ClientSession) -> None:
    """Delete the labels of an alert, inside the transaction that reopens it."""
    labels_in(database).delete_many({"alert_id": alert_id}, session=session)


def find_labels(
    database: Db,
    *,
    ticker: str | None,
    feedback: Feedback | None,
    after: Position | None,
    limit: int,
) -> list[LabelDocument]:
    """Return labels in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(ticker=ticker, feedback=feedback)
    return find_page(labels_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def iterate_labels(
    database: Db, *, tickers: Sequence[str], interval: str
) -> tuple[int, Iterator[LabelDocument]]:
    """Return how many labels some series have, and an iterator over them by ticker and bar."""
    query: Query = {"ticker": {"$in": list(tickers)}, "interval": interval}
    found = labels_in(database).find(query).sort([("ticker", 1), ("anomaly_id", 1)])
    return labels_in(database).count_documents(query), iter(found)


def find_labelled_tickers(database: Db, interval: str) -> list[str]:
    """Return the tickers that have labels on bars of this interval, in order."""
    return sorted(labels_in(database).distinct("ticker", {"interval": interval}))


def count_feedback(database: Db, ticker: str, interval: str) -> dict[Feedback, int]:
    """Return how often each feedback was given on a series' anomalies."""
    stages: list[Query] = [
        {"$match": {"ticker": ticker, "interval": interval}},
        {"$group": {"_id": "$feedback", "count": {"$sum": 1}}},
    ]
    return {group["_id"]: group["count"] for group in database.labels.aggregate(stages)}


class JudgedLabel(NamedTuple):
    """Grade and score of a labelled anomaly, and whether people called it a true anomaly."""

    grade: float
    score: float
    is_true: bool


def find_judged(database: Db, tickers: Sequence[str], interval: str) -> list[JudgedLabel]:
    """Return the latest label of each labelled anomaly of these tickers, in the order of the
    anomalies' ids.
    """
    query = {"ticker": {"$in": list(tickers)}, "interval": interval}
    found = labels_in(database).find(query).sort("labelled_at", 1)
    last = {label["anomaly_id"]: label for label in found}
    return [
        JudgedLabel(each["grade"], each["predicted_score"], each["is_true_anomaly"])
        for _, each in sorted(last.items())
    ]


def find_votes(
    database: Db, market: str | None, interval: str
) -> list[tuple[dict[str, float], bool]]:
    """Return, for each labelled anomaly of an ensemble, by time, the grade of each member that gave
    one, and whether the latest label calls it true; `market` of None are all markets.
    """
    labels = {
        label["anomaly_id"]: label for label in labels_in(database).find().sort("labelled_at", 1)
    }
    query: Query = {
        "_id": {"$in": list(labels)},
        "interval": interval,
        "members.0": {"$exists": True},
        **({} if market is None else {"market": market}),
    }
    found = anomalies_in(database).find(query, {"members": 1})
    return [
        (
            {
                vote["detector"]: vote["grade"]
                for vote in anomaly["members"]
                if vote["grade"] is not None
            },
            labels[anomaly["_id"]]["is_true_anomaly"],
        )
        for anomaly in found.sort([("Datetime", 1), ("_id", 1)])
    ]


def count_true(database: Db, version: str, interval: str) -> tuple[int, int]:
    """Return how many labels of a version's anomalies say true, and how many labels there are."""
    query: Query = {"model_version": version, "interval": interval}
    found = labels_in(database)
    return found.count_documents({**query, "is_true_anomaly": True}), found.count_documents(query)


def find_said_of_bars(
    database: Db, interval: str, start: datetime, tickers: Sequence[str] | None, limit: int
) -> list[tuple[str, datetime, bool]]:
    """Return (ticker, time, is a true anomaly) of bars from `start` on by their latest labels,
    among the `limit` latest labels of this interval.
    """
    of_tickers = {} if tickers is None else {"ticker": {"$in": list(tickers)}}
    query: Query = {"interval": interval, **of_tickers}
    found = labels_in(database).find(query).sort("labelled_at", -1).limit(limit)
    last = {label["anomaly_id"]: label["is_true_anomaly"] for label in reversed(list(found))}
    bars = anomalies_in(database).find(
        {"_id": {"$in": list(last)}, "Datetime": {"$gte": start}}, {"Ticker": 1, "Datetime": 1}
    )
    return [(bar["Ticker"], bar["Datetime"], last[bar["_id"]]) for bar in bars]


def compute_precision(database: Db, watchlist: str | None) -> float | None:
    """Return the share of labels, of one watchlist's alerts or of all, that say true; None where
    there are none.
    """
    query: Query = {}
    if watchlist is not None:
        query = {"alert_id": {"$regex": f"^{re.escape(watchlist)}::"}}
    total = labels_in(database).count_documents(query)
    correct = labels_in(database).count_documents({**query, "was_correct": True})
    return correct / total if total else None


def _build_label(
    alert_id: str,
    anomaly: AnomalyDocument,
    feedback: Feedback,
    cause: FeedbackCause | None,
    by: str,
    now: datetime,
) -> LabelDocument:
    is_true = feedback != "false_alarm"
    return {
        "_id": f"{alert_id}|{anomaly['_id']}",
        "anomaly_id": anomaly["_id"],
        "alert_id": alert_id,
        "ticker": anomaly["Ticker"],
        "interval": anomaly["interval"],
        "features": anomaly["features"],
        "feedback": feedback,
        "is_true_anomaly": is_true,
        "cause": cause,
        "labelled_by": by,
        "labelled_at": now,
        "predicted_score": anomaly["anomaly_score"],
        "grade": anomaly["grade"],
        "model_version": anomaly["model_version"],
        "was_correct": is_true,
    }
