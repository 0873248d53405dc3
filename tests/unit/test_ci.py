"""CI installs the programs that the tests run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# Programs that every Debian has: bash, coreutils, util-linux.
ESSENTIAL = {"bash", "nsenter", "setpriv", "sh", "sleep", "true", "unshare"}
# Programs of `make faults` and `make containers`, which say themselves if one is missing.
NOT_IN_CI = {"faults", "containers"}


def find_programs(path: Path) -> Iterator[str]:
    """Yield the programs that a file looks up on PATH, or runs by name."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args):
            continue
        owner, argument = call.func.value, call.args[0]
        if not (isinstance(owner, ast.Name) and owner.id in {"shutil", "subprocess"}):
            continue
        named = (
            argument.elts[0]
            if isinstance(argument, ast.List | ast.Tuple) and argument.elts
            else argument
        )
        if call.func.attr in {"which", "run", "Popen", "check_output"} and isinstance(
            named, ast.Constant
        ):
            yield str(named.value)


def test_ci_installs_every_program_that_a_test_runs() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if not NOT_IN_CI & set(path.parts)]
    programs = {program for path in files for program in find_programs(path)} - ESSENTIAL
    assert {"chromium", "chromium-headless-shell", "git", "promtool", "docker-compose"} <= programs
    asked = set(re.findall(r"command -v (\S+)", (ROOT / ".ci" / "run").read_text()))
    assert programs <= asked, f"not asked for in .ci/run: {sorted(programs - asked)}"
