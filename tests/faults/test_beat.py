"""More than one beat, and one that hangs."""

from collections.abc import Iterator

import pytest

from runner.programs import beat_command
from tasks.names import BACKFILL_QUEUE
from tests.faults.stack import Program
from tests.faults.trial import Trial
from tests.processes import wait_until


@pytest.fixture
def second_beat(trial: Trial) -> Iterator[str]:
    """A second beat beside the first."""
    folder = trial.stack.folder / "beat2"
    folder.mkdir(exist_ok=True)
    trial.stack.programs["beat2"] = Program(beat_command(folder))
    trial.stack.start("beat2")
    yield "beat2"
    trial.stack.kill("beat2")
    del trial.stack.programs["beat2"]


def test_two_beats_one_of_them_frozen_neither_lose_nor_double(trial: Trial, second_beat: str) -> None:
    """While one beat hangs the other's sweeps recover what is lost; when it wakes up nothing is done twice."""
    wait_until(lambda: "Sending due task" in trial.stack.said(second_beat), "the second beat sends")
    with trial.stack.frozen("beat"):
        lose_messages(trial)
        with trial.recovering("messages lost with one of two beats frozen"):
            trial.wait_for_end()
    lose_messages(trial)
    with trial.recovering("messages lost with two beats"):
        trial.wait_for_end()
    trial.check()


def lose_messages(trial: Trial) -> None:
    """Ask for a backfill and wipe its batches' messages out while some of them wait."""
    trial.wait_for_lease(trial.backfill())
    trial.stack.broker.delete(BACKFILL_QUEUE)
