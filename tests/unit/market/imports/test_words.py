"""Messages about a file are shown on the command line, over HTTP and on pages alike."""

import ast
import re
from pathlib import Path

import pytest

MARKET = Path(__file__).parents[4] / "market"
MODULES = [*sorted((MARKET / "imports").rglob("*.py")), MARKET / "markets.py"]
OPTION = re.compile(r"(?<![\w-])--[a-z]")


@pytest.mark.parametrize("module", MODULES, ids=[str(m.relative_to(MARKET)) for m in MODULES])
def test_no_message_mentions_command_line_options(module: Path) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in texts if OPTION.search(text)] == []
