"""The paths that documents name exist, and the packages are those that the layers list."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.catalogue import CATEGORIES
from tests.conftest import ROOT, WINGS

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = PYPROJECT["tool"]["importlinter"]["contracts"]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
# A path in prose: a folder and an extension, or a folder and a slash after it.
ENDINGS = "py|js|md|json|toml|ya?ml|sh|css|html|png|txt"
PATH = re.compile(rf"(?<![\w./<>{{}}:*$~-])((?:[\w-]+/)+(?:[\w.-]+\.(?:{ENDINGS}))?)(?![\w*<{{/])")
TOP = {path.name for path in ROOT.iterdir()}


def list_modules() -> list[Path]:
    return sorted(file for package in WINGS for file in (ROOT / package).rglob("*.py"))


def find_paths(text: str) -> Iterator[str]:
    """Yield the paths of this project that a text names."""
    for path in PATH.findall(text):
        if path.split("/")[0] in TOP:
            yield path


def exists(path: str, beside: Path) -> bool:
    return (ROOT / path).exists() or (beside / path).exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    missing = [
        path for path in find_paths(document.read_text()) if not exists(path, document.parent)
    ]
    assert missing == []


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/guides/*.md")]
    paths = [page.relative_to(ROOT).as_posix() for page in pages]
    assert [path for path in paths if f"]({path}" not in text] == []


def test_every_path_that_code_names_exists() -> None:
    missing = [
        f"{module.relative_to(ROOT)}: {path}"
        for module in list_modules()
        for path in find_paths(module.read_text())
        if path.endswith((".py", ".md")) and not exists(path, module.parent)
    ]
    assert missing == []


def test_every_package_has_its_layer() -> None:
    (house,) = [contract for contract in CONTRACTS if contract["name"].startswith("The house")]
    layered = {package.strip() for layer in house["layers"] for package in layer.split(":")}
    assert layered == set(WINGS)
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == set(WINGS)
    assert set(PYPROJECT["tool"]["mypy"]["packages"]) == set(WINGS)


@pytest.mark.parametrize("package", WINGS)
def test_every_package_with_subpackages_has_its_layers(package: str) -> None:
    rooms = [
        path for path in (ROOT / package).iterdir() if path.is_dir() and list(path.glob("*.py"))
    ]
    containers = {name for contract in CONTRACTS for name in contract.get("containers", [])}
    assert package in containers or not rooms


def test_the_architecture_document_names_every_package() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = {
        found[1]: set(re.findall(r"\w+", part))
        for part in re.split(r"\n(?=\S)", text)
        if (found := re.search(r"\n  (\w+)/ ", part))
    }
    rooms = {
        (wing, room)
        for contract in CONTRACTS
        for wing in contract.get("containers", [])
        for layer in contract["layers"]
        for room in re.findall(r"\w+", layer)
        if room not in CATEGORIES  # They are named as one.
    }
    assert {(wing, room) for wing, room in rooms if room not in named[wing]} == set()


@pytest.mark.parametrize("package", ["api", "cli", "records"])
def test_importing_loads_no_numeric_package(package: str) -> None:
    modules = [
        ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for module in list_modules()
        if module.is_relative_to(ROOT / package)
    ]
    program = (
        f"import sys, importlib; [importlib.import_module(name) for name in {modules!r}];"
        " print(sorted({'numpy', 'pandas', 'pyarrow', 'numba', 'sklearn', 'scipy'} &"
        " sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_function_has_a_docstring_that_says_more_than_its_name() -> None:
    """Ruff requires the docstring; this requires a sentence with more than the name in it."""
    short = [
        f"{module.relative_to(ROOT)}: {node.name}"
        for module in list_modules()
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if (said := ast.get_docstring(node)) and len(said.split()) < 3
    ]
    assert short == []


def test_code_and_documents_keep_within_100_columns() -> None:
    """Ruff checks Python; tables and terminal output in documents may be wider."""
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.js", "*.css", "*.html", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    wide = [
        f"{name}:{number}"
        for name in listed.stdout.splitlines()
        if "vendor/" not in name
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if len(line) > 100 and not line.startswith(tuple("|│┃┏┡└"))
    ]
    assert wide == []
