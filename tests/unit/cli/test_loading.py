"""Which modules a command loads, and that all commands are found."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from cli import ALONE, GROUPS
from cli.common import CommandGroup
from tests.processes import ROOT

# Runs `flask ...`, then lists the modules that were loaded.
PROGRAM = """
import json, sys
from flask.cli import cli

try:
    cli(sys.argv[1:])
except SystemExit:
    print(json.dumps([*sys.modules]), file=sys.stderr)
"""


def run_flask(*words: str) -> tuple[str, set[str]]:
    """Return what `flask ...` prints, and the modules that it loads."""
    command = [sys.executable, "-c", PROGRAM, "--app", "wsgi", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout, set(json.loads(done.stderr))


def test_a_command_loads_neither_the_api_nor_other_commands() -> None:
    told, loaded = run_flask("sessions", "--help")
    assert "Days on which an exchange does not keep to its calendar." in told
    assert "cli.sessions" in loaded
    assert not {"api", "cli.bars", "cli.runs", "celery"} & loaded


def test_every_group_is_found_by_its_name() -> None:
    modules = {path.stem: import_module(f"cli.{path.stem}") for path in (ROOT / "cli").glob("*.py")}
    groups = {
        name: module.group
        for name, module in modules.items()
        if isinstance(getattr(module, "group", None), CommandGroup)
    }
    assert {group.name for group in groups.values()} == set(groups) == set(GROUPS)
    listed = {line.split()[0] for line in run_flask("--help")[0].splitlines() if line.strip()}
    assert {*GROUPS, *ALONE} <= listed


def test_flask_still_knows_the_routes_of_the_api() -> None:
    assert "/py/health" in run_flask("routes")[0]


def test_the_shell_completes_our_commands() -> None:
    asked = {"_FLASK_COMPLETE": "bash_complete", "COMP_WORDS": "flask ba", "COMP_CWORD": "1"}
    command = [str(Path(sys.executable).parent / "flask")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["plain,backfill", "plain,bars"]


def test_a_server_that_is_made_with_click_loads_the_api() -> None:
    """It got an application without routes, as if it was `flask`."""
    program = (
        "import click\n"
        "@click.command()\n"
        "def serve():\n"
        "    from wsgi import app\n"
        "    print(*app.url_map.iter_rules())\n"
        "serve()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "/py/health" in done.stdout
