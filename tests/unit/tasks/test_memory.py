"""Memory that is freed and wanted again."""

import platform
import subprocess
import sys
import textwrap

import pytest

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_is_freed_is_not_taken_from_the_system_again() -> None:
    program = textwrap.dedent(TRIAL.format(size=PIECE_BYTES))
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", program, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("keep", "leave")
    )
    assert kept < 1_000 < given_back
