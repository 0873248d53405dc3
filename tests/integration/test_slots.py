"""What is done once in a while goes on, however the clock is set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.settings import Settings
from records.database import Db
from records.work.heartbeats import CLEANER, take_turn
from records.work.slots import is_taken, take_slot
from tasks.process.beat import Scheduler
from tasks.process.broker import build_celery

NOON = 1_700_000_000
STEP = 600


def test_a_slot_is_taken_once_and_the_next_again(database: Db) -> None:
    assert not is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "work", NOON, step=STEP)
    assert not take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "other", NOON, step=STEP)
    assert take_slot(database, "work", NOON + STEP, step=STEP)
    # Whoever was slow over the slot before takes nothing back.
    assert not take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON + STEP, step=STEP)


@pytest.mark.parametrize("ahead", [7_200, 86_400, 400 * 86_400])
def test_a_slot_that_a_wrong_clock_took_keeps_no_other(database: Db, ahead: int) -> None:
    assert take_slot(database, "work", NOON + ahead, step=STEP)
    assert not is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON, step=STEP)


def test_a_turn_that_a_wrong_clock_took_keeps_nobody(database: Db) -> None:
    assert take_turn(database, CLEANER, 3_600)
    assert not take_turn(database, CLEANER, 3_600)
    wrong = datetime.now(UTC) + timedelta(days=400)
    database.heartbeats.update_one({"_id": CLEANER}, {"$set": {"at": wrong}})
    assert take_turn(database, CLEANER, 3_600)
    assert not take_turn(database, CLEANER, 3_600)


def test_beat_goes_on_after_its_clock_was_set_back(settings: Settings, tmp_path: Path) -> None:
    """What it last sent by the clock that was ahead, an hour or a year, lies in its file, too."""
    with build_celery(settings) as celery:
        scheduler = Scheduler(celery, schedule_filename=str(tmp_path / "schedule"))
        scheduler.tick()
        for entry in scheduler.schedule.values():
            entry.last_run_at = celery.now() + timedelta(hours=1)
        scheduler.populate_heap()
        assert 0 < scheduler.tick() <= settings.tick_seconds
        for name, entry in scheduler.schedule.items():
            assert entry.last_run_at <= celery.now(), name
        scheduler.close()
