"""How much memory this machine lets its processes have."""

from collections.abc import Iterator
from contextlib import suppress
from os import sysconf
from pathlib import Path, PurePosixPath

GIBIBYTE = 2**30
# What `make up` takes when it computes metrics and explains, with a gigabyte when it does nothing.
NEEDED_BYTES = int(1.3 * GIBIBYTE)


def find_memory(root: Path = Path("/")) -> int:
    """Return the bytes that there are: the machine's, or what its control groups leave of them."""
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
        # A container may see its own group as the top one, under whatever path it has outside.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            with suppress(OSError, ValueError):  # there is none, or it says "max"
                yield int((top / group.relative_to("/") / name).read_text())
