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
        self._leave_the_future()
        seconds: float = super().tick(*args, **kwargs)
        Path(f"{self.schedule_filename}.alive").touch()  # type: ignore[attr-defined]  # celery-types does not know it
        return seconds

    def _leave_the_future(self) -> None:
        """Count what was sent at a time that is yet to come as sent just now: the clock was set
        back, and until it is there again nothing would be due, after a restart neither.
        """
        now = self.app.now()
        for entry in self.schedule.values():
            if entry.last_run_at is not None and entry.last_run_at > now:
                entry.last_run_at = now
                self._heap = None  # made anew by the next tick: its times are those of before
