"""Predictions of single series: points judged, one or many, and those that were kept.

No numpy is loaded for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from apiflask import APIBlueprint
from flask import Response, abort, request, stream_with_context
from pydantic_core import from_json, to_json

from api.http.auth import get_client, has_scope, needs_scope
from api.http.bodies import MIB, takes_body
from api.http.deadlines import lift_deadline
from api.http.errors import build_problem, get_status
from api.http.idempotency import Answers
from api.http.openapi import describe_json
from api.http.paging import Listed, ask_page
from api.http.state import count_latency, get_database, get_now, get_state
from api.schemas import single_series as schemas
from api.schemas.single_series import (
    LabelBody,
    PredictQuery,
    StoredPredictionPage,
    StoredPredictionQuery,
)
from core.errors import BadInput, TapewatchError
from detection.models.single_series import SeriesModel, store_predictions
from detection.series.contract import Judgement, LearningDetector
from detection.series.rules import (
    Point,
    check_points,
    parse_series_id,
    parse_version,
    read_plain_points,
    read_point,
)
from records.database import Document
from records.findings import series_predictions as stored
from records.findings.documents import StoredPrediction
from records.models.single_series import get_version

series_predictions = APIBlueprint("series_predictions", __name__, tag="single series")

MOST_BYTES = 32 * MIB
MOST_LIST_BYTES = 2 * MIB
# This many lines of a stream are predicted, stored and answered together.
STREAM_PART = 500
NDJSON = "application/x-ndjson"
POINT_SCHEMA = {
    "type": "object",
    "required": ["timestamp", "value"],
    "additionalProperties": False,
    "properties": {
        "timestamp": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "digits"},
        "value": {"type": "number"},
    },
    "example": {"timestamp": "1705000010", "value": 13.0},
}
POINTS = {
    "anyOf": [
        POINT_SCHEMA,
        {"type": "array", "items": POINT_SCHEMA, "minItems": 1, "maxItems": 10_000},
    ]
}
LINES = {"type": "string", "example": '{"timestamp": "1705000010", "value": 13.0}\n'}


PREDICT_ANSWERS: Answers = {
    200: {
        "description": "of a list, a list",
        "content": describe_json("Prediction", "Predictions"),
    },
    409: {"description": "store: another value is stored for this time"},
}
STREAM_ANSWERS: Answers = {
    200: {
        "description": (
            "one prediction a line, or what is wrong with the line: its point was left out"
        ),
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}


# Everything that follows is the id, so that the error can name a slash in it.
@series_predictions.post("/predict/<path:series_id>")
@needs_scope("read")
@takes_body(most_bytes=MOST_LIST_BYTES, documented=POINTS)
@series_predictions.input(PredictQuery, location="query")
@series_predictions.doc(responses=PREDICT_ANSWERS)
def predict_series(series_id: str, query_data: PredictQuery) -> Response:
    """Judge a point, or each of a list of up to 10,000.

    Nothing is changed unless `store` is true.
    """
    model = _find_model(series_id, query_data)
    points, is_list = _read_points()
    judged = _judge(model, points, store=query_data.store)
    version = str(model.version)
    answers = [_describe(judgement, version) for judgement in judged]
    content = to_json(answers if is_list else answers[0])
    count_latency("inference")
    return Response(content, content_type="application/json")


@series_predictions.post("/predict-stream/<path:series_id>")
@needs_scope("read")
@takes_body(most_bytes=MOST_BYTES, mimetype=NDJSON, documented=LINES)
@series_predictions.input(PredictQuery, location="query")
@series_predictions.doc(responses=STREAM_ANSWERS)
def predict_stream(series_id: str, query_data: PredictQuery) -> Response:
    """Judge a file of points, one a line; the answers come line by line as they are made.

    A detector that learns does so from line to line, and for good where `store` is true.
    """
    model = _find_model(series_id, query_data)
    lines = request.get_data().splitlines()
    if not any(line.strip() for line in lines):
        raise BadInput("there is no point; send one a line", reason="no_points")
    lift_deadline()  # as long as the caller reads
    answers = _answer_lines(model, lines, store=query_data.store)
    return Response(stream_with_context(answers), content_type=NDJSON)


def _answer_lines(model: SeriesModel, lines: Sequence[bytes], *, store: bool) -> Iterator[bytes]:
    """Yield the answer of each line; lines are predicted, stored and answered some at a time."""
    learner = model.copy() if model.kind.learns and not store else None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for start in range(0, len(numbered), STREAM_PART):
        read = [
            (number, _read_line(line)) for number, line in numbered[start : start + STREAM_PART]
        ]
        yield b"".join(
            to_json(answer) + b"\n" for answer in _answer_part(model, learner, read, store=store)
        )


def _answer_part(
    model: SeriesModel,
    learner: LearningDetector | None,
    read: Sequence[tuple[int, Point | TapewatchError]],
    *,
    store: bool,
) -> Iterator[Document]:
    version = str(model.version)
    judged = _judge_part(
        model, learner, [point for _, point in read if isinstance(point, Point)], store=store
    )
    for number, point in read:
        said = next(judged) if isinstance(point, Point) else point
        if isinstance(said, Judgement):
            yield _describe(said, version)
        else:
            yield {
                "line": number,
                "status": get_status(said),
                "reason": said.reason,
                "detail": said.message,
            }


def _judge_part(
    model: SeriesModel, learner: LearningDetector | None, points: Sequence[Point], *, store: bool
) -> Iterator[Judgement | TapewatchError]:
    if store and points:
        # If one of them cannot be stored, only that one is left out.
        with suppress(TapewatchError):
            yield from store_predictions(
                get_database(), model.series_id, model.version, points, get_now()
            )
            return
    for point in points:
        try:
            if store:
                yield store_predictions(
                    get_database(), model.series_id, model.version, [point], get_now()
                )[0]
            elif learner is not None:
                yield learner.learn(point.timestamp, point.value)
            else:
                yield model.judge(point)
        except TapewatchError as error:
            yield error


def _read_line(line: bytes) -> Point | TapewatchError:
    try:
        return read_point(from_json(line, allow_inf_nan=True))
    except ValueError as error:
        return BadInput(f"the line is no JSON: {error}", reason="bad_json")
    except BadInput as error:
        return error


@series_predictions.get("/series/<series_id>/predictions")
@series_predictions.input(StoredPredictionQuery, location="query")
@series_predictions.output(StoredPredictionPage)
@series_predictions.doc(responses={400: "no id of a series, or no version"})
def list_predictions(series_id: str, query_data: StoredPredictionQuery) -> Listed[StoredPrediction]:
    """List the stored predictions of a series, the latest first."""
    named = parse_series_id(series_id)
    version = parse_version(query_data.version)
    get_version(get_database(), named, version, ("version",))
    page = ask_page(query_data, stored.LATEST)
    found = stored.find_predictions(
        get_database(),
        named,
        version=version,
        anomaly=query_data.anomaly,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


@series_predictions.put("/series/<series_id>/predictions/<version>/<timestamp>/label")
@series_predictions.input(LabelBody, example={"feedback": "confirmed"})
@series_predictions.output(schemas.StoredPrediction)
def label_prediction(
    series_id: str, version: str, timestamp: str, json_data: LabelBody
) -> StoredPrediction:
    """Say what a stored prediction was; the last word counts."""
    named = parse_series_id(series_id)
    record = get_version(get_database(), named, parse_version(version), ("version",))
    point = read_point({"timestamp": timestamp, "value": 0})
    return stored.label_prediction(
        get_database(),
        named,
        record["version"],
        point.timestamp,
        feedback=json_data.feedback,
        by=get_client(),
        now=get_now(),
    )


def _read_points() -> tuple[list[Point], bool]:
    """Return the points of the body, and whether it is a list. Raises BadInput."""
    content = request.get_data()
    plain = read_plain_points(content) if content.startswith(b"[") else None
    if plain is not None:
        return plain, True
    body = request.get_json()
    return (check_points(body), True) if isinstance(body, list) else ([read_point(body)], False)


def _find_model(series_id: str, query_data: PredictQuery) -> SeriesModel:
    """Return the version that the request names."""
    named, version = parse_series_id(series_id), parse_version(query_data.version)
    if query_data.store and not has_scope("enqueue"):
        abort(
            build_problem(
                403, "store=true needs a key with the scope 'enqueue'", reason="scope_missing"
            )
        )
    return get_state().series_models.get(get_database(), named, version)


def _judge(model: SeriesModel, points: Sequence[Point], *, store: bool) -> list[Judgement]:
    if store:
        lift_deadline()  # other requests that store may go first
        return store_predictions(get_database(), model.series_id, model.version, points, get_now())
    return [model.judge(points[0])] if len(points) == 1 else model.judge_all(points)


def _describe(judgement: Judgement, version: str) -> Document:
    return {
        "anomaly": judgement.anomaly,
        "model_version": version,
        "score": judgement.score,
        "expected": judgement.expected,
        "lower": judgement.lower,
        "upper": judgement.upper,
    }
