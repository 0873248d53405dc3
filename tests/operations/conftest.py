"""The whole service as real processes, with passwords in its URLs, and one backfill requested over
HTTP.
"""

import json
import os
import subprocess
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from core.binaries import find_redis_server
from core.settings import Settings
from records.database import Db, open_database
from records.migrations import prepare_database
from records.work.runs import has_ended
from runner.programs import service_programs
from runner.servers import (
    LOOPBACK,
    Servers,
    die_with_parent,
    free_port,
    is_port_free,
    redis_command,
)
from tests.integration.detecting import NOW, make_bars, store, train
from tests.processes import PATIENCE_SECONDS, ROOT, count_consumers, wait_until

SECRET = "tell-nobody"
FLOWER_USER = f"ops:{SECRET}"
REQUEST_ID = "asked-by-a-test"
TICKERS = ("AAA", "BBB", "CCC")


@dataclass(frozen=True, slots=True)
class Service:
    """The running service, and the backfill that it ran."""

    settings: Settings
    database: Db
    folder: Path
    run: dict[str, Any]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.settings.port}"

    def read(self, path: str) -> str:
        with urlopen(self.url + path, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - our own address
            return str(answer.read().decode())

    def post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        headers |= {"Content-Type": "application/json"}
        request = Request(self.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - our own address
        with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found

    def logged(self, name: str) -> str:
        """Return the log of a process, without a last line that may be incomplete."""
        return "".join((self.folder / f"{name}.log").read_text().rpartition("\n")[:2])


@pytest.fixture(scope="package")
def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """API, worker, control worker, beat and Flower, with servers that require a password."""
    folder = tmp_path_factory.mktemp("service")
    redis_port = free_port()
    settings = Settings(
        _env_file=None,
        mongo_url=servers.mongo_url.replace("://", f"://ops:{SECRET}@") + "&authSource=admin",
        mongo_database=f"operated_{uuid.uuid4().hex[:12]}",
        redis_url=f"redis://:{SECRET}@{LOOPBACK}:{redis_port}/0",
        port=free_port(),
        flower_port=free_port(),
        flower_url="https://flower.example/",
    )
    with ExitStack() as stack:
        with open_database(
            settings.model_copy(update={"mongo_url": servers.mongo_url})
        ).client as client:
            client.admin.command("createUser", "ops", pwd=SECRET, roles=["root"])
        database = open_database(settings)
        stack.callback(database.client.close)
        stack.callback(database.client.drop_database, database.name)
        fill(database)
        redis = [*redis_command(find_redis_server(), folder, redis_port), "--requirepass", SECRET]
        start(stack, folder, "redis", redis, {})
        for program in service_programs(settings, folder):
            start(
                stack,
                folder,
                program.name,
                program.command,
                build_environment(settings) | program.environment,
            )
        ports = (settings.port, settings.flower_port)
        wait_until(lambda: not any(is_port_free(port) for port in ports), "API and Flower listen")
        wait_until(
            lambda: count_consumers(settings.redis_url) >= 2, "worker and control worker consume"
        )
        # Flower never learns of events before it listens; it hears of workers every 2 s.
        wait_until(lambda: ask_flower(settings, "/workers?json=1")["data"], "Flower takes events")
        running = Service(settings, database, folder, {})
        body = {"market": "US", "max_period": "max"}
        run_id = running.post("/py/anomalies/backfill", body, **{"X-Request-ID": REQUEST_ID})[
            "run_id"
        ]
        wait_until(lambda: has_ended(database, run_id), "the backfill ends")
        run = json.loads(running.read(f"/py/detection-runs/{run_id}"))
        assert run["status"] == "complete", run
        yield Service(settings, database, folder, run)


def ask_flower(
    settings: Settings, path: str, *, method: str = "GET", user: str = FLOWER_USER
) -> Any:
    """Return Flower's answer; its API requires user and password."""
    headers = {"Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}
    request = Request(
        f"http://{LOOPBACK}:{settings.flower_port}{path}", method=method, headers=headers
    )
    with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def fill(database: Db) -> None:
    """Store bars and a champion; no process of the service runs yet."""
    prepare_database(database, NOW)
    for seed, ticker in enumerate(TICKERS):
        store(database, ticker, make_bars(800, seed, shocks=(400, 520)))
    train(database)


def start(
    stack: ExitStack, folder: Path, name: str, command: list[str], environment: dict[str, str]
) -> None:
    """Start a process that ends with the exit stack."""
    log = stack.enter_context((folder / f"{name}.log").open("ab"))
    process = subprocess.Popen(
        die_with_parent(command), cwd=folder, env=os.environ | environment, stdout=log, stderr=log
    )
    stack.callback(process.wait)
    stack.callback(process.kill)


def build_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the service's processes."""
    given = {name.upper(): str(getattr(settings, name)) for name in settings.model_fields_set}
    return given | {"PYTHONPATH": str(ROOT), "FLOWER_BASIC_AUTH": FLOWER_USER}
