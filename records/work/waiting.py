"""Counts what waits: the runs before a run, and the batches that no worker holds."""

from collections.abc import Collection
from typing import TypedDict

from records.database import Db, Query
from records.work.documents import RunDocument, batches_in, runs_in


class BatchesFields(TypedDict):
    """How many batches of a run are pending, how many of these are heavy, and how many are
    leased.
    """

    pending: int
    pending_heavy: int
    leased: int


def count_before(database: Db, run: RunDocument, tasks: Collection[str]) -> int:
    """Return how many queued runs of some tasks were requested before a run."""
    query: Query = {
        "status": "queued",
        "run_id": None,
        "task": {"$in": list(tasks)},
        "requested_at": {"$lt": run["requested_at"]},
    }
    return runs_in(database).count_documents(query)


def count_at_work(database: Db, *, heavy: bool = False) -> int:
    """Return how many batches of all runs are leased, or how many heavy ones."""
    query: Query = {"state": "leased"} | ({"heavy": True} if heavy else {})
    return batches_in(database).count_documents(query)


def count_batches(database: Db, run_id: str) -> BatchesFields:
    """Return how many batches of a run are pending, and how many are leased."""
    of_run: Query = {"run_id": run_id}
    found = batches_in(database)
    return {
        "pending": found.count_documents({**of_run, "state": "pending"}),
        "pending_heavy": found.count_documents({**of_run, "state": "pending", "heavy": True}),
        "leased": found.count_documents({**of_run, "state": "leased"}),
    }
