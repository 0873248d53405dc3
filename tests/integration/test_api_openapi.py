"""The OpenAPI document, the page that shows it, and the static files."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http.auth import PUBLIC
from tests.conftest import ROOT

DOCUMENTS = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/**/*.md"))
PLOT_KINDS = ("text/html", "image/svg+xml", "application/json")
OTHER_KINDS = {
    "/py/alerts/{alert_id}/evidence": ("application/octet-stream",),
    "/py/detection-runs/{run_id}/events": ("text/event-stream",),
    "/metrics": ("text/plain",),
    "/py/export/{table}": (
        "text/csv",
        "application/x-ndjson",
        "application/vnd.apache.parquet",
    ),
    "/py/exports/{run_id}/{name}": ("application/octet-stream",),
    "/plot": PLOT_KINDS,
    "/py/plot": PLOT_KINDS,
    "/predict-stream/{series_id}": ("application/x-ndjson",),
    "/py/predict-stream/{series_id}": ("application/x-ndjson",),
}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/py/openapi.json").json
    return found


def find_references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from find_references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from find_references(inner)


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")


def test_every_documented_request_has_its_route_and_its_parameters(
    document: dict[str, Any],
) -> None:
    """`curl $API/...` and `GET /py/...` in the documents, with what follows the `?`."""
    routes = {
        re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)): operations
        for path, operations in document["paths"].items()
    }
    found = 0
    for path in DOCUMENTS:
        for method, route, query in re.findall(
            r"(?:(GET|POST|PUT|PATCH|DELETE)\s+)?(?:\$API|:5000/py|/py)(/[^\s`\"'?#,;)>]+)"
            r"(?:\?([^\s`\"')]*))?",
            path.read_text(),
        ):
            # One of several (`/py/data/{trades,depth}`), or any of them (`/py/data/...`).
            if route.count("{") != route.count("}") or route.endswith(("/", "...")):
                continue
            asked = "/py" + re.sub(r"\{[^}]*\}", "ID", route).rstrip(".:")
            if asked == "/py/docs":
                continue
            held = [routes[known] for known in routes if known.fullmatch(asked)]
            told = f"{path.name}: {method} {asked}?{query}"
            assert any(not method or method.lower() in operations for operations in held), told
            known_names = {
                parameter["name"]
                for operations in held
                for operation in operations.values()
                if isinstance(operation, dict)
                for parameter in operation.get("parameters", [])
            }
            names = {part.partition("=")[0] for part in query.split("&") if part}
            assert names <= known_names, told
            found += 1
    assert found > 50


def test_every_reference_in_the_document_resolves(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in find_references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_every_route_is_documented_but_pages(app: APIFlask, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("pages.") or rule.endpoint == "openapi.spec":
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            operation = document["paths"][path][method.lower()]
            assert operation["summary"], path
            assert bool(operation["security"]) is (rule.endpoint not in PUBLIC), path


def test_every_documented_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                kinds = list(response.get("content", []))
                if status >= "400":
                    assert kinds == ["application/problem+json"], (path, status)
                elif status == "202":
                    assert kinds == ["application/json"], path
                elif status not in {"204", "304"}:
                    assert tuple(kinds) == OTHER_KINDS.get(path, ("application/json",)), path


def test_every_post_that_enqueues_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    enqueuing = [
        operation
        for operations in document["paths"].values()
        for method, operation in operations.items()
        if method == "post" and {"200", "202"} <= operation["responses"].keys()
    ]
    assert len(enqueuing) >= 6
    for operation in enqueuing:
        assert {"idempotency-key", "wait"} <= {
            p["name"].lower() for p in operation["parameters"]
        }, operation


def test_every_operation_has_a_summary_of_one_sentence(document: dict[str, Any]) -> None:
    summaries = [
        operation["summary"]
        for item in document["paths"].values()
        for operation in item.values()
        if "summary" in operation
    ]
    assert len(summaries) > 100
    assert [each for each in summaries if not each.endswith(".")] == []


def test_every_parameter_has_a_description(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                assert parameter["description"], (path, parameter["name"])


def test_every_list_comes_in_pages(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    lists = 0
    for path, operations in document["paths"].items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = (
            answer.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        )
        if "items" in schemas.get(name, {}).get("properties", {}):
            lists += 1
            assert "next_cursor" in schemas[name]["properties"], path
            assert {"limit", "cursor"} <= {
                parameter["name"] for parameter in operations["get"]["parameters"]
            }, path
    assert lists >= 10


def test_the_docs_page_and_its_files_are_served_by_the_api_itself(client: FlaskClient) -> None:
    page = client.get("/py/docs")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert "//" not in source
        with client.get(f"/py/{source}") as file:
            assert file.status_code == 200, source
    assert "/py/openapi.json" in client.get("/py/docs/start.js").text


def test_pages_run_no_script_but_their_own(client: FlaskClient) -> None:
    for path in ("/py/docs", "/py/openapi.json", "/py/nowhere"):
        with client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/..%2fwsgi.txt", "/%2e%2e/requirements.txt", "/../a.html", "/scripts/../../requirements.txt"],
)
def test_files_outside_web_are_not_served(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
