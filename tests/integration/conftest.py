"""Fixtures: the API over the tests' servers and, where a test needs one, a real worker process."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import redis
from apiflask import APIFlask
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from celery import Celery
from click.testing import Result
from flask.testing import FlaskClient
from pymongo.read_concern import ReadConcern
from werkzeug.test import TestResponse

from api import create_app
from api.http.state import State, add_state, get_state
from core.settings import Settings
from records.database import Db, open_database
from records.indexes import ensure_indexes
from records.migrations import MIGRATIONS, SCHEMA
from runner.programs import worker_command
from runner.servers import Servers
from tasks.engine import execution
from tasks.names import ALL_QUEUES
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.commands import Command, run_flask
from tests.conftest import choose_redis_url, empty
from tests.integration.serving import serve_api
from tests.processes import PATIENCE_SECONDS, count_consumers, wait_until
from tests.receiver import Receiver, run_receiver

ROOT = Path(__file__).parent.parent.parent
Once = Callable[..., None]


@pytest.fixture
def flask(database: Db, environment: dict[str, str]) -> Command:
    """A function that runs `flask WORDS` against the test's database, with some environment
    variables changed.
    """

    def run(*words: object, given: str | None = None, **changes: str) -> Result:
        return run_flask(environment | changes, *words, given=given)

    return run


@pytest.fixture
def make_app(database: Db) -> Iterator[Callable[[Settings], APIFlask]]:
    """A function that creates an application, and closes its connections after the test."""
    made: list[APIFlask] = []

    def make(settings: Settings) -> APIFlask:
        made.append(create_app(settings))
        return made[-1]

    yield make
    for app in made:
        get_state(app).close()


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, list[RawBSONDocument]]]:
    """The documents that `once` created for this file, by name and collection."""
    return {}


@pytest.fixture
def once(database: Db, made: dict[str, dict[str, list[RawBSONDocument]]]) -> Once:
    """A function that creates documents in the empty database. From the second test of a file on it
    inserts the same documents again, to the last byte, instead of creating them.
    """

    def make_once(make: Callable[[], object], name: str = "") -> None:
        raw = database.with_options(
            CodecOptions(document_class=RawBSONDocument), read_concern=ReadConcern("local")
        )
        if name in made:
            for collection, documents in made[name].items():
                raw[collection].insert_many(documents)
            return
        make()
        names = raw.list_collection_names()
        # Leave the schema version out: each application writes it by itself.
        found = {each: list(raw[each].find({"_id": {"$ne": SCHEMA}})) for each in names}
        made[name] = {each: documents for each, documents in found.items() if documents}

    return make_once


@pytest.fixture(scope="module")
def built_app(file_settings: Settings) -> APIFlask:
    """One application for a test file: creating it takes longer than most tests."""
    return create_app(file_settings)


@pytest.fixture
def app(built_app: APIFlask, settings: Settings, database: Db) -> Iterator[APIFlask]:
    """The API over the test's database, without the state that an earlier test left in it.

    It is told that all indexes exist, because checking each index takes longer than most tests.
    """
    state = State(settings, get_state(built_app).celery)
    state._has_indexes = True
    newest = {"_id": SCHEMA, "version": MIGRATIONS[-1].number, "upgraded_at": datetime.now(UTC)}
    database.settings.insert_one(newest)
    add_state(built_app, state)
    yield built_app
    get_state(built_app).close()


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """A client of the fixture `app`."""
    return app.test_client()


@pytest.fixture(scope="module")
def served(servers: Servers, mongo_database: str) -> Iterator[str]:
    """A real gunicorn over the tests' database, for a whole test file; no worker runs behind it."""
    settings = Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=servers.redis_url.removesuffix("0") + "1002",
        mongo_database=mongo_database,
    )
    with serve_api(settings) as url:
        yield url


@pytest.fixture
def celery(settings: Settings) -> Iterator[Celery]:
    """A Celery client that sends messages to the test's own broker."""
    with build_celery(settings) as celery:
        yield celery


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of notifications over HTTP."""
    with run_receiver() as running:
        yield running


@pytest.fixture
def worker(
    settings: Settings, database: Db, celery: Celery, monkeypatch: pytest.MonkeyPatch
) -> Worker:
    """A worker within this process; it does not pause after a failure."""
    monkeypatch.setattr(execution, "PAUSE_SECONDS", 0)
    return Worker(settings, database, celery, "test:1")


@dataclass(frozen=True, slots=True)
class Live:
    """The API with a worker behind it."""

    client: FlaskClient
    database: Db
    settings: Settings

    def post(self, path: str, **sent: Any) -> TestResponse:
        """Return the answer to a POST once its run has ended. Until then it is repeated with the
        same key, and so does not start another run.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex}

        def ask() -> TestResponse | None:
            answer = self.client.post(path, query_string={"wait": 30}, headers=headers, **sent)
            return None if answer.status_code == HTTPStatus.ACCEPTED else answer

        return wait_until(ask, f"the run of {path} ends")


@contextmanager
def run_worker(servers: Servers, folder: Path) -> Iterator[Settings]:
    """Start a real worker process over databases of its own, and yield its settings."""
    settings = Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=choose_redis_url(servers),
        mongo_database=f"live_{uuid.uuid4().hex[:12]}",
    )
    with open_database(settings).client as client:
        ensure_indexes(client[settings.mongo_database])
    addresses = {
        name.upper(): str(getattr(settings, name))
        for name in ("mongo_url", "redis_url", "mongo_database")
    }
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            worker_command("live", ",".join(ALL_QUEUES), 1),
            cwd=ROOT,
            env={**os.environ, **addresses},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: count_consumers(settings.redis_url), "the worker consumes")
        yield settings
    finally:
        worker.terminate()
        worker.wait(timeout=PATIENCE_SECONDS)
        print(log.read_text()[-4000:])  # noqa: T201 - pytest shows it where a test failed


@pytest.fixture(scope="session")
def live_worker(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One worker process for all test files, because starting it takes seconds."""
    with run_worker(servers, tmp_path_factory.mktemp("worker")) as settings:
        yield settings


@pytest.fixture(scope="module")
def live(live_worker: Settings) -> Iterator[Live]:
    """The API and a real worker process over a database that is empty at the start of the file."""
    app = create_app(live_worker)
    database = open_database(live_worker)
    empty(database)
    yield Live(app.test_client(), database, live_worker)
    # Wait until the worker is idle, because the next file empties the database.
    with redis.Redis.from_url(live_worker.redis_url) as broker:
        wait_until(
            lambda: not any(map(broker.llen, ALL_QUEUES)) and not broker.hlen("unacked"), "idle"
        )
    get_state(app).close()
    database.client.close()
