"""Limits and folders with which the runner cannot start."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from threading import Event, Thread

import pytest

from runner.service import own_state
from runner.supervision import describe_lack
from tests.processes import (
    COMMAND,
    PATIENCE_SECONDS,
    build_environment,
    run_runner,
    start_runner,
    wait_until,
)

pytestmark = pytest.mark.slow


def test_too_few_open_files_are_reported_at_once(tmp_path: Path) -> None:
    """For a minute the error used to be that supervisor had died."""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *COMMAND, "up"],
        cwd=tmp_path,
        env=build_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "a process may open 256 files here (`ulimit -Hn`), and the service needs 1,024: start it"
        " from a shell with a higher limit"
    )


def test_an_error_of_supervisor_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / ".tapewatch" / "logs" / "supervisor.log").mkdir(parents=True)
    done = run_runner(tmp_path, "up")
    assert done.returncode == 1
    assert done.stderr.startswith("supervisor does not start: "), done.stderr
    assert "supervisor.log" in done.stderr


def test_ctrl_c_during_the_start_leaves_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up"],
        cwd=tmp_path,
        env=build_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    maps = Path(f"/proc/{process.pid}/maps")
    wait_until(lambda: "pydantic_core" in maps.read_text(), "it loads")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said


def test_a_process_that_dies_on_a_full_disk_is_reported_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=8m tmpfs {folder}"
    asked = f"from runner.supervision import *; print(describe_lack(Path({str(folder)!r})))"
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    done = subprocess.run(
        [*unshare, COMMAND[0], "-c", asked],
        env=build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.stdout.strip() == (
        f". Only 8 MiB are free in {folder}: make room there, and it recovers by itself"
    )
    assert describe_lack(tmp_path) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("name", ["secrets/redis", "logs/api.log", "mongod/storage.bson"])
def test_files_that_another_user_left_are_named_before_anything_starts(
    tmp_path: Path, name: str
) -> None:
    foreign = tmp_path / ".tapewatch" / name
    foreign.parent.mkdir(parents=True)
    foreign.touch(mode=0o600)
    os.chown(foreign, 65_534, 65_534)
    # Run as a user without root's powers, because root may read everything.
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *COMMAND]
    with start_runner(tmp_path, "up", command=command) as runner:
        assert runner.process.wait(PATIENCE_SECONDS) == 2
        said = runner.said()
    assert said.startswith(f"{foreign}: Permission denied. ")
    assert "chown" in said


def test_files_that_vanish_during_the_check_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside a running service, which is then the error to report."""
    monkeypatch.chdir(tmp_path)
    over = Event()

    def make_and_remove() -> None:
        folders = [tmp_path / ".tapewatch" / "tmp" / f"{number}" for number in range(20)]
        while not over.is_set():
            for folder in folders:
                (folder / "own").mkdir(parents=True)
            for folder in folders:
                shutil.rmtree(folder)

    other = Thread(target=make_and_remove)
    other.start()
    try:
        for _ in range(300):
            with own_state():
                pass
    finally:
        over.set()
        other.join()
