"""Writes the generated part of `clients/python/tapewatch_client/` from the OpenAPI document: a type
for each schema, and a method for each operation.
"""

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from tests.conftest import ROOT

CLIENT = ROOT / "clients" / "python" / "tapewatch_client" / "__init__.py"
MARK = "# What follows is written from the OpenAPI document:"
HOW = "# WRITE_CLIENT=1 make test ARGS='-k client_follows'"
METHODS = ("get", "post", "put", "patch", "delete")
# Method names that a reader expects. The others are the operation's id without `list_` or `get_`.
NAMES = {
    "get_candles": "bars",
    "get_one_anomaly": "anomaly",
    "get_one_alert": "alert",
    "get_one_evaluation": "evaluation",
    "get_detection_runs": "runs",
    "get_detection_run": "run",
    "list_single_series": "series",
    "get_single_series": "one_series",
    "get_backfill": "last_backfill",
}
# Lists whose first page is the latest one, while each page is ascending.
BACKWARDS = {"get_candles"}
# Operations that answer short work at once, and long work with a run.
AT_ONCE = {"fit_series_model": "Fitted | Run | Started"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
NEVER_SENT = {"wait", "cursor", "limit"}
# Operations with fields for which null means something else than absence; by default all fields of
# the operation.
TAKING_BACK = {"change_rule": None, "change_many_alerts": {"owner"}}
Document = dict[str, Any]


def write_client(document: Document) -> str:
    """Return the whole module: its handwritten part unchanged, then the part that is written from
    the document, in order.
    """
    own = CLIENT.read_text().split(MARK)[0]
    parts = [own, MARK, HOW, *write_types(document), write_methods(document)]
    return run_ruff("\n\n".join(parts))


def run_ruff(text: str) -> str:
    """Return a module's source as ruff formats it."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT), "-"],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_types(document: Document) -> Iterator[str]:
    """Yield a type for each schema that an answer, or a part of a body, consists of."""
    schemas = document["components"]["schemas"]
    for name in sorted(find_used(document)):
        schema = schemas[name]
        if "properties" not in schema:
            yield f"if TYPE_CHECKING:\n    {name}: TypeAlias = {json.dumps(annotate(schema))}"
            continue
        required = set(schema.get("required", ()))
        fields = {
            field: annotate(inner) if field in required else f"NotRequired[{annotate(inner)}]"
            for field, inner in schema["properties"].items()
        }
        doc = write_docstring(schema.get("description") or f"{name} of the API.", 4)
        if all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
            lines = [f"    {field}: {kind}" for field, kind in fields.items()]
            yield "\n".join([f"class {name}(TypedDict):", doc, "", *lines])
        else:  # A field has the name of a Python keyword.
            pairs = ", ".join(f"{field!r}: {kind!r}" for field, kind in fields.items())
            yield f"{name} = TypedDict({name!r}, {{{pairs}}})"


def find_used(document: Document) -> set[str]:
    """Return the schemas that answers refer to, and those that fields of bodies refer to."""
    schemas = document["components"]["schemas"]
    waiting = [
        name
        for _path, _method, operation in find_operations(document)
        for name in find_references(
            [
                answer.get("content", {})
                for status, answer in operation["responses"].items()
                if status < "300"
            ]
        )
    ]
    waiting += [
        name
        for _path, _method, operation in find_operations(document)
        for schema in [find_body(document, operation)[1]]
        for name in find_references(list(schema.get("properties", {}).values()) or schema)
    ]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += find_references(schemas[name])
    return used


def find_references(part: Any) -> list[str]:
    """Return the names of the schemas that a part of the document refers to."""
    if isinstance(part, list):
        return [name for inner in part for name in find_references(inner)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"].rpartition("/")[2]] if isinstance(part.get("$ref"), str) else []
    return own + [
        name
        for key, inner in part.items()
        if key not in {"example", "examples", "default"}
        for name in find_references(inner)
    ]


def annotate(schema: Document, *, sent: bool = False) -> str:
    """Return the Python annotation of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema or "oneOf" in schema:
        kinds = [annotate(inner, sent=sent) for inner in schema.get("anyOf") or schema["oneOf"]]
        return " | ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(map(repr, values))}]"
    kind = schema.get("type")
    if kind in {"array", "object"}:
        inner = schema.get("items" if kind == "array" else "additionalProperties")
        part = annotate(inner, sent=sent) if isinstance(inner, dict) else "Any"
        if kind == "array":
            return f"{'Sequence' if sent else 'list'}[{part}]"
        return f"{'Mapping' if sent else 'dict'}[str, {part}]"
    is_time = sent and kind == "string" and schema.get("format") in {"date-time", "date"}
    return "Time" if is_time else PLAIN.get(kind or "", "Any")


def write_docstring(text: str, indent: int, arguments: dict[str, str] | None = None) -> str:
    """Return the lines of a docstring."""
    pad = " " * indent
    text = text.replace("\\", "\\\\")
    first, *rest = [" ".join(part.split()) for part in text.split("\n\n")]
    if not first.endswith((".", "?", "!")):
        first += "."
    lines = textwrap.wrap(f'"""{first}', 96 - indent)
    for paragraph in rest:
        lines += ["", *textwrap.wrap(paragraph, 96 - indent)]
    if arguments:
        lines += ["", "Args:"]
        for name, said in arguments.items():
            lines += textwrap.wrap(
                f"{name}: {said}", 92 - indent, initial_indent="    ", subsequent_indent=" " * 8
            )
    if len(lines) == 1:
        lines[0] += '"""'
    else:
        lines.append('"""')
    return "\n".join(pad + line if line else "" for line in lines)


def find_operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield (path, method, operation) of each operation; those at the root that also exist below
    `/py` are left out.
    """
    for path, item in sorted(document["paths"].items()):
        for method in METHODS:
            if method in item and not item[method]["operationId"].startswith("root_"):
                yield path, method, item[method]


def find_body(document: Document, operation: Document) -> tuple[str, Document]:
    """Return media type and schema of an operation's body; ("", {}) if it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind, body in content.items():
        schema = body["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return kind, schema
    return "", {}


def find_answer(operation: Document, status: str = "200") -> Document:
    """Return the schema of an operation's answer; {} if the answer is not JSON."""
    for answered in (status, "201"):
        content = operation["responses"].get(answered, {}).get("content", {})
        if "application/json" in content:
            found: Document = content["application/json"].get("schema", {})
            return found
    return {}


def name_method(operation_id: str, method: str) -> str:
    """Return the method name of an operation."""
    if operation_id in NAMES:
        return NAMES[operation_id]
    return re.sub(r"^(list|get)_", "", operation_id) if method == "get" else operation_id


def write_methods(document: Document) -> str:
    """Return the source of the class with a method for each operation."""
    written: dict[str, str] = {}
    for path, method, operation in find_operations(document):
        for name, text in write_operation(document, path, method, operation):
            assert name not in written, f"two operations are called {name}: name one in NAMES"
            written[name] = text
    doc = '    """Asks Tapewatch: a method for each operation of its API."""'
    return "\n\n".join(["class Client(Connection):\n" + doc, *written.values()])


class Parameters:
    """The parameters of a method, in the order in which they are written."""

    def __init__(self, document: Document, operation: Document) -> None:
        given = operation["parameters"]
        self.path = [each["name"] for each in given if each["in"] == "path"]
        self.query = {each["name"]: each for each in given if each["in"] == "query"}
        self.kind, body = find_body(document, operation)
        self.fields = body.get("properties", {})
        self.required = set(body.get("required", ())) | {
            name for name, each in self.query.items() if each.get("required")
        }
        nullable = {
            name
            for name, schema in self.fields.items()
            if {"type": "null"} in schema.get("anyOf", [])
        }
        self.needs_value = nullable & self.required
        self.keeps: set[str] = set()
        if operation["operationId"] in TAKING_BACK:
            self.keeps = TAKING_BACK[operation["operationId"]] or nullable
        # A body without fields that takes no other fields need not be a parameter.
        has_none = body.get("additionalProperties") is False
        self.is_whole_body = bool(self.kind) and not self.fields and not has_none
        self.body = body
        assert not {*self.path, *self.query} & {*self.fields}, operation["operationId"]

    def write(self, *, without: set[str], extra: tuple[str, ...] = ()) -> str:
        """Return the source of the parameters after `self`."""
        positional = [f"{name}: str" for name in self.path]
        if self.is_whole_body:
            lines = self.kind == "application/x-ndjson"
            positional.append("lines: Iterable[str]" if lines else f"body: {self.annotate_body()}")
        named, optional = [], []
        for name, schema in [
            *((name, each["schema"]) for name, each in self.query.items()),
            *self.fields.items(),
        ]:
            if name in without:
                continue
            kind = annotate_sent(schema)
            if name in self.required:
                kept = kind if name in self.needs_value else kind.removesuffix(" | None")
                named.append(f"{name}: {kept}")
            elif name in self.keeps:
                optional.append(f"{name}: Kept | {kind} = KEPT")
            else:
                kind = kind if kind in {"Any"} or kind.endswith("None") else f"{kind} | None"
                optional.append(f"{name}: {kind} = None")
        keywords = [*named, *optional, *extra]
        return ", ".join(["self", *positional, *(["*", *keywords] if keywords else [])])

    def annotate_body(self) -> str:
        """Return the annotation of a body that has no fields of its own."""
        return annotate(self.body, sent=True)

    def explain(self, *, without: set[str]) -> dict[str, str]:
        """Return the document's description of each parameter."""
        schemas = {name: each["schema"] for name, each in self.query.items()} | self.fields
        return {
            name: str(schema["description"])
            for name, schema in schemas.items()
            if name not in without and schema.get("description")
        }

    def collect(self, names: Any, *, without: set[str]) -> str:
        """Return the source of the dict that carries these parameters."""
        schemas = {name: each["schema"] for name, each in self.query.items()} | self.fields
        is_null = self.needs_value | self.keeps

        def write(name: str) -> str:
            if name in is_null:
                return f"_write_null({name})"
            return f"_join({name})" if takes_many(schemas[name]) else name

        pairs = [f"{name!r}: {write(name)}" for name in names if name not in without]
        return f"{{{', '.join(pairs)}}}"


def takes_many(schema: Document) -> bool:
    """Whether a query takes several values, separated by commas."""
    return "commas between" in schema.get("description", "") and "string" in json.dumps(schema)


def annotate_sent(schema: Document) -> str:
    """Return the annotation of a parameter."""
    if schema.get("format") == "binary":
        return "str | Path"
    kind = annotate(schema, sent=True)
    return kind.replace("str", "str | Sequence[str]", 1) if takes_many(schema) else kind


def write_operation(
    document: Document, path: str, method: str, operation: Document
) -> Iterator[tuple[str, str]]:
    """Yield name and source of an operation's methods: two methods if it answers either one
    document or a list.
    """
    schemas = document["components"]["schemas"]
    name, answer = name_method(operation["operationId"], method), find_answer(operation)
    answer_name = answer.get("$ref", "").rpartition("/")[2]
    answered = schemas.get(answer_name, answer)
    # The answer of a step (such as acknowledge) is a page without a next one.
    if method == "get" and "next_cursor" in answered.get("properties", {}):
        yield name, write_list(document, name, path, operation, answered)
        return
    union = [schemas.get(each, {}) for each in find_references(answered.get("anyOf", []))]
    page = next((each for each in union if "next_cursor" in each.get("properties", {})), None)
    # If an operation answers several shapes, the caller names one; the shape that comes in pages is
    # the first.
    if page is not None and "format" in Parameters(document, operation).query:
        shapes = {"format", "bars"}
        yield name, write_list(document, name, path, operation, page, left_out=shapes)
        yield f"{name}_page", write_single(document, f"{name}_page", path, method, operation)
        return
    if page is None:
        yield name, write_single(document, name, path, method, operation)
        return
    others = find_references(answered["anyOf"])
    (one,) = [each for each in others if schemas[each] is not page]
    without = {*NEVER_SENT, "start"}
    yield name, write_single(document, name, path, method, operation, returned=one, without=without)
    yield (
        f"{name}_history",
        write_list(document, f"{name}_history", path, operation, page),
    )


def write_list(
    document: Document,
    name: str,
    path: str,
    operation: Document,
    page: Document,
    *,
    left_out: Iterable[str] = (),
) -> str:
    """Return the source of a method that reads a list, page by page."""
    taken, without = Parameters(document, operation), {"limit", "cursor", *left_out}
    item = page["properties"]["items"]["items"]
    schemas = document["components"]["schemas"]
    times = sorted(
        field
        for reference in find_references(item)[:1]
        for field, inner in schemas[reference].get("properties", {}).items()
        if '"date-time"' in json.dumps(inner)
        and "$ref" not in json.dumps(inner)
        and '"array"' not in json.dumps(inner)
    )
    options = [f"most={taken.query['limit']['schema']['maximum']}"]
    options.append(f"item={find_references(item)[0]}")
    if times:
        options.append(f"times=({', '.join(map(repr, times))},)")
    if operation["operationId"] in BACKWARDS:
        options.append("backwards=True")
    said = {"limit": "how many at the most in all; None: every one"}
    said |= taken.explain(without=without)
    head = taken.write(without=without, extra=("limit: int | None = None",))
    query = taken.collect(taken.query, without=without)
    asked = ", ".join([write_path(path), query, "limit", *options])
    lines = [
        f"    def {name}({head}) -> Pages[{annotate(item)}]:",
        write_docstring(write_summary(operation), 8, said),
        f"        return self._pages({asked})",
    ]
    return "\n".join(lines)


def write_summary(operation: Document) -> str:
    """Return the document's summary of an operation."""
    said = operation["summary"].rstrip(".") + "."
    about = operation.get("description", "")
    # A table is too wide for a docstring; the OpenAPI document has it.
    return f"{said}\n\n{about}" if about and "|---" not in about else said


def write_path(path: str) -> str:
    """Return the source expression of a path, below the prefix."""
    below = path.removeprefix("/py")
    if "{" not in below:
        return repr(below)
    return "f" + json.dumps(re.sub(r"{(\w+)}", r"{_quote(\1)}", below))


def write_single(
    document: Document,
    name: str,
    path: str,
    method: str,
    operation: Document,
    *,
    returned: str | None = None,
    without: set[str] | None = None,
) -> str:
    """Return the source of a method that sends one request."""
    taken = Parameters(document, operation)
    without = without or {"wait"}
    kinds = [
        kind
        for status in ("200", "201")
        for kind in operation["responses"].get(status, {}).get("content", {})
    ]
    accepted = find_references(find_answer(operation, "202")) == ["Accepted"]
    starts = accepted and method == "post"
    is_stream = "application/x-ndjson" in kinds or "text/event-stream" in kinds
    call = [write_path(path)]
    query = taken.collect(taken.query, without=without)
    if query != "{}":
        call.append(f"params={query}")
    if not path.startswith("/py"):
        call.append("root=True")
    if taken.kind == "application/json":
        body = "body" if taken.is_whole_body else taken.collect(taken.fields, without=without)
        call.append(f"json={body}")
    if starts:
        returned = AT_ONCE.get(operation["operationId"], "Started")
        asked = f"self._start({', '.join([repr(method.upper()), *call])})"
    elif is_stream:
        returned = "Iterator[str]"
        if taken.is_whole_body:
            call.append('content=(f"{line}\\n".encode() for line in lines)')
            call.append("headers={'Content-Type': 'application/x-ndjson'}")
        asked = f"self._lines({', '.join([repr(method.upper()), *call])})"
    else:
        call += ["is_text=True"] * (write_returned(operation, kinds) == "str")
        asked = f"self._ask({', '.join([repr(method.upper()), *call])})"
    if taken.kind == "multipart/form-data":
        fields = taken.collect(taken.fields, without=without)
        asked = f"self._upload({write_path(path)}, {fields}, starts={starts})"
    if returned is None:
        returned = write_returned(operation, kinds)
    if returned == "None":
        result = asked
    elif is_stream:
        result = f"return {asked}"
    else:
        result = f"return cast({returned!r}, {asked})"
    lines = [
        f"    def {name}({taken.write(without=without)}) -> {returned}:",
        write_docstring(write_summary(operation), 8, taken.explain(without=without)),
        f"        {result}",
    ]
    return "\n".join(lines)


def write_returned(operation: Document, kinds: list[str]) -> str:
    """Return the annotation of an operation's answer."""
    answer = find_answer(operation) or find_answer(operation, "202")
    if answer and kinds in (["application/json"], []):
        return annotate(answer)
    if kinds == ["application/octet-stream"]:
        return "bytes"
    return "str" if kinds else "None"
