"""Queries of anomalies: filtered, in an order, page by page, or counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from pymongo import ASCENDING, DESCENDING

from core.words import AnomalyKind, AnomalyStatus, MoveScope, Severity
from records.database import Db, Query, among, between, match
from records.findings.anomalies import NEW
from records.findings.documents import AnomalyCounts, AnomalyDocument, anomalies_in
from records.keyset import Key, Keyset, Position, find_page
from records.market.series import build_series_id
from records.questions import Question


def build_query(  # noqa: PLR0913 - one argument a filter, all by name
    *,
    tickers: Sequence[str] | None = None,
    market: str | None = None,
    interval: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    min_grade: float | None = None,
    kind: AnomalyKind | None = None,
    min_confidence: float | None = None,
    severity: Severity | None = None,
    scope: MoveScope | None = None,
    status: AnomalyStatus | None = None,
    run_id: str | None = None,
    model_version: str | None = None,
) -> Query:
    """Return the MongoDB query of these filters. `start` and `end` are inclusive.

    Without a `status`, anomalies that are superseded or whose bars are gone do not match.
    """
    return match(
        status=status or NEW,
        market=market,
        interval=interval,
        kind=kind,
        severity=severity,
        scope=scope,
        detection_run_id=run_id,
        model_version=model_version,
        Datetime=between(start, end),
        grade=between(min_grade, None),
        # Anomalies without a confidence match a `min_confidence` of 0.
        confidence=between(min_confidence or None, None),
        Ticker=among(tickers),
    )


ORDERS = {
    "-Datetime": Keyset((Key("Datetime", datetime, DESCENDING), Key("_id", str))),
    "Datetime": Keyset((Key("Datetime", datetime), Key("_id", str, DESCENDING))),
    "anomaly_score": Keyset((Key("anomaly_score", float), Key("_id", str))),
    "-grade": Keyset((Key("grade", float, DESCENDING), Key("_id", str))),
    "grade": Keyset((Key("grade", float), Key("_id", str, DESCENDING))),
    # An `_id` begins with ticker and interval and ends with the time.
    "Ticker": Keyset((Key("_id", str),)),
    "-Ticker": Keyset((Key("_id", str, DESCENDING),)),
}
"""By time, by score within a kind, by grade, by ticker; an index gives each order."""


def find_anomalies(
    database: Db,
    query: Query,
    *,
    sort: str = "-Datetime",
    after: Position | None = None,
    limit: int,
) -> list[AnomalyDocument]:
    """Return anomalies that match `build_query(...)`, in order.

    Args:
        database: the database.
        query: from `build_query`.
        sort: one of ORDERS.
        after: the position in this order of the last anomaly of the page before.
        limit: how many at the most.
    """
    return find_page(anomalies_in(database), query, ORDERS[sort], after=after, limit=limit)


def find_new(
    database: Db,
    run_id: str,
    *,
    kind: AnomalyKind | None = None,
    scope: MoveScope | None = None,
    min_grade: float,
    tickers: Sequence[str] | None,
    min_confidence: float = 0.0,
    limit: int = 0,
    fields: Sequence[str] = (),
) -> list[AnomalyDocument]:
    """Return the anomalies that a run found first, of this kind, scope and of these tickers, or of
    all, the highest grade first: at most `limit` (0: all), with these `fields`
    alone (none: all), as a backfill of a market may find a hundred thousand.
    """
    query = build_query(
        tickers=tickers,
        min_grade=min_grade,
        kind=kind,
        scope=scope,
        min_confidence=min_confidence,
        run_id=run_id,
    )
    strangest = [("grade", DESCENDING), ("anomaly_score", ASCENDING), ("_id", ASCENDING)]
    shown = dict.fromkeys(fields, 1) or None
    return list(anomalies_in(database).find(query, shown).sort(strangest).limit(limit))


def count_new(database: Db, run_id: str) -> Counter[str]:
    """Return by severity how many anomalies a run found first."""
    stages: list[Query] = [
        {"$match": {"detection_run_id": run_id, "status": NEW}},
        {"$group": {"_id": "$severity", "count": {"$sum": 1}}},
    ]
    return Counter({each["_id"]: each["count"] for each in database.anomalies.aggregate(stages)})


def iterate_anomalies(
    database: Db,
    *,
    tickers: Sequence[str],
    interval: str | None,
    start: datetime | None,
    end: datetime | None,
    severity: Severity | None = None,
    kind: AnomalyKind | None = None,
    scope: MoveScope | None = None,
    fields: Sequence[str],
) -> tuple[int, Iterator[Mapping[str, Any]]]:
    """Return how many anomalies of these tickers match, and an iterator over `fields` of them by
    ticker and time.
    """
    query = build_query(
        tickers=tickers,
        interval=interval,
        start=start,
        end=end,
        severity=severity,
        kind=kind,
        scope=scope,
    )
    order = [("Ticker", 1), ("Datetime", 1)]
    return anomalies_in(database).count_documents(query), iter(
        anomalies_in(database).find(query, fields).sort(order)
    )


def find_anomaly_parts(
    database: Db,
    query: Query,
    fields: Sequence[str],
    *,
    sort: str,
    after: Position | None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """Return `fields` and `_id` of the anomalies that `find_anomalies` returns; the field that
    `sort` names must be among `fields`.
    """
    found = find_page(
        anomalies_in(database), query, ORDERS[sort], after=after, limit=limit, fields=fields
    )
    return cast("list[Mapping[str, Any]]", found)


def ask_latest_parts(
    database: Db, query: Query, fields: Sequence[str], *, limit: int
) -> Question[list[Mapping[str, Any]]]:
    """Ask for `fields` of the latest anomalies that match `build_query(...)`, and their `_id`."""
    stages: list[Query] = [
        {"$match": query},
        {"$sort": dict(ORDERS["-Datetime"].sort)},
        {"$limit": limit},
        {"$project": dict.fromkeys(fields, 1)},
    ]
    return Question(anomalies_in(database), stages, list)


def find_flagged(database: Db, query: Query) -> list[str]:
    """Return the tickers of the anomalies that match `build_query(...)`, in order."""
    return sorted(anomalies_in(database).distinct("Ticker", query))


def find_next_time(database: Db, query: Query, *, latest: bool) -> datetime | None:
    """Return the time of the latest, or of the first, anomaly that matches `build_query(...)`."""
    found = anomalies_in(database).find_one(
        query, {"Datetime": 1}, sort=[("Datetime", DESCENDING if latest else ASCENDING)]
    )
    return found and found["Datetime"]


def count_by_series(database: Db, tickers: Sequence[str]) -> dict[str, dict[Severity, int]]:
    """Return how many anomalies each series (`AAPL::1d`) of these tickers has, by severity.

    Superseded ones, and those of bars that are gone, do not count; series without any are left
    out.
    """
    series = {"ticker": "$Ticker", "interval": "$interval", "severity": "$severity"}
    stages: list[Query] = [
        {"$match": build_query(tickers=tickers)},
        {"$group": {"_id": series, "count": {"$sum": 1}}},
    ]
    counts: dict[str, dict[Severity, int]] = {}
    for group in database.anomalies.aggregate(stages):
        kind = group["_id"]
        own = counts.setdefault(build_series_id(kind["ticker"], kind["interval"]), {})
        own[kind["severity"]] = group["count"]
    return counts


def count_by_span(
    database: Db, query: Query, start: datetime, seconds: int
) -> dict[int, dict[Severity, int]]:
    """Return how many anomalies match `build_query(...)`, by severity, in each span of `seconds`,
    numbered from 0 at `start`; spans without anomalies are left out.
    """
    since = {"$subtract": ["$Datetime", start]}
    span = {"$floor": {"$divide": [since, 1_000 * seconds]}}
    stages: list[Query] = [
        {"$match": query},
        {"$group": {"_id": {"span": span, "severity": "$severity"}, "count": {"$sum": 1}}},
    ]
    counts: dict[int, dict[Severity, int]] = {}
    for group in database.anomalies.aggregate(stages):
        counts.setdefault(int(group["_id"]["span"]), {})[group["_id"]["severity"]] = group["count"]
    return counts


def summarize_anomalies(database: Db, query: Query) -> AnomalyCounts:
    """Return {total, by_kind, by_severity, by_market, by_ticker} of the anomalies
    that match `build_query(...)`.
    """
    words = {name: f"${name}" for name in ("market", "kind", "severity")}
    # The first stage reads each anomaly once and counts alike ones; the facets sum these counts.
    alike = {
        "_id": {**words, "ticker": "$Ticker"},
        "count": {"$sum": 1},
        "latest": {"$max": "$Datetime"},
    }
    of_words = {name: f"$_id.{name}" for name in words}
    of_ticker = {
        "_id": "$_id.ticker",
        "count": {"$sum": "$count"},
        "latest": {"$max": "$latest"},
    }
    facets = {
        "by_words": [{"$group": {"_id": of_words, "count": {"$sum": "$count"}}}],
        "by_ticker": [
            {"$group": of_ticker},
            {"$sort": {"count": -1, "_id": 1}},
            {"$limit": 1_000},
        ],
    }
    stages: list[Query] = [{"$match": query}, {"$group": alike}, {"$facet": facets}]
    found = next(iter(database.anomalies.aggregate(stages)))
    by_kind: Counter[AnomalyKind] = Counter()
    by_severity: Counter[Severity] = Counter()
    by_market: dict[str, Counter[Severity]] = {}
    for group in found["by_words"]:
        of, count = group["_id"], group["count"]
        by_kind[of["kind"]] += count
        by_severity[of["severity"]] += count
        by_market.setdefault(of["market"], Counter())[of["severity"]] += count
    return {
        "total": by_kind.total(),
        "by_kind": dict(by_kind),
        "by_severity": dict(by_severity),
        "by_market": {market: dict(counts) for market, counts in sorted(by_market.items())},
        "by_ticker": [
            {"ticker": g["_id"], "count": g["count"], "latest": g["latest"]}
            for g in found["by_ticker"]
        ],
    }
