"""The embedded servers on a machine that others use too."""

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from core.binaries import find_mongod
from core.settings import Settings
from runner.passwords import protect_mongod, read_passwords
from runner.servers import LOOPBACK, free_port, mongo_url, mongod_command, wait_for_primary
from tests.processes import PATIENCE_SECONDS, Runner, run_runner, start_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with start_service(tmp_path_factory.mktemp("private"), ARTEFACT_KEYS="") as runner:
        yield runner


def get_settings(folder: Path) -> Settings:
    return Settings(_env_file=folder / ".tapewatch" / "servers.env")


def read_port(url: str) -> int:
    return int(url.partition("@")[2].partition(":")[2].partition("/")[0])


def read_scopes(runner: Runner, key: str) -> list[str]:
    """Return what a key may do, as the API says it."""
    url, headers = f"http://{LOOPBACK}:{runner.port}/py/access", {"X-API-Key": key}
    scopes: list[str] = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS).json()["scopes"]
    return scopes


def test_redis_asks_for_its_password(service: Runner) -> None:
    url = get_settings(service.folder).redis_url
    with redis.Redis.from_url(url) as known, redis.Redis(LOOPBACK, read_port(url)) as stranger:
        assert known.ping()
        with pytest.raises(redis.AuthenticationError):
            stranger.lpush("control", "anything")


def test_mongodb_asks_for_its_password(service: Runner) -> None:
    settings = get_settings(service.folder)
    with MongoClient(settings.mongo_url) as known:
        assert known[settings.mongo_database].settings.find_one({"_id": "schema"})
    with MongoClient(LOOPBACK, read_port(settings.mongo_url), directConnection=True) as stranger:
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger[settings.mongo_database].models.find_one({})
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger.admin.command("createUser", "stranger", pwd="stranger", roles=["root"])


def test_no_list_of_processes_shows_a_password(service: Runner) -> None:
    passwords = read_passwords(service.folder / ".tapewatch")
    shown = subprocess.run(
        ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert "mongod --bind_ip" in shown
    for secret in (passwords.redis, passwords.mongo, passwords.mongo_key_file.read_text().strip()):
        assert secret not in shown


def test_the_state_and_its_secrets_are_the_users_alone(service: Runner) -> None:
    state = service.folder / ".tapewatch"
    secrets = [state / "servers.env", *(state / "secrets").iterdir()]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "secrets").stat().st_mode) == 0o700
    private = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in secrets if path.suffix != ".log"
    }
    assert {"servers.env", "redis", "redis.conf", "mongod", "mongod.key"} <= private.keys()
    assert set(private.values()) == {0o600}


def test_a_state_folder_that_was_open_is_shut_and_its_data_are_kept(tmp_path: Path) -> None:
    """The data of a MongoDB that asked nobody: its user is made,
    and what it held is still there.
    """
    state, port = tmp_path / ".tapewatch", free_port()
    folder = state / "mongod"
    folder.mkdir(parents=True)
    state.chmod(0o755)
    with subprocess.Popen(
        mongod_command(find_mongod(), folder, port), stdout=subprocess.DEVNULL
    ) as mongod:
        wait_for_primary(port)
        with MongoClient(mongo_url(port)) as client:
            client.tapewatch.kept.insert_one({"_id": 1})
        mongod.terminate()
    made = run_runner(tmp_path, "key", "ops")  # the start that protects them
    assert made.returncode == 0, made.stderr
    with start_service(tmp_path) as runner:  # one that finds them protected, on another port
        settings = get_settings(runner.folder)
        with MongoClient(settings.mongo_url) as client:
            assert client.tapewatch.kept.find_one({}) == {"_id": 1}
        stranger = MongoClient(LOOPBACK, read_port(settings.mongo_url), directConnection=True)
        with stranger, pytest.raises(OperationFailure):
            stranger.tapewatch.kept.find_one({})
        assert read_scopes(runner, made.stdout.strip()) == ["admin"]
        late = run_runner(tmp_path, "key", "late")
        assert late.returncode == 2
        assert "flask keys create" in late.stderr
        runner.process.terminate()
        assert runner.process.wait(PATIENCE_SECONDS) == 0
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_passwords_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = tmp_path / ".tapewatch"
    (state / "mongod").mkdir(parents=True)
    first = read_passwords(state)
    protect_mongod(find_mongod(), state, first)
    done = (state / "secrets" / "mongod.protected").stat().st_mtime_ns
    assert read_passwords(state) == first
    protect_mongod(find_mongod(), state, first)
    assert (state / "secrets" / "mongod.protected").stat().st_mtime_ns == done
    assert len({first.redis, first.mongo}) == 2
    assert min(len(first.redis), len(first.mongo)) >= 64
