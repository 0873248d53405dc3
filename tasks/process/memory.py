"""Memory of pool processes: freed memory is kept for the next batch, and a process that is refused
memory exits.
"""

import ctypes
import errno
import gc
from typing import Any

import celery
import structlog

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MIB = 1 << 20
KEPT_BYTES = 64 * MIB
# glibc allows no more.
LARGEST_KEPT_BYTES = 32 * MIB
# More objects than a batch of a backfill finds at once. They are kept until they are written, so
# looking through them for garbage finds none, and took 4 % of a backfill's time.
YOUNG_OBJECTS = 50_000
# The message of CPython where the system gives no stack.
NO_THREAD = "can't start new thread"

log = structlog.get_logger()


class Task(celery.Task[Any, Any]):
    """A task whose process exits after it was refused memory; its message is sent back.

    Such a process would fail immediately at every batch, be free again before all others, and use
    up the attempts of all batches. The error itself would end the whole worker (celery 5.7).
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run it."""
        try:
            return self.run(*args, **options)
        except Exception as error:
            if not is_refused(error):
                raise
            log.warning("process_refused_memory", exc_info=error)
            raise SystemExit(1) from error


def is_refused(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is that memory or a thread was refused."""
    seen = set()
    # An error can be its own cause, for example where the first one is raised again after a second
    # try.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if (
            isinstance(error, MemoryError)
            or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
            or (isinstance(error, RuntimeError) and NO_THREAD in str(error))
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def keep_freed_memory() -> None:
    """Let the C library keep up to so many freed bytes for the next batch; works with glibc only.

    Without this, it returns large pieces to the system at once and gets them back page by page,
    which is some 5 % of a backfill's time. Call it before threads are started, since they share the
    kept memory.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(M_TRIM_THRESHOLD, KEPT_BYTES)
        adjust(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        adjust(M_ARENA_MAX, 1)


def spare_collections() -> None:
    """Exclude everything that is in memory now from garbage collections: it stays, and pool
    processes need not copy it. Collect new objects seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
