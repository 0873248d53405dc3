"""A process that does one batch after the other keeps the memory it has freed,
and ends where it is given no more.
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
# More than a batch of a backfill finds at once: what is found is kept until it is written, so that
# looking through it for garbage finds none, and took 4 % of a backfill's time.
YOUNG_OBJECTS = 50_000
# What CPython says where the system gives no stack.
NO_THREAD = "can't start new thread"

log = structlog.get_logger()


class Task(celery.Task[Any, Any]):
    """A task whose process ends once it was refused memory, and sends the message back.

    Such a process fails at once whatever it takes, is free again before all others, and would use
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
    """Whether an error, or one that it came of, is of memory or a thread that was not given."""
    seen = set()
    # An error may have come of itself, as where the first one is raised after a second try.
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
    """Have the C library keep what a batch frees for the next one, up to so many bytes;
    only glibc can.

    By itself it gives large pieces back at once, and gets them again page by page: some 5 % of a
    backfill's time. Call it before threads are started: they are to share what is kept.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(M_TRIM_THRESHOLD, KEPT_BYTES)
        adjust(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        adjust(M_ARENA_MAX, 1)


def spare_collections() -> None:
    """Have collections not look through what is there now, which stays, and pool processes not copy
    it; and seldom through what comes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
