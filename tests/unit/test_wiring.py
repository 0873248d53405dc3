"""What must fit together between the tasks, the queues and the processes that are started."""

import shlex
from pathlib import Path

import pytest
from celery import Celery

import celeryconfig
from detection.settings import Settings
from runner.programs import service_programs
from tasks import names
from tasks.broker import build_celery
from tasks.enqueue import QUEUES, TASK_NAMES

ALL_QUEUES = {queue.name for queue in celeryconfig.task_queues}


@pytest.fixture(scope="module")
def celery() -> Celery:
    celery = build_celery(Settings(_env_file=None))
    celery.loader.import_default_modules()
    celery.finalize()
    return celery


def own_tasks(celery: Celery) -> set[str]:
    return {name for name in celery.tasks if not name.startswith("celery.")}


def test_every_queue_is_consumed_by_a_supervised_worker(tmp_path: Path) -> None:
    consumed: set[str] = set()
    for program in service_programs(Settings(_env_file=None), tmp_path):
        words = shlex.split(shlex.join(program.command))
        if "--queues" in words:
            consumed |= set(words[words.index("--queues") + 1].split(","))
    assert consumed == ALL_QUEUES


def test_the_control_queue_has_a_worker_of_its_own(tmp_path: Path) -> None:
    programs = service_programs(Settings(_env_file=None), tmp_path)
    queues = [p.command[p.command.index("--queues") + 1] for p in programs if "--queues" in p.command]
    assert queues.count(names.CONTROL_QUEUE) == 1


def test_every_task_has_an_explicit_name_of_ours(celery: Celery) -> None:
    known = {value for name, value in vars(names).items() if name.isupper() and not name.endswith("_QUEUE")}
    assert own_tasks(celery) == known


def test_every_kind_of_run_has_a_task_and_a_queue_that_exist(celery: Celery) -> None:
    assert TASK_NAMES.keys() == QUEUES.keys()
    assert set(TASK_NAMES.values()) <= own_tasks(celery)
    assert set(QUEUES.values()) <= ALL_QUEUES


def test_every_task_has_time_limits() -> None:
    assert 0 < celeryconfig.task_soft_time_limit < celeryconfig.task_time_limit
    assert celeryconfig.task_time_limit < celeryconfig.broker_transport_options["visibility_timeout"]


def test_every_beat_entry_names_a_task_and_expires_within_its_period(celery: Celery) -> None:
    assert celery.conf.beat_schedule
    for entry in celery.conf.beat_schedule.values():
        assert entry["task"] in own_tasks(celery)
        assert entry["options"]["queue"] in ALL_QUEUES
        assert entry["options"]["expires"] < entry["schedule"]


def test_only_json_is_taken_from_the_broker() -> None:
    assert celeryconfig.accept_content == ["json"]
