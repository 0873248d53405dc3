"""Schedules: the times, called slots, at which a watchlist is due for a scan."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from core.errors import BadInput

AFTER_CLOSE = "after_close"
CRON_FIELDS = 5
CLOCK_CHANGE = timedelta(hours=3)


def parse_schedule(text: str) -> str:
    """Return a schedule as it is stored: `after_close` or a cron expression of five fields.

    Raises BadInput.
    """
    schedule = " ".join(text.split())
    if schedule == AFTER_CLOSE:
        return schedule
    five = len(schedule.split(" ")) == CRON_FIELDS
    try:
        # An expression without any slot, such as 30 February, is refused. Any start date will do.
        comes = five and next(CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC)), None) is not None
    except CronSimError:
        comes = False
    if not comes:
        raise BadInput(
            f"{text[:60]!r} is no schedule: write {AFTER_CLOSE}, or a cron expression of five"
            " fields that comes now and then, such as '0 18 * * 1-5'"
        )
    return schedule


def find_cron_slots(schedule: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Return the latest slot of a cron expression that is not after `now`, and the first one that
    is.

    Fields are local times of `zone`. When clocks change, a daily time has one slot: a skipped time
    comes when the clock is set forward, a repeated time counts the first time (as in Debian's
    cron).
    """
    # Within the hour that the clocks repeat, CronSim may step to the wrong side of `now`, so it
    # starts well outside of that hour.
    later, earlier = ((now + step).astimezone(zone) for step in (CLOCK_CHANGE, -CLOCK_CHANGE))
    back = (slot.astimezone(UTC) for slot in CronSim(schedule, later, reverse=True))
    ahead = (slot.astimezone(UTC) for slot in CronSim(schedule, earlier))
    return next(slot for slot in back if slot <= now), next(slot for slot in ahead if slot > now)
