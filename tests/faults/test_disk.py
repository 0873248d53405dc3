"""MongoDB's disk becomes full and then has room again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from records.database import Document
from runner.servers import LOOPBACK, die_with_parent
from tests.faults.recoveries import run_trial
from tests.faults.stack import MEMBERS, SERVICE, run_stack
from tests.faults.stock import stock
from tests.faults.trial import Trial, make_reference
from tests.processes import wait_until

# Room for three members with their journals, and for a run.
DISK_MEGABYTES = 2_000
# Mounting a file system needs no root where users may create namespaces.
UNSHARE = ("unshare", "--map-root-user", "--mount")


@dataclass(frozen=True, slots=True)
class Disk:
    """A small file system that only the processes in its namespace see; it ends with the process
    `keeper`.
    """

    folder: Path
    keeper: subprocess.Popen[bytes]

    @property
    def ballast(self) -> Path:
        return Path(f"/proc/{self.keeper.pid}/root{self.folder}") / "ballast"

    def enter(self, command: list[str], folder: Path) -> list[str]:
        """Return `command` changed so that it runs on this disk, where `folder` is created for
        it.
        """
        enter = (
            "nsenter",
            "--target",
            str(self.keeper.pid),
            "--user",
            "--preserve-credentials",
            "--mount",
        )
        return [
            *enter,
            *die_with_parent(["sh", "-c", 'mkdir -p "$0" && exec "$@"', str(folder), *command]),
        ]

    def fill(self) -> None:
        """Leave no room for another block."""
        with self.ballast.open("wb", buffering=0) as file:
            for size in (2**20, 4096):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        assert shutil.disk_usage(self.ballast.parent).free == 0

    def free(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty disk, if this machine allows one."""
    folder = tmp_path / "stack"
    folder.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("there is no `unshare`, which makes a file system without root")
    mount = f"mount -t tmpfs -o size={DISK_MEGABYTES}m tmpfs {folder}"
    tried = subprocess.run(
        [*UNSHARE, "sh", "-c", mount], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no file system may be mounted here: {tried.stderr.strip()}")
    command = die_with_parent([*UNSHARE, "sh", "-c", f"{mount} && echo mounted && exec cat"])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout
        assert keeper.stdout.readline() == b"mounted\n"
        yield Disk(folder, keeper)
        keeper.kill()


@pytest.fixture
def trial(disk: Disk, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial on a service of its own, whose MongoDB lies on the small disk as a whole."""
    with run_stack(disk.folder) as stack:
        for name in MEMBERS:
            program = stack.programs[name]
            program.command = disk.enter(program.command, stack.folder / name)
        stack.start_servers()
        stock(stack.database)
        stack.start(*SERVICE)
        with run_trial(stack, make_reference(stack), request) as trial:
            yield trial


@pytest.mark.faults
def test_a_full_disk_that_is_freed_is_only_a_delay(trial: Trial, disk: Disk) -> None:
    """While no member of MongoDB can write, nothing is done or reported as done; once there is
    room, everything is.
    """
    with trial.stack.supervised():
        held = trial.freeze_holder(trial.backfill())
        disk.fill()
        for name, port in trial.stack.member_ports.items():
            wait_until(
                lambda name=name, port=port: has_given_up(trial, name, port),
                f"{name} has no room",
                90,
            )
        os.kill(held.pid, signal.SIGCONT)
        with trial.recovering("MongoDB's disk full, then freed"):
            disk.free()
            trial.wait_for_end()
    trial.check()


def has_given_up(trial: Trial, name: str, port: int) -> bool:
    """Whether a member ended for lack of room; it is forced to write at once, which it would
    otherwise do within a minute.
    """
    with (
        suppress(PyMongoError),
        MongoClient[Document](LOOPBACK, port, directConnection=True, timeoutMS=2_000) as member,
    ):
        member.admin.command("fsync")
    return "No space left on device" in trial.stack.said(name)
