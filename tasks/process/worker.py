"""What a worker process holds on to between tasks."""

import os
import socket
from dataclasses import dataclass
from functools import lru_cache

from celery import Celery, current_app

from core.settings import Settings, get_settings
from records.database import Db, open_database

# An election takes some 12 s. A worker that gave up before could not even hand back what it holds, and the batch would
# have to wait for its lease.
ELECTION_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Worker:
    """One process' settings, connections and name."""

    settings: Settings
    database: Db
    celery: Celery
    name: str


@lru_cache(maxsize=1)
def get_worker() -> Worker:
    """Return this process' worker; made at the first call, which must come after the fork."""
    settings = get_settings()
    name = f"{socket.gethostname()}:{os.getpid()}"
    return Worker(settings, open_database(settings, ELECTION_SECONDS), current_app, name)
