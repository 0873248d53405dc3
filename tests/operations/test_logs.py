"""The logs of all processes: JSON lines that say what they are about, without secrets."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from records.work.heartbeats import SCHEDULER, SWEEPER, find_heartbeats
from runner.programs import service_programs
from tasks import names
from tests.operations.conftest import REQUEST_ID, SECRET, TICKERS, Service, build_environment, start
from tests.processes import ROOT, wait_until

REFUSED = "not-this-one"
PROCESSES = ("api", "worker", "control", "feed", "beat", "flower")
Line = dict[str, Any]


def read_lines(service: Service, name: str) -> list[Line]:
    return [json.loads(line) for line in service.logged(name).splitlines()]


@pytest.fixture(scope="module")
def about_run(service: Service) -> dict[str, list[Line]]:
    """The lines of API and worker about the backfill: those that contain its id anywhere."""
    run_id = service.run["_id"]

    def find(name: str) -> list[Line]:
        return [line for line in read_lines(service, name) if run_id in json.dumps(line)]

    wait_until(
        lambda: sum("succeeded" in line["event"] for line in find("worker")) > len(TICKERS),
        "all logged",
    )
    return {name: find(name) for name in ("api", "worker")}


@pytest.mark.parametrize("name", PROCESSES)
def test_every_line_is_json_with_time_level_and_logger(service: Service, name: str) -> None:
    lines = read_lines(service, name)
    assert lines
    assert all(line.keys() >= {"timestamp", "level", "logger", "event"} for line in lines)


@pytest.mark.usefixtures("about_run")
def test_no_process_logs_an_error_in_normal_operation(service: Service) -> None:
    """Workers that do not know Flower's requests would log an error each time Flower starts."""
    lines = (line for name in PROCESSES for line in read_lines(service, name))
    assert [line for line in lines if line["level"] == "error"] == []


def test_every_line_about_a_run_has_the_ids_of_run_and_request(
    service: Service, about_run: dict[str, list[Line]]
) -> None:
    events = {name: [line["event"] for line in lines] for name, lines in about_run.items()}
    assert events["api"] == ["run_accepted", "request"]
    assert events["worker"].count("task_received") > len(TICKERS)
    for line in (line for lines in about_run.values() for line in lines):
        assert line["run_id"] == service.run["_id"], line
        # On a busy machine the sweeper may have sent a message again, for no request.
        assert line.get("request_id", REQUEST_ID) == REQUEST_ID, line
    asked = [line for line in about_run["worker"] if "request_id" in line]
    assert sum(line["event"] == "task_received" for line in asked) > len(TICKERS)


def test_every_line_of_a_task_has_the_ids_of_task_and_batch(
    about_run: dict[str, list[Line]],
) -> None:
    for line in about_run["worker"]:
        assert line["task_id"]
        assert ("batch_id" in line) == (line["task"] == "tapewatch.run_batch")


def test_a_long_result_is_cut_short(about_run: dict[str, list[Line]]) -> None:
    assert max(len(line["event"]) for line in about_run["worker"]) < 400


def test_beat_and_control_do_not_log_routine_work(service: Service) -> None:
    wait_until(
        lambda: (
            {SWEEPER, SCHEDULER} == find_heartbeats(service.database, [SWEEPER, SCHEDULER]).keys()
        ),
        "ticked",
    )
    for name in ("beat", "control"):
        events = [line["event"] for line in read_lines(service, name)]
        assert [event for event in events if names.TICK in event or names.SWEEP in event] == [], (
            name
        )


@pytest.mark.slow
def test_a_password_that_is_refused_is_not_shown(service: Service, tmp_path: Path) -> None:
    wrong = {
        name: url.replace(SECRET, REFUSED)
        for name, url in build_environment(service.settings).items()
    }
    with ExitStack() as stack:
        for program in service_programs(service.settings, tmp_path):
            if program.name in {"worker", "beat"}:
                start(stack, tmp_path, program.name, program.command, wrong | program.environment)
        logs = [tmp_path / f"{name}.log" for name in ("worker", "beat")]
        wait_until(lambda: all("password" in log.read_text() for log in logs), "both are refused")
        answer = subprocess.run(
            [sys.executable, "-m", "flask", "runs", "list"],
            cwd=ROOT,
            env=os.environ | wrong,
            capture_output=True,
            text=True,
            check=False,
        )
        said = answer.stdout + answer.stderr + "".join(log.read_text() for log in logs)
    assert answer.returncode == 1
    assert "***@127.0.0.1" in said
    assert REFUSED not in said


def test_no_line_shows_a_password(service: Service) -> None:
    for name in PROCESSES:
        assert SECRET not in service.logged(name), name
