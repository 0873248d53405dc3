"""Models of single series over HTTP, with several clients at once and two API processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from detection.models.single_series import load_model, read_history
from records.database import Db
from tests.integration.conftest import ROOT, Live
from tests.integration.serving import at_once, post, serve_api
from tests.processes import wait_until

START = 1_705_000_000
VALUES = [10.0, 11.0, 9.0, 10.0]
HISTORY = {"timestamps": [START, START + 1, START + 2, START + 3], "values": VALUES}
POINT = {"timestamp": "1705000010", "value": 13.0}
NDJSON = "application/x-ndjson"
COLLECTIONS = ("single_series", "series_models", "series_points", "series_predictions")


def send(client: FlaskClient, path: str, body: object, **query: str) -> TestResponse:
    """POST a body as Python's json writes it: with NaN and Infinity."""
    return client.post(
        path, data=json.dumps(body), content_type="application/json", query_string=query
    )


def fit(client: FlaskClient, series_id: str = "sensor_01", **options: Any) -> TestResponse:
    return send(client, f"/fit/{series_id}", {**HISTORY, **options})


def predict(
    client: FlaskClient, body: object = POINT, series_id: str = "sensor_01", **query: str
) -> TestResponse:
    return send(client, f"/predict/{series_id}", body, **query)


def document(response: TestResponse) -> Any:
    assert response.json is not None, response.text
    return response.json


def is_empty(database: Db) -> bool:
    return all(database[name].count_documents({}) == 0 for name in COLLECTIONS)


# --- the documented answers


def test_a_fit_answers_series_version_and_points(client: FlaskClient) -> None:
    answer = fit(client)
    assert answer.status_code == 200
    assert answer.json == {"series_id": "sensor_01", "version": "1", "points_used": 4}


def test_a_prediction_answers_anomaly_and_version_with_the_range_beside_them(
    client: FlaskClient,
) -> None:
    fit(client)
    answer = predict(client)
    assert answer.status_code == 200
    said = document(answer)
    upper = fmean(VALUES) + 3 * pstdev(VALUES)
    assert said.pop("score") == pytest.approx((13.0 - fmean(VALUES)) / pstdev(VALUES))
    assert said.pop("upper") == pytest.approx(upper)
    assert said == {"anomaly": True, "model_version": "1", "expected": 10.0, "lower": None}
    assert document(predict(client, {**POINT, "value": upper - 1e-9}))["anomaly"] is False


def test_a_value_far_below_is_no_anomaly_of_the_default_detector(client: FlaskClient) -> None:
    fit(client)
    assert document(predict(client, {**POINT, "value": -1e9}))["anomaly"] is False
    fit(client, direction="both")
    assert document(predict(client, {**POINT, "value": -1e9}))["anomaly"] is True


def test_a_list_of_points_is_answered_with_a_list_in_its_order(client: FlaskClient) -> None:
    fit(client)
    points = [
        {"timestamp": str(START + i), "value": value} for i, value in enumerate((13.0, 10.0, 14.0))
    ]
    assert [said["anomaly"] for said in document(predict(client, points))] == [True, False, True]


def test_the_routes_are_under_the_prefix_too(client: FlaskClient) -> None:
    assert client.post("/py/fit/a", json=HISTORY).json == {
        "series_id": "a",
        "version": "1",
        "points_used": 4,
    }
    assert document(client.post("/py/predict/a", json=POINT))["model_version"] == "1"
    assert document(client.get("/py/healthcheck"))["series_trained"] == 1
    assert client.get("/py/plot?series_id=a").status_code == 200
    assert document(client.get("/py/series"))["items"][0]["_id"] == "a"


def test_before_any_request_the_healthcheck_is_all_zeros(client: FlaskClient) -> None:
    assert client.get("/healthcheck").json == {
        "series_trained": 0,
        "inference_latency_ms": {"avg": 0.0, "p95": 0.0},
        "training_latency_ms": {"avg": 0.0, "p95": 0.0},
    }


# --- versions


def test_a_version_is_digits_with_or_without_v_and_the_latest_is_0_or_absent(
    client: FlaskClient,
) -> None:
    fit(client)
    fit(client, k=2)
    for asked in ("1", "v1", "V1", "01", " 1 "):
        assert document(predict(client, version=asked))["model_version"] == "1", asked
    for asked in ("", "0", "v0", "000"):
        assert document(predict(client, version=asked))["model_version"] == "2", asked
    assert document(predict(client))["model_version"] == "2"


def test_an_invalid_version_is_400_and_says_what_a_version_is(client: FlaskClient) -> None:
    fit(client)
    for asked in ("x", "v", "1.0", "-1", "1e3", "vv1", "\u0661", "1;2"):
        answer = predict(client, version=asked)
        assert (answer.status_code, document(answer)["reason"]) == (400, "bad_version"), asked
        assert asked in document(answer)["detail"]
        assert (
            client.get(
                "/plot", query_string={"series_id": "sensor_01", "version": asked}
            ).status_code
            == 400
        )


def test_an_unknown_version_is_404_and_names_the_latest(client: FlaskClient) -> None:
    fit(client)
    for asked in ("2", "v99", "9" * 30, "9" * 3_000):
        answer = predict(client, version=asked)
        assert (answer.status_code, document(answer)["reason"]) == (404, "version_not_found"), asked
        assert "latest is 1" in document(answer)["detail"]


def test_an_unknown_series_is_404(client: FlaskClient) -> None:
    for answer in (
        predict(client),
        client.get("/plot?series_id=sensor_01"),
        client.get("/series/sensor_01"),
        client.get("/series/sensor_01/predictions"),
        client.delete("/series/sensor_01"),
        client.put("/series/sensor_01/predictions/1/5/label", json={"feedback": "confirmed"}),
    ):
        assert (answer.status_code, document(answer)["reason"]) == (404, "series_not_found")


def test_the_same_data_is_the_same_version_and_other_options_make_another(
    client: FlaskClient,
) -> None:
    assert document(fit(client))["version"] == "1"
    assert document(fit(client, values=[1, 2, 3, 4]))["version"] == "2"
    assert document(fit(client))["version"] == "1"
    assert document(fit(client, values=[1.0, 2.0, 3.0, 4.0]))["version"] == "2"
    assert document(fit(client, detector="mad"))["version"] == "3"
    assert document(fit(client, detector="mad"))["version"] == "3"
    assert document(fit(client, "sensor_02"))["version"] == "1"


def test_spaces_around_the_id_are_removed(client: FlaskClient) -> None:
    assert document(client.post("/fit/%20sensor_01%20", json=HISTORY))["series_id"] == "sensor_01"
    assert predict(client).status_code == 200


# --- bad input: each is a clear 4xx, and nothing is written


def test_an_invalid_id_is_refused_with_its_rule(client: FlaskClient, database: Db) -> None:
    for series_id, reason in (
        ("%20", "series_id_empty"),
        ("a%20b", "series_id_characters"),
        ("ä", "series_id_characters"),
        ("a%00", "series_id_characters"),
        ("$where", "series_id_characters"),
        ("a..b", "series_id_dots"),
        ("..", "series_id_dots"),
        ("x" * 129, "series_id_too_long"),
    ):
        for path, status in ((f"/fit/{series_id}", 422), (f"/predict/{series_id}", 400)):
            answer = client.post(path, json=HISTORY if status == 422 else POINT)
            assert (answer.status_code, document(answer)["reason"]) == (status, reason), path
        assert client.delete(f"/series/{series_id}").status_code == 400
    assert is_empty(database)


@pytest.mark.parametrize("series_id", ["..%2fx", "..%2f..%2fetc", "a/b", "a%2fb", "../x"])
def test_an_id_with_a_slash_is_explained(client: FlaskClient, database: Db, series_id: str) -> None:
    for path, status in (("/fit", 422), ("/predict", 400), ("/predict-stream", 400)):
        is_stream = path == "/predict-stream"
        sent: dict[str, Any] = (
            {"data": b"{}", "content_type": "application/x-ndjson"}
            if is_stream
            else {"json": HISTORY if status == 422 else POINT}
        )
        answer = client.post(f"{path}/{series_id}", **sent)
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
        assert document(answer)["reason"] == "series_id_slash"
        assert "holds a slash" in document(answer)["detail"]
    assert client.post("/fit/", json=HISTORY).status_code == 404
    assert is_empty(database)


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"values": [1, 2, 3]}, "counts_differ", "/values"),
    ({"timestamps": [1, 2], "values": [1, 2]}, "too_few_points", "/timestamps"),
    ({"timestamps": [], "values": []}, "too_few_points", "/timestamps"),
    ({"timestamps": [1, 2, True, 4]}, "timestamp_boolean", "/timestamps/2"),
    ({"timestamps": [1, 2.0, 3, 4]}, "timestamp_not_whole", "/timestamps/1"),
    ({"timestamps": ["1", 2, 3, 4]}, "timestamp_not_whole", "/timestamps/0"),
    ({"timestamps": [1, 2, 3, None]}, "timestamp_not_whole", "/timestamps/3"),
    ({"timestamps": [-1, 2, 3, 4]}, "timestamp_negative", "/timestamps/0"),
    ({"timestamps": [1, 2, 3, 2**63]}, "timestamp_too_large", "/timestamps/3"),
    ({"timestamps": [1, 2, 2, 4]}, "timestamps_not_rising", "/timestamps/2"),
    ({"timestamps": [4, 3, 2, 1]}, "timestamps_not_rising", "/timestamps/1"),
    ({"values": [1, 2, False, 4]}, "value_boolean", "/values/2"),
    ({"values": [1, "2", 3, 4]}, "value_not_a_number", "/values/1"),
    ({"values": [1, None, 3, 4]}, "value_not_a_number", "/values/1"),
    ({"values": [1, 2, [3], 4]}, "value_not_a_number", "/values/2"),
    ({"values": [1, 2, 3, float("nan")]}, "value_not_finite", "/values/3"),
    ({"values": [1, float("-inf"), 3, 4]}, "value_not_finite", "/values/1"),
    ({"values": [1, 2, 10**400, 4]}, "value_not_finite", "/values/2"),
    ({"values": [7, 7, 7, 7.0]}, "values_equal", "/values"),
]


def test_each_rule_of_a_history_has_its_own_reason_and_place(
    client: FlaskClient, database: Db
) -> None:
    for change, reason, pointer in BROKEN:
        for detector in ("simple", "mad", "moving_average", "seasonal"):
            answer = fit(client, detector=detector, **change)
            assert answer.status_code == 422, change
            assert (reason, pointer) in [
                (e["reason"], e["pointer"]) for e in document(answer)["errors"]
            ], change
    assert is_empty(database)


def test_every_broken_rule_is_named_once_with_its_first_place(client: FlaskClient) -> None:
    answer = fit(client, timestamps=[5, 5, 4, -1.5, True], values=[1, "x", "y", True])
    found = {error["reason"]: error["pointer"] for error in document(answer)["errors"]}
    assert found == {
        "counts_differ": "/values",
        "timestamp_boolean": "/timestamps/4",
        "timestamp_not_whole": "/timestamps/3",
        "timestamps_not_rising": "/timestamps/1",
        "value_boolean": "/values/3",
        "value_not_a_number": "/values/1",
    }
    assert len(document(answer)["errors"]) == len(found)


NO_HISTORIES = [
    (b'{"timestamps": [1, 2, 3], "values": [1, 2, 1e400]}', 422),
    (b'{"timestamps": [1, 2, 3], "values": [1, 2, NaN]}', 422),
    (b'{"timestamps": [1, 2, 3], "values": [1, 2, Infinity]}', 422),
    (b'{"timestamps": [1, 2, 3]}', 422),
    (b'{"timestamps": 5, "values": [1, 2, 3]}', 422),
    (b'{"timestamps": [1, 2, 3], "values": {"0": 1}}', 422),
    (b'{"timestamps": [1, 2, 3], "values": [1, 2, 3], "extra": 1}', 422),
    (b"[1, 2, 3]", 422),
    (b'"text"', 422),
    (b"null", 422),
    (b"{", 400),
    (b"", 400),
    (b"\xff\xfe", 400),
    (b"[" * 100_000, 400),
    (b'{"timestamps": [1, 2, 3], "values": [1, 2, ' + b"9" * 5_000 + b"]}", 400),
]


def test_a_body_that_is_not_a_history_is_a_4xx(client: FlaskClient, database: Db) -> None:
    for sent, status in NO_HISTORIES:
        answer = client.post("/fit/a", data=sent, content_type="application/json")
        assert (answer.status_code, answer.content_type) == (
            status,
            "application/problem+json",
        ), sent[:80]
    assert is_empty(database)


def test_a_body_of_another_type_is_415(client: FlaskClient, database: Db) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "text/csv"):
        for path in ("/fit/a", "/predict/a", "/predict-stream/a"):
            assert client.post(path, data=b"{}", content_type=content_type).status_code == 415
    assert is_empty(database)


def test_ten_million_points_are_refused(client: FlaskClient, database: Db) -> None:
    million = b"1" + b",1" * 1_000_000
    sent = b'{"timestamps":[' + million + b'],"values":[' + million + b"]}"
    answer = client.post("/fit/a", data=sent, content_type="application/json")
    assert answer.status_code == 422
    assert {error["reason"] for error in document(answer)["errors"]} == {"too_many_points"}
    large = b'{"timestamps":[' + b",".join([million] * 10) + b'],"values":[1]}'
    answer = client.post("/fit/a", data=large + b" " * 16_000_000, content_type="application/json")
    assert answer.status_code == 413
    assert is_empty(database)


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"detector": "nothing"}, "unknown_detector"),
    ({"season": 4}, "unknown_parameter"),
    ({"detector": "mad", "window": 4}, "unknown_parameter"),
    ({"direction": "sideways"}, "bad_direction"),
    ({"k": 0}, "bad_k"),
    ({"k": -1.5}, "bad_k"),
    ({"k": float("nan")}, "bad_k"),
    ({"detector": "seasonal", "season": 1}, "bad_season"),
    ({"detector": "seasonal", "season": 3}, "season_too_long"),
    ({"detector": "seasonal"}, "no_season"),
    ({"detector": "moving_average", "window": 1}, "bad_window"),
    ({"detector": "moving_average", "values": [1, 2, 2, 2], "window": 3}, "tail_constant"),
    ({"values": [1.7e308, -1.7e308, 1.7e308, 0]}, "range_not_finite"),
    ({"detector": "mad", "values": [1.7e308, -1.7e308, 1.7e308, -1.6e308]}, "range_not_finite"),
]


def test_each_rule_of_the_options_has_its_own_reason(client: FlaskClient, database: Db) -> None:
    for options, reason in OPTIONS:
        answer = fit(client, **options)
        assert (answer.status_code, document(answer)["reason"]) == (422, reason), answer.text
    assert is_empty(database)


POINTS: list[tuple[object, str]] = [
    ({"timestamp": 1705000010, "value": 1.0}, "timestamp_not_a_string"),
    ({"timestamp": 1705000010.0, "value": 1.0}, "timestamp_not_a_string"),
    ({"timestamp": True, "value": 1.0}, "timestamp_not_a_string"),
    ({"timestamp": "1705000010.5", "value": 1.0}, "timestamp_not_digits"),
    ({"timestamp": "-5", "value": 1.0}, "timestamp_not_digits"),
    ({"timestamp": "", "value": 1.0}, "timestamp_not_digits"),
    ({"timestamp": "١٢", "value": 1.0}, "timestamp_not_digits"),
    ({"timestamp": "9" * 19, "value": 1.0}, "timestamp_too_large"),
    ({"timestamp": "9" * 9_000, "value": 1.0}, "timestamp_too_large"),
    ({"value": 1.0}, "timestamp_missing"),
    ({"timestamp": "1"}, "value_missing"),
    ({"timestamp": "1", "value": True}, "value_boolean"),
    ({"timestamp": "1", "value": "1"}, "value_not_a_number"),
    ({"timestamp": "1", "value": None}, "value_not_a_number"),
    ({"timestamp": "1", "value": float("inf")}, "value_not_finite"),
    ({"timestamp": "1", "value": 10**400}, "value_not_finite"),
    ({"timestamp": "1", "value": 1, "more": 1}, "point_unknown_field"),
    (5, "point_not_an_object"),
    ("x", "point_not_an_object"),
    (None, "point_not_an_object"),
]


def test_each_rule_of_a_point_has_its_own_reason(client: FlaskClient, database: Db) -> None:
    fit(client)
    for point, reason in POINTS:
        answer = predict(client, point, store="true")
        assert answer.status_code == 422, point
        assert [error["reason"] for error in document(answer)["errors"]] == [reason], answer.text
        listed = predict(client, [POINT, point, point], store="true")
        assert listed.status_code == 422
        assert [error["pointer"].split("/")[1] for error in document(listed)["errors"]] == ["1"]
    assert database.series_predictions.count_documents({}) == 0


def test_an_empty_list_and_a_list_too_long_are_refused(client: FlaskClient) -> None:
    fit(client)
    assert document(predict(client, []))["errors"][0]["reason"] == "no_points"
    points = [{"timestamp": "1", "value": 1}] * 10_001
    assert document(predict(client, points))["errors"][0]["reason"] == "too_many_points"


def test_an_impossible_plot_is_400(client: FlaskClient) -> None:
    for query, reason in (
        ("", "series_id_empty"),
        ("series_id=", "series_id_empty"),
        ("series_id=a/b", "series_id_slash"),
        ("series_id=..", "series_id_dots"),
        ("series_id=a&format=png", "bad_format"),
    ):
        answer = client.get(f"/plot?{query}")
        assert (answer.status_code, document(answer)["reason"]) == (400, reason), query


# --- many at once, over two API processes


@pytest.fixture(scope="module")
def address(live: Live) -> Iterator[str]:
    """The address of two API processes."""
    with serve_api(live.settings) as url:
        yield url


def test_a_hundred_fits_at_once_are_versions_1_to_100(live: Live, address: str) -> None:
    def ask(i: int) -> Callable[[], tuple[int, dict[str, Any]]]:
        return lambda: post(f"{address}/fit/crowd", {**HISTORY, "values": [i, 1.5, 2, 3]})

    answers = at_once([ask(i) for i in range(100)])
    assert [status for status, _ in answers] == [200] * 100, [a for a in answers if a[0] != 200][:3]
    assert sorted(int(fitted["version"]) for _, fitted in answers) == list(range(1, 101))
    stored = list(live.database.series_models.find({"series_id": "crowd"}))
    assert sorted(model["version"] for model in stored) == list(range(1, 101))
    for model in stored:
        assert live.database.series_points.count_documents({"fit_id": model["fit_id"]}) == 1
    assert live.database.series_points.count_documents(
        {}
    ) == live.database.series_models.count_documents({})
    said = post(f"{address}/predict/crowd", POINT)[1]
    assert said["model_version"] == "100"


def test_the_same_fit_a_hundred_times_at_once_is_one_version(live: Live, address: str) -> None:
    answers = at_once([lambda: post(f"{address}/fit/twins", HISTORY)] * 40)
    assert {(status, fitted["version"]) for status, fitted in answers} == {(200, "1")}
    assert live.database.series_models.count_documents({"series_id": "twins"}) == 1
    (head,) = live.database.single_series.find({"_id": "twins"})
    assert head["latest"] == 1


def test_fits_and_deletions_at_once_leave_no_version_without_its_data(
    live: Live, address: str
) -> None:
    def ask(i: int) -> Callable[[], tuple[int, dict[str, Any]]]:
        if i % 4 == 3:
            return lambda: remove(f"{address}/series/churn")
        return lambda: post(f"{address}/fit/churn", {**HISTORY, "values": [i, 1.5, 2, 3]})

    statuses = {status for status, _ in at_once([ask(i) for i in range(40)])}
    assert statuses <= {200, 204, 404}
    models = list(live.database.series_models.find({"series_id": "churn"}))
    head = live.database.single_series.find_one({"_id": "churn"})
    versions = sorted(model["version"] for model in models)
    assert versions == list(range(1, len(versions) + 1))
    assert (head["latest"] if head else 0) == len(versions)
    for model in models:
        assert live.database.series_points.count_documents({"fit_id": model["fit_id"]}) == 1
    while remove(f"{address}/series/churn")[0] == 204:
        pass
    assert live.database.series_models.count_documents({"series_id": "churn"}) == 0
    named = live.database.series_models.distinct("fit_id")
    assert live.database.series_points.count_documents({"fit_id": {"$nin": named}}) == 0


def remove(url: str) -> tuple[int, dict[str, Any]]:
    request = Request(url, method="DELETE")  # noqa: S310 - our own address
    try:
        with urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
            return response.status, {}
    except HTTPError as error:
        return error.code, {}


def test_deletions_and_fits_in_one_process_are_seen_by_the_other_at_once(address: str) -> None:
    for round_number in range(10):
        assert (
            post(f"{address}/fit/moving", {**HISTORY, "values": [round_number, 1, 2, 3]})[0] == 200
        )
        said = [post(f"{address}/predict/moving", POINT)[1]["model_version"] for _ in range(4)]
        assert set(said) == {"1"}
        assert remove(f"{address}/series/moving")[0] == 204
        assert {post(f"{address}/predict/moving?version=1", POINT)[0] for _ in range(4)} == {404}


def test_latencies_are_those_of_the_last_hundred_over_all_processes(
    live: Live, address: str
) -> None:
    post(f"{address}/fit/clock", HISTORY)
    took, asked = [], []
    for _ in range(120):
        asked.append(datetime.now(UTC))
        started = time.perf_counter()
        assert post(f"{address}/predict/clock", POINT)[0] == 200
        took.append(1_000 * (time.perf_counter() - started))
    # Each process writes its own latencies: the last hundred are complete when all have written.
    wait_until(lambda: count_samples(live.database, asked[-100]) == 100, "they are written")
    with urlopen(f"{address}/healthcheck") as answer:  # noqa: S310 - our own address
        said = json.load(answer)["inference_latency_ms"]
    last = sorted(took[-100:])
    assert 0 < said["avg"] <= fmean(last)
    assert 0 < said["p95"] <= last[94]
    assert said["avg"] > 0.1 * fmean(last)


def count_samples(database: Db, since: datetime) -> int:
    found = database.latencies.find_one({"_id": "inference"})
    return sum(sample["at"] > since for sample in found["samples"]) if found else 0


def test_a_refused_request_does_not_count_in_the_latencies(
    client: FlaskClient, database: Db
) -> None:
    fit(client, values=[7, 7, 7, 7])
    predict(client, version="x")
    assert document(client.get("/healthcheck"))["training_latency_ms"]["avg"] == 0.0
    assert document(client.get("/healthcheck"))["inference_latency_ms"]["avg"] == 0.0


@pytest.mark.slow
def test_a_fit_killed_at_any_point_leaves_no_version_without_data(
    live: Live, tmp_path: Path
) -> None:
    """Kill the fitting process again and again, at whatever point it is."""
    addresses = {
        name.upper(): str(getattr(live.settings, name)) for name in ("mongo_url", "mongo_database")
    }
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS_FITS],
        cwd=ROOT,
        env={**os.environ, **addresses},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        for attempt in range(6):
            fitting = int(process.stdout.readline())
            time.sleep(0.05 + 0.037 * attempt)
            os.kill(fitting, signal.SIGKILL)
    models = list(live.database.series_models.find({"series_id": "killed"}))
    versions = sorted(model["version"] for model in models)
    assert len(versions) >= 6
    assert versions == list(range(1, len(versions) + 1))
    for model in models:
        timestamps, values = read_history(live.database, model)
        assert len(timestamps) == len(values) == model["points_used"]
        load_model(model)
    # The server rolls back a transaction whose client died when its session ends; then the series
    # accepts the next fit.
    answer = live.client.post("/fit/killed", json=HISTORY)
    assert document(answer)["version"] == str(len(versions) + 1)


# Fork a process for each kill, so that all of them have the libraries loaded already.
ENDLESS_FITS = """
import os, random
from datetime import UTC, datetime
from core.settings import get_settings
from detection.models.single_series import fit_series, read_fit
from records.database import open_database

def fit_on_and_on():
    database, number = open_database(get_settings()), random.Random(os.getpid())
    said = False
    while True:
        values = [number.random() for _ in range(20_000)]
        request = read_fit("killed", range(20_000), values, least_points=3)
        fit_series(database, request, datetime.now(UTC))
        if not said:
            print(os.getpid(), flush=True)
            said = True

for _ in range(6):
    child = os.fork()
    if not child:
        fit_on_and_on()
    os.waitpid(child, 0)
"""
