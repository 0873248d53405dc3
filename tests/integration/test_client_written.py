"""The Python client is checked against the OpenAPI document: the stored module must equal what is
written from the document.

`WRITE_CLIENT=1` writes it again.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.integration.client_writer import CLIENT, find_body, find_operations, write_client

ASKING = {"_ask", "_start", "_upload", "_lines", "_pages"}
HANDLED = {"limit", "cursor", "wait"}
Call = tuple[str, str, set[str]]


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/py/openapi.json").json
    return found


def find_calls() -> Iterator[Call]:
    """Yield (method, path, names of the sent fields) of each call in the client's methods."""
    (client,) = [
        node
        for node in ast.parse(CLIENT.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Client"
    ]
    for call in ast.walk(client):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            asks = call.func.attr
            if asks not in ASKING:
                continue
            values = [argument.value for argument in call.keywords] + call.args
            sent = {
                key.value
                for value in values
                if isinstance(value, ast.Dict)
                for key in value.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
            if asks in {"_ask", "_start", "_lines"}:
                method = ast.literal_eval(call.args[0])
                yield method, read_path(call.args[1]), sent - {"Content-Type"}
            else:
                yield "GET" if asks == "_pages" else "POST", read_path(call.args[0]), sent


def read_path(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr)
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            assert isinstance(part.value, ast.Call)
            parts.append(f"{{{ast.unparse(part.value.args[0])}}}")
        else:
            parts.append(str(ast.literal_eval(part)))
    return "".join(parts)


def test_client_follows_the_document(document: dict[str, Any]) -> None:
    written = write_client(document)
    if os.environ.get("WRITE_CLIENT"):
        CLIENT.write_text(written)
    assert CLIENT.read_text() == written, "WRITE_CLIENT=1 make test ARGS='-k client_follows'"


def test_every_operation_has_a_method_and_every_method_an_operation(
    document: dict[str, Any],
) -> None:
    called = {(method, path) for method, path, _sent in find_calls()}
    there = {
        (method.upper(), path.removeprefix("/py"))
        for path, method, _operation in find_operations(document)
    }
    assert called == there
    assert len(there) > 50


def test_every_documented_parameter_and_field_is_sent_and_no_other(
    document: dict[str, Any],
) -> None:
    taken = {
        (method.upper(), path.removeprefix("/py")): {
            parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"
        }
        | set(find_body(document, operation)[1].get("properties", {}))
        for path, method, operation in find_operations(document)
    }
    sent: dict[tuple[str, str], set[str]] = {}
    for method, path, names in find_calls():
        sent.setdefault((method, path), set()).update(names)
    assert {call: names - HANDLED for call, names in taken.items()} == {
        call: names - HANDLED for call, names in sent.items()
    }


def test_the_package_is_built_and_installed_without_an_index(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    alone = ["--no-index", "--no-deps", "--no-build-isolation"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    into = ["--find-links", str(tmp_path), "--target", str(tmp_path / "site"), "tapewatch-client"]
    for command in (
        ["wheel", *alone, "--wheel-dir", str(tmp_path), str(CLIENT.parent.parent)],
        ["install", *alone, *into],
    ):
        subprocess.run([*pip, *command], check=True, env=environment, cwd=tmp_path, timeout=120)
    program = (
        "import importlib.metadata as about, tapewatch_client as client;"
        "print(client.__file__, about.version('tapewatch-client'), client.Client().url)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        str(tmp_path / "site" / "tapewatch_client" / "__init__.py"),
        "0.1.0",
        "http://127.0.0.1:5000",
    ]
    # Without this file a type checker treats everything in an installed package as Any.
    assert (tmp_path / "site" / "tapewatch_client" / "py.typed").is_file()
