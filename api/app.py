"""Making the Flask application."""

import re
from typing import Any
from uuid import uuid4

from apiflask import APIBlueprint, APIFlask
from flask import Response, g, request
from flask.json.provider import DefaultJSONProvider

from api.anomalies import anomalies
from api.auth import register_auth
from api.bars import bars
from api.bodies import register_bodies
from api.chart import charts
from api.detections import detections
from api.errors import register_errors
from api.health import health, probes
from api.limits import list_origins, register_limits, register_origins
from api.metrics import figures, register_metrics
from api.models import models
from api.openapi import API_VERSION, register_openapi
from api.pages import register_pages
from api.runs import detection_runs
from api.state import State, add_state
from api.verifications import verifications
from api.watchlists import lists
from detection.settings import Settings
from tasks.broker import build_celery

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BLUEPRINTS: tuple[APIBlueprint, ...] = (
    anomalies,
    bars,
    charts,
    detections,
    detection_runs,
    health,
    lists,
    models,
    verifications,
)

HEADERS = {
    # Everything comes from our own origin: no inline script or style, no other host, no frame around us.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(settings: Settings) -> APIFlask:
    """Return the application; nothing is connected before the first request."""
    app = APIFlask(
        "api",
        title="Tapewatch",
        version=API_VERSION,
        docs_path=None,
        openapi_blueprint_url_prefix=settings.url_prefix or None,
        static_folder=None,  # type: ignore[arg-type]  # Flask takes None; APIFlask's annotation forgot it
    )
    app.json = DefaultJSONProvider(app)
    app.json.sort_keys = False
    add_state(app, State(settings, build_celery(settings)))
    app.before_request(_name_request)
    app.after_request(_add_headers)
    register_metrics(app)
    register_errors(app)
    register_origins(app, settings)
    register_auth(app, list_origins(settings))
    register_limits(app, settings)
    register_bodies(app)
    register_openapi(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=settings.url_prefix)
    app.register_blueprint(probes)
    app.register_blueprint(figures)
    register_pages(app, settings.url_prefix)
    return app


def _name_request() -> None:
    """Give the request an id: the caller's own, if it looks like one."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _add_headers(response: Response) -> Any:
    response.headers.update(HEADERS)
    response.headers["X-Request-ID"] = g.request_id
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
