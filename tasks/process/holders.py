"""Batches whose holder is dead. On the holder's own machine this is visible, without waiting for
the lease.

Where it is not visible (another host, another container), the lease runs out. A holder that is
wrongly taken for dead does no harm: the next claim of the batch raises its fence, and the first
holder can no longer commit.
"""

import os
from functools import lru_cache
from pathlib import Path

from records.database import Db
from records.work import batches
from tasks.process.worker import Worker

# The states in /proc of a process that has ended and was not waited for yet.
ENDED = {"Z", "X"}


def sign(worker: Worker) -> str:
    """Return how this process signs the batches that it holds: machine, host and process id."""
    return f"{_find_machine()}/{worker.name.rpartition(':')[0]}:{os.getpid()}"


def free_abandoned(database: Db, batch_id: str | None = None) -> int:
    """Free a batch, or all, whose holder was a process of this machine and is gone;
    return how many.
    """
    machine = _find_machine()
    if machine is None:
        return 0
    held = batches.find_held(database, f"{machine}/", batch_id)
    dead = [batch for batch in held if not _is_alive(int(batch["owner"].rpartition(":")[2]))]
    return sum(batches.free_lost(database, batch) for batch in dead)


@lru_cache(maxsize=1)
def _find_machine() -> str | None:
    """Return an id that is the same for all processes that see each other's process ids, and only
    for those; None where it is unknown.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return None


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ENDED
