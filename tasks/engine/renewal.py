"""Renewing a batch's lease in a thread while the work goes on, whatever the work does."""

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
    """Renew, in a thread until the end of the context, the lease of heavy work and the short lease
    of a batch that has already cost a worker. Other batches renew it between two steps, which for
    heavy work may be too far apart.

    If another worker holds the batch by now, the thread ends, and the commit fails on the fence. A
    worker that hangs is ended by its time limit.
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
    """Stop renewing in this context, because a commit is about to close the batch.

    A renewal during the commit's transaction would make MongoDB repeat the transaction.
    """
    closing = _closing.get()
    if closing is not None:
        closing.set()


def go_on_renewing() -> None:
    """Start renewing again, because the work has to be done again before it can be committed."""
    closing = _closing.get()
    if closing is not None:
        closing.clear()
