"""Refusing values that are given twice, or as a list where one value belongs. Otherwise only the
first, only the last or neither would be used.
"""

from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import MultiDict

from api.http.auth import PUBLIC
from api.http.errors import build_problem

# Arguments that take several values, with commas between; and a series' id, which may have any
# name.
LISTS = frozenset({"columns", "fields", "indicators", "tickers"})
FREE_TEXT = frozenset({"series_id"})


def register_repeated(app: Flask) -> None:
    """Make `app` refuse a query or a form that gives a value twice, or a list for one value;
    `JsonProvider` does the same for JSON.
    """
    app.before_request(_refuse_repeated)


def refuse_repeated_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object.

    Raises ValueError where two of them have the same name.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has more than one member named {repeated[:80]!r}")
    return members


def _refuse_repeated() -> Response | None:
    if request.endpoint is None or request.endpoint in PUBLIC:
        return None
    given: dict[str, MultiDict[str, Any]] = {"query": request.args}
    if request.mimetype == "multipart/form-data":
        given |= {"form": request.form, "files": request.files}
    wrong = [
        {
            "location": location,
            "pointer": f"/{name}",
            "detail": f"{name} is given {len(found)} times, and takes one value",
            "reason": "given_twice",
        }
        for location, values in given.items()
        for name, found in values.lists()
        if len(found) > 1
    ]
    wrong += [
        {
            "location": "query",
            "pointer": f"/{name}",
            "detail": f"{name} takes one value, and {value[:80]!r} is several",
            "reason": "given_twice",
        }
        for name, value in request.args.items()
        if "," in value and name not in LISTS | FREE_TEXT
    ]
    if not wrong:
        return None
    detail = "; ".join(each["detail"] for each in wrong[:3])
    return build_problem(
        422, f"{detail}; ask once for each value", reason="given_twice", errors=wrong
    )
