"""Redis without memory and MongoDB without disk space: that this is reported, and how."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.operations.health import ask_redis
from cli import doctor
from core.binaries import find_mongod, find_redis_server
from core.errors import ServerUnreachable
from core.settings import STATE_DIR, Settings
from records.database import Db, explain_unreachable, find_free_bytes, open_database
from records.migrations import prepare_database
from runner.servers import (
    die_with_parent,
    free_port,
    mongo_url,
    mongod_command,
    redis_command,
    redis_url,
    wait_for_primary,
    wait_for_redis,
)
from tests.faults.test_disk import Disk, disk
from tests.processes import wait_until

__all__ = ["disk"]  # A fixture.
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@contextmanager
def run(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(
        die_with_parent(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield
        process.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Settings, redis.Redis]]:
    """A Redis for this test only, and settings that name it."""
    port = free_port()
    with run(redis_command(find_redis_server(), tmp_path, port)):
        wait_for_redis(port)
        settings = Settings(_env_file=None, redis_url=redis_url(port))
        with redis.Redis.from_url(settings.redis_url) as client:
            yield settings, client


@pytest.mark.parametrize(
    ("hurt", "said", "mend"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "maxmemory", ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), "read only replica", ("REPLICAOF", "NO", "ONE")),
    ],
)
def test_a_redis_that_accepts_no_messages_is_reported(
    broker: tuple[Settings, redis.Redis],
    hurt: tuple[str, ...],
    said: str,
    mend: tuple[str, ...],
) -> None:
    """Such a Redis still answers, so the workers used to be blamed."""
    settings, client = broker
    client.execute_command(*hurt)
    found = ask_redis(settings)
    assert not found.ok
    assert said in str(found.detail)
    (finding,) = doctor.check_redis(settings, NOW)
    assert finding.state == "failed"
    assert said in finding.found
    client.execute_command(*mend)
    assert ask_redis(settings).ok
    wait_until(lambda: not client.keys("tapewatch:*"), "nothing is left of it")


def test_doctor_checks_the_disk_while_the_service_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file that names the embedded servers used to be taken as naming servers elsewhere."""
    monkeypatch.chdir(tmp_path)
    STATE_DIR.mkdir()
    (STATE_DIR / "servers.env").write_text("MONGO_URL=mongodb://mongo/\nREDIS_URL=redis://r/0\n")
    served = Settings()
    assert "mongo_url" in served.model_fields_set
    assert "disk" in {finding.check for finding in doctor.check_disk(served, NOW)}


def test_the_free_space_of_mongodb_is_that_of_its_disk(database: Db, tmp_path: Path) -> None:
    free = find_free_bytes(database)
    assert free is not None
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


@pytest.mark.slow
def test_a_full_disk_is_reported_with_what_to_do(
    disk: Disk, make_app: Callable[[Settings], APIFlask]
) -> None:
    """A write used to be answered as an unexpected error, and so was the health page."""
    port, folder = free_port(), disk.folder / "mongod"
    command = disk.enter(mongod_command(find_mongod(), folder, port), folder)
    with run(command):
        wait_for_primary(port)
        settings = Settings(_env_file=None, mongo_url=mongo_url(port), mongo_database="full")
        database = open_database(settings)
        with database.client:
            prepare_database(database, NOW)
            client = make_app(settings).test_client()
            assert parts(client)["Disk of MongoDB"]["state"] == "warning"
            database.part_states.drop()
            disk.fill()
            with (
                pytest.raises(ServerUnreachable, match=r"its disk is full\. Make room there"),
                explain_unreachable(settings),
            ):
                database.create_collection("more")
            looked = parts(client)["Disk of MongoDB"]
            assert looked["state"] == "failed"
            assert looked["found"] == "0.0 GiB are free"
            assert doctor.check_room(database).state == "failed"
            disk.free()
            database.create_collection("more")
            assert parts(client)["Disk of MongoDB"]["since"]


def parts(client: FlaskClient) -> dict[str, dict[str, str]]:
    answer = client.get("/py/health/parts")
    assert answer.status_code == 200, answer.text
    return {part["name"]: part for part in answer.json["parts"]}
