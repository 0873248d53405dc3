"""The progress of a run and its failed tickers, counted from its batches at each read."""

from datetime import datetime
from typing import Any, cast

from pymongo.client_session import ClientSession

from records.database import Db, Query
from records.questions import Question
from records.work.batches import ROW_COUNTS
from records.work.documents import (
    RowCounts,
    RunDocument,
    RunProgress,
    RunTotals,
    TickerFailure,
    batches_in,
)

# The counts that are summed over the results of a run's batches.
_COUNTED = ("tickers_done", "tickers_failed", *ROW_COUNTS)


def count_progress(database: Db, run_id: str, session: ClientSession | None = None) -> RunTotals:
    """Count a run's progress from its batches; there is no counter that could drift from them.

    Returns batches_total, batches_done, batches_cancelled, tickers_total, tickers_done,
    tickers_failed, rows_loaded, rows_preprocessed, rows_processed, anomalies_found, new_anomalies
    and `fraction` (0 to 1).
    """
    return _read_progress([*database.batches.aggregate(_build_progress(run_id), session=session)])


def ask_progress(database: Db, run_id: str) -> Question[RunTotals]:
    """Ask for what `count_progress` returns, for a reader that asks other questions at once."""
    return Question(batches_in(database), _build_progress(run_id), _read_progress)


def _build_progress(run_id: str) -> list[Query]:
    over: dict[str, Any] = {"$in": ["$state", ["done", "dead", "cancelled"]]}
    # An import knows its tickers only once it has read its bars.
    ended = {"$sum": [f"$result.{name}" for name in ("tickers_done", "tickers_failed")]}
    group: dict[str, Any] = {
        "_id": None,
        "batches_total": {"$sum": 1},
        "batches_done": {"$sum": {"$cond": [over, 1, 0]}},
        "batches_cancelled": {"$sum": {"$cond": [{"$eq": ["$state", "cancelled"]}, 1, 0]}},
        "tickers_total": {"$sum": {"$max": [{"$size": "$tickers"}, ended]}},
        "units": {"$sum": "$units"},
        "units_done": {"$sum": {"$multiply": ["$units", {"$cond": [over, 1, "$progress"]}]}},
    }
    group |= {name: {"$sum": {"$ifNull": [f"$result.{name}", 0]}} for name in _COUNTED}
    # By their ids, which stay: in an index with the state, a batch that is claimed or done while
    # MongoDB pauses in it is passed over, or counted twice, and what is told falls.
    own = {"$gt": f"{run_id}:", "$lt": f"{run_id};"}
    counted = {"_id": own, "$expr": {"$ne": ["$state", "split"]}}
    return [{"$match": counted}, {"$group": group}]


def _read_progress(found: list[Any]) -> RunTotals:
    names = RunTotals.__annotations__.keys() - {"fraction"}
    (totals,) = found or [dict.fromkeys((*names, "units", "units_done"), 0)]
    units, done = totals["units"], totals["units_done"]
    told = {name: totals[name] for name in names}
    return cast("RunTotals", told | {"fraction": done / units if units else 0.0})


def find_failures(
    database: Db, run_id: str, session: ClientSession | None = None
) -> list[TickerFailure]:
    """Return the failed tickers of a run: {ticker, reason, error} each."""
    failed = {"run_id": run_id, "result.tickers_failed": {"$gt": 0}}
    cursor = batches_in(database).find(failed, {"result.failures": 1}, session=session)
    return sorted(
        (f for b in cursor for f in b["result"]["failures"]), key=lambda failure: failure["ticker"]
    )


def get_row_counts(counted: RowCounts) -> RowCounts:
    """Return only the row counts of `counted`, which may have other fields."""
    return {
        "rows_loaded": counted["rows_loaded"],
        "rows_preprocessed": counted["rows_preprocessed"],
        "rows_processed": counted["rows_processed"],
        "anomalies_found": counted["anomalies_found"],
        "new_anomalies": counted["new_anomalies"],
    }


def describe_progress(run: RunDocument, totals: RunTotals) -> RunProgress:
    """Return what a progress bar shows; `eta_seconds` and `rows_per_second` are None where
    unknown.
    """
    fraction = totals["fraction"]
    eta: float | None = 0.0
    seconds = run["duration_seconds"]
    if run["completed_at"] is None:
        seconds = (datetime.now(run["started_at"].tzinfo) - run["started_at"]).total_seconds()
        eta = seconds * (1 - fraction) / fraction if fraction else None
    return {
        "batches_total": totals["batches_total"],
        "batches_done": totals["batches_done"],
        "tickers_total": totals["tickers_total"],
        "tickers_done": totals["tickers_done"],
        "tickers_failed": totals["tickers_failed"],
        **get_row_counts(totals),
        "percent": 100.0 if run["completed_at"] is not None else round(100 * fraction, 1),
        "eta_seconds": eta,
        "rows_per_second": totals["rows_processed"] / seconds if seconds else None,
    }
