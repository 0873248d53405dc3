"""Batches whose holder is dead: on the holder's own machine that can be seen,
with no need to wait for the lease.

Where it cannot be seen (another host, another container), the lease runs out. A holder that is
wrongly taken for dead does no harm: whoever claims the batch next raises its fence, under which the
first can no longer commit.
"""

import os
from functools import lru_cache
from pathlib import Path

from records.database import Db
from records.work import batches
from tasks.process.worker import Worker

# What /proc tells of a process that has ended and was not waited for yet.
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
    """Return what is the same for processes that see each other's ids, and no others;
    None where that is unknown.
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
