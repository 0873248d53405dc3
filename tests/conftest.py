"""Real servers for every test: one pair a session, a database of its own for each test."""

import gc
import os
import uuid
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from xdist.scheduler import LoadScopeScheduling

from core.settings import Settings
from records.database import Db, Document, open_database
from records.indexes import ensure_indexes
from runner.servers import Servers, run_servers

# An assert of a helper says what it compared, as one of a test does: pytest sees to tests alone.
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.iterdir()))

ROOT = Path(__file__).parent.parent
# The packages of the project itself.
WINGS = sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"})
REDIS_DATABASES = count(1)

# thread pools would fight over the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")
# what takes the notifications of tests is on this machine
os.environ.setdefault("PRIVATE_CHANNELS", "1")
# no model is trained in a test that did not ask for it
os.environ.setdefault("RETRAIN", "off")
# the processes that a test starts, each in a folder of its own, check what it has signed
os.environ.setdefault("ARTEFACT_KEYS", "of-the-tests-" + "0" * 32)

# how long an example takes says more about what else the machine does than about the code
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a process leaves behind that a test kills lies where pytest clears it away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        yield


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real Redis and a MongoDB replica set of one, of this session's own."""
    with run_servers(tmp_path_factory.mktemp("servers")) as running:
        with MongoClient[Document](running.mongo_url) as client:
            # The runs of the tests' own past would be deleted as expired, once a minute and in
            # mid-test.
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
            # Nobody kills this one: that each write waits for the disk is half of its time, and
            # what is read, and when, is the same without.
            config = client.admin.command("replSetGetConfig")["config"]
            config |= {
                "version": config["version"] + 1,
                "writeConcernMajorityJournalDefault": False,
            }
            client.admin.command("replSetReconfig", config)
        yield running


@pytest.fixture(scope="session")
def mongo_database(servers: Servers) -> str:
    """The name of the session's database, with all indexes made:
    making them anew would take a second a test.
    """
    settings = Settings(
        _env_file=None, mongo_url=servers.mongo_url, mongo_database=f"test_{uuid.uuid4().hex[:12]}"
    )
    with open_database(settings).client as client:
        ensure_indexes(client[settings.mongo_database])
    return settings.mongo_database


def choose_redis_url(servers: Servers) -> str:
    """Return the address of a Redis database that nobody else is given."""
    return servers.redis_url.removesuffix("0") + str(next(REDIS_DATABASES))


@pytest.fixture(scope="module")
def file_settings(servers: Servers, mongo_database: str) -> Settings:
    """Settings with the session's MongoDB database and a Redis database of the file's own."""
    return Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=choose_redis_url(servers),
        mongo_database=mongo_database,
    )


@pytest.fixture
def settings(file_settings: Settings) -> Iterator[Settings]:
    """The same, with the Redis database emptied after the test."""
    yield file_settings
    with redis.Redis.from_url(file_settings.redis_url) as client:
        client.flushdb()


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The same settings as environment variables, for processes that a test starts."""
    fields = settings.model_dump(include={"mongo_url", "redis_url", "mongo_database"})
    return {**os.environ, **{name.upper(): str(value) for name, value in fields.items()}}


@pytest.fixture
def database(settings: Settings) -> Iterator[Db]:
    """The test's database, empty, with all indexes made."""
    database = open_database(settings)
    empty(database)
    yield database
    database.client.close()


def empty(database: Db, but: Collection[str] = ()) -> None:
    """Delete all documents. Most collections have none, and one question tells which have."""
    names = [name for name in database.list_collection_names() if name not in but]
    looks = [[{"$limit": 1}, {"$project": {"_id": 0, "of": {"$literal": n}}}] for n in names]
    others = zip(names[1:], looks[1:], strict=True)
    unions = [{"$unionWith": {"coll": name, "pipeline": look}} for name, look in others]
    # What was counted without waiting for it is there before a majority is known to have it.
    newest = database.with_options(read_concern=ReadConcern("local"))
    for found in newest[names[0]].aggregate([*looks[0], *unions]):
        database[found["of"]].delete_many({})


def shares_a_service(folder: Path) -> bool:
    """Whether the tests of a folder share a service, and so run one after the other."""
    return (folder / "__init__.py").exists()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest, which is what has the whole service started:
    other processes would have nothing left to do beside it.
    """
    items.sort(
        key=lambda item: (
            not shares_a_service(item.path.parent),
            not hasattr(item.module, "start_service"),
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in what is imported and collected: there is none,
    and the look is a fifth of the time that it takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class _ByService(LoadScopeScheduling):
    """Gives the tests of a file to one process, and those of a package, which share a service."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if shares_a_service(ROOT / folder) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByService(config, log)
