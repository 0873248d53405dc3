"""MongoDB losing its primary, and its disk."""

from contextlib import suppress

import pytest
from pymongo.errors import ConnectionFailure

from tests.faults.trial import Trial
from tests.processes import wait_until


@pytest.mark.faults
def test_a_primary_stepped_down_twice_and_killed_while_writing_loses_nothing(trial: Trial) -> None:
    """Whatever primary the writes go to, each takes place once; a run goes on with the next one."""
    for _ in range(2):
        trial.wait_for_lease(trial.backfill())
        with trial.recovering("primary stepped down"):
            step_down(trial)
    trial.wait_for_lease(trial.backfill())
    killed = trial.stack.find_primary()
    with trial.recovering("primary killed (-9) while writing"):
        trial.stack.kill(killed)
    trial.stack.start(killed)
    trial.check()


@pytest.mark.faults
def test_a_frozen_primary_is_only_a_delay(trial: Trial) -> None:
    """A primary that hangs without closing its connections is given up, and the run goes on with the next one."""
    trial.wait_for_lease(trial.backfill())
    frozen = trial.stack.find_primary()
    with trial.recovering("primary frozen (SIGSTOP)"), trial.stack.frozen(frozen):
        trial.wait_for_end()
    trial.check()


def step_down(trial: Trial) -> None:
    """Make the primary hand over, and wait for the next one."""
    before = trial.stack.find_primary()

    def has_moved() -> bool:
        # Where its successor is too slow to be elected, the old primary is again, and has to step down once more.
        if trial.stack.find_primary() == before:
            with suppress(ConnectionFailure):
                trial.database.client.admin.command("replSetStepDown", 10, force=True)
        return trial.stack.find_primary() != before

    wait_until(has_moved, "another primary", 90)
