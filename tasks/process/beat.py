"""Beat's scheduler: Celery's, with a sign of life."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    """Keeps in a file when it last sent what, as Celery's does,
    and touches `FILE.alive` at each tick.

    Health checks look at that: when the file of the schedule itself is written depends on the kind
    of dbm.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return the seconds until something is again."""
        seconds: float = super().tick(*args, **kwargs)
        Path(f"{self.schedule_filename}.alive").touch()  # type: ignore[attr-defined]  # celery-types does not know it
        return seconds
