"""Finds how the newest run of a series went."""

from collections.abc import Mapping
from typing import Any

from pymongo import DESCENDING

from core.words import Task
from records.database import Db, Query
from records.questions import Question, ask, get_first
from records.work.audits import find_audits_of, look_up_audit, unfold
from records.work.documents import AuditDocument, LatestRun, runs_in

# The fields that are read of a run, without its tickers, of which there may be ten thousand.
_SAID = (
    "interval",
    "period",
    "status",
    "started_at",
    "completed_at",
    "duration_seconds",
    "error",
    "warnings",
)


def find_latest(
    database: Db, ticker: str, interval: str, *tasks: Task
) -> AuditDocument | LatestRun | None:
    """Return how the newest run of some tasks went for a series: the series' audit, or the run's
    own fields where there is no audit yet; None where there is no run.
    """
    latest = ask_latest(database, ticker, interval, *tasks)
    ask(database, latest)
    return latest.answer


def ask_latest(
    database: Db, ticker: str, interval: str, *tasks: Task
) -> Question[AuditDocument | LatestRun | None]:
    """Ask for what `find_latest` returns, for a reader that asks other questions at once."""
    query = {"run_id": None, "tickers": ticker, "interval": interval, "task": {"$in": list(tasks)}}
    stages: list[Query] = [
        {"$match": query},
        {"$sort": {"requested_at": DESCENDING}},
        {"$limit": 1},
        # Read only the fields that are needed: a run may have ten thousand tickers.
        {"$project": dict.fromkeys(_SAID, 1)},
        *look_up_audit(database, ticker),
    ]
    return Question(
        runs_in(database), stages, lambda found: _tell_latest(database, ticker, get_first(found))
    )


def _tell_latest(
    database: Db, ticker: str, run: Mapping[str, Any] | None
) -> AuditDocument | LatestRun | None:
    if run is None:
        return None
    audits = [audit for part in run["audits"] for audit in unfold(part)]
    if not audits:  # The audit may be in a part, and not the part's first.
        audits = [*find_audits_of(database, [run["_id"]], [ticker]).values()]
    return next(iter(audits), None) or {
        "run_id": run["_id"],
        "ticker": ticker,
        "interval": run["interval"],
        "period": run["period"],
        "status": run["status"],
        "started_at": run["started_at"],
        "completed_at": run["completed_at"],
        "duration_seconds": run["duration_seconds"],
        "error": run["error"],
        "warnings": run["warnings"],
    }
