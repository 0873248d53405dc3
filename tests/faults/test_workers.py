"""Workers that die or freeze."""

import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libfaketime
import pytest

from tasks.names import BACKFILL_QUEUE
from tests.faults.load import steady_load
from tests.faults.stack import SERVICE, STOP_SECONDS, WORKERS
from tests.faults.trial import TICKERS, Trial
from tests.processes import frozen, wait_until

SPARE_BYTES = 2_000_000


def test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing(trial: Trial) -> None:
    """A worker killed with -9 commits nothing of its batches; other workers do them, once."""
    held = trial.freeze_holder(trial.backfill())
    with trial.recovering("worker killed (-9) in mid-batch"):
        trial.stack.kill(trial.stack.name_of(held.pid))
    ended = {"_id": held.batch_id, "fence": held.fence, "state": "done"}
    assert trial.database.batches.count_documents(ended) == 0, "committed by the one who was killed"
    trial.check()


def test_a_pool_process_killed_in_mid_batch_loses_and_doubles_nothing(trial: Trial) -> None:
    """A pool process killed with -9, as by the kernel when memory runs out, is replaced and its
    batch is done again.
    """
    held = trial.freeze_holder(trial.backfill())
    worker = trial.stack.name_of(held.pid)
    said = len(trial.stack.said(worker))
    with trial.recovering("pool process killed (-9) in mid-batch"), trial.stack.frozen("control"):
        os.kill(held.pid, signal.SIGKILL)
        # The worker frees the batch before its message goes back, so that another machine can take
        # it. The other worker may free it earlier, because a batch that waits for a second is sent
        # again.
        wait_until(
            lambda: "pool_process_lost" in trial.stack.said(worker)[said:],
            "its worker notices",
        )
        assert not trial.is_held(held), "freed before that is said"
        trial.wait_for_end()
    trial.check()
    wait_until(lambda: len(trial.stack.pids(worker)) == 3, "the pool process was replaced")


def test_a_frozen_worker_that_wakes_up_after_its_lease_writes_nothing(trial: Trial) -> None:
    """A worker frozen past its lease finds on waking that another worker did its batch, and commits
    nothing.
    """
    held = trial.freeze_holder(trial.backfill())
    worker = trial.stack.name_of(held.pid)
    with (
        trial.recovering("worker frozen (SIGSTOP) past its lease, then woken"),
        trial.stack.frozen(worker),
    ):
        trial.wait_for_end(held.run_id)
    wait_until(lambda: "lease_lost" in trial.stack.said(worker), "the frozen worker noticed")
    trial.check()


@pytest.mark.faults
def test_messages_lost_between_queue_and_unacked_are_sent_again(trial: Trial) -> None:
    """A message that left its queue and reached no worker (between BRPOP and `unacked`) only delays
    its run.
    """
    unused = list(TICKERS)
    while not is_taken_unnoticed(trial, unused.pop(), unused.pop()):
        # The BRPOPs of the frozen workers, of a second each, had just ended, so no message was
        # taken.
        trial.stack.thaw(*WORKERS)
        trial.wait_for_end()
    with trial.recovering("workers killed (-9) between BRPOP and unacked, one started again"):
        trial.stack.kill(*WORKERS)
        trial.stack.start(WORKERS[0])
    trial.check()


@pytest.mark.faults
def test_a_pool_process_that_is_refused_memory_hands_its_batch_back(trial: Trial) -> None:
    """A pool process that is refused memory gives its batch back and ends; others complete the
    run.
    """
    worker = WORKERS[0]
    # Use a new process: one that has worked keeps the memory that it freed, also of threads'
    # stacks, and may need no more.
    used, *sound = trial.stack.pids(worker)[1:]
    os.kill(used, signal.SIGKILL)
    (starved,) = wait_until(
        lambda: set(trial.stack.pids(worker)[1:]) - {used, *sound}, "it was replaced"
    )
    trial.stack.wait_until_serving()
    pages = int((Path("/proc") / str(starved) / "statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.prlimit(starved, resource.RLIMIT_AS, (limit, limit))

    def has_ended() -> bool:
        return starved not in trial.stack.pids(worker)

    try:
        with trial.recovering("pool process out of memory"):
            with trial.stack.frozen(WORKERS[1]), frozen(*sound):
                trial.backfill()
                wait_until(has_ended, "it was refused memory")
            trial.wait_for_end()
        trial.check()
    finally:
        with suppress(ProcessLookupError):
            os.kill(starved, signal.SIGKILL)


@pytest.mark.faults
def test_a_worker_whose_clock_is_two_hours_ahead_harms_nobody(trial: Trial) -> None:
    """Leases use MongoDB's clock, so with a wrong clock a worker neither steals a batch nor loses
    one.
    """
    fast = trial.stack.programs[WORKERS[1]]
    fast.environment = {**libfaketime.get_reload_information()[1], "FAKETIME": "+2h"}
    try:
        trial.stack.kill(WORKERS[1])
        trial.stack.start(WORKERS[1])
        trial.stack.wait_until_serving()
        with trial.recovering("worker killed (-9) beside one whose clock is two hours ahead"):
            trial.freeze_holder(trial.backfill(), WORKERS[0])
            trial.stack.kill(WORKERS[0])
        ahead = datetime.now(UTC) + timedelta(hours=1)
        assert trial.database.anomalies.count_documents({"created_at": {"$gt": ahead}}), (
            "its clock was ahead"
        )
        trial.check()
    finally:
        fast.environment = {}
        trial.stack.kill(WORKERS[1])


@pytest.mark.faults
def test_a_rolling_restart_under_load_loses_and_doubles_nothing(trial: Trial) -> None:
    """Programs asked to end (SIGTERM), one every 20 s, do so within 45 s; their work is finished or
    handed back.
    """
    trial.backfill()
    with trial.stack.supervised(), ThreadPoolExecutor() as pool:
        with steady_load(trial, seed=16):
            stops = [
                pool.submit(stop_later, trial, 20 * turn, name) for turn, name in enumerate(SERVICE)
            ]
            wait(stops)
        for stop in stops:
            assert stop.result() < STOP_SECONDS
        with trial.recovering("SIGTERM to one program after the other, every 20 s under load"):
            wait_until(trial.stack.is_whole, "all programs run")
            trial.stack.wait_until_serving()
    trial.check()


def stop_later(trial: Trial, seconds: float, name: str) -> float:
    """Ask a program to end after a while, and return how long it took to end."""
    time.sleep(seconds)
    started = time.monotonic()
    trial.stack.stop(name)
    return time.monotonic() - started


def is_taken_unnoticed(trial: Trial, *tickers: str) -> bool:
    """Freeze the workers and request backfills; return whether a message left its queue
    nevertheless.
    """
    trial.stack.freeze(*WORKERS)
    for ticker in tickers:
        trial.backfill(ticker)
    return trial.stack.broker.llen(BACKFILL_QUEUE) < len(tickers)
