"""Figures for Prometheus: requests as this service answered them, and work as MongoDB has it."""

import os
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from api.state import get_database
from detection.records.batches import find_oldest_pending_seconds
from detection.records.database import Db

figures = APIBlueprint("metrics", __name__, tag="health")

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
@figures.doc(responses=TEXT)
def get_metrics() -> Response:
    """Return the figures of all processes of this server, and of the work that waits."""
    content = generate_latest(_get_request_figures()) + generate_latest(_build_work_figures(get_database()))
    return Response(content, content_type=CONTENT_TYPE_LATEST)


def _get_request_figures() -> CollectorRegistry:
    """Return the registry of all processes where the server has several, else of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return registry


class _Work:
    """Gauges read from MongoDB when they are asked for."""

    def __init__(self, database: Db) -> None:
        self.database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        runs = GaugeMetricFamily("tapewatch_runs", "Runs that are kept, by status.", labels=["task", "status"])
        group = {"_id": {"task": "$task", "status": "$status"}, "count": {"$sum": 1}}
        for found in self.database.detection_runs.aggregate([{"$match": {"run_id": None}}, {"$group": group}]):
            runs.add_metric([found["_id"]["task"], found["_id"]["status"]], found["count"])
        yield runs
        batches = GaugeMetricFamily("tapewatch_open_batches", "Batches that are still to end.", labels=["state"])
        for state in ("pending", "leased"):
            batches.add_metric([state], self.database.batches.count_documents({"state": state}))
        yield batches
        yield GaugeMetricFamily(
            "tapewatch_oldest_pending_seconds",
            "For how long the batch has waited that waits longest; 0 where none waits.",
            value=find_oldest_pending_seconds(self.database) or 0.0,
        )


def _build_work_figures(database: Db) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Work(database))
    return registry


def _start_clock() -> None:
    g.started = perf_counter()


def _stop_clock(response: Response) -> Response:
    endpoint = request.endpoint or "none"
    REQUESTS.labels(request.method, endpoint, response.status_code).observe(perf_counter() - g.started)
    return response
