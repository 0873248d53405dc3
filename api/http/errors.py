"""Errors: every error is answered as `application/problem+json` (RFC 9457); the table here maps our
errors to HTTP statuses.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from apiflask import APIFlask, HTTPError
from bson.errors import InvalidDocument, InvalidStringData
from flask import Response, g, json, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pymongo.errors import PyMongoError
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from api.http.state import get_settings
from core import errors
from records.database import explain_unreachable

log = structlog.get_logger()

PROBLEM_TYPE = "application/problem+json"
STATUSES: dict[type[errors.TapewatchError], int] = {
    errors.BadInput: 422,
    errors.NothingNamed: 400,
    errors.ScopeMissing: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NoModel: 409,
    errors.VersionMoved: 412,
    errors.Busy: 429,
    errors.Transient: 503,
    errors.DatabaseUnfit: 503,
    errors.TapewatchError: 500,
}
RETRY_AFTER_SECONDS = 5
# The size of an error does not depend on the request's: only the first errors of a body, and only
# short quotes, are returned.
MOST_ERRORS = 100
LONGEST_DETAIL = 2_000
QUOTED = 100
DEEPEST = 20
UNSTORABLE = (UnicodeEncodeError, InvalidStringData, InvalidDocument, OverflowError)
# Where a body has what nobody else may read, as an address with its password.
SECRETS = (("secret",), ("channel",), ("next_channel",))


def register_errors(app: APIFlask) -> None:
    """Turn every error of `app`, whatever raised it, into a problem document."""
    app.register_error_handler(errors.TapewatchError, _answer_ours)
    app.register_error_handler(PyMongoError, _answer_mongo)
    app.register_error_handler(HTTPError, _answer_apiflask)
    app.register_error_handler(HTTPException, _answer_werkzeug)
    app.register_error_handler(RecursionError, _answer_too_deep)
    for kind in UNSTORABLE:
        app.register_error_handler(kind, _answer_unstorable)
    app.register_error_handler(Exception, _answer_unforeseen)


def build_problem(
    status: int,
    detail: str,
    *,
    reason: str | None = None,
    errors: Sequence[dict[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, object] | None = None,
) -> Response:
    """Return the response that tells what went wrong.

    Args:
        status: HTTP status, also in the body.
        detail: what was asked, what was found, what to do.
        reason: the stable word that clients can switch on; the `type` is built from it.
        errors: an entry for each wrong value: {location, pointer, detail, reason}.
        headers: headers that are added to the response's own.
        extensions: further members of the problem, such as `run_id`.
    """
    title = HTTPStatus(status).phrase
    reason = reason or title.lower().replace(" ", "_")
    body = {
        "type": f"urn:tapewatch:problem:{reason}",
        "title": title,
        "status": status,
        "detail": detail if len(detail) <= LONGEST_DETAIL else f"{detail[:LONGEST_DETAIL]}...",
        "reason": reason,
        "errors": list(errors),
        "request_id": g.get("request_id"),
        **(extensions or {}),
    }
    return Response(json.dumps(body), status, headers, content_type=PROBLEM_TYPE)


def get_status(error: errors.TapewatchError) -> int:
    """Return the HTTP status of one of our errors: that of the nearest class in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def describe_errors(details: Sequence[ErrorDetails], location: str) -> list[dict[str, Any]]:
    """Return pydantic's first findings as `errors[]`; the wrong value itself is included if it is
    short and no secret. That of an unknown field may be one: its name is what is wrong.
    """
    return [
        {
            "location": location,
            "pointer": "".join(f"/{str(part)[:QUOTED]}" for part in found["loc"][:DEEPEST]),
            "detail": _describe(found)[:LONGEST_DETAIL],
            "reason": found["type"],
        }
        for found in details[:MOST_ERRORS]
    ]


def _describe(found: ErrorDetails) -> str:
    value, said = found["input"], found["msg"].removeprefix("Value error, ")
    if found["type"] == "too_long" and isinstance(value, list):
        most = found["ctx"]["max_length"]
        return (
            f"{len(value):,} were given, and at most {most:,} are taken: leave out"
            f" {len(value) - most:,}, or send them in parts"
        )
    if (
        found["type"] in {"missing", "extra_forbidden"}
        or found["loc"][-1:] in SECRETS
        or not isinstance(value, str | int | float | bool)
        or len(str(value)) > 80
        or repr(value) in said
    ):
        return said
    return f"{said} (got {value!r})"


def _answer_ours(error: errors.TapewatchError) -> Response:
    status = get_status(error)
    later = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status in later else None
    return build_problem(
        status, error.message, reason=error.reason, headers=headers, extensions=error.details
    )


def _answer_mongo(error: PyMongoError) -> Response:
    try:
        with explain_unreachable(get_settings()):
            raise error
    except errors.ServerUnreachable as explained:
        return _answer_ours(explained)
    except PyMongoError:
        return _answer_unforeseen(error)


def _sum_up(entry: Mapping[str, str]) -> str:
    """Return the place followed by what is wrong there; for a query as a whole there is no
    place.
    """
    whole = "body" if entry["location"] == "json" else ""
    place = entry["pointer"].lstrip("/") or whole
    return f"{place}: {entry['detail']}" if place else entry["detail"]


def _answer_apiflask(error: HTTPError) -> Response:
    """Answer an error that APIFlask raises: mostly a request that pydantic did not accept."""
    found = error.__cause__
    if isinstance(found, ValidationError):
        count = found.error_count()
        wrong = describe_errors(found.errors(include_url=False), next(iter(error.detail)))
        summary = "; ".join(map(_sum_up, wrong[:3]))
        more = f" (and {count - 3:,} more)" if count > 3 else ""
        return build_problem(
            error.status_code,
            summary + more,
            reason="bad_input",
            errors=wrong,
            extensions={"error_count": count},
        )
    return build_problem(error.status_code, str(error.message))


def _answer_werkzeug(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error.response, Response):
        return error.response
    if status < HTTPStatus.BAD_REQUEST:  # a redirect is no error
        return Response(error.get_body(), status, dict(error.get_headers()))
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return build_problem(status, _describe_werkzeug(error), headers=headers)


def _describe_werkzeug(error: HTTPException) -> str:
    if isinstance(error, RequestEntityTooLarge):
        return f"the body of this request may have {request.max_content_length} bytes at most"
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or ()))
        return f"{request.path[:200]} does not take {request.method[:20]}; it takes {methods}"
    if isinstance(error, NotFound) and request.routing_exception is error:
        return (
            f"there is no {request.path[:200]} here; {get_settings().url_prefix}/docs lists what"
            " there is"
        )
    if isinstance(error, BadRequest) and isinstance(
        error.__cause__, BadRequest
    ):  # Flask does not pass on what the parser said
        return f"the body cannot be read as JSON: {error.__cause__.description}"
    return (
        error.description or HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR).description
    )


def _answer_too_deep(_error: RecursionError) -> Response:
    return build_problem(400, "the body cannot be read as JSON: it is nested too deeply")


def _answer_unstorable(error: Exception) -> Response:
    """Answer a request with a value that MongoDB cannot store: half a character, a number of 20
    digits.
    """
    log.warning(
        "value_not_storable",
        error=f"{type(error).__name__}: {str(error)[:QUOTED]}",
        path=request.path,
    )
    detail = "a value cannot be stored: it is no text in UTF-8, or a number too large"
    return build_problem(422, detail, reason="bad_input")


def _answer_unforeseen(error: Exception) -> Response:
    log.error("request_failed", exc_info=error, path=request.path)
    return build_problem(
        500, "something went wrong here that nobody foresaw; the log has it under this request_id"
    )
