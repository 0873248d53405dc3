"""Consistency between the tasks, the queues and the processes that are started."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import yaml
from celery import Celery

import celeryconfig
from core.settings import Settings
from core.words import Task
from runner.programs import service_programs
from runner.supervision import STOP_SECONDS
from tasks import names
from tasks.engine.kind import KINDS, RunKind
from tasks.process.broker import build_celery
from tasks.process.stopping import FINISH_SECONDS
from tests.conftest import ROOT

ALL_QUEUES = {queue.name for queue in celeryconfig.task_queues}


@pytest.fixture(scope="module")
def celery() -> Celery:
    celery = build_celery(Settings(_env_file=None))
    celery.loader.import_default_modules()
    celery.finalize()
    return celery


def own_tasks(celery: Celery) -> set[str]:
    return {name for name in celery.tasks if not name.startswith("celery.")}


def list_supervised(folder: Path) -> list[list[str]]:
    """Return the commands that the runner starts."""
    return [program.command for program in service_programs(Settings(_env_file=None), folder)]


def list_composed(_folder: Path) -> list[list[str]]:
    """Return the commands that docker-compose.yml runs in our image; those of other services are
    lists.
    """
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    commands = (service.get("command") for service in services)
    return [shlex.split(command) for command in commands if isinstance(command, str)]


def find_worker_queues(commands: list[list[str]]) -> list[list[str]]:
    """Return the queues of each worker among these commands."""
    return [
        words[words.index("--queues") + 1].split(",") for words in commands if "worker" in words
    ]


@pytest.mark.parametrize("list_commands", [list_supervised, list_composed])
def test_every_queue_is_consumed_and_control_by_its_own_worker(
    list_commands: Callable[[Path], list[list[str]]], tmp_path: Path
) -> None:
    workers = find_worker_queues(list_commands(tmp_path))
    assert {queue for queues in workers for queue in queues} == ALL_QUEUES
    assert [queues for queues in workers if names.CONTROL_QUEUE in queues] == [
        [names.CONTROL_QUEUE]
    ]


@pytest.mark.parametrize("name", ["worker", "control"])
def test_workers_are_killed_only_after_the_time_that_their_work_may_take(
    name: str, tmp_path: Path
) -> None:
    (program,) = [p for p in service_programs(Settings(_env_file=None), tmp_path) if p.name == name]
    assert FINISH_SECONDS < program.stop_seconds == 45
    assert program.stop_seconds < STOP_SECONDS


def test_every_task_has_an_explicit_name_of_ours(celery: Celery) -> None:
    known = {
        value
        for name, value in vars(names).items()
        if name.isupper() and not name.endswith(("_QUEUE", "_QUEUES"))
    }
    assert own_tasks(celery) == known | {kind.name for kind in KINDS.values()}


def test_every_task_is_sent_to_an_existing_queue(celery: Celery) -> None:
    queues = {kind.name: kind.queue for kind in KINDS.values()}
    queues |= {
        entry["task"]: entry["options"]["queue"] for entry in celery.conf.beat_schedule.values()
    }
    # A batch goes to the queue of its run, and a tick calls the notifier; both queues are named
    # when the message is sent.
    assert queues.keys() | {names.RUN_BATCH, names.NOTIFY} == own_tasks(celery)
    assert set(queues.values()) <= ALL_QUEUES
    assert celery.conf.task_create_missing_queues is False


def test_the_time_limits_of_every_task_end_before_its_message_is_sent_again(
    celery: Celery,
) -> None:
    for name in own_tasks(celery):
        task = celery.tasks[name]
        soft = task.soft_time_limit or celery.conf.task_soft_time_limit
        hard = task.time_limit or celery.conf.task_time_limit
        assert 0 < soft < hard < celery.conf.broker_transport_options["visibility_timeout"], name


def test_no_beat_entry_expires_by_the_clock_of_another_host(celery: Celery) -> None:
    assert celery.conf.beat_schedule
    for name, entry in celery.conf.beat_schedule.items():
        assert "expires" not in entry["options"], name


def test_the_broker_accepts_only_json() -> None:
    assert celeryconfig.accept_content == ["json"]


def test_every_task_word_has_its_kind_of_run() -> None:
    assert tuple(KINDS) == get_args(Task)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.task)
def test_every_kind_of_run_has_a_handler(kind: RunKind) -> None:
    assert callable(kind.load_handler())


def test_kinds_of_runs_are_imported_without_the_numeric_stack() -> None:
    program = (
        "import sys, tasks.engine.celery_tasks; print({'numpy', 'pandas'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
