"""The embedded servers' passwords, made at the first start and readable by this user only.

A process that can write to Redis or MongoDB decides what the workers do, and on a shared machine
all users can reach loopback.
"""

import os
import secrets
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from core.errors import ServerProblem
from runner.servers import ADMIN, POLL_SECONDS, READY_SECONDS, die_with_parent

FOLDER = "secrets"
SOCKET = "mongod.sock"
ALREADY_EXISTS = 51003


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of the embedded servers.

    Attributes:
        redis, mongo: passwords, which need no escaping in a URL.
        mongo_key_file: the key by which members of the replica set authenticate each other; without
            one MongoDB asks for no password.
    """

    redis: str
    mongo: str
    mongo_key_file: Path


def read_passwords(state_dir: Path) -> Passwords:
    """Return the passwords of the servers whose data are in `state_dir`; missing ones are made."""
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    key_file = folder / "mongod.key"
    _read(key_file, lambda: b64encode(secrets.token_bytes(96)).decode())
    return Passwords(_read(folder / "redis", _make), _read(folder / "mongod", _make), key_file)


def read_password(state_dir: Path, name: str) -> str:
    """Return the password of this name; it is made where there is none."""
    (state_dir / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    return _read(state_dir / FOLDER / name, _make)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, atomically."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def protect_mongod(binary: Path, state_dir: Path, passwords: Passwords) -> None:
    """Make MongoDB's user where its data have none yet, as those of a version without passwords do.

    For that MongoDB is started without authentication, on a Unix socket that only this user can
    reach. Raises ServerProblem.
    """
    folder = state_dir / "mongod"
    done = state_dir / FOLDER / "mongod.protected"
    if done.exists() and any(folder.iterdir()):
        return
    command = [
        *(str(binary), "--bind_ip", f"{FOLDER}/{SOCKET}", "--dbpath", str(folder), "--quiet"),
        *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
    ]
    log = state_dir / FOLDER / "mongod.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- built above
            die_with_parent(command), cwd=state_dir, stdout=output, stderr=output
        )
    try:
        # The address is relative to keep within the 108 bytes that a Unix socket may have.
        _set_password((state_dir / FOLDER / SOCKET).relative_to(Path.cwd()), passwords.mongo, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(READY_SECONDS)
    write_private(done, "")


def _set_password(socket: Path, password: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with MongoClient[dict[str, object]](
                f"mongodb://{quote_plus(str(socket))}", serverSelectionTimeoutMS=500
            ) as client:
                try:
                    client.admin.command("createUser", ADMIN, pwd=password, roles=["root"])
                except (DuplicateKeyError, OperationFailure) as error:
                    if error.code != ALREADY_EXISTS:
                        raise
                    client.admin.command("updateUser", ADMIN, pwd=password)
        except PyMongoError as error:
            if time.monotonic() > deadline:
                raise ServerProblem(
                    f"MongoDB could not be given a password: {error}; see {log}"
                ) from error
            time.sleep(POLL_SECONDS)
        else:
            return


def _read(path: Path, make: Callable[[], str]) -> str:
    """Return what a file says; it is made where it is not there."""
    if not path.exists():
        write_private(path, make())
    path.chmod(0o600)
    return path.read_text().strip()


def _make() -> str:
    return secrets.token_hex(32)
