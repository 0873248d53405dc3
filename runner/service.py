"""Runs the whole service on one machine: its servers, its processes and their environment."""

import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import NoReturn
from xmlrpc.client import Fault

import redis
from pymongo.errors import PyMongoError
from rich.console import Console

from core.binaries import find_mongod
from core.errors import (
    BadInput,
    DatabaseUnfit,
    ServerProblem,
    ServerUnreachable,
    TapewatchError,
    explain_forbidden,
)
from core.loopback import open_directly
from core.settings import STATE_DIR, Settings, read_settings
from market.bars.upgrading import complete_series
from records.database import explain_unreachable, hide_credentials, open_database
from records.migrations import MIGRATIONS, find_version, upgrade
from runner.passwords import protect_mongod, read_passwords
from runner.programs import ROOT, server_programs, service_programs
from runner.servers import (
    LOOPBACK,
    free_port,
    is_port_free,
    mongo_url,
    redis_url,
    try_address,
    wait_for_primary,
    wait_for_redis,
)
from runner.supervision import Say, Supervision, describe_little_memory

API_SECONDS = 120.0
SHOWN_SECONDS = 15.0
# supervisor's own least
OPEN_FILES = 1_024
# Variables by which gunicorn and Celery would use options that are meant for another project.
NOT_OURS = re.compile(r"CELERY_|GUNICORN_|(BROKER_URL|RESULT_BACKEND|LOADER|CONFIG_MODULE)$")
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- recognised, not bound


@contextmanager
def serve(say: Say, shown: Event | None = None) -> Iterator[Settings]:
    """Run the service in the current folder; yield its settings as soon as the first processes are
    started.

    Servers whose URL is in the environment are used; the others are started, with their data under
    `.tapewatch/`. Processes that the user does not wait for start once `shown` is set, or after a
    while. Raises BadInput when a port is taken or the service already runs here, and ServerProblem
    or ServerUnreachable when a server cannot be started or does not answer.
    """
    wanted = read_settings(env_file=None)
    with own_state() as state_dir:
        _check_open_files()
        _check_ports(wanted)
        if little := describe_little_memory():
            say(f"{little}.")
        mongo_port = None if os.environ.get("MONGO_URL") else free_port()
        redis_port = None if os.environ.get("REDIS_URL") else free_port()
        passwords = read_passwords(state_dir)
        settings = wanted.model_copy(
            update={
                **(
                    {"mongo_url": mongo_url(mongo_port, password=passwords.mongo)}
                    if mongo_port
                    else {}
                ),
                **({"redis_url": redis_url(redis_port, passwords.redis)} if redis_port else {}),
            }
        )
        servers = server_programs(
            state_dir, passwords, redis_port=redis_port, mongo_port=mongo_port
        )
        programs = [*servers, *service_programs(settings, state_dir)]
        environment = build_environment(settings) | {"TMPDIR": str(_make_temporary(state_dir))}
        supervision = Supervision(programs, state_dir, environment, say)
        try:
            supervision.start_supervisor()
            # API and worker load while the servers start. The API does not need the servers before
            # its first request, and a worker not before Redis, which starts last, gives it work.
            supervision.start("api")
            if redis_port:
                supervision.start("worker")
            if mongo_port:
                protect_mongod(find_mongod(), state_dir, passwords)
                supervision.start("mongod")
                wait_for_primary(mongo_port, password=passwords.mongo)
            _prepare_database(settings, say)
            if redis_port:
                supervision.start("redis")
                wait_for_redis(redis_port, password=passwords.redis)
            else:
                _check_redis(settings)
            write_shared_settings(settings, state_dir)
            supervision.start("worker")
            others = (supervision, settings, shown, say)
            Thread(target=_start_others, args=others, daemon=True).start()
            yield settings
        finally:
            say("Stopping (Ctrl-C again: at once).")
            (state_dir / "servers.env").unlink(missing_ok=True)
            supervision.stop()


def wait_for_api(settings: Settings) -> None:
    """Return once the API answers. Raises ServerProblem when it takes too long."""
    deadline = time.monotonic() + API_SECONDS
    while True:
        try:
            with open_directly(f"{api_url(settings)}/healthz", timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ServerProblem(
                    f"the API does not answer after {API_SECONDS:g} s ({error}); see"
                    f" {STATE_DIR}/logs/api.log"
                ) from error
            time.sleep(0.1)


def _start_others(
    supervision: Supervision, settings: Settings, shown: Event | None, say: Say
) -> None:
    """Start the other processes once the API answers and `shown` is set, as until then they would
    take processor time from API and worker. Then finish an upgrade.
    """
    with suppress(ServerProblem):
        wait_for_api(settings)
    if shown:
        # Not for ever: where a worker dies, the sweeper must run to give its work to another.
        shown.wait(SHOWN_SECONDS)
    # Where the service is being stopped, supervisor starts no more processes.
    with suppress(ServerProblem, Fault):
        supervision.start_service()
    _finish_upgrade(settings, say)


def _finish_upgrade(settings: Settings, say: Say) -> None:
    """Complete the series after an upgrade of the database: of all series, which may be thousands,
    those that lack something are measured.
    """
    # Where the service is being stopped, or the database does not answer, the next start goes on.
    with suppress(PyMongoError), open_database(settings).client as client:
        try:
            for done in complete_series(client[settings.mongo_database], datetime.now(UTC)):
                say(f"{done[0].upper()}{done[1:]}.")
        except TapewatchError as error:
            say(f"What an upgrade leaves to do was not finished: {error.message}")


def api_url(settings: Settings) -> str:
    """Return the API's URL for programs on this machine."""
    return f"http://{LOOPBACK if settings.host == ANY_ADDRESS else settings.host}:{settings.port}"


def flower_url(settings: Settings) -> str:
    """Return Flower's URL for a browser on this machine."""
    return f"http://{LOOPBACK}:{settings.flower_port}/"


def describe_addresses(settings: Settings) -> str:
    """Return the addresses of the service's pages and logs, for the user."""
    return (
        f"  API docs   {api_url(settings)}{settings.url_prefix}/docs\n"
        f"  dashboard  {api_url(settings)}/\n"
        f"  Flower     {flower_url(settings)}\n"
        f"  logs       {STATE_DIR}/logs/"
    )


def stay(console: Console) -> NoReturn:
    """Print that the service is up, and wait for the signal that ends it."""
    console.print("Serving until Ctrl-C.")
    while True:
        signal.pause()


def build_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every process of the service."""
    own = {name: value for name, value in os.environ.items() if not NOT_OURS.match(name)}
    return {
        **own,
        "MONGO_URL": settings.mongo_url,
        "REDIS_URL": settings.redis_url,
        "FLOWER_URL": settings.flower_url or flower_url(settings),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        # The processes share the cores; threads of numerical libraries would only compete for them.
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def own_state(otherwise: str = "stop that one first") -> Iterator[Path]:
    """Yield the folder of the service's state, locked for this process; it is made if missing.
    Raises BadInput where another process holds it, with the advice `otherwise`.
    """
    state_dir = STATE_DIR.absolute()
    try:
        state_dir.mkdir(mode=0o700, exist_ok=True)
        # A folder that an earlier version made may be readable by others.
        state_dir.chmod(0o700)
        _check_own(state_dir)
        lock = (state_dir / "runner.lock").open("a+")
    except OSError as error:
        raise BadInput(explain_forbidden(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise BadInput(
                f"Tapewatch already runs in {state_dir.parent} (process {lock.read().strip()});"
                f" {otherwise}"
            ) from None
        # That of a service which was killed: the API, which starts first, would still read it.
        (state_dir / "servers.env").unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield state_dir


def _check_own(folder: Path) -> None:
    """Raise PermissionError where another user's start has left files that this user cannot use:
    each program would fail in its own way, some of them after a minute.
    """
    # Files that disappear during the check belong to a service that runs here, which is reported
    # next.
    with suppress(FileNotFoundError):
        for path in folder.rglob("*"):
            is_anothers = path.lstat().st_uid != os.geteuid()
            if is_anothers and not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _make_temporary(state_dir: Path) -> Path:
    """Return the programs' folder for temporary files, without files that killed programs left."""
    folder = state_dir / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def _check_open_files() -> None:
    """Raise BadInput where the limit of open files is too low, so that supervisor would
    not start.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < OPEN_FILES:
        raise BadInput(
            f"a process may open {most:,} files here (`ulimit -Hn`), and the service needs"
            f" {OPEN_FILES:,}: start it from a shell with a higher limit"
        )


def _check_ports(settings: Settings) -> None:
    if settings.port == settings.flower_port:
        raise BadInput(f"PORT and FLOWER_PORT are both {settings.port}; set one of them to another")
    for name, port in (("PORT", settings.port), ("FLOWER_PORT", settings.flower_port)):
        if not is_port_free(port):
            raise BadInput(
                f"port {port} ({name}) is taken by another program; set {name} to a free one"
            )
    _check_host(settings)


def _check_host(settings: Settings) -> None:
    """Raise BadInput where the API could not listen on HOST, and would be restarted for ever."""
    host = settings.host.strip("[]")
    if ":" in host and host == settings.host:
        raise BadInput(f"HOST={host} is an address of IPv6: write it as [{host}]")
    try:
        # A name is looked up as gunicorn does it, which listens on none of IPv6.
        try_address(host, settings.port)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise BadInput(
            f"HOST={settings.host} is no address that can be listened on here ({said}): 127.0.0.1"
            " is for this machine alone, 0.0.0.0 for others too"
        ) from error


def _prepare_database(settings: Settings, say: Say) -> None:
    with explain_unreachable(settings):
        database = open_database(settings)
        with database.client:
            # A user of `make up` has no other step in which to upgrade the database.
            if 0 < (before := find_version(database)) < (known := MIGRATIONS[-1].number):
                say(f"The database is at version {before} and is brought to {known}.")
            upgrade(database, datetime.now(UTC))
            if settings.host != LOOPBACK:
                from api.http.auth import (  # noqa: PLC0415 -- slow to load, and seldom needed
                    check_keys,
                )

                try:
                    check_keys(settings, database)
                except DatabaseUnfit as error:
                    say(error.message[0].upper() + error.message[1:])


def _check_redis(settings: Settings) -> None:
    from tasks.process.broker import (  # noqa: PLC0415 -- slow to load, and seldom needed
        OWNER,
        SHARED_ADVICE,
        claim_redis,
    )

    seconds, others, left = settings.server_timeout_seconds, None, 0
    url = hide_credentials(settings.redis_url)
    try:
        with redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=seconds, socket_timeout=seconds
        ) as client:
            client.ping()
            with (
                # One that is full takes no note, and is no other's for that.
                suppress(redis.ResponseError),
                explain_unreachable(settings),
                open_database(settings).client as mongo,
            ):
                others = claim_redis(client, mongo[settings.mongo_database], settings)
                left = max(1, int(client.ttl(OWNER)))
    except (redis.RedisError, TypeError, ValueError) as error:
        raise ServerUnreachable(
            f"Redis at {url} did not answer: {error}. Start it or correct REDIS_URL."
        ) from error
    if others:
        raise BadInput(
            f"Redis at {url} is used by another service, whose MongoDB is {others};"
            f" {SHARED_ADVICE}. Where that one is gone, start again in {left} s"
        )


def write_shared_settings(settings: Settings, state_dir: Path) -> None:
    """Write to a file for the command line, while they run, the servers' URLs, the database, and
    whether messages may go to private networks: commands read and send what the service does. Only
    this user can read it, as an external URL may have a password.
    """
    path = state_dir / "servers.env"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        f"MONGO_URL={settings.mongo_url}\nREDIS_URL={settings.redis_url}\n"
        f'MONGO_DATABASE="{settings.mongo_database}"\n'
        f"PRIVATE_CHANNELS={settings.private_channels}\n",
        encoding="utf-8",
    )
