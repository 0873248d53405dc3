"""A worker process holds its settings, connections and loaded models between tasks."""

import os
import socket
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from celery import Celery, current_app

from core.settings import Settings, get_settings
from records.database import Db, open_database

if TYPE_CHECKING:
    from detection.models.manager import ModelManager

# An election takes some 12 s. A worker that gives up sooner could not even hand back its batch,
# which would have to wait for its lease.
ELECTION_SECONDS = 20


@dataclass(frozen=True)
class Worker:
    """One process' settings, connections, name and model cache."""

    settings: Settings
    database: Db
    celery: Celery
    name: str

    @cached_property
    def models(self) -> "ModelManager":
        """The models that this process has loaded; made at first use,
        since the control worker never loads numpy.
        """
        from detection.models.manager import ModelManager  # noqa: PLC0415 - see above

        return ModelManager(self.database)


@lru_cache(maxsize=1)
def get_worker() -> Worker:
    """Return this process' worker; made at the first call, which must come after the fork."""
    settings = get_settings()
    name = f"{socket.gethostname()}:{os.getpid()}"
    return Worker(settings, open_database(settings, ELECTION_SECONDS), current_app, name)
