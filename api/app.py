"""Building the Flask application."""

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from random import getrandbits
from time import perf_counter
from typing import Any

import structlog
from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from api.http.auth import get_scope, register_auth
from api.http.bodies import register_bodies
from api.http.compression import register_compression
from api.http.deadlines import register_deadlines
from api.http.errors import register_errors
from api.http.json import JsonProvider
from api.http.limits import list_origins, register_limits, register_origins
from api.http.openapi import API_VERSION, register_openapi
from api.http.repeated import register_repeated
from api.http.routing import LazyRule
from api.http.state import State, add_state
from api.http.turns import Turns
from api.http.unknown import register_unknown
from api.operations.health import health, probes
from api.operations.metrics import figures, register_metrics
from api.operations.pages import register_pages
from api.operations.parts import parts
from api.views.access import access
from api.views.alerts import alerts
from api.views.analytics import analyses
from api.views.anomalies import anomalies
from api.views.bars import bars
from api.views.chart import charts
from api.views.corrections import corrections
from api.views.data_quality import data_quality
from api.views.detections import detections
from api.views.exports import exports
from api.views.feed import feed
from api.views.groups import groups
from api.views.line import line
from api.views.markets import markets
from api.views.models import models
from api.views.mutes import mutes
from api.views.notifications import notifications
from api.views.runs import detection_runs
from api.views.series_predictions import series_predictions
from api.views.single_series import single_series
from api.views.ticks import ticks
from api.views.verifications import verifications
from api.views.watchlists import lists
from core.settings import Settings
from tasks.process.broker import build_celery
from tasks.process.traces import start_traces

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BLUEPRINTS: tuple[APIBlueprint, ...] = (
    access,
    alerts,
    analyses,
    anomalies,
    bars,
    charts,
    corrections,
    data_quality,
    detections,
    detection_runs,
    groups,
    exports,
    feed,
    health,
    line,
    lists,
    markets,
    models,
    mutes,
    notifications,
    parts,
    series_predictions,
    single_series,
    ticks,
    verifications,
)

HEADERS = {
    # Everything comes from our own origin: no inline script or style, no other host, no embedding
    # in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src"
        " 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class App(APIFlask):
    """The application class; creates its routes and calls its functions faster than Flask's own."""

    url_rule_class = LazyRule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function unchanged: none of ours is a coroutine, for which Flask would check
        twenty times a request.
        """
        return func


def create_app(settings: Settings) -> APIFlask:
    """Return the application; nothing is connected before the first request."""
    app = App(
        "api",
        title="Tapewatch",
        version=API_VERSION,
        docs_path=None,
        openapi_blueprint_url_prefix=settings.url_prefix or None,
        static_folder=None,  # type: ignore[arg-type]  # Flask takes None; APIFlask's annotation forgot it
    )
    app.json = JsonProvider(app)
    start_traces(settings, "api", app)
    add_state(app, State(settings, build_celery(settings)))
    app.before_request(_name_request)
    app.after_request(_add_headers)
    register_metrics(app)
    register_compression(app)
    app.after_request(_log_request)
    register_errors(app)
    register_origins(app, settings)
    register_auth(app, list_origins(settings))
    register_limits(app, settings)
    register_bodies(app)
    register_repeated(app)
    register_unknown(app)
    register_deadlines(app)
    register_openapi(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=settings.url_prefix)
    if settings.url_prefix:  # where clients of such services look for these routes
        for blueprint in (single_series, series_predictions):
            app.register_blueprint(blueprint, name=f"root_{blueprint.name}")
    app.register_blueprint(probes)
    app.register_blueprint(figures)
    register_pages(app, settings.url_prefix)
    app.wsgi_app = Turns(app.wsgi_app, "/predict/")  # type: ignore[method-assign]  # Flask's own way for middleware
    return app


def _name_request() -> None:
    """Give the request an id (the caller's own if it looks like one), and put it into every log
    line about the request.
    """
    given = request.headers.get("X-Request-ID", "")
    # the id need not be unguessable, and the system's random source takes as long as writing the
    # answer's JSON
    g.request_id = given if REQUEST_ID.fullmatch(given) else f"{getrandbits(128):032x}"
    clear_contextvars()
    run = (
        {"run_id": str(request.view_args["run_id"])}
        if request.view_args and "run_id" in request.view_args
        else {}
    )
    bind_contextvars(request_id=g.request_id, **run)


def _log_request(response: Response) -> Response:
    """Log requests that ask for a change and those that failed here; log reading requests, which
    are most, at debug.
    """
    scope = get_scope(current_app, request.endpoint or "", request.method)  # type: ignore[arg-type]  # a proxy
    is_told = scope != "read" or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    level = logging.INFO if is_told else logging.DEBUG
    if not logging.getLogger(__name__).isEnabledFor(level):
        return response  # checked first, because the line would mostly be built for nobody
    seconds = round(perf_counter() - g.started, 4)
    fields = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "seconds": seconds,
    }
    log.log(level, "request", **fields)
    return response


def _add_headers(response: Response) -> Any:
    response.headers.extend(HEADERS)  # no view sets one of them, so there is none to replace
    response.headers["X-Request-ID"] = g.request_id
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
