"""The embedded servers on a machine that has other users."""

import os
import signal
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from core.binaries import find_mongod
from runner.passwords import protect_mongod, read_passwords
from runner.servers import LOOPBACK, free_port, mongo_url, mongod_command, wait_for_primary
from tests.processes import PATIENCE_SECONDS, Runner, run_runner, start_service

pytestmark = pytest.mark.slow


def read_scopes(runner: Runner, key: str) -> list[str]:
    """Return the scopes of a key, as the API answers them."""
    url, headers = f"http://{LOOPBACK}:{runner.port}/py/access", {"X-API-Key": key}
    scopes: list[str] = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS).json()["scopes"]
    return scopes


def test_an_unprotected_state_folder_is_protected_and_its_data_are_kept(tmp_path: Path) -> None:
    """A MongoDB that ran without passwords gets a user, and its data are still there."""
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
    made = run_runner(tmp_path, "key", "ops")  # The start that protects the servers.
    assert made.returncode == 0, made.stderr
    with start_service(tmp_path) as runner:  # A start that finds them protected, on another port.
        settings = runner.settings
        with MongoClient(settings.mongo_url) as client:
            assert client.tapewatch.kept.find_one({}) == {"_id": 1}
        stranger = MongoClient(LOOPBACK, urlsplit(settings.mongo_url).port, directConnection=True)
        with stranger, pytest.raises(OperationFailure):
            stranger.tapewatch.kept.find_one({})
        assert read_scopes(runner, made.stdout.strip()) == ["admin"]
        late = run_runner(tmp_path, "key", "late")
        assert late.returncode == 2
        assert "flask keys create" in late.stderr
        os.killpg(runner.process.pid, signal.SIGTERM)  # As an operating system stops all processes.
        assert runner.process.wait(PATIENCE_SECONDS) == 0
        assert runner.pids() == []
        assert not (state / "servers.env").exists()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    # As after a restore of only the data, or only the passwords.
    (state / "secrets" / "mongod").write_text("another")
    refused = run_runner(tmp_path, "key", "late")
    assert refused.returncode == 1
    assert "know another password than .tapewatch/secrets/mongod" in refused.stderr
    (state / "secrets" / "mongod.protected").unlink()  # The error's advice.
    assert run_runner(tmp_path, "key", "late").returncode == 0
    demo = run_runner(tmp_path, "demo", "--once")  # The database has no key.
    assert demo.returncode == 1
    assert "this folder has API keys" in demo.stderr


def test_passwords_are_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
