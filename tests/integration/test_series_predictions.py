"""Predictions of single series: stored, learned from, streamed, labelled, notified, deleted; long
fits; the commands.
"""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.errors import ModelIntegrity
from core.settings import Settings
from detection.models.single_series import load_model, read_history
from detection.series.stream import KIND as STREAM
from records.database import Db
from records.keys import add_key
from tasks.periodic.notifications import notify
from tasks.process.worker import Worker
from tests.commands import run_flask
from tests.integration.conftest import ROOT, Live
from tests.integration.stored import NOW
from tests.integration.test_api_single_series import (
    COLLECTIONS,
    HISTORY,
    NDJSON,
    POINT,
    document,
    fit,
    is_empty,
    predict,
    send,
)
from tests.receiver import Receiver

LEARNED = 200


RANDOM = Random(7)
WAVE = [RANDOM.gauss(0, 1) + 5 * (i % 10) for i in range(400)]


def fit_stream(client: FlaskClient) -> None:
    answer = send(
        client,
        "/fit/wave",
        {"timestamps": list(range(LEARNED)), "values": WAVE[:LEARNED], "detector": "stream"},
    )
    assert answer.status_code == 200, answer.text


def points(first: int, last: int) -> list[dict[str, Any]]:
    return [{"timestamp": str(i), "value": WAVE[i]} for i in range(first, last)]


def to_lines(listed: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(point).encode() for point in listed)


def judge_here(values: list[float]) -> list[tuple[bool, float]]:
    """Return what the detector itself answers for values that follow the history, learning from
    each.
    """
    detector = STREAM.fit(range(LEARNED), WAVE[:LEARNED], STREAM.defaults)
    judged = [detector.learn(LEARNED + i, value) for i, value in enumerate(values)]  # type: ignore[attr-defined]
    return [(said.anomaly, said.score) for said in judged]


def read_said(answers: list[dict[str, Any]]) -> list[tuple[bool, float]]:
    return [(said["anomaly"], said["score"]) for said in answers]


# --- a prediction changes nothing unless it is stored


def test_a_prediction_that_is_not_stored_changes_nothing(client: FlaskClient, database: Db) -> None:
    fit_stream(client)
    before = {name: list(database[name].find()) for name in COLLECTIONS}
    first = document(predict(client, points(200, 230), "wave"))
    again = document(predict(client, points(200, 230), "wave"))
    assert first == again
    assert {name: list(database[name].find()) for name in COLLECTIONS} == before


def test_a_learning_detector_learns_only_from_stored_predictions(
    client: FlaskClient, database: Db
) -> None:
    fit_stream(client)
    expected = judge_here(WAVE[200:260])
    assert (
        read_said(document(predict(client, points(200, 230), "wave", store="true")))
        == expected[:30]
    )
    assert read_said(document(predict(client, points(230, 260), "wave"))) == expected[30:]
    assert (
        read_said(document(predict(client, points(230, 260), "wave", store="true")))
        == expected[30:]
    )
    model = database.series_models.find_one({"series_id": "wave"})
    assert model is not None
    assert (model["version"], model["points_learned"]) == (1, 60)
    assert database.series_predictions.count_documents({"series_id": "wave"}) == 60


def test_a_repeated_request_stores_and_learns_nothing_twice(
    client: FlaskClient, database: Db
) -> None:
    fit_stream(client)
    first = document(predict(client, points(200, 220), "wave", store="true"))
    state = database.series_models.find_one({"series_id": "wave"})
    assert document(predict(client, points(200, 220), "wave", store="true")) == first
    assert database.series_models.find_one({"series_id": "wave"}) == state
    assert database.series_predictions.count_documents({}) == 20


def test_another_value_for_a_stored_time_is_a_conflict_and_stores_nothing(
    client: FlaskClient, database: Db
) -> None:
    fit(client)
    predict(client, store="true")
    answer = predict(
        client, [{"timestamp": "1", "value": 1.0}, {**POINT, "value": 99.0}], store="true"
    )
    assert (answer.status_code, document(answer)["reason"]) == (409, "prediction_differs")
    assert database.series_predictions.count_documents({}) == 1


def test_a_point_from_the_past_is_not_learned(client: FlaskClient, database: Db) -> None:
    fit_stream(client)
    answer = predict(client, {"timestamp": "5", "value": 1.0}, "wave", store="true")
    assert (answer.status_code, document(answer)["reason"]) == (422, "timestamp_not_later")
    assert database.series_predictions.count_documents({}) == 0


def test_a_stored_anomaly_is_put_into_the_outbox_once_in_the_same_transaction(
    client: FlaskClient, database: Db
) -> None:
    fit(client)
    for _ in range(2):
        predict(client, [POINT, {"timestamp": "1705000011", "value": 10.0}], store="true")
    (event,) = database.outbox.find()
    assert event["event"] == "series_anomalies"
    assert event["payload"] == {
        "series_id": "sensor_01",
        "version": 1,
        "prediction_ids": ["sensor_01::1::1705000010"],
    }
    assert event["delivered_at"] is None


def test_stored_anomalies_of_a_series_are_one_open_alert_and_its_feedback_labels_them(
    client: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    client.put("/py/notifications/rules/me", json={"channel": receiver.channel, "min_grade": 50})
    fit(client)
    highs = [{"timestamp": f"170500001{i}", "value": 99.0} for i in range(2)]
    for point in highs:
        predict(client, [point], store="true")
        notify(worker)
    (alert,) = client.get("/py/alerts").json["items"]
    assert (alert["entity_type"], alert["entity_id"]) == ("series", "sensor_01")
    assert (alert["direction"], alert["count"], alert["severity"]) == ("up", 2, "critical")
    assert (alert["actual_value"], alert["expected_value"]) == (99.0, 10.0)
    assert [message["title"] for message in receiver.messages] == ["series sensor_01: critical"]
    path = f"/py/alerts/{alert['_id']}"
    client.patch(f"{path}/resolve", json={"feedback": "false_alarm"})
    labels = worker.database.series_predictions.distinct("label.feedback", {"anomaly": True})
    assert labels == ["false_alarm"]
    client.post("/py/alerts/bulk", json={"ids": [alert["_id"]], "action": "reopen"})
    assert worker.database.series_predictions.distinct("label", {"anomaly": True}) == [None]
    assert client.get(path).json["state"] == "active"


def test_the_alert_of_a_deleted_series_is_resolved_and_a_new_series_gets_its_own(
    client: FlaskClient, worker: Worker
) -> None:
    for value in (99.0, 77.0):
        fit(client)
        predict(client, [{**POINT, "value": value}], store="true")
        notify(worker)
        (alert,) = client.get("/py/alerts", query_string={"state": "active"}).json["items"]
        assert (alert["count"], alert["actual_value"]) == (1, value)
        assert client.delete("/py/series/sensor_01").status_code == 204
        gone = client.get(f"/py/alerts/{alert['_id']}").json
        assert (gone["state"], gone["resolved_by"]) == ("resolved", "system")
        assert "deleted" in gone["resolution_notes"]


def test_a_stored_prediction_can_be_labelled(client: FlaskClient) -> None:
    fit(client)
    predict(client, store="true")
    path = "/series/sensor_01/predictions/1/1705000010/label"
    assert client.put(path, json={"feedback": "nonsense"}).status_code == 422
    assert (
        document(client.put(path, json={"feedback": "false_alarm"}))["label"]["feedback"]
        == "false_alarm"
    )
    (listed,) = document(client.get("/series/sensor_01/predictions"))["items"]
    assert listed["label"]["feedback"] == "false_alarm"
    missing = client.put("/series/sensor_01/predictions/1/7/label", json={"feedback": "confirmed"})
    assert (missing.status_code, document(missing)["reason"]) == (404, "prediction_not_found")


def test_stored_predictions_come_in_pages_the_latest_first(client: FlaskClient) -> None:
    fit(client)
    predict(client, [{"timestamp": str(i), "value": float(i)} for i in range(1, 26)], store="true")
    seen, cursor = [], ""
    while cursor is not None:
        page = document(client.get(f"/series/sensor_01/predictions?limit=10&cursor={cursor}"))
        seen += [item["timestamp"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == list(range(25, 0, -1))
    strange = document(client.get("/series/sensor_01/predictions?anomaly=true&limit=100"))["items"]
    assert {item["timestamp"] for item in strange} == set(range(13, 26))


# --- streams


def stream(client: FlaskClient, lines: bytes, **query: str) -> list[dict[str, Any]]:
    answer = client.post(
        "/predict-stream/wave", data=lines, content_type=NDJSON, query_string=query
    )
    assert answer.status_code == 200, answer.text
    assert answer.content_type == NDJSON
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_stream_learns_from_line_to_line_and_permanently_if_it_is_stored(
    client: FlaskClient,
) -> None:
    fit_stream(client)
    expected = judge_here(WAVE[200:400])
    assert read_said(stream(client, to_lines(points(200, 400)))) == expected
    assert read_said(stream(client, to_lines(points(200, 300)), store="true")) == expected[:100]
    assert read_said(stream(client, to_lines(points(300, 400)))) == expected[100:]


def test_a_bad_line_is_named_and_the_others_are_answered(client: FlaskClient, database: Db) -> None:
    fit_stream(client)
    lines = to_lines(points(200, 203)).splitlines()
    sent = b"\n".join(
        [lines[0], b"{", b"", b'{"timestamp": "5", "value": 1}', lines[1], b"1e400", lines[2]]
    )
    answers = stream(client, sent, store="true")
    assert [answer.get("line") for answer in answers] == [None, 2, 4, None, 6, None]
    assert [answer["reason"] for answer in answers if "line" in answer] == [
        "bad_json",
        "timestamp_not_later",
        "bad_input",
    ]
    assert read_said([answer for answer in answers if "line" not in answer]) == judge_here(
        WAVE[200:203]
    )
    assert database.series_predictions.count_documents({}) == 3


def test_an_empty_stream_is_422(client: FlaskClient) -> None:
    fit_stream(client)
    answer = client.post("/predict-stream/wave", data=b"\n \n", content_type=NDJSON)
    assert (answer.status_code, document(answer)["reason"]) == (422, "no_points")


# --- deletion, integrity, keys


def test_a_deleted_series_leaves_no_document(client: FlaskClient, database: Db) -> None:
    for detector in ("simple", "mad"):
        fit(client, detector=detector)
    predict(client, store="true")
    assert client.delete("/series/sensor_01").status_code == 204
    assert is_empty(database)
    assert predict(client).status_code == 404
    assert document(fit(client))["version"] == "1"


def test_a_changed_state_or_history_is_not_opened(client: FlaskClient, database: Db) -> None:
    fit(client)
    record = database.series_models.find_one()
    assert record is not None
    with pytest.raises(ModelIntegrity, match="not the one that was stored"):
        load_model({**record, "state": record["state"].replace("10.0", "10.1")})
    database.series_points.update_one({}, {"$set": {"values": bytes(32)}})
    with pytest.raises(ModelIntegrity, match="history"):
        read_history(database, record)
    answer = client.get("/plot?series_id=sensor_01")
    assert (answer.status_code, document(answer)["reason"]) == (500, "model_integrity")


def test_keys_and_scopes_apply_as_on_other_routes(client: FlaskClient, database: Db) -> None:
    keys = {
        scope: {"X-API-Key": add_key(database, scope, [scope], NOW)}
        for scope in ("read", "enqueue", "admin")
    }

    def ask(method: str, path: str, scope: str | None, body: object = None) -> int:
        return client.open(
            path, method=method, json=body, headers=keys[scope] if scope else {}
        ).status_code

    assert ask("POST", "/fit/a", None, HISTORY) == 401
    assert ask("POST", "/fit/a", "read", HISTORY) == 403
    assert ask("POST", "/fit/a", "enqueue", HISTORY) == 200
    assert ask("POST", "/predict/a", None, POINT) == 401
    assert ask("POST", "/predict/a", "read", POINT) == 200
    assert ask("POST", "/predict/a?store=true", "read", POINT) == 403
    assert ask("POST", "/predict/a?store=true", "admin", POINT) == 200
    assert ask("GET", "/plot?series_id=a", None) == 401
    assert ask("GET", "/series", "read") == 200
    assert ask("DELETE", "/series/a", "enqueue") == 403
    assert ask("DELETE", "/series/a", "admin") == 204
    assert ask("GET", "/healthcheck", None) == 200


def test_predictions_count_as_reads_in_a_keys_rate_limit(
    make_app: Any, settings: Settings, database: Db
) -> None:
    app = make_app(
        settings.model_copy(
            update={"rate_limit_writes": "2/minute", "rate_limit_reads": "5/minute"}
        )
    )
    client, headers = app.test_client(), {"X-API-Key": add_key(database, "a", ["admin"], NOW)}
    assert client.post("/fit/a", json=HISTORY, headers=headers).status_code == 200
    statuses = [
        client.post("/predict/a", json=POINT, headers=headers).status_code for _ in range(6)
    ]
    assert statuses == [200] * 5 + [429]


def test_the_healthcheck_is_503_if_mongodb_is_unreachable(
    make_app: Any, settings: Settings
) -> None:
    away = settings.model_copy(
        update={"mongo_url": "mongodb://127.0.0.1:1/", "server_timeout_seconds": 0.2}
    )
    answer = make_app(away).test_client().get("/healthcheck")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")


# --- plots


def test_a_plot_shows_the_points_the_range_and_the_versions(client: FlaskClient) -> None:
    fit(client)
    fit(client, values=[1, 2, 3, 40], detector="mad")
    predict(client, store="true")
    page = client.get("/plot?series_id=sensor_01")
    assert page.content_type == "text/html; charset=utf-8"
    assert "//" not in page.text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
        "<!doctype", ""
    )
    assert "<script" not in page.text
    assert " style=" not in page.text
    for version in ("1", "2"):
        assert f"version={version}" in page.text
    drawn = client.get("/plot?series_id=sensor_01&format=svg&version=v2").text
    # The 40 points that it was fitted on, and the prediction.
    assert drawn.count("series-anomaly") == 2
    assert "series-range" in drawn
    data = document(client.get("/plot?series_id=sensor_01&format=json"))
    assert [point["value"] for point in data["training"]] == [1, 2, 3, 40]
    assert data["versions"] == ["2", "1"]
    assert [point["timestamp"] for point in data["predictions"]] == [1705000010]


def test_extreme_numbers_can_be_fitted_predicted_and_drawn(client: FlaskClient) -> None:
    for number, values in enumerate(
        ([5e-324, 0, 1e-323, 0], [4e307, -4e307, 1e307, 0], [1e15, 1e15 + 1, 1e15, 1e15])
    ):
        assert fit(client, f"edge_{number}", values=values, direction="both").status_code == 200
        for value in (1.7e308, -1.7e308, 0, 5e-324):
            assert (
                predict(client, {"timestamp": "1", "value": value}, f"edge_{number}").status_code
                == 200
            )
        assert client.get(f"/plot?series_id=edge_{number}").status_code == 200


# --- long histories are runs


@pytest.mark.slow
def test_a_fit_of_more_than_100_000_points_is_a_run(live: Live) -> None:
    number = Random(3)
    values = [round(number.gauss(0, 1), 3) for _ in range(600_000)]
    body = json.dumps({"timestamps": list(range(600_000)), "values": values})
    accepted = live.client.post("/fit/long", data=body, content_type="application/json")
    assert accepted.status_code == 202, accepted.text
    assert accepted.headers["Location"].endswith(document(accepted)["run_id"])
    fitted = live.post("/fit/long", data=body, content_type="application/json")
    assert fitted.status_code == 200, fitted.text
    assert fitted.json == {"series_id": "long", "version": "1", "points_used": 600_000}
    record = live.database.series_models.find_one({"series_id": "long"})
    assert record is not None
    timestamps, read = read_history(live.database, record)
    assert (timestamps[-1], read) == (599_999, values)
    assert live.database.series_models.count_documents({"series_id": "long"}) == 1
    page = live.client.get("/plot?series_id=long&format=svg")
    assert page.status_code == 200
    assert len(page.data) < 400_000


def test_a_long_fit_that_is_impossible_fails_its_run_and_leaves_no_version(live: Live) -> None:
    values = [0.1 * i for i in range(100_000)] + [7.0] * 30
    body = {"timestamps": list(range(100_030)), "values": values, "detector": "moving_average"}
    run = live.post("/fit/flat", json=body)
    assert document(run)["status"] == "failed"
    assert "nothing could be normal but that value" in document(run)["error"]
    assert live.database.series_models.count_documents({"series_id": "flat"}) == 0


# --- the command line


def flask(
    environment: dict[str, str], *arguments: str, given: str | None = None
) -> tuple[int, str]:
    if given is None:
        answer = run_flask(environment, "series", *arguments)
        return answer.exit_code, answer.output
    # A process of its own, because it needs its own standard input.
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "series", *arguments],
        cwd=ROOT,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_reads_iso_times_names_and_semicolons(
    environment: dict[str, str], database: Db, tmp_path: Path
) -> None:
    history = tmp_path / "hall.csv"
    lines = ["Time;Temp", "2024-01-11;20.5", "2024-01-11 00:15;20.25", "2024-01-11T01:30+01:00;21"]
    history.write_text("\n".join(lines))
    code, said = flask(environment, "fit", str(history))
    assert (code, "hall: version 1, simple, fitted to 3 points" in said) == (0, True), said
    code, said = flask(environment, "predict", "hall", str(history), "--json")
    assert [row["timestamp"] for row in json.loads(said)] == [1704931200, 1704932100, 1704933000]
    for line in ("2024-02-30,1", "2024-01-11 00:00:00.5,1", "1,two", "1,1_000", "a,b,c"):
        history.write_text(line)
        code, said = flask(environment, "fit", str(history))
        assert (code, "hall.csv, line 1" in said) == (2, True), said


def test_the_command_line_fits_predicts_lists_plots_and_deletes(
    environment: dict[str, str], client: FlaskClient, database: Db, tmp_path: Path
) -> None:
    history = tmp_path / "sensor_01.csv"
    history.write_text(
        "timestamp,value\n" + "".join(f"{i},{value}\n" for i, value in enumerate(HISTORY["values"]))
    )
    code, said = flask(environment, "fit", str(history))
    assert (code, "sensor_01: version 1, simple, fitted to 4 points" in said) == (0, True), said
    code, said = flask(
        environment, "predict", "sensor_01", "-", "--store", "--json", given="10,13\n11,10\n"
    )
    assert code == 0, said
    assert [row["anomaly"] for row in json.loads(said)] == [True, False]
    assert document(client.get("/series/sensor_01/predictions"))["items"][0]["timestamp"] == 11
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\xff\xfe")
    code, said = flask(environment, "fit", str(picture))
    assert (code, "picture.csv is no CSV in UTF-8" in said) == (2, True), said
    code, said = flask(environment, "list")
    assert (code, "sensor_01" in said) == (0, True), said
    code, said = flask(environment, "plot", "sensor_01", "--output", str(tmp_path / "plot.svg"))
    assert (code, (tmp_path / "plot.svg").read_text().startswith("<svg")) == (0, True), said
    code, said = flask(environment, "predict", "sensor_01", "-", given="10,13\n11,nan\n")
    assert (code, "line 2" in said) == (2, True), said
    code, said = flask(environment, "predict", "nothing", "-", given="10,13\n")
    assert (code, "no series 'nothing'" in said) == (2, True), said
    code, said = flask(environment, "delete", "sensor_01", "--yes")
    assert (code, is_empty(database)) == (0, True), said
