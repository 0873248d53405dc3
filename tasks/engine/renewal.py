"""Renewing a lease while the work goes on, whatever that does meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Thread

import structlog
from pymongo.errors import PyMongoError

from core.errors import LeaseLost
from records.database import Db
from records.work.batches import Batch, renew_lease

# Two renewals may fail, or come late, before the lease runs out.
RENEWALS = 4

_closing: ContextVar[Event | None] = ContextVar("renewal_closing", default=None)

log = structlog.get_logger()


@contextmanager
def renewing(database: Db, batch: Batch) -> Iterator[None]:
    """Hold a suspect's short lease, and that of heavy work, by a thread until the end of the
    context; other batches renew between two steps, which heavy work may take too long for.

    Where the batch is another's by now the thread ends, and the commit finds it out. A worker that
    hangs is ended by its time limit.
    """
    if not (batch.is_suspect or batch.heavy):
        yield
        return
    over, closing = Event(), Event()

    def renew() -> None:
        while not over.wait(batch.lease_seconds / RENEWALS):
            if closing.is_set():
                continue
            try:
                renew_lease(database, batch, lease_seconds=batch.lease_seconds)
            except LeaseLost:
                return
            except PyMongoError as error:
                log.warning("lease_not_renewed", batch_id=batch.id, error=str(error))

    thread = Thread(target=renew, name="lease", daemon=True)
    token = _closing.set(closing)
    thread.start()
    try:
        yield
    finally:
        _closing.reset(token)
        over.set()
        thread.join()


def stop_renewing() -> None:
    """Renew no more in this context, as a commit is about to close the batch.

    Each would have MongoDB repeat the transaction that it falls into.
    """
    closing = _closing.get()
    if closing is not None:
        closing.set()


def go_on_renewing() -> None:
    """Renew again, as what was to be committed is done anew."""
    closing = _closing.get()
    if closing is not None:
        closing.clear()
