"""Arguments and results in `records/` are typed documents: no `dict[str, Any]` in a signature."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

MODULES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "records").rglob("*.py"))


def find_vague(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every vague annotation of a public function. Classes that stand in for
    a class of pymongo have its signatures.
    """
    tree = ast.parse(source)
    given = {
        id(method)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(map(is_of_pymongo, node.bases))
        for method in node.body
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef)
            and not node.name.startswith("_")
            and id(node) not in given
        ):
            arguments = (
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            )
            annotations = [argument.annotation for argument in arguments if argument] + [
                node.returns
            ]
            for annotation in filter(None, annotations):
                if any(map(is_vague, ast.walk(annotation))) or ast.unparse(annotation) == "Any":
                    yield node.lineno, f"{node.name}: {ast.unparse(annotation)}"


def is_of_pymongo(base: ast.expr) -> bool:
    """Whether a base class is pymongo's database or collection."""
    return isinstance(base, ast.Subscript) and ast.unparse(base.value) in {"Collection", "Database"}


def is_vague(annotation: ast.AST) -> bool:
    match annotation:
        case ast.Name(id="Document") | ast.Attribute(attr="Document"):
            return True
        case ast.Subscript(
            value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, ast.Name(id="Any" | "object")])
        ):
            return True
        case ast.Constant(value=str(quoted)):
            return any(map(is_vague, ast.walk(ast.parse(quoted, mode="eval"))))
        case _:
            return False


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_have_typed_documents(module: str) -> None:
    assert list(find_vague((ROOT / module).read_text())) == [], (
        "name the document, or the part of it"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def find(database: Db) -> Document: ...", "find: Document"),
        ("def find(database: Db) -> list[database.Document]: ...", "find: list[database.Document]"),
        ("def add(document: dict[str, Any] | None) -> None: ...", "add: dict[str, Any] | None"),
        (
            "def add(documents: Sequence[dict[str, object]]) -> None: ...",
            "add: Sequence[dict[str, object]]",
        ),
        ("def add(*, fields: 'Document') -> None: ...", "add: 'Document'"),
        ("def build(**fields: Any) -> None: ...", "build: Any"),
        (
            "class Keyset:\n  def build_query(self) -> dict[str, Any]: ...",
            "build_query: dict[str, Any]",
        ),
    ],
)
def test_each_vague_annotation_is_recognised(source: str, words: str) -> None:
    assert [found for _, found in find_vague(source)] == [words]


@pytest.mark.parametrize(
    "source",
    [
        "def find(database: Db, query: Query) -> RunDocument | None: ...",
        "def _find(query: dict[str, Any]) -> Document: ...",
        "def count(database: Db) -> dict[str, int]: ...",
    ],
)
def test_an_annotation_that_names_a_document_is_accepted(source: str) -> None:
    assert list(find_vague(source)) == []
