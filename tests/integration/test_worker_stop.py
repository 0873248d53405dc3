"""A worker that is asked to end waits for its work, but no longer than that, and not for ever."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery

from core.settings import Settings
from records.database import Db
from records.work.requests import RunRequest, insert_run
from runner.programs import worker_command
from tasks.engine.accept import publish_run
from tasks.names import WORK_QUEUES
from tasks.process.stopping import FINISH_SECONDS
from tests.integration.detecting import NOW, make_bars, store
from tests.processes import PATIENCE_SECONDS, ROOT, count_consumers, wait_until

# Starts a worker whose work may take only this long, so that a test need not wait for it.
IMPATIENT = (
    "from tasks.process import stopping; stopping.FINISH_SECONDS = 2;"
    "from celery.__main__ import main; main()"
)


@contextmanager
def run_worker(
    environment: dict[str, str], settings: Settings, log: Path, *python: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker of one process by running `python`, and kill what is left of it at the end."""
    _, _, _, *arguments = worker_command("stopped", ",".join(WORK_QUEUES), 1)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *python, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: count_consumers(settings.redis_url), "the worker consumes")
        yield process
    finally:
        process.kill()
        process.wait()
        print(log.read_text()[-4000:])  # noqa: T201 - pytest shows it where a test failed


@pytest.fixture
def stocked(database: Db) -> None:
    """Bars on which a model can be trained."""
    for seed, ticker in enumerate(("AAA", "BBB")):
        store(database, ticker, make_bars(800, seed))


def freeze_training(database: Db, celery: Celery) -> tuple[str, int]:
    """Start a training; return its run, and the process, which is frozen in the middle of it."""
    run = insert_run(database, RunRequest("train", "manual", market="US"), NOW)
    assert publish_run(database, celery, run)

    def find_holder() -> int | None:
        batch = database.batches.find_one({"run_id": run["_id"], "state": "leased"})
        return int(batch["owner"].rpartition(":")[2]) if batch else None

    holder = wait_until(find_holder, "somebody works on the run")
    os.kill(holder, signal.SIGSTOP)
    return run["_id"], holder


@pytest.mark.usefixtures("stocked")
def test_a_worker_ends_as_soon_as_its_work_has_ended(
    environment: dict[str, str],
    settings: Settings,
    database: Db,
    celery: Celery,
    tmp_path: Path,
) -> None:
    with run_worker(environment, settings, tmp_path / "log", "-m", "celery") as worker:
        run_id, holder = freeze_training(database, celery)
        started = time.monotonic()
        worker.terminate()
        os.kill(holder, signal.SIGCONT)
        assert worker.wait(timeout=PATIENCE_SECONDS) == 0
        assert time.monotonic() - started < FINISH_SECONDS
    ended = database.detection_runs.find_one({"_id": run_id})
    assert ended is not None
    assert ended["status"] == "complete"


@pytest.mark.slow
@pytest.mark.usefixtures("stocked")
def test_work_that_takes_too_long_is_handed_back(
    environment: dict[str, str],
    settings: Settings,
    database: Db,
    celery: Celery,
    tmp_path: Path,
) -> None:
    with (
        run_worker(environment, settings, tmp_path / "log", "-c", IMPATIENT) as worker,
        database.client.start_session() as session,
    ):
        run_id, holder = freeze_training(database, celery)
        with session.start_transaction():
            # Until this transaction ends, which it does not by itself, nobody else can write the
            # document.
            database.batches.update_one(
                {"run_id": run_id}, {"$set": {"error": "none"}}, session=session
            )
            os.kill(holder, signal.SIGCONT)
            worker.terminate()
            assert worker.wait(timeout=FINISH_SECONDS) == 0
            session.abort_transaction()
        with redis.Redis.from_url(settings.redis_url) as broker:
            assert sum(broker.llen(queue) for queue in WORK_QUEUES) == 1
