"""Latencies of successful requests, written by a thread of their own so
that no answer waits for it.
"""

from datetime import UTC, datetime
from threading import Condition, Thread

import structlog
from pymongo.errors import PyMongoError

from records.database import Db
from records.work.latencies import LatencyKind, add_latencies

# The one who asks for figures waits so long for those that this process has not written yet.
FLUSH_SECONDS = 1.0

Sample = tuple[datetime, float]

log = structlog.get_logger()


class LatencyWriter:
    """What came since the last write goes with the next one,
    so that many requests cost few writes.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: dict[LatencyKind, list[Sample]] = {}
        self._is_writing = False
        self._thread: Thread | None = None

    def add(self, database: Db, kind: LatencyKind, seconds: float) -> None:
        """Have a latency written soon."""
        with self._condition:
            self._waiting.setdefault(kind, []).append((datetime.now(UTC), 1_000 * seconds))
            if self._thread is None:
                self._thread = Thread(
                    target=self._write_always, args=(database,), name="latencies", daemon=True
                )
                self._thread.start()
            self._condition.notify_all()

    def flush(self) -> None:
        """Wait until all that was added is written, but not for long."""
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
