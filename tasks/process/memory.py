"""A process that does one batch after the other keeps the memory it has freed."""

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MIB = 1 << 20
KEPT_BYTES = 64 * MIB
# glibc allows no more.
LARGEST_KEPT_BYTES = 32 * MIB


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
