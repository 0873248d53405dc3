"""Measures the memory of every process and checks that it does not grow."""

from contextlib import suppress
from pathlib import Path
from resource import getpagesize

from tests.faults.stack import CACHE_GIGABYTES, MEMBERS, Stack

# Without a leak, processes differ by up to 10 MB; most of it is the calendars, which are loaded
# with the first scan. A leak of 100 kB a batch adds more than this bound in a soak of ten minutes.
GROWTH_BYTES = 20_000_000
# mongod's cache has a limit, which a soak does not always reach. The rest of this bound is for
# connections and transactions.
MONGOD_BYTES = int(CACHE_GIGABYTES * 2**30) + 200_000_000

Memory = dict[str, int]


def measure_memory(stack: Stack) -> Memory:
    """Return the resident memory (RSS) of each process in bytes: `worker1` is the program itself,
    `worker1.1` a process that it started.
    """
    return {
        name if number == 0 else f"{name}.{number}": count_resident_bytes(pid)
        for name in stack.programs
        for number, pid in enumerate(stack.pids(name))
    }


def describe_memory(before: Memory, after: Memory) -> str:
    """Return a table of two measurements, in MB."""
    rows = [
        f"{name:12}{before.get(name, 0) / 1e6:10.0f}{size / 1e6:10.0f}"
        for name, size in after.items()
    ]
    return "\n".join([f"{'RSS in MB':12}{'start':>10}{'end':>10}", *rows])


def find_grown(before: Memory, after: Memory) -> Memory:
    """Return the processes that grew beyond their bound."""
    bounds = {name: before.get(name, size) + GROWTH_BYTES for name, size in after.items()}
    bounds |= dict.fromkeys(MEMBERS, MONGOD_BYTES)
    return {name: size for name, size in after.items() if size > bounds[name]}


def count_resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 if it has ended."""
    with suppress(OSError):
        return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * getpagesize()
    return 0
