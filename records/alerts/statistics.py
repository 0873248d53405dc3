"""Statistics of alerts: their numbers, how long people take to resolve them, their precision."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar, cast

from bson import MinKey

from core.words import EntityType, Severity
from records.alerts.documents import alerts_in, history_in
from records.database import Db, Document, Query, match
from records.findings.labels import compute_precision
from records.work.documents import runs_in

UNRESOLVED = ("active", "acknowledged", "snoozed", "expired")
SYSTEM = "system"

Word = TypeVar("Word", bound=str)


class _Kind(TypedDict):
    """Alerts of one type and cause: how many there are, how many of them people resolved, and how
    many minutes these took together.
    """

    entity_type: EntityType
    cause: str | None
    alerts: int
    by_people: int
    minutes: float


class AlertStatistics(TypedDict):
    """Statistics of all alerts, including those of the history.

    Attributes:
        critical_count to low_count: numbers of unresolved alerts.
        avg_resolution_time_minutes: the mean of the alerts that people resolved; None where there
            are none.
        detection_rate_last_24h, detection_rate_last_7d: the share of anomalies among the bars that
            runs of this time scored (for a watchlist, its own scans); None where they scored none.
        precision: the share of labels that say true; None where there are none.
    """

    total_alerts: int
    unresolved_count: int
    critical_count: int
    high_count: int
    medium_count: int
    low_count: int
    avg_resolution_time_minutes: float | None
    most_common_entity_type: EntityType | None
    most_common_root_cause: str | None
    detection_rate_last_24h: float | None
    detection_rate_last_7d: float | None
    precision: float | None


class TrendFields(TypedDict):
    """How many alerts were raised on a day (UTC), and how many of them are resolved."""

    day: str
    total: int
    resolved: int
    by_severity: dict[Severity, int]


def compute_statistics(database: Db, now: datetime, *, watchlist: str | None) -> AlertStatistics:
    """Count alerts, of one watchlist or of all."""
    query: Query = {} if watchlist is None else {"watchlist": watchlist}
    unresolved = {**query, "state": {"$in": list(UNRESOLVED)}}
    severities = _count_severities(database, unresolved)
    kinds = _sum_up(database, watchlist)
    types: Counter[EntityType] = Counter()
    causes: Counter[str] = Counter()
    for kind in kinds:
        types[kind["entity_type"]] += kind["alerts"]
        if kind["cause"] is not None:
            causes[kind["cause"]] += kind["alerts"]
    by_people = sum(kind["by_people"] for kind in kinds)
    return {
        "total_alerts": types.total(),
        "unresolved_count": sum(severities.values()),
        "critical_count": severities.get("critical", 0),
        "high_count": severities.get("high", 0),
        "medium_count": severities.get("medium", 0),
        "low_count": severities.get("low", 0),
        "avg_resolution_time_minutes": (
            sum(kind["minutes"] for kind in kinds) / by_people if by_people else None
        ),
        "most_common_entity_type": _most_common(types),
        "most_common_root_cause": _most_common(causes),
        "detection_rate_last_24h": _compute_rate(database, query, now - timedelta(hours=24)),
        "detection_rate_last_7d": _compute_rate(database, query, now - timedelta(days=7)),
        "precision": compute_precision(database, watchlist),
    }


def compute_trends(database: Db, since: datetime, *, watchlist: str | None) -> list[TrendFields]:
    """Return how many alerts were raised on each day from `since` on, in order; days without alerts
    are left out.
    """
    query = match(created_at={"$gte": since}, watchlist=watchlist)
    day = {"$dateToString": {"date": "$created_at", "format": "%Y-%m-%d"}}
    is_resolved = {"$cond": [{"$eq": ["$state", "resolved"]}, 1, 0]}
    stages: list[Query] = [
        {"$match": query},
        {"$unionWith": {"coll": history_in(database).name, "pipeline": [{"$match": query}]}},
        {
            "$group": {
                "_id": {"day": day, "severity": "$severity"},
                "total": {"$sum": 1},
                "resolved": {"$sum": is_resolved},
            }
        },
        {"$sort": {"_id.day": 1}},
    ]
    days: dict[str, TrendFields] = {}
    for group in database.alerts.aggregate(stages):
        key = group["_id"]["day"]
        found = days.setdefault(key, {"day": key, "total": 0, "resolved": 0, "by_severity": {}})
        found["total"] += group["total"]
        found["resolved"] += group["resolved"]
        found["by_severity"][group["_id"]["severity"]] = group["total"]
    return list(days.values())


def _count_severities(database: Db, query: Query) -> dict[Severity, int]:
    stages: list[Query] = [
        {"$match": query},
        {"$group": {"_id": "$severity", "count": {"$sum": 1}}},
    ]
    return {group["_id"]: group["count"] for group in database.alerts.aggregate(stages)}


def _sum_up(database: Db, watchlist: str | None) -> list[_Kind]:
    """Return the sums of each kind of alert, those of the history after the others.

    The history is never deleted, so it is read once, and from an index that has all the fields.
    MongoDB uses that index for a condition on its first field, the watchlist; for all watchlists
    this is a condition that every alert fulfils.
    """
    wanted: Query = {"watchlist": {"$gte": MinKey()} if watchlist is None else watchlist}
    by_people = {
        "$and": [
            {"$eq": ["$state", "resolved"]},
            {"$ne": ["$resolved_by", SYSTEM]},
            {"$gt": ["$resolved_at", None]},
        ]
    }
    minutes = {"$divide": [{"$subtract": ["$resolved_at", "$created_at"]}, 60_000]}
    group = {
        "_id": {"entity_type": "$entity_type", "cause": "$cause"},
        "alerts": {"$sum": 1},
        "by_people": {"$sum": {"$cond": [by_people, 1, 0]}},
        "minutes": {"$sum": {"$cond": [by_people, minutes, 0]}},
    }
    return [
        {
            "entity_type": found["_id"]["entity_type"],
            "cause": found["_id"].get("cause"),
            "alerts": found["alerts"],
            "by_people": found["by_people"],
            "minutes": found["minutes"],
        }
        for collection in (alerts_in(database), history_in(database))
        for found in cast(
            "Iterable[Document]", collection.aggregate([{"$match": wanted}, {"$group": group}])
        )
    ]


def _most_common(counts: Counter[Word]) -> Word | None:
    """Return the most frequent word (of several, the first by name); None where there is none."""
    return min(counts, key=lambda word: (-counts[word], word), default=None)


def _compute_rate(database: Db, query: Query, since: datetime) -> float | None:
    runs = {
        **query,
        "run_id": None,
        "task": {"$in": ["incremental", "backfill"]},
        "started_at": {"$gte": since},
        "rows_processed": {"$gt": 0},
    }
    group = {
        "_id": None,
        "rows": {"$sum": "$rows_processed"},
        "found": {"$sum": "$anomalies_found"},
    }
    stages: list[Query] = [{"$match": runs}, {"$group": group}]
    found = next(iter(runs_in(database).aggregate(stages)), None)
    return found["found"] / found["rows"] if found else None  # type: ignore[typeddict-item]  # of a group
