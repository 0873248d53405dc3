"""Asking workers which queues they consume and which processes they have."""

from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger()

ANSWER_SECONDS = 1.0
KEPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """One worker: the queues it takes messages from, and the ids of its processes."""

    name: str
    queues: tuple[str, ...]
    pids: tuple[int, ...]

    @property
    def host(self) -> str:
        """The machine it runs on."""
        return self.name.partition("@")[2]


@dataclass(slots=True)
class WorkerCensus:
    """The latest answers of the workers.

    Asking takes a second, so the answers are reused for some seconds.
    """

    celery: Celery
    _answers: list[WorkerAnswer] = field(default_factory=list)
    _asked_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def ask(self) -> list[WorkerAnswer]:
        """Return the workers that answer; none where the broker does not."""
        with self._lock:
            if monotonic() - self._asked_at > KEPT_SECONDS:
                self._answers = _ask(self.celery)
                self._asked_at = monotonic()
            return self._answers


def _ask(celery: Celery) -> list[WorkerAnswer]:
    inspect = celery.control.inspect
    try:
        stats: dict[str, Any] = dict(inspect(timeout=ANSWER_SECONDS).stats() or {})
        # The workers are known by now, so waiting ends once all of them have answered.
        known = inspect([*stats], timeout=ANSWER_SECONDS, limit=len(stats))
        queues: dict[str, Any] = dict(known.active_queues() or {}) if stats else {}
        return [_read(name, answer, queues.get(name, ())) for name, answer in sorted(stats.items())]
    except (OperationalError, RedisError, OSError):
        return []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # Anybody who can write to the broker can answer in a worker's place.
        log.warning("answers_not_read", error=f"{type(error).__name__}: {str(error)[:200]}")
        return []


def _read(name: str, answer: Any, queues: Any) -> WorkerAnswer:
    return WorkerAnswer(
        name, tuple(sorted(queue["name"] for queue in queues)), tuple(answer["pool"]["processes"])
    )
