"""Refusing query arguments to a route that takes none, as all other routes refuse arguments that
they do not know: the sender expected them to have an effect.
"""

from inspect import signature

from flask import Flask, Response, current_app, request

from api.http.auth import PUBLIC
from api.http.errors import QUOTED, build_problem


def register_unknown(app: Flask) -> None:
    """Make `app` refuse a query to a route that reads none. Routes without a key are left out,
    because probes and links add arguments of their own.
    """
    app.before_request(_refuse_unknown)


def _refuse_unknown() -> Response | None:
    endpoint = request.endpoint
    if not request.args or endpoint is None or endpoint in PUBLIC:
        return None
    # APIFlask passes the parsed query as the parameter of this name
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
