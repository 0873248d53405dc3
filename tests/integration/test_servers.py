"""The embedded servers and supervisor, without the service."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pymongo import MongoClient

from core.binaries import find_mongod, find_redis_server
from core.errors import ServerProblem
from runner import programs
from runner.programs import SERVERS, SERVICE, Program
from runner.servers import (
    LOOPBACK,
    die_with_parent,
    free_port,
    is_port_free,
    mongo_url,
    mongod_command,
    wait_for_primary,
    wait_for_redis,
)
from runner.supervision import Supervision, describe_little_memory
from tests.processes import find_processes, wait_until


def make_program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@contextmanager
def run_mongod(folder: Path, port: int) -> Iterator[MongoClient]:
    command = mongod_command(find_mongod(), folder, port, cache_gigabytes=0.25)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_primary(port)
            with MongoClient(mongo_url(port)) as client:
                yield client
        finally:
            process.terminate()


@pytest.mark.slow
def test_mongod_keeps_its_data_when_its_port_changes(tmp_path: Path) -> None:
    with run_mongod(tmp_path, free_port()) as client:
        client.kept.things.insert_one({"_id": 1})
    with (
        run_mongod(tmp_path, free_port()) as client,
        client.start_session() as session,
        session.start_transaction(),
    ):
        assert client.kept.things.find_one(session=session) == {"_id": 1}


def test_a_free_port_is_given_to_no_other_program_before_its_server_has_it() -> None:
    """If ports were only looked up, some thirty would be given twice: programs that start meanwhile
    look too.
    """
    ours = {free_port() for _ in range(200)}
    theirs = set()
    for _ in range(2_000):
        with socket.socket() as other:
            other.bind((LOOPBACK, 0))
            theirs.add(other.getsockname()[1])
    assert (len(ours), ours & theirs) == (200, set())
    assert all(map(is_port_free, ours))


def knows_slices() -> bool:
    """Whether this is a Linux on which a thread can set its own time slice, and shows it."""
    release = platform.release().split(".")
    is_new = sys.platform == "linux" and (int(release[0]), int(release[1])) >= (6, 12)
    return is_new and Path("/proc/self/sched").exists()


@pytest.mark.skipif(not knows_slices(), reason="this system knows no slices of a thread's own")
def test_processes_that_compute_give_way_to_mongod_at_once(tmp_path: Path) -> None:
    """This includes the threads that mongod starts later, such as the one for this connection."""
    with run_mongod(tmp_path, free_port()) as client:
        process = client.admin.command("serverStatus")["pid"]
        told = []
        for thread in Path(f"/proc/{process}/task").iterdir():
            # Some threads end meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                told.append(re.search(r"se\.slice +: +(\d+)", (thread / "sched").read_text()))
    assert len(told) > 10
    # The shortest slice that Linux has.
    assert {int(each[1]) for each in told if each} == {100_000}


@pytest.mark.parametrize(
    ("name", "find"), [("redis-server", find_redis_server), ("mongod", find_mongod)]
)
def test_a_server_on_the_path_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, find: object
) -> None:
    binary = make_program(tmp_path / name, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find() == binary


def test_a_library_that_mongod_lacks_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = (
        "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open' >&2;"
        " exit 127"
    )
    make_program(tmp_path / "fiftyone" / "db" / "bin" / "mongod", lacking)
    (tmp_path / "fiftyone" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        ServerProblem, match=r"(?s)libcurl\.so\.4: cannot open.*apt-get install libcurl4"
    ):
        find_mongod()


def test_a_processor_that_is_too_old_for_mongod_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_program(tmp_path / "fiftyone" / "db" / "bin" / "mongod", "kill -ILL $$")
    (tmp_path / "fiftyone" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerProblem, match=r"no AVX.*MONGO_URL"):
        find_mongod()


def test_servers_that_cannot_be_found_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("core.binaries.find_spec", lambda _package: None)
    with pytest.raises(ServerProblem, match="REDIS_URL"):
        find_redis_server()
    with pytest.raises(ServerProblem, match="MONGO_URL"):
        find_mongod()


@pytest.mark.slow
def test_a_server_that_does_not_start_is_given_up_in_time() -> None:
    with pytest.raises(ServerProblem, match="Redis on port"):
        wait_for_redis(free_port(), timeout_seconds=0.2)
    with pytest.raises(ServerProblem, match="MongoDB on port"):
        wait_for_primary(free_port(), timeout_seconds=0.2)


@pytest.mark.slow
def test_a_program_that_keeps_ending_is_restarted_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "TRIES", 1)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    supervision = Supervision(
        [
            Program("steady", SERVERS, ["sleep", "1000"]),
            Program("failing", SERVICE, ["sh", "-c", "exit 3"]),
        ],
        tmp_path / "state",
        dict(os.environ),
        said.append,
    )
    try:
        supervision.start_supervisor()
        supervision.start("steady")
        supervision.start_service()
        wait_until(
            lambda: sum("failing does not stay up" in line for line in said) == 2, "given up twice"
        )
    finally:
        supervision.stop()
    assert said[0] == "failing died (exit status 3); starting it again"
    log = tmp_path / "state" / "logs" / "failing.log"
    assert f"failing does not stay up, see {log}; trying on" in said
    assert [command for pid, command in find_processes(tmp_path) if pid != os.getpid()] == []


def test_a_machine_with_too_little_memory_is_told_how_much_is_needed() -> None:
    assert describe_little_memory(900 * 2**20) == (
        "There are 0.9 GiB of memory here, and all processes together take up to 1.3:"
        " give the machine more"
    )
    assert describe_little_memory(2 * 2**30) == ""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the kernel is told by setpriv")
def test_a_program_whose_parent_died_during_its_start_does_not_start(
    tmp_path: Path,
) -> None:
    command = ["sh", "-c", "echo started"]
    of_others = f"{os.getpid() + 1}"
    for parent, said in (
        ("", "started\n"),
        (of_others, ""),
        ("$(cat none 2>/dev/null)", "started\n"),
    ):
        done = subprocess.run(
            die_with_parent(command, parent),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == (said, "")
