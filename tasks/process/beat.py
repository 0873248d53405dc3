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

    def setup_schedule(self) -> None:
        """Read the schedule. All that beat sends are ticks and sweeps, and of those Flower is told
        nothing: neither here nor, by `send_events`, where they are worked on.
        """
        self.app.conf.task_send_sent_event = False
        super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return the seconds until something is again."""
        seconds: float = super().tick(*args, **kwargs)
        Path(f"{self.schedule_filename}.alive").touch()  # type: ignore[attr-defined]  # celery-types does not know it
        return seconds
