"""The commands in the documents work as pasted into a shell of any kind."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import click
import pytest
from flask import Flask

from cli import register_commands
from cli.notify import change_rule
from tests.conftest import ROOT

DOCUMENTS = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/**/*.md"))


def find_blocks(path: Path) -> Iterator[str]:
    yield from re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documented_commands_work_in_any_shell(path: Path) -> None:
    """cron and Debian's scripts run sh, which does not expand {a,b}."""
    for block in find_blocks(path):
        read = subprocess.run(
            ["sh", "-n"], input=block, capture_output=True, text=True, check=False
        )
        assert (read.returncode, read.stderr) == (0, ""), block
        assert not re.search(r"\{[^{}\s'\"]*,[^{}\s'\"]*\}", block), block


def find_faults(root: click.Group, command: str) -> Iterator[str]:
    """Yield what of a documented command (`flask bars list`) there is not."""
    context = click.Context(root)
    found: click.Command | None = root
    words = iter(shlex.split(command))
    while isinstance(found, click.Group):
        word = next(words, "")
        # `flask markets` alone names a group.
        if not word:
            return
        found = found.get_command(context, word)
        if found is None:
            yield f"no command {word} in: flask {command}"
            return
    assert found is not None
    known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
    for word in dropwhile(lambda word: not word.startswith("--"), words):
        for name in word.partition("=")[0].split("|") if word.startswith("--") else ():
            option = f"--{name.removeprefix('--')}"
            if option not in known | {"--help"}:
                yield f"no option {option} of: flask {command}"


def test_every_documented_command_exists_with_its_options() -> None:
    app = Flask("commands")
    register_commands(app)
    assert isinstance(app.cli, click.Group)
    commands = [
        re.split(r"\s+[#>|&]|;", command)[0].rstrip(".")
        for path in DOCUMENTS
        for command in re.findall(
            r"(?:^|[`\s/(])flask ([a-z][a-z-]*[^`\n]*)", path.read_text().replace("\\\n", " ")
        )
    ]
    assert len(commands) > 100
    prose = {"commands", "and", "needs"}
    named = [command for command in commands if command.split()[0] not in prose]
    assert [fault for command in named for fault in find_faults(app.cli, command)] == []


def test_the_help_of_a_change_promises_no_defaults() -> None:
    """What is not named stays as it is."""
    told = change_rule.get_help(click.Context(change_rule))
    assert "--min-grade" in told
    assert "default" not in told


def test_the_documented_backup_and_restore_give_back_the_data(tmp_path: Path) -> None:
    (block,) = (block for block in find_blocks(ROOT / "docs/operations.md") if "tar czf" in block)
    *backup, restore = block.splitlines()
    held = {"mongod/data/WiredTiger": "bars", "secrets/mongod": "password", "artefact.keys": "key"}
    for name, text in held.items():
        file = tmp_path / ".tapewatch" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    subprocess.run(["sh", "-e"], input="\n".join(backup), cwd=tmp_path, check=True, text=True)
    assert (tmp_path / "tapewatch.tar.gz").stat().st_mode & 0o077 == 0
    later = tmp_path / ".tapewatch/mongod/data/later"
    later.write_text("bars that came since")
    subprocess.run(["sh", "-e"], input=restore, cwd=tmp_path, check=True, text=True)
    assert {name: (tmp_path / ".tapewatch" / name).read_text() for name in held} == held
    assert not later.exists()
