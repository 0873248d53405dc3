"""Limits on the size of request bodies, and on their type."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

MIB = 2**20
JSON_BYTES = MIB

View = TypeVar("View", bound=Callable[..., Any])


def takes_body(
    *, most_bytes: int, mimetype: str = "application/json", documented: dict[str, Any] | None = None
) -> Callable[[View], View]:
    """Mark a view that accepts larger bodies than most, or another type than JSON.

    `documented` is the schema of a body that the view reads by itself.
    """

    def mark(view: View) -> View:
        view.body_schema = documented  # type: ignore[attr-defined]  # functools.wraps carries it outwards
        view.body = (most_bytes, mimetype)  # type: ignore[attr-defined]  # functools.wraps carries it outwards
        return view

    return mark


def register_bodies(app: Flask) -> None:
    """Make `app` check each request's body before its view runs."""
    app.config["MAX_CONTENT_LENGTH"] = JSON_BYTES
    app.before_request(_check_body)


def _check_body() -> None:
    """Set the size limit and refuse other types: a form of another site could post those without
    the browser asking us first.
    """
    if request.endpoint is None:
        return  # an unknown route or method takes no body at all: it answers 404 or 405
    view = current_app.view_functions.get(request.endpoint)
    request.max_content_length, mimetype = getattr(view, "body", (JSON_BYTES, "application/json"))
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if has_body and request.mimetype != mimetype:
        abort(
            415, f"the body must be {mimetype}, not {request.mimetype or 'without a Content-Type'}"
        )
    coding = request.headers.get("Content-Encoding", "identity")
    if has_body and coding.lower() != "identity":
        abort(415, f"the body must come as it is, not packed (Content-Encoding: {coding[:40]})")
    # Of a body without a length, werkzeug reads up to the limit and ignores the rest.
    is_untold = "Transfer-Encoding" in request.headers and mimetype == "application/json"
    if is_untold and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge
