"""The embedded servers: how they are started, and when they are ready.

mongod runs as a replica set of one, so that transactions and change streams work.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from core.binaries import find_mongod, find_redis_server
from core.errors import ServerProblem

LOOPBACK = "127.0.0.1"
REPLICA_SET = "tapewatch"
READY_SECONDS = 60.0
POLL_SECONDS = 0.02
NOT_YET_INITIALIZED = 94
AUTHENTICATION_FAILED = 18
EVICTION = "eviction_dirty_target=20,eviction_dirty_trigger=40"
# The user of an embedded MongoDB that asks for a password.
ADMIN = "tapewatch"


@dataclass(frozen=True, slots=True)
class Servers:
    """The URLs of a running pair of servers."""

    mongo_url: str
    redis_url: str


def free_port() -> int:
    """Return a loopback port on which nothing listens, and which the kernel gives to no other
    process that asks for any free port within the next minute.

    A connection to the port has just been closed from its side. Until the kernel forgets it, only a
    server can get the port that asks for this number, and sets SO_REUSEADDR as servers do.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, 0))
        probe.listen()
        with socket.create_connection(probe.getsockname()):
            probe.accept()[0].close()
        return int(probe.getsockname()[1])


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on `port` now; lingering connections of an earlier
    server do not count.
    """
    try:
        try_address(LOOPBACK, port)
    except OSError:
        return False
    return True


def try_address(host: str, port: int) -> None:
    """Raise OSError where no server could listen on an address, UnicodeError on an invalid name."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def die_with_parent(command: list[str], parent: str = "") -> list[str]:
    """Return `command` so that the kernel kills it when its parent dies (Linux;
    elsewhere unchanged).

    `parent` is the shell expression for the parent's id, where the parent is not this process.
    Where the expression is empty in the shell, the parent is not checked.
    """
    setpriv = shutil.which("setpriv")
    if not setpriv:
        return command
    # A parent that died before setpriv ran is noticed, as the process has another parent now.
    check = f'parent={parent or os.getpid()}; [ "${{parent:-$PPID}}" = "$PPID" ] && exec "$@"'
    return [setpriv, "--pdeathsig", "KILL", "--", "sh", "-c", check, "sh", *command]


def redis_command(
    binary: Path, folder: Path, port: int, *, config: Path | None = None
) -> list[str]:
    """Return the command of a durable Redis: every write in the append-only file,
    nothing ever evicted.

    `config` is a file for options that must not be seen in a list of processes, such as a password.
    """
    options = {
        "bind": LOOPBACK,
        "port": port,
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "databases": 1024,
    }
    given = [] if config is None else [str(config)]
    return [
        str(binary),
        *given,
        *(part for name, value in options.items() for part in (f"--{name}", str(value))),
    ]


def mongod_command(
    binary: Path,
    folder: Path,
    port: int,
    *,
    cache_gigabytes: float = 1.0,
    transaction_seconds: int = 20,
    key_file: Path | None = None,
) -> list[str]:
    """Return the command of a replica set member with its data in `folder`;
    with a key file it asks for passwords.
    """
    protection = (
        ["--keyFile", str(key_file), "--setParameter", "enableLocalhostAuthBypass=0"]
        if key_file
        else []
    )
    return [
        *(sys.executable, "-IS", str(Path(__file__).with_name("short_slices.py"))),
        str(binary),
        *(
            "--bind_ip",
            LOOPBACK,
            "--port",
            str(port),
            "--dbpath",
            str(folder),
            "--replSet",
            REPLICA_SET,
        ),
        # zlib in 6.0.5 has CVE-2025-14847
        *("--networkMessageCompressors", "snappy,zstd"),
        *(
            "--wiredTigerCacheSizeGB",
            str(cache_gigabytes),
            "--oplogSize",
            "512",
            "--nounixsocket",
            "--quiet",
        ),
        # MongoDB starts writing changed pages to disk at half of this percentage of the cache. With
        # the default of 5, pages that still change are written again and again, which takes a
        # quarter of MongoDB's time in a backfill.
        *("--wiredTigerEngineConfigString", EVICTION),
        # a lone primary has nobody to hand over to: don't wait for it at shutdown
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        # The writes of a worker that was killed during a commit stay locked for so long (up to 1.5
        # times that, as MongoDB checks only now and then). With the default of 60 s its batch would
        # not be done again within 90 s.
        *("--setParameter", f"transactionLifetimeLimitSeconds={transaction_seconds}"),
        *protection,
    ]


def redis_url(port: int, password: str | None = None) -> str:
    """Return the URL of an embedded Redis."""
    return f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{port}/0"


def flask_command(*words: str) -> list[str]:
    """Return a command of the service's command line, which is killed when this process dies."""
    return die_with_parent([sys.executable, "-m", "flask", "--app", "wsgi", *words])


def mongo_url(*ports: int, password: str | None = None) -> str:
    """Return the URL of an embedded replica set."""
    user, source = (f"{ADMIN}:{password}@", "&authSource=admin") if password else ("", "")
    hosts = ",".join(f"{LOOPBACK}:{port}" for port in ports)
    return f"mongodb://{user}{hosts}/?replicaSet={REPLICA_SET}{source}"


def wait_for_redis(
    port: int, timeout_seconds: float = READY_SECONDS, *, password: str | None = None
) -> None:
    """Return once Redis answers and has loaded its data.

    Raises ServerProblem after `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    with redis.Redis(host=LOOPBACK, port=port, password=password, socket_timeout=1) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                if time.monotonic() > deadline:
                    raise ServerProblem(
                        f"Redis on port {port} is not ready after {timeout_seconds:g} s: {error}"
                    ) from error
                time.sleep(POLL_SECONDS)
            else:
                return


def wait_for_primary(
    *ports: int,
    timeout_seconds: float = READY_SECONDS,
    password: str | None = None,
) -> None:
    """Initiate the replica set on `ports` where that was not done yet,
    and return once it has a primary.

    A set whose data were made on another port is told its new address. Raises ServerProblem when it
    is not ready after `timeout_seconds`, and at once when its data have another password.
    """
    deadline = time.monotonic() + timeout_seconds
    shown: dict[str, Any] = (
        {"username": ADMIN, "password": password, "authSource": "admin"} if password else {}
    )
    client: MongoClient[dict[str, object]] = MongoClient(
        LOOPBACK,
        ports[0],
        directConnection=True,
        serverSelectionTimeoutMS=500,
        connectTimeoutMS=500,
        **shown,
    )
    with client:
        while True:
            try:
                _configure(client, ports)
                if any(member["stateStr"] == "PRIMARY" for member in _members(client)):
                    return
                problem = "no primary"
            except OperationFailure as error:
                if error.code == AUTHENTICATION_FAILED:
                    raise ServerProblem(
                        "MongoDB's data, .tapewatch/mongod, know another password than"
                        " .tapewatch/secrets/mongod: the two are not of the same backup. Remove"
                        " .tapewatch/secrets/mongod.protected and start again: the data are then"
                        " given this password"
                    ) from error
                problem = str(error)
            except PyMongoError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise ServerProblem(
                    f"MongoDB on port {ports[0]} is not ready after {timeout_seconds:g} s:"
                    f" {problem}"
                )
            time.sleep(POLL_SECONDS)


def _configure(client: MongoClient[dict[str, object]], ports: tuple[int, ...]) -> None:
    hosts = [f"{LOOPBACK}:{port}" for port in ports]
    members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return
    if [member["host"] for member in config["members"]] != hosts:
        config = {**config, "version": config["version"] + 1, "members": members}
        client.admin.command("replSetReconfig", config, force=True)


def _members(client: MongoClient[dict[str, object]]) -> list[dict[str, str]]:
    members: list[dict[str, str]] = client.admin.command("replSetGetStatus")["members"]
    return members


@contextmanager
def run_servers(folder: Path, *, cache_gigabytes: float = 0.25) -> Iterator[Servers]:
    """Start Redis and MongoDB with their data in `folder`, and kill them at the end:
    for tests and measurements.
    """
    redis_port, mongo_port = free_port(), free_port()
    commands = {
        "redis": redis_command(find_redis_server(), folder / "redis", redis_port),
        "mongod": mongod_command(
            find_mongod(), folder / "mongod", mongo_port, cache_gigabytes=cache_gigabytes
        ),
    }
    with ExitStack() as stack:
        for name, command in commands.items():
            (folder / name).mkdir(parents=True)
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(die_with_parent(command), stdout=log, stderr=log)  # noqa: S603 -- built above
            stack.callback(process.wait)
            stack.callback(process.kill)
        wait_for_redis(redis_port)
        wait_for_primary(mongo_port)
        yield Servers(mongo_url=mongo_url(mongo_port), redis_url=redis_url(redis_port))
