"""Real servers for all tests: one Redis and one MongoDB a session, emptied for each test."""

import gc
import os
import signal
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

# pytest rewrites asserts only in test files by itself; this makes failed asserts in the helper
# modules show the compared values too.
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.iterdir()))

ROOT = Path(__file__).parent.parent
# The project's own packages.
WINGS = sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"})
REDIS_DATABASES = count(1)

# Thread pools would compete for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The receivers of the tests' notifications listen on this machine.
os.environ.setdefault("PRIVATE_CHANNELS", "1")
# No model is trained in a test that did not ask for one.
os.environ.setdefault("RETRAIN", "off")
# The processes that a test starts run in their own folders and must accept artefacts that this
# process signed.
os.environ.setdefault("ARTEFACT_KEYS", "of-the-tests-" + "0" * 32)

# In the background a shell lets its commands ignore Ctrl-C, and so would each process that a test
# starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The duration of a Hypothesis example depends more on the machine's other load than on the code.
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set TMPDIR to a folder that pytest removes, because processes that a test kills leave files
    behind.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        yield


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real Redis and a MongoDB replica set of one member, started for this session."""
    with run_servers(tmp_path_factory.mktemp("servers")) as running:
        with MongoClient[Document](running.mongo_url) as client:
            # The tests store runs with old dates. MongoDB's TTL monitor would delete these once a
            # minute, in the middle of a test.
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
            # No test kills this server. Waiting for the journal at each write would double the time
            # of writes, and what reads return, and when, does not depend on it.
            config = client.admin.command("replSetGetConfig")["config"]
            config |= {
                "version": config["version"] + 1,
                "writeConcernMajorityJournalDefault": False,
            }
            client.admin.command("replSetReconfig", config)
        yield running


@pytest.fixture(scope="session")
def mongo_database(servers: Servers) -> str:
    """The name of the session's database, with all indexes created. Creating them for each test
    would take a second a test.
    """
    settings = Settings(
        _env_file=None, mongo_url=servers.mongo_url, mongo_database=f"test_{uuid.uuid4().hex[:12]}"
    )
    with open_database(settings).client as client:
        ensure_indexes(client[settings.mongo_database])
    return settings.mongo_database


def choose_redis_url(servers: Servers) -> str:
    """Return the address of a Redis database that is given to nobody else."""
    return servers.redis_url.removesuffix("0") + str(next(REDIS_DATABASES))


@pytest.fixture(scope="module")
def file_settings(servers: Servers, mongo_database: str) -> Settings:
    """Settings with the session's MongoDB database and a Redis database for this test file only."""
    return Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=choose_redis_url(servers),
        mongo_database=mongo_database,
    )


@pytest.fixture
def settings(file_settings: Settings) -> Iterator[Settings]:
    """The settings of the file; the Redis database is emptied after the test."""
    yield file_settings
    with redis.Redis.from_url(file_settings.redis_url) as client:
        client.flushdb()


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for processes that a test starts."""
    fields = settings.model_dump(include={"mongo_url", "redis_url", "mongo_database"})
    return {**os.environ, **{name.upper(): str(value) for name, value in fields.items()}}


@pytest.fixture
def database(settings: Settings) -> Iterator[Db]:
    """The session's database, emptied, with all indexes."""
    database = open_database(settings)
    empty(database)
    yield database
    database.client.close()


def empty(database: Db, but: Collection[str] = ()) -> None:
    """Delete all documents. Most collections are empty; one query finds those that are not."""
    names = [name for name in database.list_collection_names() if name not in but]
    looks = [[{"$limit": 1}, {"$project": {"_id": 0, "of": {"$literal": n}}}] for n in names]
    others = zip(names[1:], looks[1:], strict=True)
    unions = [{"$unionWith": {"coll": name, "pipeline": look}} for name, look in others]
    # The default read concern may miss documents that were written without waiting for a majority.
    newest = database.with_options(read_concern=ReadConcern("local"))
    for found in newest[names[0]].aggregate([*looks[0], *unions]):
        database[found["of"]].delete_many({})


def shares_a_service(folder: Path) -> bool:
    """Whether the tests of a folder share one service and so must run one after the other."""
    return (folder / "__init__.py").exists()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that start the whole service first, because they take longest. If they came
    last, the other test processes would have nothing to do meanwhile.
    """
    items.sort(
        key=lambda item: (
            not shares_a_service(item.path.parent),
            not hasattr(item.module, "start_service"),
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Switch the garbage collector off while tests are imported and collected. There is no garbage
    then, and its searches would take a fifth of that time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class _ByService(LoadScopeScheduling):
    """Gives all tests of a file to one process, and all tests of a folder that shares a service."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if shares_a_service(ROOT / folder) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByService(config, log)
