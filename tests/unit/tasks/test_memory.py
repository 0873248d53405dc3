"""Memory that is freed and needed again."""

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
# Page faults (4 KiB each) while four such pieces are freed and allocated again, ten times over.
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

# Garbage collections while the documents of a batch are built.
FINDING = """
    import gc, sys
    from tasks.process.memory import spare_collections

    if sys.argv[1] == "spare":
        spare_collections()
    before = gc.get_stats()[0]["collections"]
    found = [[] for _ in range(40_000)]
    print(gc.get_stats()[0]["collections"] - before)
"""

# Packages that only fitting needs, in a process where all detectors are loaded.
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
def test_freed_memory_is_used_again_without_page_faults() -> None:
    program = TRIAL.format(size=PIECE_BYTES)
    kept, given_back = run(program, "keep"), run(program, "leave")
    assert kept < 1_000 < given_back


def test_building_the_documents_of_a_batch_triggers_no_garbage_collection() -> None:
    assert run(FINDING, "spare") == 0
    assert run(FINDING, "leave") > 10


# An allocation that does not fit into a limit of the address space.
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
def test_a_refused_allocation_is_distinguished_from_other_errors(attempt: str) -> None:
    assert run(REFUSED.format(attempt=attempt), "")


def test_an_error_caused_by_a_refused_allocation_counts_as_one() -> None:
    later = ValueError("not read")
    later.__cause__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert is_refused(later)
    assert not is_refused(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_refused(RuntimeError("cannot schedule new futures after shutdown"))


def test_errors_that_cause_each_other_are_examined_once() -> None:
    first, second = ValueError("first"), ValueError("second try")
    first.__cause__, second.__cause__ = second, first
    assert not is_refused(first)


@pytest.mark.slow
def test_scoring_loads_no_package_that_only_fitting_needs() -> None:
    assert run(SCORING, "load") == 0


def test_a_lack_of_threads_ends_the_request_of_a_lost_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It used to keep its place for ever: after two of them the worker took no message any more."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    _free_lost()
