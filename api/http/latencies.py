"""Latencies of successful requests, written by a separate thread so that no answer waits for it."""

from datetime import UTC, datetime
from threading import Condition, Thread

import structlog
from pymongo.errors import PyMongoError

from records.database import Db
from records.work.latencies import LatencyKind, add_latencies

# A request for the figures waits this long for latencies that this process has not written yet.
FLUSH_SECONDS = 1.0

Sample = tuple[datetime, float]

log = structlog.get_logger()


class LatencyWriter:
    """A write contains all latencies since the last one, so that many requests cost few writes."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: dict[LatencyKind, list[Sample]] = {}
        self._is_writing = False
        self._thread: Thread | None = None

    def add(self, database: Db, kind: LatencyKind, seconds: float) -> None:
        """Queue a latency for the next write."""
        with self._condition:
            self._waiting.setdefault(kind, []).append((datetime.now(UTC), 1_000 * seconds))
            if self._thread is None:
                self._thread = Thread(
                    target=self._write_always, args=(database,), name="latencies", daemon=True
                )
                self._thread.start()
            self._condition.notify_all()

    def flush(self) -> None:
        """Wait, but not for long, until all queued latencies are written."""
        with self._condition:
            self._condition.wait_for(
                lambda: not self._waiting and not self._is_writing, FLUSH_SECONDS
            )

    def _write_always(self, database: Db) -> None:
        while True:
            with self._condition:
                self._is_writing = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._waiting)
                samples, self._waiting, self._is_writing = self._waiting, {}, True
            try:
                for kind, taken in samples.items():
                    add_latencies(database, kind, taken)
            except PyMongoError as error:
                log.warning("latencies_not_written", error=str(error))
