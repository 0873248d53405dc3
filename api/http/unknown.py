"""Arguments in the query of a route that takes none: they are refused, as all other routes refuse
those that they do not know; who sent one meant something by it.
"""

from inspect import signature

from flask import Flask, Response, current_app, request

from api.http.auth import PUBLIC
from api.http.errors import QUOTED, build_problem


def register_unknown(app: Flask) -> None:
    """Have `app` refuse a query to a route that reads none. What needs no key is left out:
    whoever probes, or links to a page, adds what they like.
    """
    app.before_request(_refuse_unknown)


def _refuse_unknown() -> Response | None:
    endpoint = request.endpoint
    if not request.args or endpoint is None or endpoint in PUBLIC:
        return None
    # APIFlask gives what it reads of a query to the parameter of this name
    if "query_data" in signature(current_app.view_functions[endpoint]).parameters:
        return None
    names = [name[:QUOTED] for name in request.args]
    wrong = [
        {
            "location": "query",
            "pointer": f"/{name}",
            "detail": "Extra inputs are not permitted",
            "reason": "extra_forbidden",
        }
        for name in names
    ]
    detail = f"this takes no arguments in the query: leave out {', '.join(names[:3])}"
    return build_problem(422, detail, reason="bad_input", errors=wrong)
