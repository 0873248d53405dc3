"""Checks the fault tests themselves: without the sweeper they must notice what is lost."""

import os
import re
import subprocess
import sys

import pytest

from tests.processes import ROOT

NEEDS_SWEEPER = {
    "tests/faults/test_workers.py::test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing",
    "tests/faults/test_workers.py::test_a_frozen_worker_that_wakes_up_after_its_lease_writes_nothing",
    "tests/faults/test_workers.py::test_messages_lost_between_queue_and_unacked_are_sent_again",
    "tests/faults/test_broker.py::test_redis_flushed_while_a_run_is_queued_is_only_a_delay",
}
# This test passes without the sweeper: the message returns to the worker that lost the process, and
# whoever claims the batch sees that the process is gone.
NEEDS_NONE = {
    "tests/faults/test_workers.py::test_a_pool_process_killed_in_mid_batch_loses_and_doubles_nothing",
    "tests/faults/test_broker.py::test_the_same_messages_five_times_change_nothing",
}


@pytest.mark.faults
def test_without_the_sweeper_the_suite_fails() -> None:
    """If beat, and so the sweeper, is switched off, every test fails in which a message or a whole
    worker is lost.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        *sorted(NEEDS_SWEEPER | NEEDS_NONE),
    ]
    suite = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "SWEEPER": "off", "RECOVERY_SECONDS": "12"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert suite.returncode == pytest.ExitCode.TESTS_FAILED, suite.stdout[-3_000:]
    assert set(re.findall(r"^FAILED (\S+)", suite.stdout, re.MULTILINE)) == NEEDS_SWEEPER
    assert set(re.findall(r"^PASSED (\S+)", suite.stdout, re.MULTILINE)) == NEEDS_NONE
