"""A worker's consumer, which survives messages that it cannot read."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError
from celery.worker import consumer, request
from celery.worker.state import maybe_shutdown
from kombu.message import Message
from structlog.contextvars import bound_contextvars

from core.settings import get_settings
from records.database import open_database
from records.work.counters import SWEEPER, add_counts
from tasks.process.holders import free_abandoned
from tasks.process.logs import describe_task

log = structlog.get_logger()

SOON_SECONDS = 10
AGAIN_SECONDS = 0.1


class Consumer(consumer.Consumer):
    """Celery's consumer, but neither a message
    that cannot be read nor a lost connection ends the worker.

    Some bodies that are no task (an empty one, for example) end Celery's own with an error. The
    message then goes back to its queue, and ends each worker that takes it.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once the broker answers. Tries sooner than Celery, which waits at
        least 2 s, because a broker that is just starting answers in a moment.
        """
        with suppress(*self.connection_errors):  # type: ignore[attr-defined]  # missing in celery-types
            conn.ensure_connection(
                timeout=SOON_SECONDS,
                interval_start=AGAIN_SECONDS,
                interval_step=0,
                callback=maybe_shutdown,
            )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Give the connection up, and continue the tasks that are running."""
        tasks: Any = getattr(self, "task_consumer", None)
        if tasks is not None:
            _silence(tasks.channel)
        super().on_connection_error_after_connected(exc)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def handle_or_discard(message: Message) -> None:
            try:
                handle(message)
            except self.connection_errors + self.channel_errors:  # type: ignore[attr-defined]  # missing in celery-types
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the next worker must not get it too
                self.on_decode_error(message, error)

        return handle_or_discard


class Request(request.Request):
    """Celery's request as its worker's main process has it, but its log lines name the run."""

    def describe(self) -> dict[str, str]:
        """Return the fields of its log lines."""
        return describe_task(self.name, self.id, self.args, self.request_dict)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Record an error, or the loss of the pool process, whose batch is freed before its message
        is sent back.
        """
        with bound_contextvars(**self.describe()):
            if issubclass(exc_info.type, (WorkerLostError, SystemExit)):
                _free_lost()
            return super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - the pool calls it so
        """Record that it took too long."""
        with bound_contextvars(**self.describe()):
            super().on_timeout(soft, timeout)


def _free_lost() -> None:
    """Free the batches of lost pool processes: the worker that gets the message next may be on
    another machine.
    """
    settings = get_settings()
    try:
        # The main process forks, so it must keep no connection.
        with open_database(settings).client as client:
            database = client[settings.mongo_database]
            freed = free_abandoned(database)
            log.warning("pool_process_lost", batches_freed=freed)
            add_counts(database, {SWEEPER: {"lease_ended": freed}})
    except Exception as error:  # noqa: BLE001 - a request that is not ended holds its place for good
        # If MongoDB cannot be reached, or no thread can be started to ask it, the leases run out
        # instead.
        log.warning("batches_not_freed", error=str(error))


def _silence(channel: Any) -> None:
    """Prevent a channel whose connection is gone from acknowledging or handing back the messages
    that came over it.

    It would raise an AttributeError (kombu 5.7), which ends the worker and all its work. A message
    that is not acknowledged comes again when its visibility timeout is over, and then finds nothing
    to claim.
    """
    channel.do_restore = False
    channel.basic_ack = channel.basic_reject = _ignore


def _ignore(*_args: object, **_options: object) -> None:
    pass
