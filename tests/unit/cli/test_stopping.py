"""Ctrl-C at a question of a command."""

import signal
import subprocess
import sys

from tests.processes import PATIENCE_SECONDS, ROOT

ASKING = """
import click
from cli.common import exits_on_error

@click.command()
@exits_on_error
def delete():
    click.confirm("Delete it?", abort=True)

delete()
"""


def test_ctrl_c_at_a_question_ends_as_of_the_signal_and_no_answer_with_1() -> None:
    """It ended with 1, and a shell's loop went on with the next question."""
    command = [sys.executable, "-c", ASKING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as asking:
        assert asking.stdout is not None
        while asking.stdout.read(1) not in {b"?", b""}:
            pass
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=PATIENCE_SECONDS)
    assert (asking.returncode, said.strip()) == (-signal.SIGINT, b"Stopped.")
    unanswered = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert unanswered.returncode == 1
