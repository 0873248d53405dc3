"""`python short_slices.py PROGRAM ARGUMENT...`: become a program that runs as soon as it is woken.

A caller waits for each of MongoDB's answers, most of which take less than a millisecond, and a read
needs several. By default MongoDB, when it wakes, waits until a computing process has used its slice
of some milliseconds. A process with shorter slices runs first, but gets no more processor time in
all.

Linux has slices per thread from 6.12 on; elsewhere the program runs as usual.
"""

import ctypes
import os
import platform
import struct
import sys

# The shortest that Linux knows.
SLICE_NANOSECONDS = 100_000
# sched_setattr(2), which the C library has only lately
SYSTEM_CALLS = {"x86_64": 314, "aarch64": 274}
# size, policy, flags, nice, priority, runtime, deadline, period
ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def shorten_slices() -> None:
    """Have this process, and what it becomes or starts, preempt others; as far as that is known."""
    number = SYSTEM_CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    asked = ATTRIBUTES.pack(
        ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, SLICE_NANOSECONDS, 0, 0
    )
    # Where it is refused, all is as before.
    ctypes.CDLL(None).syscall(number, 0, asked, 0)


if __name__ == "__main__":
    shorten_slices()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 -- what runner/servers.py has built
