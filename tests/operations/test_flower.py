"""Flower as it is exposed: with a password, read-only, and with arguments that a person can
read.
"""

import json
from typing import Any
from urllib.error import HTTPError

import pytest

from records.work.heartbeats import SCHEDULER, SWEEPER, find_heartbeats
from tasks import names
from tests.operations.conftest import TICKERS, Service, ask_flower
from tests.processes import wait_until


def refuse(service: Service, path: str, **how: str) -> int:
    """Return the status of a request that is refused."""
    with pytest.raises(HTTPError) as refused:
        ask_flower(service.settings, path, **how)
    with refused.value as error:
        return error.code


def find_tasks(service: Service) -> dict[str, Any]:
    """Return the tasks of the backfill that Flower knows, by id."""
    found = ask_flower(service.settings, "/api/tasks?limit=1000")
    return {
        task_id: task
        for task_id, task in found.items()
        if service.run["_id"] in (task["args"] or "")
    }


@pytest.fixture
def tasks(service: Service) -> dict[str, Any]:
    return (
        wait_until(
            lambda: len(found := find_tasks(service)) > len(TICKERS) and found, "Flower knows"
        )
        or {}
    )


def test_arguments_say_which_run_which_batch_and_how_many_tickers(
    service: Service, tasks: dict[str, Any]
) -> None:
    run_id = service.run["_id"]
    assert tasks[run_id]["name"] == "tapewatch.backfill"
    assert tasks[run_id]["args"] == f"run {run_id}: backfill market US 1d"
    batches = sorted(
        {task["args"] for task in tasks.values() if task["name"] == "tapewatch.run_batch"}
    )
    assert batches == [
        f"run {run_id}: backfill, batch {n:05d} of 1 ticker" for n in range(len(TICKERS))
    ]


def test_the_list_of_tasks_has_no_ticks_and_sweeps(service: Service, tasks: dict[str, Any]) -> None:
    """After a tick and a sweep have run, all rows are still about runs, batches or
    notifications.
    """
    wait_until(
        lambda: (
            find_heartbeats(service.database, [SWEEPER, SCHEDULER]).keys() == {SWEEPER, SCHEDULER}
        ),
        "both have run",
    )
    shown = {task["name"] for task in ask_flower(service.settings, "/api/tasks").values()}
    assert {"tapewatch.backfill", "tapewatch.run_batch"} <= shown
    assert not {names.TICK, names.SWEEP} & shown


@pytest.mark.parametrize("user", ["", "ops:wrong"])
@pytest.mark.parametrize("path", ["/", "/tasks", "/api/tasks", "/broker"])
def test_nothing_is_shown_without_the_password(service: Service, path: str, user: str) -> None:
    assert refuse(service, path, user=user) == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/worker/shutdown/worker@x",
        "/api/task/revoke/x",
        "/api/task/send-task/tapewatch.sweep",
        "/api/worker/pool/grow/x",
    ],
)
def test_flower_is_read_only_even_with_the_password(service: Service, path: str) -> None:
    assert refuse(service, path, method="POST") == 403


def test_the_dashboard_knows_the_address_of_flower(service: Service) -> None:
    assert json.loads(service.read("/py/health"))["flower_url"] == service.settings.flower_url
