"""Starts the service as a user does, and lists its processes."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import redis

from core.settings import Settings
from runner.servers import free_port

ROOT = Path(__file__).parent.parent
START_SECONDS = 240
# The longest that a busy machine may take for steps that usually take a moment.
PATIENCE_SECONDS = 120

T = TypeVar("T")
COMMAND = (sys.executable, "-m", "runner")


# A proxy that somebody has configured; nothing on this machine may be asked through it.
BEHIND_PROXY = {
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks://127.0.0.1:9",
    "no_proxy": "",
    "NO_PROXY": "",
}
# Environment variables that somebody has set for another project.
OF_ANOTHER = {
    "BROKER_URL": "redis://127.0.0.1:9/0",
    "CELERY_BROKER_URL": "amqp://guest@127.0.0.1:9//",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:9/1",
    "CELERY_WORKER_POOL": "gevent",
    "GUNICORN_CMD_ARGS": "--worker-class=uvicorn.workers.UvicornWorker --bind=127.0.0.1:9",
    "LOADER": "theirs",
}


@dataclass(frozen=True, slots=True)
class Runner:
    """A `python -m runner` in a folder of its own."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def settings(self) -> Settings:
        """The addresses of its API and its servers while they run."""
        return Settings(_env_file=self.folder / ".tapewatch" / "servers.env", port=self.port)

    def said(self) -> str:
        return (self.folder / "output.txt").read_text()

    def pids(self, words: str = "") -> list[int]:
        """Return the processes that run in this folder and have all these words in their command
        line; quoted words must stand together.
        """
        return [
            pid
            for pid, command in find_processes(self.folder)
            if all(word in command for word in shlex.split(words))
        ]

    def parent_pid(self, words: str) -> int:
        """Return the process with these words whose parent does not have them: a pool's master."""
        return wait_until(lambda: self._find_parent(words), f"one master of {words}")

    def _find_parent(self, words: str) -> int | None:
        pids = self.pids(words)
        masters = [pid for pid in pids if get_parent(pid) not in pids]
        return masters[0] if len(masters) == 1 else None


def find_processes(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield process id and command line of all processes that run in `folder` or below."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            cwd, command = (entry / "cwd").readlink(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if command and cwd.is_relative_to(folder):
            yield int(entry.name), command.replace(b"\0", b" ").decode()


def get_parent(pid: int) -> int | None:
    """Return the parent of a process; None if the process has ended."""
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Poll a condition until it is true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (met := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return met


def count_consumers(redis_url: str) -> int:
    """Count the clients of a Redis database that wait in BRPOP now. Each idle worker is one, except
    for moments between two waits.
    """
    number = urlsplit(redis_url).path.removeprefix("/")
    with redis.Redis.from_url(redis_url) as client:
        return sum(
            "b" in other["flags"] and other["db"] == number for other in client.client_list()
        )


def build_environment(**changes: str) -> dict[str, str]:
    """Return an environment with free ports and without addresses of servers."""
    kept = {
        name: value for name, value in os.environ.items() if name not in {"MONGO_URL", "REDIS_URL"}
    }
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    return {**kept, "PYTHONPATH": str(ROOT), **ports, **changes}


def run_runner(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m runner` until it ends."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=build_environment(**environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def start_runner(
    folder: Path, *arguments: str, command: Sequence[str] = COMMAND, **environment: str
) -> Iterator[Runner]:
    """Start `python -m runner`, or another command that does so, in `folder`; kill what is left of
    it at the end.
    """
    variables = build_environment(**environment)
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    runner = Runner(process, folder, int(variables["PORT"]))
    try:
        yield runner
    finally:
        while pids := runner.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.05)


@contextmanager
def start_service(
    folder: Path, command: Sequence[str] = COMMAND, **environment: str
) -> Iterator[Runner]:
    """Start `python -m runner up` and wait until it serves."""
    output = folder / "output.txt"
    before = len(output.read_text()) if output.exists() else 0
    with start_runner(folder, "up", command=command, **environment) as runner:
        wait_until(
            lambda: "Serving" in runner.said()[before:] or runner.process.poll() is not None,
            "serves",
            START_SECONDS,
        )
        assert runner.process.poll() is None, runner.said()
        yield runner


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Freeze processes (SIGSTOP) for the length of a `with`; they then neither work nor answer."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
