"""Which packages may access a collection: `records/`, and `market/bars` the bars. All others call
their functions.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, WINGS

# Names that a database offers besides its collections, and that may be used elsewhere.
NO_COLLECTION = {"client", "command", "with_options"}
NAMES = {"database", "_database", "get_database", "open_database"}


def is_database(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression is a database: `worker.database`, `get_database()`, or a parameter
    `name: Db`.
    """
    match node:
        case (
            ast.Name(id=name)
            | ast.Attribute(attr=name)
            | ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))
        ):
            return name in names
        case _:
            return False


def find_touches(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every place that gets a collection from a database, or opens a
    GridFS.
    """
    tree = ast.parse(source)
    annotated = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation
    ]
    typed = {
        ast.unparse(n.target) if isinstance(n, ast.AnnAssign) else n.arg
        for n in annotated
        if is_db(n.annotation)
    }
    names = NAMES | {name.rpartition(".")[2] for name in typed}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attr) if (
                is_database(value, names) and attr not in NO_COLLECTION
            ):
                yield node.lineno, ast.unparse(node)
            case ast.Subscript(value=value) if is_database(value, names):
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(module=str(module)) if module.startswith("records.") and (
                taken := list_taken(node)
            ):
                yield from ((node.lineno, name) for name in taken)
            case ast.ImportFrom(module="gridfs") | ast.Import(names=[ast.alias(name="gridfs")]):
                yield node.lineno, ast.unparse(node)


def list_taken(node: ast.ImportFrom) -> list[str]:
    """List the imported functions that return a collection, such as `runs_in`."""
    return [alias.name for alias in node.names if alias.name.endswith("_in")]


def is_db(annotation: ast.expr | None) -> bool:
    return annotation is not None and "Db" in ast.unparse(annotation).split(" | ")


@pytest.mark.parametrize("wing", WINGS)
def test_only_records_access_collections(wing: str) -> None:
    found = []
    for path in sorted((ROOT / wing).rglob("*.py")):
        place = path.relative_to(ROOT)
        if place.is_relative_to("records"):
            continue
        for line, words in find_touches(path.read_text()):
            if not (place.is_relative_to("market/bars") and words == "bars_in"):
                found.append(f"{place}:{line}: {words}")
    assert found == [], "move the query into a named function of records/"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(database): database.anomalies.find_one({})", "database.anomalies"),
        (
            "def f(worker): worker.database['anomalies'].find_one({})",
            "worker.database['anomalies']",
        ),
        ("def f(worker, name): worker.database[name].find_one({})", "worker.database[name]"),
        ("get_database().models.count_documents({})", "get_database().models"),
        ("def f(where: Db): where.get_collection('runs')", "where.get_collection"),
        ("class A:\n  where: Db | None\n  def f(self): return self.where.runs", "self.where.runs"),
        ("from records.work.documents import RunDocument, runs_in", "runs_in"),
        ("from gridfs import GridFSBucket", "from gridfs import GridFSBucket"),
    ],
)
def test_each_way_to_access_a_collection_is_recognised(source: str, words: str) -> None:
    assert [found for _, found in find_touches(source)] == [words]


@pytest.mark.parametrize(
    "source",
    [
        "worker.database.client.close()",
        "database.command('ping')",
        "from records.database import Db",
    ],
)
def test_code_that_accesses_none_is_accepted(source: str) -> None:
    assert list(find_touches(source)) == []


def test_all_packages_are_checked() -> None:
    assert {
        "core",
        "records",
        "market",
        "detection",
        "alerts",
        "tasks",
        "api",
        "cli",
        "runner",
    } <= set(WINGS)
    assert list(find_touches((ROOT / "records/work/batches.py").read_text())) != []
