"""Counters: totals of what was done, which only rise, for Prometheus.

Worker processes are replaced at any time, so their counts are added up here. Counts that a process
had not added when it was killed are missing. So the counters are for graphs and alerts only; no
promise rests on them.
"""

from collections.abc import Iterable, Mapping

import structlog
from pymongo import UpdateOne, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from records.database import Db

RUNS_ENDED = "runs_ended"
SWEEPER = "sweeper"
UNREADABLE = "unreadable"
PROMOTIONS_REFUSED = "promotions_refused"
MODEL_CACHE = "model_cache"
IMPORTED = "imported"
REJECTED = "rejected"
LATENCY = "latency"
RECORDS = "records"
RECORDS_REJECTED = "records_rejected"
DETECTED = "detected"

# The actions of the sweeper, by their names in `tasks/engine/sweeper.py`.
SWEEPER_ACTIONS = (
    "lease_ended",
    "batch_without_run_deleted",
    "batch_cancelled",
    "batch_buried",
    "batch_split",
    "batch_sent_again",
    "run_failed",
    "run_sent_again",
    "run_finished",
    "leftover_deleted",
)
# From seconds, for intraday bars, to days, for bars that came late.
LATENCY_BUCKETS_SECONDS = (5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400, 604_800)

Counts = Mapping[str, float]

log = structlog.get_logger()


def add_counts(database: Db, groups: Mapping[str, Counts]) -> None:
    """Add to the counters of each group.

    Never raises, as the work that is counted is done already; an error is logged.
    """
    writes = [
        UpdateOne({"_id": group}, {"$inc": raised}, upsert=True)
        for group, counts in groups.items()
        if (raised := {name: count for name, count in counts.items() if count})
    ]
    if not writes:
        return
    try:
        database.counters.with_options(write_concern=WriteConcern(w=1)).bulk_write(
            writes, ordered=False
        )
    except PyMongoError as error:
        log.warning("not_counted", groups=list(groups), error=str(error))


def read_counts(database: Db) -> dict[str, dict[str, float]]:
    """Return all counters by group and name."""
    # Counts are written with w=1; a local read sees those that a majority has not confirmed yet.
    stored = database.counters.with_options(read_concern=ReadConcern("local"))
    return {group.pop("_id"): group for group in stored.find()}


def count_latencies(seconds: Iterable[float]) -> dict[str, float]:
    """Return by upper bound how many latencies fall into each bucket (not cumulative), with their
    `sum`.
    """
    counts: dict[str, float] = {}
    for latency in seconds:
        bound = next((str(bound) for bound in LATENCY_BUCKETS_SECONDS if latency <= bound), "+Inf")
        counts[bound] = counts.get(bound, 0) + 1
        counts["sum"] = counts.get("sum", 0) + latency
    return counts
