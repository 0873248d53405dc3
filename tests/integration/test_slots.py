"""Periodic work goes on, however the clock is set."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libfaketime
import pytest

from core.settings import Settings
from records.database import Db
from records.work.heartbeats import CLEANER, SCHEDULER, SWEEPER, find_heartbeats, take_turn
from records.work.slots import is_taken, take_slot
from runner.programs import worker_command
from tasks import names
from tasks.process.beat import Scheduler
from tasks.process.broker import build_celery
from tests.processes import PATIENCE_SECONDS, ROOT, wait_until

NOON = 1_700_000_000
STEP = 600


def test_a_slot_is_taken_once_and_the_next_one_again(database: Db) -> None:
    assert not is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "work", NOON, step=STEP)
    assert not take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "other", NOON, step=STEP)
    assert take_slot(database, "work", NOON + STEP, step=STEP)
    # A process that was slow in the slot before does not take the slot back.
    assert not take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON + STEP, step=STEP)


@pytest.mark.parametrize("ahead", [7_200, 86_400, 400 * 86_400])
def test_a_slot_taken_by_a_wrong_clock_does_not_block_others(database: Db, ahead: int) -> None:
    assert take_slot(database, "work", NOON + ahead, step=STEP)
    assert not is_taken(database, "work", NOON, step=STEP)
    assert take_slot(database, "work", NOON, step=STEP)
    assert is_taken(database, "work", NOON, step=STEP)


def test_a_turn_taken_by_a_wrong_clock_blocks_nobody(database: Db) -> None:
    assert take_turn(database, CLEANER, 3_600)
    assert not take_turn(database, CLEANER, 3_600)
    wrong = datetime.now(UTC) + timedelta(days=400)
    database.heartbeats.update_one({"_id": CLEANER}, {"$set": {"at": wrong}})
    assert take_turn(database, CLEANER, 3_600)
    assert not take_turn(database, CLEANER, 3_600)


def test_beat_goes_on_after_its_clock_was_set_back(settings: Settings, tmp_path: Path) -> None:
    """Beat's file has the times at which it last sent, by the clock that was an hour or a year
    ahead.
    """
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


@pytest.mark.slow
def test_a_control_worker_whose_clock_is_ahead_sweeps_once_for_a_backlog(
    environment: dict[str, str], settings: Settings, database: Db, tmp_path: Path
) -> None:
    """Beat runs on another host, whose clock is two hours behind; messages of an hour wait here."""
    ahead = {**environment, **libfaketime.get_reload_information()[1], "FAKETIME": "+2h"}
    with build_celery(settings) as celery, (tmp_path / "log").open("wb") as log:
        entry = celery.conf.beat_schedule["sweep"]
        for _ in range(240):
            celery.send_task(entry["task"], **entry["options"])
        celery.send_task(names.TICK, **celery.conf.beat_schedule["tick"]["options"])
        command = worker_command("control", names.CONTROL_QUEUE, 1)
        worker = subprocess.Popen(command, cwd=ROOT, env=ahead, stdout=log, stderr=log)
        try:
            done = wait_until(
                lambda: (
                    len(found := find_heartbeats(database, [SWEEPER, SCHEDULER])) == 2 and found
                ),
                "it has swept and ticked",
            )
            assert done[SWEEPER]["age_seconds"] < settings.sweep_seconds
        finally:
            worker.terminate()
            worker.wait(timeout=PATIENCE_SECONDS)
