"""The commands in the documents work as pasted into a shell of any kind."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
