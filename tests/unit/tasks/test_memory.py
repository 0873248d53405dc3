"""Memory that is freed and wanted again."""

import errno
import platform
import subprocess
import sys
import textwrap
import threading

import pytest

from tasks.process.consumer import _free_lost
from tasks.process.memory import is_refused

PIECE_BYTES = 4 << 20
# Faults of 4 KiB pages as four such pieces, ten times over, are freed and taken again.
TRIAL = """
    import resource, sys
    from tasks.process.memory import keep_freed_memory

    def take():
        pieces = [bytes(b"x" * {size}) for _ in range(4)]

    if sys.argv[1] == "keep":
        keep_freed_memory()
    take()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        take()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# Collections while a batch's worth of documents is put together.
FINDING = """
    import gc, sys
    from tasks.process.memory import spare_collections

    if sys.argv[1] == "spare":
        spare_collections()
    before = gc.get_stats()[0]["collections"]
    found = [[] for _ in range(40_000)]
    print(gc.get_stats()[0]["collections"] - before)
"""

# Packages of those that only fit, where all detectors are loaded.
SCORING = """
    import sys
    from importlib import import_module
    from detection.detectors.catalogue import DETECTORS

    for module in ["tasks.kinds.detection", *(kind.module for kind in DETECTORS.values())]:
        import_module(module)
    print(len({"sklearn", "joblib"} & sys.modules.keys()))
"""


def run(program: str, how: str) -> int:
    command = [sys.executable, "-c", textwrap.dedent(program), how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_is_freed_is_not_taken_from_the_system_again() -> None:
    program = TRIAL.format(size=PIECE_BYTES)
    kept, given_back = run(program, "keep"), run(program, "leave")
    assert kept < 1_000 < given_back


def test_what_a_batch_finds_is_not_looked_through_as_it_comes() -> None:
    assert run(FINDING, "spare") == 0
    assert run(FINDING, "leave") > 10


# What does not fit under a limit of the address space.
REFUSED = """
    import resource, sys, threading
    from tasks.process.memory import is_refused

    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        {attempt}
    except Exception as error:
        print(int(is_refused(error)))
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="the limit is Linux's")
@pytest.mark.parametrize(
    "attempt",
    [
        "bytes(1 << 28)",
        "threading.Thread(target=print).start()",
        "__import__('mmap').mmap(-1, 1 << 28)",
    ],
)
def test_what_the_system_refuses_is_told_from_other_errors(attempt: str) -> None:
    assert run(REFUSED.format(attempt=attempt), "")


def test_an_error_that_came_of_a_refusal_is_one() -> None:
    later = ValueError("not read")
    later.__cause__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert is_refused(later)
    assert not is_refused(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_refused(RuntimeError("cannot schedule new futures after shutdown"))


def test_errors_that_came_of_each_other_are_looked_at_once() -> None:
    first, second = ValueError("first"), ValueError("second try")
    first.__cause__, second.__cause__ = second, first
    assert not is_refused(first)


def test_who_scores_loads_nothing_that_only_fits() -> None:
    assert run(SCORING, "load") == 0


def test_a_want_of_threads_ends_the_request_of_a_lost_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It held its place for good: after two of them the worker took no message any more."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    _free_lost()
