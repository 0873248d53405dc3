"""How much memory this machine lets its processes have."""

from collections.abc import Iterator
from contextlib import suppress
from os import sysconf
from pathlib import Path, PurePosixPath

GIBIBYTE = 2**30
# What `make up` needs while it computes metrics and root causes; idle, it takes a gigabyte.
NEEDED_BYTES = int(1.3 * GIBIBYTE)


def find_memory(root: Path = Path("/")) -> int:
    """Return how many bytes of memory processes may use: the machine's, or the limit of a control
    group.
    """
    machine = sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE")
    return min([machine, *_find_limits(root)])


def _find_limits(root: Path) -> Iterator[int]:
    groups = root / "proc/self/cgroup"
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        # A container may see its own group as the top one, whatever path the group has outside.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            with suppress(OSError, ValueError):  # there is none, or it says "max"
                yield int((top / group.relative_to("/") / name).read_text())
