"""Settings that cannot be used are named, and no process starts."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadInput
from core.settings import Settings, read_settings
from runner.servers import free_port
from runner.service import _check_host, own_state, write_shared_settings
from tests.commands import run_flask
from tests.conftest import ROOT
from tests.processes import run_runner

COMMANDS = {
    "flask": ["-m", "flask", "--app", "wsgi", "doctor"],
    "gunicorn": ["-m", "gunicorn", "wsgi:app", "--bind", "127.0.0.1:0"],
    "celery": ["-m", "celery", "-A", "tasks.app", "worker"],
    "runner": ["-m", "runner", "up"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_an_unusable_setting_is_named(name: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=ROOT,
        env={**environment, "PORT": "many", "LEASE_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the settings cannot be used: PORT: " in said
    assert "LEASE_SECONDS: " in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "45000"),
        ("SWEEP_SECONDS", "99999999999999999999"),
        ("TICK_SECONDS", "99999999999999999999"),
        ("ANALYTICS_SECONDS", "99999999999999999999"),
        ("MAX_ATTEMPTS", "99999999999999999999"),
        ("HEAVY_AT_ONCE", "99999999999999999999"),
        ("BATCH_BARS", "99999999999999999999"),
        ("MIN_TRAINING_DATA_POINTS", "99999999999999999999"),
        ("SERVER_TIMEOUT_SECONDS", "inf"),
        ("SERVER_TIMEOUT_SECONDS", "nan"),
        ("MONGO_DATABASE", "  "),
        ("MONGO_DATABASE", "tape.watch"),
        ("MONGO_DATABASE", "a" * 64),
        ("HOST", ""),
        ("CORS_ORIGINS", "charts.example"),
        ("CORS_ORIGINS", "https://charts.example/"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
    ],
)
def test_absurd_values_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=f"the settings cannot be used: {name}: "):
        read_settings(env_file=None)


@pytest.mark.parametrize("name", ["REDIS_URL", "FEED_URL"])
@pytest.mark.parametrize("mark", ["/", "?", "#", "@1/"])
@pytest.mark.parametrize("begin", ["hush", "6379"])
def test_a_password_that_is_not_escaped_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, name: str, mark: str, begin: str
) -> None:
    monkeypatch.setenv(name, f"redis://:{begin}{mark}quiet@127.0.0.1:6379/0")
    with pytest.raises(BadInput, match=f"{name}: .*must be escaped") as refused:
        read_settings(env_file=None)
    assert begin not in refused.value.message
    assert "quiet" not in refused.value.message


@pytest.mark.parametrize(
    "origins",
    [
        "",
        "*",
        "https://a.example",
        "https://a.example, http://b.example:8080,",
        "null, chrome-extension://abcdefghijklmnop",
    ],
)
def test_valid_origins_are_accepted(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    assert read_settings(env_file=None).cors_origins == origins


def test_an_invalid_port_of_mongodb_is_reported() -> None:
    answer = run_flask({"MONGO_URL": "mongodb://127.0.0.1:99999/"}, "runs", "list")
    assert answer.exit_code == 1
    assert "MONGO_URL mongodb://127.0.0.1:99999/ cannot be used" in answer.stderr


@pytest.mark.parametrize(
    "url",
    ["mongodb://me:99/quiet@localhost/db", "me:quiet@127.0.0.1", "mongodb:/me:quiet@127.0.0.1"],
)
def test_a_url_of_mongodb_that_cannot_be_used_is_reported_without_its_password(url: str) -> None:
    answer = run_flask({"MONGO_URL": url}, "runs", "list")
    assert answer.exit_code == 1
    assert "***@" in answer.stderr
    assert "quiet" not in answer.stderr


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("nowhere.invalid", "HOST=nowhere.invalid"),
        ("192.0.2.1", "HOST=192.0.2.1"),
        ("::1", "[::1]"),
    ],
)
def test_a_host_that_cannot_be_listened_on_is_refused_at_the_start(
    tmp_path: Path, host: str, said: str
) -> None:
    done = run_runner(tmp_path, "up", HOST=host)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104
def test_a_host_is_accepted_unless_its_port_is_taken(host: str) -> None:
    settings = Settings(_env_file=None, host=host, port=free_port())
    _check_host(settings)
    with (
        socket.create_server((host, settings.port)),
        pytest.raises(BadInput, match="Address already in use"),
    ):
        _check_host(settings)


def run_without_powers(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a folder without root's powers, so that file modes apply."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    return subprocess.run(
        [*bound, sys.executable, *words],
        cwd=folder,
        env={**os.environ, **ports, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


needs_modes = pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="modes do not bind root"
)


@needs_modes
@pytest.mark.parametrize("words", [("up",), ("key", "ops")])
def test_a_folder_that_is_not_writable_is_reported(tmp_path: Path, words: tuple[str, ...]) -> None:
    tmp_path.chmod(0o555)
    done = run_without_powers(tmp_path, "-m", "runner", *words)
    assert done.returncode == 2
    assert f"{tmp_path}/.tapewatch: Permission denied. Work in a folder" in done.stderr
    assert "Traceback" not in done.stderr


@needs_modes
def test_a_state_folder_of_another_user_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".tapewatch").mkdir(mode=0o000)
    done = run_without_powers(tmp_path, "-m", "flask", "--app", "wsgi", "runs", "list")
    (tmp_path / ".tapewatch").chmod(0o700)
    assert done.returncode != 0
    assert ".tapewatch/servers.env: Permission denied. Work in a folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("bars", "import"), ("export", "verify"), ("series", "fit")])
def test_an_impossible_path_is_reported(
    environment: dict[str, str], command: tuple[str, ...]
) -> None:
    answer = run_flask(environment, *command, "a" * 5_000)
    assert isinstance(answer.exception, SystemExit), answer.exception
    assert "a" * 200 in answer.stderr


def test_the_command_line_has_the_database_and_the_channels_of_the_service(tmp_path: Path) -> None:
    """`flask notify set` used to refuse channels that the running service accepts."""
    served = Settings(_env_file=None, mongo_database="it's#1", private_channels=True)
    write_shared_settings(served, tmp_path)
    told = read_settings(env_file=tmp_path / "servers.env")
    assert (told.mongo_database, told.private_channels) == ("it's#1", True)
    assert (told.mongo_url, told.redis_url) == (served.mongo_url, served.redis_url)


def test_the_settings_of_a_killed_service_are_not_those_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next API could have used the database of the one before, or sent to private networks."""
    monkeypatch.chdir(tmp_path)
    with own_state() as state_dir:
        write_shared_settings(Settings(_env_file=None, mongo_database="before"), state_dir)
    with own_state():
        assert read_settings().mongo_database == read_settings(env_file=None).mongo_database


def test_a_name_that_is_no_ascii_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The file used to be written in the encoding of the user's locale."""
    program = (
        "from pathlib import Path\n"
        "from core.settings import Settings, read_settings\n"
        "from runner.service import write_shared_settings\n"
        "write_shared_settings(Settings(_env_file=None, mongo_database='b\\xf6rse'), Path('.'))\n"
        "print(ascii(read_settings(env_file=Path('servers.env')).mongo_database))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "'b\\xf6rse'\n"
