"""Anomalies: bars whose score passed the threshold, written once and never rewritten.

`score at detection` stays as it was. A later run that finds the bar again under another model or
other bars appends an opinion; one that no longer finds it marks it superseded. Nothing is deleted.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, cast

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from core.errors import BadInput, NotFound
from records.database import Db, Query
from records.findings.documents import (
    AnomalyDocument,
    AskedFields,
    ExplainedFields,
    FindingFields,
    FlaggedFields,
    OpinionFields,
    StoredAnomaly,
    anomalies_in,
)
from records.questions import Question, get_first

NEW = "new"
SUPERSEDED = "superseded"
# The status of an anomaly that is not superseded and whose bar is not stored any more.
BARS_GONE = "bars_gone"
# A query names at most so many bars.
BARS_AT_ONCE = 10_000
# A cursor fetches so many small documents at a time.
READ_AT_ONCE = 5_000
_STORED = dict.fromkeys(StoredAnomaly.__annotations__, 1)


def build_anomaly_id(ticker: str, interval: str, time: datetime) -> str:
    """Return the one `_id` that the anomaly of this bar can have."""
    return write_anomaly_id(ticker, interval, time.astimezone(UTC).isoformat()[:19])


def write_anomaly_id(ticker: str, interval: str, time: str) -> str:
    """Return the `_id` of an anomaly whose time is a text in UTC: `2001-09-17T00:00:00`."""
    return f"{ticker}::{interval}::{time}Z"


def parse_anomaly_id(anomaly_id: str) -> tuple[str, datetime]:
    """Return ticker and bar time of an anomaly's `_id`. Raises BadInput."""
    try:
        ticker, _, time = anomaly_id.split("::")
        return ticker, datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(
            f"{anomaly_id[:80]!r} is no anomaly id; one looks like AAPL::1d::2001-09-17T00:00:00Z"
        ) from error


def plan_writes(
    found: Sequence[AnomalyDocument],
    existing: Mapping[str, StoredAnomaly],
    run_id: str,
    now: datetime,
) -> tuple[list[AnomalyDocument], list[UpdateOne]]:
    """Return the new anomalies of a run, and the changes to stored ones: opinions, and the status
    `superseded` for those that the run no longer finds.

    Args:
        found: the anomalies of the bars that the run scored.
        existing: by `_id` the stored anomalies of the same bars.
        run_id: the run, named as the author of opinions and supersessions.
        now: the time of the changes.
    """
    if not existing:
        return list(found), []
    new: list[AnomalyDocument] = []
    changes: list[UpdateOne] = []
    for anomaly in found:
        stored = existing.get(anomaly["_id"])
        if stored is None:
            new.append(anomaly)
        elif _is_new_opinion(stored, anomaly):
            changes.append(_append_opinion(anomaly, stored, run_id, now))
    for anomaly_id in existing.keys() - {anomaly["_id"] for anomaly in found}:
        # An anomaly whose bar is gone was not scored.
        if existing[anomaly_id]["status"] == NEW:
            superseded = {"status": SUPERSEDED, "superseded_by": run_id, "superseded_at": now}
            changes.append(UpdateOne({"_id": anomaly_id}, {"$set": superseded}))
    return new, changes


def find_stored(
    database: Db,
    interval: str,
    stretches: Mapping[str, Sequence[tuple[datetime, datetime]]],
    session: ClientSession,
) -> list[StoredAnomaly]:
    """Return the stored anomalies within these stretches (first and last bar,
    inclusive) of each ticker.
    """
    spans = [span for ticker_spans in stretches.values() for span in ticker_spans]
    if not spans:
        return []
    # The query has one range for all tickers, and the result is filtered here: MongoDB plans a
    # query with a range for each ticker once a ticker, which took longer than the rest of a commit.
    within = {"$gte": min(first for first, _ in spans), "$lte": max(last for _, last in spans)}
    query = {"Ticker": {"$in": list(stretches)}, "interval": interval, "Datetime": within}
    return [
        anomaly
        for anomaly in anomalies_in(database).find(query, _STORED, session=session)
        if any(first <= anomaly["Datetime"] <= last for first, last in stretches[anomaly["Ticker"]])
    ]


def mark_bars_gone(
    database: Db,
    ticker: str,
    interval: str,
    now: datetime,
    session: ClientSession,
    *,
    times: Sequence[datetime] | None = None,
) -> None:
    """Mark anomalies of a series, or of some of its bars, as "bars gone"; nothing else of them
    changes.
    """
    query: dict[str, object] = {"Ticker": ticker, "interval": interval}
    if times is not None:
        if not times:
            return
        # A list of half a million times would not fit into a query.
        query["Datetime"] = {"$gte": min(times), "$lte": max(times)}
        gone = set(times)
        found = anomalies_in(database).find(query, {"Datetime": 1}, session=session)
        query = {
            "_id": {"$in": [anomaly["_id"] for anomaly in found if anomaly["Datetime"] in gone]}
        }
    was_superseded = {"$eq": ["$status", SUPERSEDED]}
    status = {"$cond": [was_superseded, SUPERSEDED, BARS_GONE]}
    anomalies_in(database).update_many(
        query, [{"$set": {"bars_gone_at": now, "status": status}}], session=session
    )


def find_bars_gone(
    database: Db,
    ticker: str,
    interval: str,
    first: datetime,
    last: datetime,
    session: ClientSession,
) -> dict[str, datetime]:
    """Return by id the times of the anomalies between two bars that are marked as "bars gone"."""
    query = {"Ticker": ticker, "interval": interval, "Datetime": {"$gte": first, "$lte": last}}
    found = anomalies_in(database).find(
        query | {"bars_gone_at": {"$exists": True}}, {"Datetime": 1}, session=session
    )
    return {anomaly["_id"]: anomaly["Datetime"] for anomaly in found}


def unmark_bars_gone(
    database: Db, gone: Mapping[str, datetime], came: Collection[int], session: ClientSession
) -> None:
    """Remove the mark "bars gone" from those of the anomalies in `gone` (from `find_bars_gone`)
    whose bars are stored again: `came` has the bars' times (UTC seconds).
    """
    anomaly_ids = [each for each, time in gone.items() if int(time.timestamp()) in came]
    query = {"_id": {"$in": anomaly_ids}}
    status = {"$cond": [{"$eq": ["$status", BARS_GONE]}, NEW, "$status"]}
    anomalies_in(database).update_many(
        query, [{"$set": {"status": status}}, {"$unset": "bars_gone_at"}], session=session
    )


def find_tickers_with_bars_gone(
    database: Db, tickers: Sequence[str], first: datetime, session: ClientSession
) -> set[str]:
    """Return those of some tickers that have anomalies from a time on whose bars are gone."""
    query = {
        "Ticker": {"$in": list(tickers)},
        "Datetime": {"$gte": first},
        "bars_gone_at": {"$exists": True},
    }
    return set(anomalies_in(database).distinct("Ticker", query, session=session))


def write_anomalies(
    database: Db,
    new: Sequence[AnomalyDocument],
    changes: Sequence[UpdateOne],
    session: ClientSession,
) -> None:
    """Apply planned writes inside the transaction of their batch."""
    if new:
        anomalies_in(database).insert_many(new, ordered=False, session=session)
    if changes:
        anomalies_in(database).bulk_write(changes, ordered=False, session=session)


def ask_anomaly(database: Db, anomaly_id: str) -> Question[AnomalyDocument | None]:
    """Ask for one anomaly with its full lineage."""
    return Question(anomalies_in(database), [{"$match": {"_id": anomaly_id}}], get_first)


def check_found(anomaly: AnomalyDocument | None, anomaly_id: str) -> AnomalyDocument:
    """Return an anomaly that was asked for. Raises NotFound where there is none."""
    if anomaly is None:
        raise NotFound(
            f"there is no anomaly {anomaly_id!r}; an id looks like AAPL::1d::2001-09-17T00:00:00Z"
        )
    return anomaly


def find_by_ids(
    database: Db, anomaly_ids: Sequence[str], fields: Sequence[str] = ()
) -> list[AnomalyDocument]:
    """Return those of these anomalies that are stored, by time, with these `fields` (none: all)."""
    query = {"_id": {"$in": list(anomaly_ids)}}
    shown = dict.fromkeys(fields, 1) or None
    return list(anomalies_in(database).find(query, shown).sort([("Datetime", 1), ("_id", 1)]))


def find_asked(database: Db, anomaly_ids: Sequence[str]) -> list[AskedFields]:
    """Return the fields of some anomalies that notification rules ask for."""
    fields = dict.fromkeys(AskedFields.__annotations__, 1)
    query = {"_id": {"$in": list(anomaly_ids)}}
    return [cast("AskedFields", each) for each in anomalies_in(database).find(query, fields)]


def count_new_by_ticker(database: Db, run_id: str) -> dict[str, int]:
    """Return how many anomalies a run found first of each ticker, by ticker in order; tickers
    without any are left out.
    """
    stages: list[Query] = [
        {"$match": {"detection_run_id": run_id, "status": NEW}},
        {"$group": {"_id": "$Ticker", "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    return {each["_id"]: each["count"] for each in database.anomalies.aggregate(stages)}


def find_on_bars(
    database: Db, tickers: Sequence[str], interval: str, first: datetime, last: datetime
) -> list[FlaggedFields]:
    """Return the anomalies of these series between two bars (inclusive), by time."""
    wanted = set(tickers)
    query = {
        "Datetime": {"$gte": first, "$lte": last},
        "interval": interval,
        "status": NEW,
    }
    # A market has hundreds of thousands of them in some years.
    fields = dict.fromkeys(FlaggedFields.__annotations__.keys() - {"features"}, 1)
    found = anomalies_in(database).find(query, {**fields, "features.return_1": 1})
    ordered = found.sort([("Datetime", 1), ("_id", 1)])
    return [cast("FlaggedFields", each) for each in ordered if each["Ticker"] in wanted]


def find_ways(
    database: Db, market: str, interval: str, bars: Collection[datetime]
) -> dict[datetime, dict[str, int]]:
    """Return which tickers of a market are anomalies on each of these bars, and which way their
    closes went (1 or -1); one that did not move counts as up.
    """
    found: dict[datetime, dict[str, int]] = {}
    fields = {"Datetime": 1, "Ticker": 1, "features.return_1": 1, "_id": 0}
    remaining = iter(sorted(bars))
    while chunk := list(islice(remaining, BARS_AT_ONCE)):
        query = {
            "Datetime": {"$in": chunk},
            "market": market,
            "interval": interval,
            "status": NEW,
        }
        # By itself a cursor reads 16 MB at once, which are a hundred once they are documents.
        for anomaly in anomalies_in(database).find(query, fields, batch_size=READ_AT_ONCE):
            way = -1 if anomaly["features"].get("return_1", 0.0) < 0 else 1
            found.setdefault(anomaly["Datetime"], {})[anomaly["Ticker"]] = way
    return found


def find_unexplained_tickers(database: Db, run_id: str) -> list[str]:
    """Return the tickers of which a run found anomalies first that nobody has explained yet."""
    lacking: list[dict[str, Any]] = [
        {field: {"$exists": False}} for field in ("inputs", "root_cause")
    ]
    query = {"detection_run_id": run_id, "status": NEW, "$or": lacking}
    return list(anomalies_in(database).distinct("Ticker", query))


def find_unexplained(
    database: Db, run_id: str, tickers: Sequence[str], lacking: Literal["inputs", "root_cause"]
) -> list[AnomalyDocument]:
    """Return the anomalies of some tickers that a run found first and that lack the field
    `lacking`.

    They have only the fields that computing it needs, as a backfill of a market finds a hundred
    thousand anomalies.
    """
    query = {
        "Ticker": {"$in": list(tickers)},
        "detection_run_id": run_id,
        "status": NEW,
        lacking: {"$exists": False},
    }
    needed = {"inputs": ("feature_set", "attribution"), "root_cause": ("features.return_1",)}
    fields = ("Ticker", "Datetime", "market", *needed[lacking])
    return list(anomalies_in(database).find(query, fields))


def write_explained(database: Db, told: Mapping[str, ExplainedFields]) -> None:
    """Write the inputs and the root causes of anomalies; those that were written before
    are replaced.
    """
    writes = [UpdateOne({"_id": each}, {"$set": fields}) for each, fields in told.items() if fields]
    if writes:
        anomalies_in(database).bulk_write(writes, ordered=False)


def find_fallen(database: Db, anomaly_ids: Sequence[str]) -> set[str]:
    """Return which of these anomalies are superseded, not stored, or of bars that are gone."""
    fallen, remaining = set(anomaly_ids), iter(anomaly_ids)
    while chunk := list(islice(remaining, BARS_AT_ONCE)):
        query: Query = {"_id": {"$in": chunk}, "status": NEW}
        fallen -= {each["_id"] for each in anomalies_in(database).find(query, {"_id": 1})}
    return fallen


def _is_new_opinion(stored: StoredAnomaly, anomaly: AnomalyDocument) -> bool:
    """Return whether a finding differs from the last stored one."""
    latest: FindingFields = stored["opinions"][-1] if stored["opinions"] else stored
    return (
        stored["status"] == SUPERSEDED
        or latest["anomaly_score"] != anomaly["anomaly_score"]
        or latest["model_version"] != anomaly["model_version"]
        or latest["model_hash"] != anomaly["model_hash"]
        or latest["bars_fingerprint"] != anomaly["bars_fingerprint"]
    )


def _append_opinion(
    anomaly: AnomalyDocument, stored: StoredAnomaly, run_id: str, now: datetime
) -> UpdateOne:
    opinion: OpinionFields = {
        "kind": anomaly["kind"],
        "fault": anomaly["fault"],
        "Close": anomaly["Close"],
        "reasons": anomaly["reasons"],
        "anomaly_score": anomaly["anomaly_score"],
        "model_version": anomaly["model_version"],
        "model_hash": anomaly["model_hash"],
        "bars_fingerprint": anomaly["bars_fingerprint"],
        "grade": anomaly["grade"],
        "threshold": anomaly["threshold"],
        "detection_run_id": run_id,
        "detection_timestamp": now,
    }
    changes: dict[str, object] = {"$push": {"opinions": opinion}}
    if stored["status"] == SUPERSEDED:
        changes |= {"$set": {"status": NEW}, "$unset": {"superseded_by": "", "superseded_at": ""}}
    return UpdateOne({"_id": anomaly["_id"]}, changes)
