"""The whole service as real processes on loopback, and the functions that kill, stop and freeze
them.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis
from pymongo.errors import ConnectionFailure

from core.binaries import find_mongod, find_redis_server
from core.settings import Settings
from records.database import Db, open_database
from runner.programs import api_command, beat_command, worker_command
from runner.servers import (
    die_with_parent,
    free_port,
    is_port_free,
    mongo_url,
    mongod_command,
    redis_command,
    redis_url,
    wait_for_primary,
    wait_for_redis,
)
from tasks.names import CONTROL_QUEUE, WORK_QUEUES
from tests.processes import ROOT, count_consumers, wait_until

WORKERS = ("worker1", "worker2")
MEMBERS = ("mongod1", "mongod2", "mongod3")
SERVICE = (*WORKERS, "control", "beat", "api")
# These values are small so that a recovery takes seconds; a batch of the tests' bars takes a
# fraction of a second. With the service's own values (45 and 15), the recoveries that users see can
# be measured.
LEASE_SECONDS = int(os.environ.get("LEASE_SECONDS", "3"))
SWEEP_SECONDS = int(os.environ.get("SWEEP_SECONDS", "1"))
TICK_SECONDS = 1
# The open transaction of a killed client keeps its documents locked for this long. In the service,
# whose leases are longer, it is 20 s.
TRANSACTION_SECONDS = min(20, LEASE_SECONDS)
CACHE_GIGABYTES = 0.25
# How long a program may take to end before it is killed.
STOP_SECONDS = 45
# Room for a ticker that is too large for its worker, beside other tickers.
BATCH_BARS = 10_000_000
ANALYTICS_SECONDS = 86_400


@dataclass(slots=True)
class Program:
    """A command with its name, and the process that runs it now."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Stack:
    """A three-member MongoDB, a Redis with AOF, the API, two workers, the control worker and beat,
    each with its name.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        """Choose ports and commands; nothing is started. `variables` change the service's
        environment.
        """
        self.folder = folder
        ports = [free_port() for _ in range(5)]
        self.member_ports = dict(zip(MEMBERS, ports[:3], strict=True))
        self.redis_port = ports[3]
        self.settings = Settings(
            _env_file=None,
            mongo_url=mongo_url(*self.member_ports.values()),
            redis_url=redis_url(self.redis_port),
            mongo_database="faults",
            port=ports[4],
            lease_seconds=LEASE_SECONDS,
            sweep_seconds=SWEEP_SECONDS,
            tick_seconds=TICK_SECONDS,
            batch_bars=BATCH_BARS,
            analytics_seconds=ANALYTICS_SECONDS,
        )
        given = {
            name.upper(): str(getattr(self.settings, name))
            for name in self.settings.model_fields_set
        }
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **given,
            **variables,
        }
        self.programs = {name: Program(command) for name, command in self._commands().items()}
        # A started process dies with the thread that started it, so that thread must last.
        self._starter = ThreadPoolExecutor(max_workers=1)
        self.database: Db = open_database(self.settings)
        self.broker = redis.Redis.from_url(self.settings.redis_url)

    def _commands(self) -> dict[str, list[str]]:
        for name in (*MEMBERS, "redis", "beat"):
            (self.folder / name).mkdir(parents=True)
        work = ",".join(WORK_QUEUES)
        members = {
            name: mongod_command(
                find_mongod(),
                self.folder / name,
                port,
                cache_gigabytes=CACHE_GIGABYTES,
                transaction_seconds=TRANSACTION_SECONDS,
            )
            for name, port in self.member_ports.items()
        }
        return {
            **members,
            "redis": redis_command(find_redis_server(), self.folder / "redis", self.redis_port),
            **{name: worker_command(name, work, 2) for name in WORKERS},
            "control": worker_command("control", CONTROL_QUEUE, 1),
            "beat": beat_command(self.folder / "beat"),
            "api": api_command(self.settings),
        }

    def start_servers(self) -> None:
        self.start(*MEMBERS, "redis")
        wait_for_redis(self.redis_port)
        # A replica set of one member elects itself at once. Three members that start together elect
        # nobody for 10 s.
        first, *others = self.member_ports.values()
        wait_for_primary(first)
        wait_for_primary(first, *others)

    def start(self, *names: str) -> None:
        """Start programs that do not run; return without waiting for them."""
        for name in names:
            if not self.programs[name].is_running:
                self._starter.submit(self._start, name).result()

    def _start(self, name: str) -> None:
        program = self.programs[name]
        with self.log(name).open("ab") as log:
            program.process = subprocess.Popen(
                die_with_parent(program.command),
                cwd=self.folder,
                env={**self.environment, **program.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_serving(self) -> None:
        """Return once every running worker waits for messages and the API listens."""
        self.wait_for_consumers(
            sum(self.programs[name].is_running for name in (*WORKERS, "control"))
        )
        if self.programs["api"].is_running:
            wait_until(lambda: not is_port_free(self.settings.port), "the API listens")

    def wait_for_consumers(self, workers: int) -> None:
        """Return once Redis answers and this many workers wait for its messages."""
        wait_for_redis(self.redis_port)
        wait_until(
            lambda: count_consumers(self.settings.redis_url) >= workers, "the workers consume"
        )

    def kill(self, *names: str) -> None:
        """Kill programs with SIGKILL. The processes that they started die with them."""
        for name in names:
            process = self._get(name)
            process.kill()
            process.wait()

    def stop(self, *names: str) -> None:
        """Ask programs to end (SIGTERM), and wait until they have."""
        processes = [self._get(name) for name in names]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=STOP_SECONDS)

    def freeze(self, *names: str) -> None:
        """Freeze programs (SIGSTOP) and all processes that they started."""
        for pid in (pid for name in names for pid in self.pids(name)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self, *names: str) -> None:
        """Let frozen programs go on (SIGCONT)."""
        for pid in (pid for name in names for pid in self.pids(name)):
            # A program that was killed while frozen has ended by now.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Freeze programs for the length of a `with`."""
        self.freeze(*names)
        try:
            yield
        finally:
            self.thaw(*names)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Freeze all workers for the length of a `with`, which begins once Redis gives none of them
        a message any more.
        """
        with self.frozen(*WORKERS, "control"):
            wait_until(lambda: count_consumers(self.settings.redis_url) == 0, "no BRPOP waits")
            yield

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Restart programs that exit, as the service's supervisor does."""
        over = threading.Event()

        def keep_running() -> None:
            while not over.wait(1):
                self.start(*self.programs)

        keeper = threading.Thread(target=keep_running, name="supervisor")
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def is_whole(self) -> bool:
        """Whether all programs run."""
        return all(program.is_running for program in self.programs.values())

    def pids(self, name: str) -> list[int]:
        """Return the process ids of a program and of those it started; none if it does not run."""
        if not self.programs[name].is_running:
            return []
        main = self._get(name).pid
        return [main, *find_children(main)]

    def name_of(self, pid: int) -> str:
        """Return the program that a process belongs to."""
        return next(name for name in self.programs if pid in self.pids(name))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text() if self.log(name).exists() else ""

    def find_primary(self) -> str:
        """Return the name of MongoDB's primary, once there is one."""
        _, port = wait_until(lambda: self.database.client.primary, "there is a primary") or (
            None,
            None,
        )
        return next(name for name, member_port in self.member_ports.items() if member_port == port)

    def step_down(self) -> None:
        """Make the primary step down, and wait until another one is elected."""
        before = self.find_primary()

        def has_moved() -> bool:
            # If the election of its successor takes too long, the old primary is elected again and
            # has to step down once more.
            if self.find_primary() == before:
                with suppress(ConnectionFailure):
                    self.database.client.admin.command("replSetStepDown", 10, force=True)
            return self.find_primary() != before

        wait_until(has_moved, "another primary")

    def end(self) -> None:
        """Kill all programs."""
        self.database.client.close()
        self.broker.close()
        for program in self.programs.values():
            if program.is_running and program.process:
                program.process.kill()
                program.process.wait()
        self._starter.shutdown()

    def _get(self, name: str) -> subprocess.Popen[bytes]:
        process = self.programs[name].process
        assert process is not None, f"{name} was never started"
        return process


def find_children(pid: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    children: list[int] = []
    with suppress(OSError):
        for thread in (Path("/proc") / str(pid) / "task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return children


@contextmanager
def run_stack(folder: Path, **variables: str) -> Iterator[Stack]:
    """Yield a stack that is not started yet, and kill at the end whatever was started of it."""
    stack = Stack(folder, **variables)
    try:
        yield stack
    finally:
        stack.end()
