"""Latencies of the last successful requests of a kind, over all processes of the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pymongo import WriteConcern
from pymongo.read_concern import ReadConcern

from records.database import Db

LatencyKind = Literal["inference", "training"]
KEPT = 100


def add_latencies(
    database: Db, kind: LatencyKind, samples: Sequence[tuple[datetime, float]]
) -> None:
    """Add latencies in milliseconds, each with the time of its answer; the latest are kept."""
    push = {
        "$each": [{"at": at, "ms": milliseconds} for at, milliseconds in samples[-KEPT:]],
        "$sort": {"at": 1},
        "$slice": -KEPT,
    }
    latencies = database.latencies.with_options(write_concern=WriteConcern(w=1))
    latencies.update_one({"_id": kind}, {"$push": {"samples": push}}, upsert=True)


def read_latencies(database: Db, kind: LatencyKind) -> list[float]:
    """Return the last latencies of a kind in milliseconds, the oldest first."""
    # Latencies are written with w=1; a local read sees those that a majority has not confirmed yet.
    stored = database.latencies.with_options(read_concern=ReadConcern("local")).find_one(
        {"_id": kind}
    )
    return [sample["ms"] for sample in stored["samples"]] if stored else []
