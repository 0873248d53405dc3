"""Runs programs under supervisor: starts them in order and again when they die, and leaves none
behind.
"""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from core.errors import ServerProblem
from core.memory import GIBIBYTE, NEEDED_BYTES, find_memory
from runner.programs import SERVICE, SOCKET, Program, write_supervisor_config
from runner.servers import POLL_SECONDS, die_with_parent

ANSWER_SECONDS = 60.0
# This is longer than the longest stop of a program and of the servers after it.
STOP_SECONDS = 60.0
RESPAWN_SECONDS = 1.0
TICK_SECONDS = 0.05
DONT_WAIT = False
EXITED = re.compile(r"exited: (?P<name>\S+) \((?P<how>.*); (?:not )?expected\)")
REFUSED = re.compile(r"\w*Error: (?P<why>.*)")
# MongoDB and Redis need more free space than this for what they write within a minute.
LEAST_BYTES = 64 * 2**20
KILLED = "SIGKILL"
GAVE_UP = re.compile(r"gave up: (?P<name>\S+) entered FATAL state")

Say = Callable[[str], None]


class Supervision:
    """A supervisord with its programs; `say` gets one line for each process that dies.

    supervisord runs in a session of its own, so that Ctrl-C reaches only the runner, and it dies
    with the runner. If supervisord is killed, its programs die with it and all are started again.
    """

    def __init__(
        self, programs: list[Program], state_dir: Path, environment: dict[str, str], say: Say
    ) -> None:
        self._programs = programs
        self._state_dir = state_dir
        self._environment = environment
        self._say = say
        self._stopping = threading.Event()
        self._refused = ""
        self._process: subprocess.Popen[str] | None = None
        self._watcher = threading.Thread(target=self._watch, name="supervision", daemon=True)

    def start_supervisor(self) -> None:
        """Start supervisor without its programs. Raises ServerProblem where it does not answer."""
        self._watcher.start()
        self._until_answered(lambda: self._call("getState"))

    def start(self, name: str) -> None:
        """Start one program, unless it runs."""
        group = next(program.group for program in self._programs if program.name == name)
        try:
            self._until_answered(lambda: self._call("startProcess", f"{group}:{name}", DONT_WAIT))
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise

    def start_service(self) -> None:
        """Start all programs of the service that do not run yet."""
        self._until_answered(lambda: self._call("startProcessGroup", SERVICE, DONT_WAIT))

    def stop(self) -> None:
        """Stop the service, then the servers, then supervisor; kill supervisor where this is
        interrupted or takes longer than STOP_SECONDS.
        """
        self._stopping.set()
        try:
            if process := self._process:
                self._ask_to_stop(process)
                self._wait_for_stop()
        finally:
            if self._process and self._process.poll() is None:
                self._process.kill()

    def _ask_to_stop(self, process: subprocess.Popen[str]) -> None:
        try:
            self._call("shutdown")
        except (OSError, HTTPException, Fault):
            process.terminate()

    def _wait_for_stop(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while self._watcher.is_alive() and time.monotonic() < deadline:
            # Supervisor checks for ended programs only once a second, unless a call wakes it.
            with suppress(OSError, HTTPException, Fault):
                self._call("getState")
            self._watcher.join(TICK_SECONDS)

    def _until_answered(self, call: Callable[[], object]) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                call()
            except (OSError, HTTPException) as error:
                if self._refused:
                    raise ServerProblem(f"supervisor does not start: {self._refused}") from error
                if time.monotonic() > deadline:
                    log = self._state_dir / "logs" / "supervisor.log"
                    raise ServerProblem(
                        f"supervisor does not answer ({error}); see {log}"
                    ) from error
                time.sleep(POLL_SECONDS)
            else:
                return

    def _call(self, method: str, *arguments: object) -> None:
        # The path is relative to stay within the 108 bytes that a Unix socket's path may have.
        socket = (self._state_dir / SOCKET).relative_to(Path.cwd())
        with ServerProxy(
            "http://localhost", SupervisorTransport(serverurl=f"unix://{socket}")
        ) as proxy:
            getattr(proxy.supervisor, method)(*arguments)

    def _watch(self) -> None:
        """Run supervisord, and start it again when it dies, until `stop` is called.

        The kernel kills supervisord when this thread ends, so the thread must go on.
        """
        with_programs = False
        while not self._stopping.is_set():
            config = write_supervisor_config(
                self._state_dir, self._programs, with_programs=with_programs
            )
            command = die_with_parent(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
            )
            with subprocess.Popen(  # noqa: S603 -- built above
                command,
                cwd=self._state_dir,
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as self._process:
                for line in self._process.stdout or ():
                    self._report(line)
            if not self._stopping.is_set():
                self._say("supervisor died, and all programs with it; starting them again")
                self._stopping.wait(RESPAWN_SECONDS)
            with_programs = True

    def _report(self, line: str) -> None:
        if self._stopping.is_set():
            return
        if refused := REFUSED.match(line):
            self._refused = refused["why"]
        elif died := EXITED.search(line):
            lack = describe_lack(self._state_dir)
            if KILLED in died["how"] and not lack and (little := describe_little_memory()):
                lack = f". {little}"
            self._say(f"{died['name']} died ({died['how']}); starting it again{lack}")
        elif failing := GAVE_UP.search(line):
            name = failing["name"]
            self._say(
                f"{name} does not stay up, see {self._state_dir / 'logs' / name}.log; trying on"
            )
            self._start_again(name)

    def _start_again(self, name: str) -> None:
        # If supervisor itself is gone, everything is started again anyway.
        with suppress(ServerProblem):
            try:
                self.start(name)
            except Fault as fault:
                self._say(f"{name} could not be started: {fault.faultString}")


def describe_lack(folder: Path) -> str:
    """Return a hint where a process may have died because the disk is full, else empty text."""
    free = shutil.disk_usage(folder).free
    if free >= LEAST_BYTES:
        return ""
    return (
        f". Only {free / 2**20:,.0f} MiB are free in {folder}: make room there, and it recovers by"
        " itself"
    )


def describe_little_memory(found: int | None = None) -> str:
    """Return a hint where there is so little memory that processes are killed, else empty text."""
    found = find_memory() if found is None else found
    if found >= NEEDED_BYTES:
        return ""
    return (
        f"There are {found / GIBIBYTE:.1f} GiB of memory here, and all processes together take up"
        f" to {NEEDED_BYTES / GIBIBYTE:.1f}: give the machine more"
    )
