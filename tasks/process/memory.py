"""A process that does one batch after the other keeps the memory it has freed."""

import ctypes
import gc

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MIB = 1 << 20
KEPT_BYTES = 64 * MIB
# glibc allows no more.
LARGEST_KEPT_BYTES = 32 * MIB
# More than a batch of a backfill finds at once: what is found is kept until it is written, so that
# looking through it for garbage finds none, and took 4 % of a backfill's time.
YOUNG_OBJECTS = 50_000


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
