"""Models of single series: fit, predict, plot, healthcheck.

All of it is answered in this process, without numpy.
"""

from collections.abc import Sequence
from html import escape
from math import ceil
from typing import get_args

from apiflask import APIBlueprint
from flask import Response, url_for
from pydantic_core import to_json

from api.http.auth import needs_scope
from api.http.bodies import MIB, takes_body
from api.http.deadlines import lift_deadline
from api.http.idempotency import Answers, answer_run, document_answers, read_once
from api.http.openapi import describe_json
from api.http.paging import Listed, ask_page
from api.http.state import count_latency, get_database, get_now, get_state
from api.schemas.common import PageQuery
from api.schemas.runs import OnceHeaders
from api.schemas.single_series import (
    FitBody,
    FitQuery,
    Fitted,
    Latency,
    PlotFormat,
    PlotQuery,
    SeriesHealth,
    SingleSeriesDetails,
    SingleSeriesPage,
)
from core.errors import BadInput, NothingNamed
from detection.models.series_plot import LISTED_VERSIONS, build_plot, draw_plot
from detection.models.single_series import delete_series as delete_all
from detection.models.single_series import describe_version, fit_series, read_fit
from detection.series.rules import parse_series_id, parse_version
from records.database import Document
from records.keyset import BY_ID
from records.models.documents import SeriesHead
from records.models.single_series import count_series, find_versions, get_head, list_heads
from records.work.documents import ShownRun
from records.work.latencies import read_latencies
from tasks.engine.accept import find_repeated
from tasks.periodic.fallen_alerts import follow_gone_series
from tasks.requests.trainings import request_series_fit

single_series = APIBlueprint("single_series", __name__, tag="single series")

# A fit of more points becomes a run.
MOST_AT_ONCE = 100_000
MOST_BYTES = 32 * MIB


FIT_ANSWERS: Answers = document_answers(Fitted) | {
    202: {
        "description": "more than 100,000 points: a run was accepted",
        "content": describe_json("Accepted"),
    },
}
PLOT_ANSWERS: Answers = {
    200: {
        "description": (
            "training points, expected values, normal range, anomalies in red, and the last"
            " predictions"
        ),
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "image/svg+xml": {"schema": {"type": "string"}},
            **describe_json("Plot"),
        },
    },
    400: {"description": "no series, or a version or format that cannot be"},
}


# Everything that follows is the id, so that the error can name a slash in it.
@single_series.post("/fit/<path:series_id>")
@takes_body(most_bytes=MOST_BYTES)
@single_series.input(
    FitBody,
    example={
        "timestamps": [1705000000, 1705000001, 1705000002, 1705000003],
        "values": [1.0, 1.2, 0.9, 1.1],
    },
)
@single_series.input(FitQuery, location="query")
@single_series.input(OnceHeaders, location="headers")
@single_series.output(Fitted)
@single_series.doc(responses=FIT_ANSWERS)
def fit_series_model(
    series_id: str, json_data: FitBody, query_data: FitQuery, headers_data: OnceHeaders
) -> Document | Response:
    """Fit a model to a history.

    The same history and options again are the version that they have.
    """
    database, once = get_database(), read_once(headers_data)
    run = find_repeated(database, once)
    if run is None:
        try:
            named = parse_series_id(series_id)
        except NothingNamed as error:
            raise BadInput(error.message, reason=error.reason) from error
        least_points = get_state().settings.min_training_data_points
        asked = read_fit(named, least_points=least_points, **json_data.model_dump())
        # Reading a million points takes seconds, and of a hundred simultaneous fits the last waits
        # for its turn.
        lift_deadline()
        if asked.count <= MOST_AT_ONCE:
            fitted = describe_version(fit_series(database, asked, get_now()))
            count_latency("training")
            return fitted
        run = request_series_fit(database, get_state().celery, asked, now=get_now(), once=once)
    return answer_run(run, query_data.wait, _find_fitted)


def _find_fitted(run: ShownRun) -> Fitted | None:
    """Return the answer of a run that fitted; None where it failed."""
    result = run.get("result")
    return None if result is None else Fitted.model_validate(result)


@single_series.get("/healthcheck")
@single_series.output(SeriesHealth)
def get_series_health() -> SeriesHealth:
    """Say how many series have models, and how long the last requests took."""
    get_state().latencies.flush()
    database = get_database()
    return SeriesHealth(
        series_trained=count_series(database),
        inference_latency_ms=_summarize(read_latencies(database, "inference")),
        training_latency_ms=_summarize(read_latencies(database, "training")),
    )


@single_series.get("/series")
@single_series.input(PageQuery, location="query")
@single_series.output(SingleSeriesPage)
def list_single_series(query_data: PageQuery) -> Listed[SeriesHead]:
    """List the series that have models, by id."""
    page = ask_page(query_data, BY_ID)
    found = list_heads(get_database(), after=page.after, limit=page.limit)
    return page.build(found)


@single_series.get("/series/<series_id>")
@single_series.output(SingleSeriesDetails)
@single_series.doc(responses={400: "no id of a series"})
def get_single_series(series_id: str) -> Document:
    """Return a series with its latest versions."""
    named = parse_series_id(series_id)
    head = get_head(get_database(), named)
    fields = (*_VERSION_FIELDS, "created_at")
    return {**head, "versions": find_versions(get_database(), named, fields, LISTED_VERSIONS)}


@single_series.delete("/series/<series_id>")
@needs_scope("admin")
@single_series.output({}, status_code=204)
@single_series.doc(responses={400: "no id of a series"})
def delete_single_series(series_id: str) -> str:
    """Delete a series with all its versions, histories and predictions."""
    database, named = get_database(), parse_series_id(series_id)
    delete_all(database, named)
    follow_gone_series(database, named, get_now())
    return ""


@single_series.get("/plot")
@single_series.input(PlotQuery, location="query")
@single_series.doc(responses=PLOT_ANSWERS)
def plot_series(query_data: PlotQuery) -> Response:
    """Draw a version of a series; nothing in the page comes from elsewhere."""
    if query_data.format not in get_args(PlotFormat):
        formats = ", ".join(get_args(PlotFormat))
        raise NothingNamed(
            f"format {query_data.format!r} is none of {formats}", reason="bad_format"
        )
    named, version = parse_series_id(query_data.series_id or ""), parse_version(query_data.version)
    plot = build_plot(get_database(), named, version)
    if query_data.format == "json":
        return Response(to_json(plot), content_type="application/json")
    svg = draw_plot(plot)
    if query_data.format == "svg":
        return Response(svg, content_type="image/svg+xml; charset=utf-8")
    return Response(_build_page(plot, svg), content_type="text/html; charset=utf-8")


_VERSION_FIELDS = (
    "version",
    "detector",
    "parameters",
    "points_used",
    "points_learned",
    "first_timestamp",
    "last_timestamp",
    "data_sha256",
)


def _summarize(milliseconds: Sequence[float]) -> Latency:
    if not milliseconds:
        return Latency(avg=0.0, p95=0.0)
    ordered = sorted(milliseconds)
    nearest = ordered[ceil(0.95 * len(ordered)) - 1]
    return Latency(avg=round(sum(ordered) / len(ordered), 3), p95=round(nearest, 3))


def _build_page(plot: Document, svg: str) -> str:
    """Return the HTML page of a plot, with a link to each version."""
    links = " ".join(
        _build_link(plot["series_id"], version, plot["version"]) for version in plot["versions"]
    )
    anomalies = sum(point["anomaly"] for point in (*plot["training"], *plot["predictions"]))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(plot["series_id"])} · version {plot["version"]}</title>
<link rel="icon" href="{url_for("pages.get_asset", path="favicon.svg")}" type="image/svg+xml">
<link rel="stylesheet" href="{url_for("pages.get_asset", path="styles/plot.css")}">
<main class="plot-page">
<h1>{escape(plot["series_id"])}</h1>
<p>Version {plot["version"]}, detector {plot["detector"]};
{anomalies} of the points shown lie outside.</p>
{svg}
<nav aria-label="versions">{links}</nav>
</main>
</html>
"""


def _build_link(series_id: str, version: str, shown: str) -> str:
    mark = ' aria-current="page"' if version == shown else ""
    return f'<a href="?series_id={escape(series_id)}&amp;version={version}"{mark}>v{version}</a>'
