"""Random faults under steady load, then a check of the promises: `make soak MINUTES=10 SEED=1`."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from tasks.names import BACKFILL_QUEUE, INTERACTIVE_QUEUE
from tests.faults.load import steady_load
from tests.faults.memory import describe_memory, find_grown, measure_memory
from tests.faults.stack import LEASE_SECONDS, WORKERS
from tests.faults.trial import TICKERS, Trial
from tests.processes import wait_until

SECONDS = 60 * float(os.environ.get("MINUTES", "10"))
SEED = int(os.environ.get("SEED", "1"))
# How long there is load without faults. Caches and pools fill in this time; then memory is measured
# for the first time.
WARM_UP_SECONDS = min(60, SECONDS / 4)
FAULT_EVERY_SECONDS = (4, 12)


def test_random_faults_under_steady_load_lose_and_double_nothing(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any sequence of faults, every run has ended, and the stored results are those of a
    service without faults.
    """

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)  # noqa: T201 -- to be watched

    say(
        f"{SECONDS / 60:g} minutes with seed {SEED}; the first {WARM_UP_SECONDS:g} s without faults"
    )
    deadline = time.monotonic() + SECONDS
    trial.add_watchlist("soak", *TICKERS[::4], schedule="* * * * *")
    trial.backfill()
    trial.wait_for_end()
    with trial.stack.supervised():
        with steady_load(trial, SEED):
            time.sleep(WARM_UP_SECONDS)
            before = measure_memory(trial.stack)
            cause_faults(trial, random.Random(SEED), deadline, say)
        with trial.recovering(f"random faults for {SECONDS / 60:g} minutes, seed {SEED}"):
            wait_until(trial.stack.is_whole, "all programs run")
            trial.stack.wait_until_serving()
            scans = trial.end_scans()
    after = measure_memory(trial.stack)
    say(f"{len(trial.run_ids)} runs were accepted, {len(scans)} of them periodic scans")
    say(describe_memory(before, after))
    trial.check()
    assert not find_grown(before, after)


def cause_faults(
    trial: Trial, chance: random.Random, deadline: float, say: Callable[[str], None]
) -> None:
    """Cause one fault after the other until that time."""
    while (pause := chance.uniform(*FAULT_EVERY_SECONDS)) < deadline - time.monotonic():
        time.sleep(pause)
        fault = chance.choice(FAULTS)
        say(fault.__name__.replace("_", " "))
        # The target of the fault may already be down.
        with suppress(PyMongoError, RedisError, ProcessLookupError):
            fault(trial, chance)


def kill_worker(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill(chance.choice(WORKERS))


def kill_pool_process(trial: Trial, chance: random.Random) -> None:
    for pid in trial.stack.pids(chance.choice(WORKERS))[1:2]:
        os.kill(pid, signal.SIGKILL)


def freeze_worker(trial: Trial, chance: random.Random) -> None:
    with trial.stack.frozen(chance.choice(WORKERS)):
        time.sleep(2 * LEASE_SECONDS)


def stop_worker(trial: Trial, chance: random.Random) -> None:
    for pid in trial.stack.pids(chance.choice(WORKERS))[:1]:
        os.kill(pid, signal.SIGTERM)


def kill_redis(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill("redis")


def flush_redis(trial: Trial, chance: random.Random) -> None:
    trial.stack.broker.flushall()


def freeze_redis(trial: Trial, chance: random.Random) -> None:
    with trial.stack.frozen("redis"):
        time.sleep(chance.uniform(1, 8))


def fill_redis(trial: Trial, chance: random.Random) -> None:
    trial.stack.broker.config_set("maxmemory", 1)
    time.sleep(chance.uniform(1, 5))
    trial.stack.broker.config_set("maxmemory", 0)


def repeat_messages(trial: Trial, chance: random.Random) -> None:
    """Add every message that waits to its queue once more."""
    for queue in (BACKFILL_QUEUE, INTERACTIVE_QUEUE):
        for message in trial.stack.broker.lrange(queue, 0, -1):
            trial.stack.broker.lpush(queue, message)


def step_primary_down(trial: Trial, chance: random.Random) -> None:
    trial.database.client.admin.command("replSetStepDown", 5, force=True)


def kill_primary(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill(trial.stack.find_primary())


def freeze_primary(trial: Trial, chance: random.Random) -> None:
    with trial.stack.frozen(trial.stack.find_primary()):
        time.sleep(chance.uniform(1, 15))


def kill_control(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill("control")


def kill_beat(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill("beat")


def kill_api(trial: Trial, chance: random.Random) -> None:
    trial.stack.kill("api")


FAULTS: tuple[Callable[[Trial, random.Random], None], ...] = (
    kill_worker,
    kill_pool_process,
    freeze_worker,
    stop_worker,
    kill_redis,
    flush_redis,
    freeze_redis,
    fill_redis,
    repeat_messages,
    step_primary_down,
    kill_primary,
    freeze_primary,
    kill_control,
    kill_beat,
    kill_api,
)
