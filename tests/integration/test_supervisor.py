"""The runner, as a user starts it: only the user can reach its servers, processes that die are
restarted, and nothing is left at the end.
"""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import redis
from kombu.exceptions import OperationalError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from core.settings import Settings
from records.database import Db
from runner.passwords import read_passwords
from runner.servers import LOOPBACK, Servers, free_port
from tasks.names import BACKFILL_QUEUE, CONTROL_QUEUE, INTERACTIVE_QUEUE
from tasks.process.broker import OWNER, build_celery
from tests.integration.detecting import make_bars, store
from tests.processes import PATIENCE_SECONDS, ROOT, Runner, run_runner, start_service, wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, and needs Linux to tie processes"
)

# Without the runner, a gunicorn worker that lost its master waits 30 s for a client.
GONE_SECONDS = 15
# supervisor expands `%`, and the path of a Unix socket may have 108 bytes.
FOLDER = Path("100 %d für & %(here)s", *["x" * 60] * 3)
DEATHS = [
    ("supervisor.supervisord", "supervisor"),
    ("mongod --bind_ip", "mongod"),
    ("-server", "redis"),
    ("gunicorn", "api"),
    ("celery worker --queues interactive", "worker"),
    ("celery worker --queues control", "control"),
    ("'-m feed'", "feed"),
    ("celery beat", "beat"),
    ("celery flower", "flower"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The service, in a folder with an unusual name."""
    folder = tmp_path_factory.mktemp("service") / FOLDER
    folder.mkdir(parents=True)
    with start_service(folder, ARTEFACT_KEYS="") as runner:
        yield runner
        stop(runner)


def is_ready(runner: Runner) -> bool:
    with suppress(URLError, OSError):
        return urlopen(f"http://{LOOPBACK}:{runner.port}/readyz", timeout=10).status == 200
    return False


def consumed_queues(runner: Runner) -> set[str]:
    """Return the queues that workers report to consume now."""
    answers = {}
    with build_celery(runner.settings) as celery, suppress(redis.RedisError, OperationalError):
        answers = celery.control.inspect(timeout=2, limit=2).active_queues() or {}
    return {queue["name"] for queues in answers.values() for queue in queues}


def wait_until_consuming(runner: Runner) -> None:
    wait_until(lambda: is_ready(runner), "API ready")
    every = {CONTROL_QUEUE, INTERACTIVE_QUEUE, BACKFILL_QUEUE}
    wait_until(lambda: consumed_queues(runner) == every, "every queue consumed")


def wait_until_whole(runner: Runner) -> None:
    wait_until_consuming(runner)
    for words, name in DEATHS:
        wait_until(lambda words=words: runner.pids(words), f"{name} runs")


def test_redis_asks_for_its_password(service: Runner) -> None:
    url = service.settings.redis_url
    with redis.Redis.from_url(url) as known, redis.Redis(LOOPBACK, urlsplit(url).port) as stranger:
        assert known.ping()
        with pytest.raises(redis.AuthenticationError):
            stranger.lpush("control", "anything")


def test_mongodb_asks_for_its_password(service: Runner) -> None:
    settings = service.settings
    with MongoClient(settings.mongo_url) as known:
        assert known[settings.mongo_database].settings.find_one({"_id": "schema"})
    with MongoClient(
        LOOPBACK, urlsplit(settings.mongo_url).port, directConnection=True
    ) as stranger:
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger[settings.mongo_database].models.find_one({})
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger.admin.command("createUser", "stranger", pwd="stranger", roles=["root"])


def test_no_process_list_shows_a_password(service: Runner) -> None:
    passwords = read_passwords(service.folder / ".tapewatch")
    shown = subprocess.run(
        ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert "mongod --bind_ip" in shown
    for secret in (passwords.redis, passwords.mongo, passwords.mongo_key_file.read_text().strip()):
        assert secret not in shown


def test_only_the_user_can_read_the_state_and_its_secrets(service: Runner) -> None:
    state = service.folder / ".tapewatch"
    secrets = [state / "servers.env", *(state / "secrets").iterdir()]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "secrets").stat().st_mode) == 0o700
    private = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in secrets if path.suffix != ".log"
    }
    assert {"servers.env", "redis", "redis.conf", "mongod", "mongod.key"} <= private.keys()
    assert set(private.values()) == {0o600}


def test_no_worker_has_a_broker_before_the_database_is_prepared(service: Runner) -> None:
    logs = service.folder / ".tapewatch" / "logs"
    assert (logs / "api.log").exists()
    log = (logs / "supervisor.log").read_text()
    started = re.findall(r"spawned: '(\w+)'", log)
    assert started[:4] == ["api", "worker", "mongod", "redis"]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "name"), DEATHS, ids=[name for _, name in DEATHS])
def test_a_killed_process_is_restarted_and_reported(service: Runner, words: str, name: str) -> None:
    wait_until_whole(service)
    said_before = service.said().count(f"{name} died")
    pid = service.parent_pid(words)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: service.said().count(f"{name} died") > said_before, "said")
    wait_until(lambda: service.pids(words) and pid not in service.pids(words), "started again")
    wait_until_whole(service)
    assert service.process.poll() is None


def test_killed_pool_process_is_replaced(service: Runner) -> None:
    wait_until_whole(service)
    parent = service.parent_pid("celery worker --queues interactive")
    child = next(pid for pid in service.pids("celery worker --queues interactive") if pid != parent)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: child not in service.pids(), "gone")
    wait_until(lambda: len(service.pids("celery worker --queues interactive")) == 3, "replaced")
    assert service.parent_pid("celery worker --queues interactive") == parent


def test_killed_api_leaves_no_worker_though_a_client_is_connected(service: Runner) -> None:
    wait_until_whole(service)
    workers = service.pids("gunicorn")
    with socket.create_connection((LOOPBACK, service.port)) as client:
        client.sendall(b"POST /py/anomalies/backfill HTTP/1.1\r\nContent-Length: 9\r\n")
        os.kill(service.parent_pid("gunicorn"), signal.SIGKILL)
        wait_until(lambda: not set(workers) & set(service.pids()), "workers gone", GONE_SECONDS)


def test_second_start_in_the_same_folder_is_refused(service: Runner) -> None:
    wait_until_whole(service)
    second = run_runner(service.folder, "up")
    assert second.returncode == 2
    assert f"already runs in {service.folder} (process {service.process.pid})" in second.stderr
    assert is_ready(service)


def stop(runner: Runner) -> None:
    """Stop a service as Ctrl-C does; check that nothing of it is left."""
    addresses = runner.folder / ".tapewatch" / "servers.env"
    assert addresses.exists()
    os.killpg(runner.process.pid, signal.SIGINT)
    assert runner.process.wait(PATIENCE_SECONDS) == 0, runner.said()
    assert runner.pids() == []
    assert not addresses.exists()


def kill(runner: Runner) -> None:
    """Kill only the process that the user started; all others must end with it."""
    runner.process.kill()
    runner.process.wait()
    wait_until(lambda: runner.pids() == [], "every process gone")


def test_a_killed_runner_or_make_leaves_no_process_and_the_service_can_start_again(
    tmp_path: Path, settings: Settings, database: Db
) -> None:
    with start_service(tmp_path, REDIS_URL=settings.redis_url) as runner:
        # Only the server without a URL is started.
        assert len(runner.pids("mongod --bind_ip")) == 1
        assert runner.pids("-server") == []
        kill(runner)
    with redis.Redis.from_url(settings.redis_url) as broker:
        broker.delete(OWNER)  # that service has another MongoDB than the next one
    temporary = tmp_path / ".tapewatch" / "tmp"
    left = set(temporary.iterdir())
    assert any("metrics" in path.name for path in left)
    venv = Path(sys.prefix)
    make = (
        "make",
        "--file",
        str(ROOT / "Makefile"),
        f"VENV={venv}",
        "--old-file",
        str(venv / ".installed"),
    )
    urls = {
        "MONGO_URL": settings.mongo_url,
        "REDIS_URL": settings.redis_url,
        "MONGO_DATABASE": settings.mongo_database,
    }
    store(database, "OLD", make_bars(30))
    whole = database.series.find_one()
    assert whole is not None
    database.series.update_one({}, {"$unset": {"oddities": "", "coverage": ""}})
    with start_service(tmp_path, make, **urls) as again:
        assert len(again.pids('"-m runner up"')) == 1
        # The user's servers are used, and none is started.
        assert again.pids("mongod --bind_ip") == []
        assert again.pids("-server") == []
        assert not left & set(temporary.iterdir())
        wait_until_consuming(again)
        # The work that an upgrade leaves is done once all processes are started.
        wait_until(lambda: "what 1 series lack was counted" in again.said().lower(), "counted")
        started = database.series.find_one()
        assert started is not None
        assert started["oddities"] == whole["oddities"]
        assert started["coverage"].keys() == whole["coverage"].keys()
        kill(again)


@pytest.mark.parametrize("name", ["PORT", "FLOWER_PORT"])
def test_taken_port_is_named_before_anything_starts(tmp_path: Path, name: str) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        answer = run_runner(tmp_path, "up", **{name: str(port)})
    assert answer.returncode == 2
    assert (
        f"port {port} ({name}) is taken by another program; set {name} to a free one"
        in answer.stderr
    )
    assert not (tmp_path / ".tapewatch" / "supervisor.conf").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MONGO_URL", "REDIS_URL"])
def test_unreachable_server_is_named_without_its_password(
    tmp_path: Path, servers: Servers, name: str
) -> None:
    port = free_port()
    urls = {"MONGO_URL": servers.mongo_url, "REDIS_URL": servers.redis_url}
    urls[name] = f"{'mongodb' if name == 'MONGO_URL' else 'redis'}://user:secret@{LOOPBACK}:{port}/"
    answer = run_runner(tmp_path, "up", **urls)
    assert answer.returncode == 1
    assert f"***@{LOOPBACK}:{port}" in answer.stderr
    assert "secret" not in answer.stderr + answer.stdout
