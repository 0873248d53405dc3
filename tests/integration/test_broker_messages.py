"""Whatever is put into the broker, a worker takes it, sets it aside if it is invalid, and goes
on.
"""

import json
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from core.binaries import find_redis_server
from core.settings import Settings
from records.database import Db
from records.work.counters import UNREADABLE, read_counts
from records.work.heartbeats import SWEEPER, find_heartbeats
from runner.programs import worker_command
from runner.servers import LOOPBACK, die_with_parent, redis_command, redis_url, wait_for_redis
from tasks import names
from tasks.engine.accept import send
from tasks.process.broker import build_celery
from tasks.process.census import WorkerCensus
from tasks.process.messages import find_fault
from tasks.process.transport import MOST_SET_ASIDE, SET_ASIDE
from tests.processes import OF_ANOTHER, PATIENCE_SECONDS, ROOT, count_consumers, wait_until

QUEUE = names.CONTROL_QUEUE
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture
def celery(settings: Settings) -> Iterator[Celery]:
    with build_celery(settings) as celery:
        yield celery


@pytest.fixture
def broker(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


@pytest.fixture
def message(celery: Celery, broker: redis.Redis) -> dict[str, Any]:
    """A message of this service."""
    assert send(celery, names.RUN_BATCH, "8f14e45f-ceea-467f-ab1c-2d3e4f5a6b7c:00000", QUEUE)
    return json.loads(broker.rpop(QUEUE))


def test_messages_from_workers_and_beat_are_readable(
    environment: dict[str, str], settings: Settings, broker: redis.Redis
) -> None:
    """Their Celery application has the tasks loaded, and also sends the limits of
    celeryconfig.py.
    """
    code = f"""
from tasks.app import app
from tasks.engine.accept import send
app.loader.import_default_modules()
app.finalize()
assert send(app, {names.RUN_BATCH!r}, "8f14e45f-ceea-467f-ab1c-2d3e4f5a6b7c:00000", {QUEUE!r})
for entry in app.conf.beat_schedule.values():
    app.send_task(entry["task"], **{{**entry.get("options", {{}}), "queue": {QUEUE!r}}})
print(len(app.conf.beat_schedule))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    sent = [broker.rpop(QUEUE) for _ in range(1 + int(done.stdout))]
    assert len(sent) > 2
    assert [find_fault(content) for content in sent] == [None] * len(sent)
    assert json.loads(sent[0])["headers"]["timelimit"] == [300, 240]


@pytest.fixture
def worker(
    environment: dict[str, str], settings: Settings, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A control worker, which loads fastest; all workers take messages in the same way."""
    command = worker_command("control", QUEUE, 1)
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | {"SWEEP_SECONDS": "1"},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: count_consumers(settings.redis_url), "the worker consumes")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)
        print((tmp_path / "worker.log").read_text()[-6000:])  # noqa: T201 - pytest shows it where a test failed


def replace(message: dict[str, Any], *path: str, value: Any) -> bytes:
    """Return a message with another value at one place."""
    copied = json.loads(json.dumps(message))
    place = copied
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(copied).encode()


def build_poison(message: dict[str, Any]) -> dict[str, bytes]:
    """Return invalid messages. Each of them once ended a worker, was delivered for ever, or would
    have caused too much work.
    """

    def body(value: object) -> bytes:
        return replace(message, "body", value=b64encode(json.dumps(value).encode()).decode())

    deep = "[" * 100_000 + "]" * 100_000
    return {
        "rubbish": b"\xffrubbish",
        "no object": b"[]",
        "nested": deep.encode()[: 60 * 1024],
        "large": replace(message, "headers", "argsrepr", value="a" * 100_000),
        "text as time limits": replace(message, "headers", "timelimit", value=["a", "b"]),
        "one time limit": replace(message, "headers", "timelimit", value=[1]),
        "endless time": replace(message, "headers", "timelimit", value=[1e12, 1e12]),
        "eta": replace(message, "headers", "eta", value="9999-12-31T23:59:59"),
        "no eta": replace(message, "headers", "eta", value=[1]),
        "expires": replace(message, "headers", "expires", value="2026-01-01T00:00:00+00:00"),
        "headers": replace(message, "headers", value=None),
        "no task": replace(message, "headers", "task", value=["a"]),
        "no id": replace(message, "headers", "id", value={"a": 1}),
        "retries": replace(message, "headers", "retries", value="many"),
        "stamps": replace(message, "headers", "stamped_headers", value=[1]),
        "bomb": replace(message, "headers", "compression", value="application/x-bz2"),
        "pickle": replace(message, "content-type", value="application/x-python-serialize"),
        "coding": replace(message, "content-encoding", value="rot13"),
        "properties": replace(message, "properties", value={}),
        "tag": replace(message, "properties", "delivery_tag", value=[1]),
        "delivery": replace(message, "properties", "delivery_info", value=3),
        "priority": replace(message, "properties", "priority", value="first"),
        "no base64": replace(message, "body", value="!"),
        "empty body": replace(message, "body", value=""),
        "null body": body(None),
        "short body": body([["a"], {}]),
        "arguments": body([{"a": 1}, {}, {}]),
        "keywords": body([[], {"run_id": "a"}, {}]),
        "callbacks": body([["a"], {}, {"callbacks": [{"task": "tapewatch.sweep"}]}]),
        "tagged": body([[{"__type__": "uuid", "__value__": 1}], {}, {}]),
        "surrogate": body([["\ud800"], {}, {}]),
        "many": body([["a"] * 1_000, {}, {}]),
    }


def test_messages_of_this_service_are_valid(
    celery: Celery, broker: redis.Redis, message: dict[str, Any]
) -> None:
    assert find_fault(json.dumps(message).encode()) is None
    celery.send_task(names.SWEEP, queue=QUEUE)
    content = broker.rpop(QUEUE)
    assert find_fault(content) is None
    again = json.loads(content)
    again["headers"]["redelivered"] = again["properties"]["delivery_info"]["redelivered"] = True
    assert find_fault(json.dumps(again).encode()) is None


def test_messages_from_workers_and_beat_are_valid(
    environment: dict[str, str], broker: redis.Redis, tmp_path: Path
) -> None:
    """A process that has the tasks loaded sends more fields than a client that knows only their
    names.
    """
    program = """
from celery.beat import Service
from tasks.app import app
from tasks import names
from tasks.engine.accept import send
app.finalize(); app.loader.import_default_modules()
for name in (names.RUN_BATCH, "tapewatch.backfill", "tapewatch.train"):
    assert send(app, name, "8f14e45f-ceea-467f-ab1c-2d3e4f5a6b7c", names.CONTROL_QUEUE)
scheduler = Service(app, schedule_filename="beat-schedule").get_scheduler()
for entry in scheduler.schedule.values():
    if entry.name in ("sweep", "tick"):
        scheduler.apply_async(entry, advance=False)
"""
    known = environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=known, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    contents = broker.lrange(QUEUE, 0, -1)
    assert len(contents) == 5
    assert any(json.loads(content)["headers"]["timelimit"] != [None, None] for content in contents)
    assert [find_fault(content) for content in contents] == [None] * 5


def test_each_invalid_message_has_a_fault(message: dict[str, Any]) -> None:
    assert [
        name for name, content in build_poison(message).items() if find_fault(content) is None
    ] == []


@given(content=st.binary(max_size=200))
def test_any_bytes_are_invalid_and_raise_nothing(content: bytes) -> None:
    assert isinstance(find_fault(content), str)


@given(
    value=JSON,
    name=st.sampled_from(
        ["task", "id", "eta", "timelimit", "expires", "retries", "group", "stamps"]
    ),
)
def test_a_header_of_any_value_raises_nothing(value: Any, name: str) -> None:
    info = {"exchange": "", "routing_key": QUEUE}
    message = {
        "body": b64encode(b"[[], {}, {}]").decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": names.SWEEP, "id": "1", name: value},
        "properties": {"delivery_tag": "1", "delivery_info": info, "body_encoding": "base64"},
    }
    fault = find_fault(json.dumps(message).encode())
    assert fault is None or 0 < len(fault) < 1_000


def test_invalid_messages_end_no_worker_and_are_counted(
    celery: Celery,
    broker: redis.Redis,
    message: dict[str, Any],
    database: Db,
    worker: subprocess.Popen[bytes],
) -> None:
    poison = build_poison(message)
    broker.lpush(QUEUE, *poison.values())
    broker.publish(
        f"/{broker.connection_pool.connection_kwargs['db']}.celery.pidbox", json.dumps({"body": 1})
    )
    broker.publish(f"/{broker.connection_pool.connection_kwargs['db']}.celery.pidbox", deep_json())
    wait_until(lambda: broker.llen(SET_ASIDE) == len(poison), "all were set aside")
    assert broker.llen(QUEUE) == 0
    assert broker.hlen("unacked") == 0
    assert worker.poll() is None
    celery.send_task(names.SWEEP, queue=QUEUE)
    wait_until(lambda: find_heartbeats(database, [SWEEPER]), "the worker works on")
    assert read_counts(database)[UNREADABLE] == {QUEUE: len(poison)}
    kept = [json.loads(entry) for entry in broker.lrange(SET_ASIDE, 0, -1)]
    assert {entry["queue"] for entry in kept} == {QUEUE}
    assert all(entry["fault"] for entry in kept)
    assert max(len(entry["message"]) for entry in kept) <= 8_000


def test_the_number_of_messages_set_aside_is_bounded(
    broker: redis.Redis, message: dict[str, Any], worker: subprocess.Popen[bytes]
) -> None:
    bad = build_poison(message)["text as time limits"]
    broker.lpush(QUEUE, *[bad] * (3 * MOST_SET_ASIDE))
    wait_until(lambda: broker.llen(QUEUE) == 0, "all were taken")
    wait_until(lambda: broker.llen(SET_ASIDE) == MOST_SET_ASIDE, "the newest are kept")
    assert worker.poll() is None


def test_a_worker_answers_inspection_but_obeys_no_remote_command(
    celery: Celery, worker: subprocess.Popen[bytes]
) -> None:
    control = celery.control
    assert control.inspect(timeout=5).ping()
    control.shutdown()
    control.broadcast("pool_restart", arguments={"modules": ["os"], "reload": True})
    control.broadcast("ping", pattern="(a+)+$", matcher="pcre")
    control.cancel_consumer(QUEUE)
    (answer,) = wait_until(lambda: WorkerCensus(celery).ask(), "it answers")
    assert answer.queues == (QUEUE,)
    assert worker.poll() is None


def deep_json() -> str:
    return "[" * 50_000 + "]" * 50_000


def test_a_broker_that_starts_after_its_worker_is_found_at_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with ExitStack() as stack, socket.create_server((LOOPBACK, 0)) as not_yet:
        port = not_yet.getsockname()[1]
        url = redis_url(port)
        start_process(
            stack, worker_command("early", QUEUE, 1), log, environment | {"REDIS_URL": url}
        )
        not_yet.settimeout(PATIENCE_SECONDS)
        asked, _ = not_yet.accept()
        asked.close()
        not_yet.close()
        command = redis_command(find_redis_server(), tmp_path, port)
        start_process(stack, command, tmp_path / "redis.log", environment)
        wait_for_redis(port)
        wait_until(lambda: count_consumers(url), "the worker consumes")
    # Celery writes "Trying again" if it waits 2 s or more.
    assert "Connected to redis" in log.read_text()
    assert "Trying again" not in log.read_text()


def start_process(
    stack: ExitStack, command: list[str], log: Path, environment: dict[str, str]
) -> None:
    with log.open("wb") as output:
        process = subprocess.Popen(
            die_with_parent(command),
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    stack.callback(process.wait)
    stack.callback(process.kill)


def test_environment_variables_of_another_project_do_not_change_the_broker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_ANOTHER.items():
        monkeypatch.setenv(name, value)
    celery = build_celery(settings)
    assert celery.connection_for_write().as_uri(include_password=True) == settings.redis_url
    assert celery.connection_for_read().as_uri(include_password=True) == settings.redis_url
    assert celery.conf.result_backend is None
