"""Additions to APIFlask's OpenAPI document: problems, keys and scopes."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any, cast

from apiflask import APIFlask
from apiflask.openapi_adapters import extract_pydantic_defs, openapi_helper

from api.http.auth import PUBLIC, get_scope
from api.http.errors import PROBLEM_TYPE
from api.schemas.bars import CandlePage, ImportReport
from api.schemas.detect import Detected
from api.schemas.single_series import Plot, Prediction, Predictions
from api.schemas.ticks import (
    CcxtBook,
    CcxtCandles,
    CcxtObjects,
    DepthPage,
    FundingPage,
    TradeCandlePage,
    TradePage,
)
from api.schemas.verifications import Verification

# Real answers. A test compares them with the service's answers, and can write them again.
EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "examples.json").read_text()
)
API_VERSION = "0.1.0"
DESCRIPTION = (
    "Enqueue detections, watch them run, read what they found. Whatever is asked for becomes a run:"
    " the answer is `202 Accepted` with its address in `Location`, and its document shows progress"
    " and outcome. Errors are problem documents (RFC 9457); `reason` is the word to switch on."
    " Times are ISO 8601 in UTC."
)
Operation = dict[str, Any]
Schemas = dict[str, Any]
# Answers that APIFlask does not know: those after a wait, and those of several shapes.
OUTCOMES = (
    *(Detected, ImportReport, Verification, Prediction, Predictions, Plot),
    *(
        CandlePage,
        TradePage,
        TradeCandlePage,
        DepthPage,
        FundingPage,
        CcxtBook,
        CcxtCandles,
        CcxtObjects,
    ),
)

PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "reason", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`urn:tapewatch:problem:` and the reason"},
        "title": {"type": "string", "description": "the phrase of the HTTP status"},
        "status": {"type": "integer", "description": "the HTTP status"},
        "detail": {"type": "string", "description": "what was asked, what was found, what to do"},
        "reason": {"type": "string", "description": "a stable word to switch on"},
        "errors": {
            "type": "array",
            "description": (
                "one entry a wrong value, the first 100; `error_count` says how many there are"
            ),
            "items": {
                "type": "object",
                "required": ["location", "pointer", "detail", "reason"],
                "properties": {
                    "location": {"type": "string", "description": "json, query or files"},
                    "pointer": {"type": "string", "description": "JSON pointer to the value"},
                    "detail": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
        "request_id": {
            "type": ["string", "null"],
            "description": "also in the log and in `X-Request-ID`",
        },
    },
    "example": {
        "type": "urn:tapewatch:problem:bad_input",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "interval: Input should be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w (got '2d')",
        "reason": "bad_input",
        "errors": [
            {
                "location": "json",
                "pointer": "/interval",
                "detail": "Input should be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w (got '2d')",
                "reason": "bad_input",
            }
        ],
        "request_id": "4f1c0a8e0f5b4b1d8a6c2d3e4f5a6b7c",
    },
}
DESCRIPTIONS = {
    400: "not a request that can be read",
    401: "no key, or one that is not in force",
    403: "the key lacks the scope, or the request comes from where it may not",
    404: "what was named is nowhere",
    409: "not in the present state",
    413: "the body is larger than allowed",
    415: "the body is of another media type",
    422: "a value cannot be used; nothing was written",
    429: (
        "the key asked too often, or more is sent than can be stored; `Retry-After` says when"
        " it may again"
    ),
    503: "MongoDB could not be reached (try again), or needs `flask db upgrade`",
}


# Parts of paths, which no schema describes.
PATH_PARAMETERS = {
    "alert_id": "the `_id` of an alert",
    "anomaly_id": "the `_id` of an anomaly: ticker::interval::time",
    "code": "the code of a market, as `/markets` lists them",
    "day": "a session's date, such as 2001-09-17",
    "evaluation_id": "the `_id` of an evaluation, which its run's `options` name",
    "mute_id": "the `_id` of a mute",
    "run_id": "the `_id` of a run",
    "series_id": "the name of a series, as `/series` lists them",
    "table": "what is exported: bars, anomalies, alerts and others; a wrong one is told all",
    "ticker": "a ticker as it is stored, in any case",
    "timestamp": "that of the prediction, as it was sent",
    "version": "a version, as the model's or the series' list has them",
}
# Parts that several nouns have, each below its own path.
NAMES = {
    "/watchlists/": "the name of a watchlist, as `/watchlists` lists them",
    "/notifications/": "the name of a notification rule",
    "/exports/": "the name of a file, as the export's `files` has it",
}


def describe_json(*names: str) -> dict[str, Any]:
    """Return the content of an answer that is one of these schemas."""
    return {
        "application/json": {
            "schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}
        }
    }


def register_openapi(app: APIFlask) -> None:
    """Set up `app`'s OpenAPI document."""
    app.description = DESCRIPTION
    app.config.update(
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=False,
    )
    app.security_schemes = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "a key made by `flask keys create`",
        },
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }

    app.spec_processor(partial(_complete, app))


def _complete(app: APIFlask, spec: dict[str, Any] | str) -> dict[str, Any]:
    document = cast("dict[str, Any]", spec)  # it is a str only if YAML is asked for
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPError", None)
    schemas["Problem"] = PROBLEM
    for model in OUTCOMES:
        schema = openapi_helper.schema_to_json_schema(model)
        schemas |= extract_pydantic_defs(schema, model.__name__) | {model.__name__: schema}
    _shorten_references(document)
    document["components"]["schemas"] = _name_once(schemas)
    document["tags"] = list({tag["name"]: tag for tag in document["tags"]}.values())
    for endpoint, path, method in _list_routes(app):
        operation = document["paths"].get(path, {}).get(method)
        if operation is not None:
            _complete_operation(app, operation, endpoint, path, method)
    return document


def _name_once(schemas: Schemas) -> Schemas:
    """Return the schemas by their own names: APIFlask repeats each one below every schema that
    refers to it.
    """
    named: Schemas = {}
    for name, schema in schemas.items():
        own = name.rpartition(".")[2]
        if named.setdefault(own, schema) != schema:
            raise ValueError(f"two schemas of the API are named {own}; rename one")
    return dict(sorted(named.items()))


def _shorten_references(part: Any) -> None:
    """Make every reference in a part of the document point to a schema's own name."""
    if isinstance(part, list):
        for inner in part:
            _shorten_references(inner)
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            folder, _, name = reference.rpartition("/")
            part["$ref"] = f"{folder}/{name.rpartition('.')[2]}"
        for inner in part.values():
            _shorten_references(inner)


def _list_routes(app: APIFlask) -> list[tuple[str, str, str]]:
    """Return (endpoint, path as OpenAPI writes it, method in lower case)."""
    return [
        (rule.endpoint, re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in ("get", "post", "put", "patch", "delete")
        if method.upper() in (rule.methods or ())
    ]


def _describe_part(parameter: Operation, path: str) -> str:
    """Return the description of a part of a path."""
    if parameter["name"] != "name":
        return PATH_PARAMETERS[parameter["name"]]
    return next(text for folder, text in NAMES.items() if folder in path)


def _find_description(parameter: Operation, _path: str) -> str:
    """Return the description in the schema of a parameter; if the parameter may be null, the
    description is in its type.

    It is repeated beside the schema, because many clients show only that.
    """
    schemas = (parameter["schema"], *parameter["schema"].get("anyOf", ()))
    return next((each["description"] for each in schemas if "description" in each), "")


def _complete_operation(
    app: APIFlask, operation: Operation, endpoint: str, path: str, method: str
) -> None:
    blueprint, _, name = endpoint.rpartition(".")
    operation["operationId"] = f"root_{name}" if blueprint.startswith("root_") else name
    statuses = {503}
    if endpoint in PUBLIC:
        operation["security"] = []
    else:
        operation["security"] = [{"bearer": []}, {"header": []}]
        operation["x-scope"] = get_scope(app, endpoint, method.upper())
        statuses |= {401, 403, 422, 429}
    view: Any = app.view_functions[endpoint]
    if (schema := getattr(view, "body_schema", None)) is not None:
        operation["requestBody"] = {"content": {view.body[1]: {"schema": schema}}}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
        statuses |= {400, 413, 415, 422}
    for parameter in operation["parameters"]:
        about = _describe_part if parameter["in"] == "path" else _find_description
        parameter["description"] = about(parameter, path)
    if operation["parameters"]:
        statuses.add(404)
    for status in sorted(statuses):
        operation["responses"].setdefault(str(status), {"description": DESCRIPTIONS[status]})
    for answered, example in EXAMPLES.get(name, {}).items():
        operation["responses"][answered]["content"]["application/json"]["example"] = example
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            response["content"] = {
                PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
