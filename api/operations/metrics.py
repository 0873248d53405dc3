"""Metrics for Prometheus: requests that this server answered, and work as MongoDB has it."""

import os
from http import HTTPMethod
from time import perf_counter
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from api.http.auth import needs_scope
from api.http.state import get_settings, get_state
from api.operations.health import ask_redis
from api.operations.work_metrics import build_work_figures

figures = APIBlueprint("metrics", __name__, tag="health")

METHODS = frozenset(HTTPMethod)
REQUESTS = Histogram(
    "tapewatch_request_seconds",
    "Time to answer a request.",
    ("method", "endpoint", "status"),
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TEXT: Any = {
    200: {
        "description": "figures in the text format of Prometheus",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


def register_metrics(app: APIFlask) -> None:
    """Time every request."""
    app.before_request(_start_clock)
    app.after_request(_stop_clock)


@figures.get("/metrics")
@needs_scope("read", of_tenant=False)
@figures.doc(responses=TEXT)
def get_metrics() -> Response:
    """Return the figures of all processes of this server, and of the work that waits."""
    # Workers are asked over Redis: if it does not answer, no worker takes messages.
    workers = get_state().workers.ask() if ask_redis(get_settings()).ok else []
    consumed = [queue for worker in workers for queue in worker.queues]
    content = generate_latest(_get_request_figures()) + generate_latest(
        build_work_figures(get_state().whole_database, consumed)
    )
    return Response(content, content_type=CONTENT_TYPE_LATEST)


def _get_request_figures() -> CollectorRegistry:
    """Return the registry of all processes if the server has several, else that of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return registry


def _start_clock() -> None:
    g.started = perf_counter()


def _stop_clock(response: Response) -> Response:
    # A path that somebody made up must not become a label.
    method = request.method if request.method in METHODS else "other"
    endpoint = request.endpoint or "none"
    REQUESTS.labels(method, endpoint, response.status_code).observe(perf_counter() - g.started)
    return response
