"""A broker that loses or repeats messages, or has messages that cannot be read."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import chdir, contextmanager

import pytest
import redis
from celery import Celery

from runner.programs import service_programs
from runner.servers import wait_for_redis
from runner.supervision import Say, Supervision
from tasks import names
from tasks.engine.accept import send
from tasks.engine.kind import KINDS
from tasks.process.broker import build_celery
from tests.faults.stack import WORKERS, Stack
from tests.faults.trial import TICKERS, Trial
from tests.processes import wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def celery(trial: Trial) -> Iterator[Celery]:
    """A client of the trial's broker."""
    celery = build_celery(trial.stack.settings)
    yield celery
    celery.close()


def test_redis_flushed_while_a_run_is_queued_is_only_a_delay(trial: Trial) -> None:
    """A run whose message was lost before any worker saw it is sent again."""
    with trial.stack.deaf():
        trial.backfill()
        assert trial.stack.broker.llen(names.BACKFILL_QUEUE) == 1
        trial.stack.broker.flushall()
    with trial.recovering("FLUSHALL while queued"):
        trial.wait_for_end()
    trial.check()


def test_redis_flushed_while_a_run_is_at_work_is_only_a_delay(trial: Trial) -> None:
    """Batches whose messages were lost are sent again; batches that are at work are not done
    twice.
    """
    trial.wait_for_lease(trial.backfill())
    with trial.recovering("FLUSHALL while running"):
        trial.stack.broker.flushall()
    trial.check()


def test_workers_still_get_messages_after_redis_is_flushed_while_idle(trial: Trial) -> None:
    """After Redis lost its queues and bindings, messages still reach the workers."""
    trial.stack.broker.flushall()
    with trial.recovering("FLUSHALL while idle, then a backfill"):
        trial.backfill()
    trial.check()


def test_the_same_messages_five_times_change_nothing(trial: Trial, celery: Celery) -> None:
    """However often a run and its batches are delivered, during and after their work, each is done
    once.
    """
    run_id = trial.wait_for_lease(trial.backfill())["run_id"]
    batch_ids = trial.database.batches.distinct("_id", {"run_id": run_id})

    def repeat() -> None:
        for _ in range(5):
            assert send(
                celery, KINDS["backfill"].name, run_id, names.BACKFILL_QUEUE, task_id=run_id
            )
            assert all(
                send(celery, names.RUN_BATCH, batch_id, names.BACKFILL_QUEUE)
                for batch_id in batch_ids
            )

    repeat()
    trial.wait_for_end()
    repeat()
    wait_until(lambda: trial.stack.broker.llen(names.BACKFILL_QUEUE) == 0, "all were taken")
    trial.check()


def test_unreadable_messages_harm_no_run(trial: Trial, celery: Celery) -> None:
    """A broken body, an unknown task and an unknown id cost only their own message, and no
    worker.
    """
    broker, queue = trial.stack.broker, names.BACKFILL_QUEUE
    send(celery, names.RUN_BATCH, "nowhere:00000", queue)
    celery.send_task("tapewatch.no_such_task", queue=queue)
    with trial.stack.deaf():
        send(celery, names.RUN_BATCH, "nowhere:00001", queue)
        message = json.loads(broker.lpop(queue))
        for body in ("", "AAAA", "W10=", "W1s3XSwge30sIHt9XQ=="):
            broker.lpush(queue, json.dumps(message | {"body": body}))
    with trial.recovering("messages that nobody can read"):
        trial.backfill()
    trial.check()
    assert all(trial.stack.programs[worker].is_running for worker in WORKERS)


def test_rubbish_in_a_queue_ends_no_worker(trial: Trial) -> None:
    """A message that is not even an envelope is set aside by the worker that takes it."""
    before = {worker: trial.stack.pids(worker) for worker in WORKERS}
    for _ in range(2):
        trial.stack.broker.lpush(names.BACKFILL_QUEUE, b"\xffrubbish")
    with trial.recovering("rubbish in a queue"):
        trial.backfill()
    trial.check()
    assert {worker: trial.stack.pids(worker) for worker in WORKERS} == before


def test_a_worker_whose_redis_is_killed_in_mid_batch_goes_on_with_it(trial: Trial) -> None:
    """A worker that loses Redis while it works keeps its processes and finishes what they are
    doing.
    """
    held = trial.freeze_holder(trial.backfill(*TICKERS[:2]))
    worker = trial.stack.name_of(held.pid)
    before = trial.stack.pids(worker)
    with trial.recovering("Redis killed (-9) while a worker is in mid-batch"):
        trial.stack.kill("redis")
        trial.stack.start("redis")
        os.kill(held.pid, signal.SIGCONT)
        trial.wait_for_end()
    assert trial.stack.pids(worker) == before
    trial.stack.wait_until_serving()
    trial.backfill()
    trial.wait_for_end()
    trial.check()


def test_redis_killed_ten_times_under_load_is_only_a_delay(trial: Trial) -> None:
    """Whatever messages a killed Redis loses, all runs are completed, and the workers get new
    messages.
    """
    with trial.recovering("Redis killed (-9) ten times under load"):
        for part in range(10):
            trial.wait_for_claim(trial.backfill(*TICKERS[6 * part : 6 * part + 6]))
            trial.stack.kill("redis")
            trial.stack.start("redis")
            wait_for_redis(trial.stack.redis_port)
    trial.backfill()
    trial.wait_for_end()
    trial.check()


def test_redis_out_of_memory_is_only_a_delay(trial: Trial) -> None:
    """While Redis accepts no message, runs are still accepted; a worker that gives up is restarted
    by the supervisor.
    """
    said: list[str] = []
    with supervised_workers(trial.stack, said.append):
        trial.wait_for_lease(trial.backfill(*TICKERS[8:]))
        with full(trial.stack.broker):
            wait_until(lambda: any("worker died" in line for line in said), "a worker gave up", 90)
            trial.backfill(*TICKERS[:8])
        with trial.recovering("Redis out of memory, then freed"):
            trial.wait_for_end()
    trial.check()


@contextmanager
def full(broker: redis.Redis) -> Iterator[None]:
    """Leave Redis no memory for another message."""
    broker.config_set("maxmemory", 1)
    try:
        yield
    finally:
        broker.config_set("maxmemory", 0)


@contextmanager
def supervised_workers(stack: Stack, say: Say) -> Iterator[None]:
    """Run the workers as the service does: with its configuration, under its supervisor."""
    stack.kill(*WORKERS, "control")
    programs = [
        p for p in service_programs(stack.settings, stack.folder) if p.name in {"worker", "control"}
    ]
    with chdir(stack.folder):
        supervision = Supervision(programs, stack.folder, stack.environment, say)
        supervision.start_supervisor()
        supervision.start_service()
        try:
            stack.wait_for_consumers(2)
            yield
        finally:
            supervision.stop()
