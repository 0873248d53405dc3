"""Beat's scheduler: Celery's, with a sign of life."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    """Celery's scheduler, which stores in a file when it last sent each entry; touches `FILE.alive`
    at each tick.

    Health checks look at `FILE.alive`, because when the schedule's own file is written depends on
    the kind of dbm.
    """

    def setup_schedule(self) -> None:
        """Read the schedule. Beat sends only ticks and sweeps, and Flower gets no events about
        them: neither from here nor, by `send_events`, from the workers.
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
        """Treat entries that were sent at a future time as sent just now. After the clock was set
        back, nothing would be due until that time, not even after a restart.
        """
        now = self.app.now()
        for entry in self.schedule.values():
            if entry.last_run_at is not None and entry.last_run_at > now:
                entry.last_run_at = now
                self._heap = None  # made anew by the next tick: its times are those of before
