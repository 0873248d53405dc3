"""Every error is a problem document that says what was asked, what was found and what to do;
nothing is written.
"""

import gzip
import json
import re
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask
from flask import g
from flask.testing import FlaskClient
from pymongo import _csot
from werkzeug.test import TestResponse

from api.http.deadlines import ANSWER_SECONDS, lift_deadline, start_deadline
from core.settings import Settings
from records.database import Db
from records.work.scan_switch import SWITCH
from tests.integration.serving import serve_api
from tests.integration.stored import add_series
from tests.processes import PATIENCE_SECONDS

BACKFILL = "/py/anomalies/backfill"

MakeApp = Callable[[Settings], APIFlask]


def read_problem(response: TestResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    problem = response.json
    assert problem is not None
    assert problem["status"] == status
    assert {"type", "title", "detail", "reason", "errors", "request_id"} <= problem.keys()
    assert response.headers["X-Request-ID"] == problem["request_id"]
    return problem


def test_an_unknown_route_is_404_and_says_where_the_known_ones_are(client: FlaskClient) -> None:
    assert "/py/docs" in read_problem(client.get("/py/nowhere"), 404)["detail"]
    read_problem(client.post("/py/nowhere"), 404)


@pytest.mark.parametrize(
    ("ticker", "said"),
    [("BF/B", "write BF.B or BF-B"), ("台積電", "(AAPL, 7203.T, ^GSPC)")],
)
def test_a_value_that_is_no_ticker_is_quoted_once(
    client: FlaskClient, ticker: str, said: str
) -> None:
    (error,) = read_problem(client.post(BACKFILL, json={"ticker": ticker}), 422)["errors"]
    assert error["detail"].startswith(f"'{ticker}' is no ticker")
    assert error["detail"].endswith(said)


@pytest.mark.parametrize(
    "path", ["tickers?contains=", "tickers?prefix=", "alerts?text=", "alerts/active?owner="]
)
def test_a_nul_character_is_refused(client: FlaskClient, path: str) -> None:
    (error,) = read_problem(client.get(f"/py/{path}a%00b"), 422)["errors"]
    name = path.split("?")[1].rstrip("=")
    assert f"{name} has a NUL character" in error["detail"]


def test_a_compressed_body_is_415_and_says_so(client: FlaskClient) -> None:
    response = client.post(
        "/fit/packed",
        data=gzip.compress(b'{"timestamps": [1, 2, 3], "values": [1, 2, 4]}'),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert "not packed (Content-Encoding: gzip)" in read_problem(response, 415)["detail"]


def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient) -> None:
    response = client.delete("/py/tickers")
    assert "GET, HEAD, OPTIONS" in read_problem(response, 405)["detail"]
    assert "GET" in response.headers["Allow"]


def test_the_callers_request_id_comes_back(client: FlaskClient) -> None:
    response = client.get("/py/nowhere", headers={"X-Request-ID": "mine-1"})
    assert read_problem(response, 404)["request_id"] == "mine-1"


def test_a_request_id_that_could_forge_log_lines_is_replaced(client: FlaskClient) -> None:
    response = client.get("/py/nowhere", headers={"X-Request-ID": "a b"})
    assert read_problem(response, 404)["request_id"] != "a b"


def test_a_body_that_is_too_large_is_413_with_the_bound(client: FlaskClient) -> None:
    response = client.post(BACKFILL, json={"tickers": ["A" * 20] * 60_000})
    assert "1048576 bytes" in read_problem(response, 413)["detail"]


def test_a_large_body_without_a_length_is_413_too(settings: Settings, database: Db) -> None:
    with serve_api(settings) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
        parts = iter([b'{"ticker": "AAPL"', b" " * 2**20, b"}"])
        connection.request(
            "POST", BACKFILL, parts, {"Content-Type": "application/json"}, encode_chunked=True
        )
        answer = connection.getresponse()
        assert answer.status == 413
        assert "1048576 bytes" in json.load(answer)["detail"]
        connection.close()


def test_a_body_of_another_type_is_415(client: FlaskClient) -> None:
    response = client.post(BACKFILL, data={"ticker": "AAPL"})
    assert "application/json" in read_problem(response, 415)["detail"]


@pytest.mark.parametrize("body", [b"{", b"", b'{"ticker": "\xff"}'])
def test_a_body_that_is_not_json_is_400_and_says_where(client: FlaskClient, body: bytes) -> None:
    response = client.post(BACKFILL, data=body, content_type="application/json")
    assert "as JSON: " in read_problem(response, 400)["detail"]


def test_a_request_that_names_no_ticker_is_400(client: FlaskClient) -> None:
    assert read_problem(client.post(BACKFILL, json={}), 400)["reason"] == "nothing_named"


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"ticker": "AAPL", "interval": "2d"}, "/interval", "1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"),
        ({"ticker": "AAPL", "max_period": "5x"}, "/max_period", "'5x'"),
        ({"ticker": {"$gt": ""}}, "/ticker", "string"),
        ({"ticker": 5}, "/ticker", "string"),
        ({"tickers": ["AAPL", {"$ne": 1}]}, "/tickers/1", "string"),
        ({"tickers": []}, "/tickers", "at least 1"),
        ({"tickers": ["A"] * 10_001}, "/tickers", "at most 10,000 are taken"),
        ({"ticker": "A A"}, "/ticker", "ticker"),
        ({"market": "M"}, "/market", "pattern"),
        ({"ticker": "AAPL", "force": "yes"}, "/force", "boolean"),
        ({"ticker": "AAPL", "perriod": "5y"}, "/perriod", "not permitted"),
        (["AAPL"], "", "valid dictionary"),
    ],
)
def test_an_unusable_value_is_422_with_its_place_and_the_choices(
    client: FlaskClient, database: Db, body: object, pointer: str, said: str
) -> None:
    add_series(database, "AAPL")
    problem = read_problem(client.post(BACKFILL, json=body), 422)
    (wrong,) = problem["errors"]
    assert wrong["location"] == "json"
    assert wrong["pointer"] == pointer
    assert said in wrong["detail"]
    assert database.detection_runs.count_documents({}) == 0


def test_an_unknown_market_is_422_with_the_choices(client: FlaskClient) -> None:
    for answer in (
        client.post(BACKFILL, json={"market": "MARS"}),
        client.get("/py/tickers?market=MARS"),
    ):
        assert "choose one of US, JP, TH" in read_problem(answer, 422)["detail"]


def test_a_wrong_query_argument_is_422(client: FlaskClient) -> None:
    problem = read_problem(client.get("/py/anomalies?limit=0"), 422)
    assert problem["errors"][0]["location"] == "query"
    assert problem["errors"][0]["pointer"] == "/limit"


def test_an_error_of_a_whole_query_does_not_speak_of_a_body(client: FlaskClient) -> None:
    answer = client.get("/py/analysis/market-overview")
    assert answer.status_code == 422
    assert answer.json["detail"].startswith("nothing is named: give a ticker")
    answer = client.post("/py/mutes", json={"until": "2026-01-01T00:00:00Z", "reason": "x"})
    assert answer.json["detail"] == "body: name a ticker, a watchlist or a market"


def test_an_unknown_query_argument_is_422(client: FlaskClient) -> None:
    read_problem(client.get("/py/anomalies?tickr=AAPL"), 422)


def test_no_route_of_the_api_ignores_an_unknown_argument(app: APIFlask, database: Db) -> None:
    """The probes and the pages are excepted: browsers and load balancers add arguments of their
    own.
    """
    client = app.test_client()
    document = client.get("/py/openapi.json").json
    assert document is not None
    asked = [
        (method, re.sub(r"\{[^}]+\}", "x", path))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation["security"]
        and not any(each["in"] == "query" for each in operation["parameters"])
    ]
    assert ("put", "/py/groups") in asked
    for method, path in asked:
        answer = client.open(f"{path}?start=2026-01-05&tickr=x", method=method)
        problem = read_problem(answer, 422)
        assert [each["pointer"] for each in problem["errors"]] == ["/start", "/tickr"], path
        assert problem["detail"].endswith("leave out start, tickr"), path
    assert database.settings.count_documents({"_id": SWITCH}) == 0  # The request had no effect.
    assert client.get("/healthz?x=1").status_code == 200


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24", "WzFd", "W10"])
@pytest.mark.parametrize("path", ["anomalies", "detection-runs", "tickers", "data/candles"])
def test_an_invalid_cursor_is_422(client: FlaskClient, path: str, cursor: str) -> None:
    subject = "&ticker=AAPL" if path == "data/candles" else ""
    response = client.get(f"/py/{path}?cursor={cursor}{subject}")
    assert "next_cursor" in read_problem(response, 422)["detail"]


def test_an_unreachable_mongodb_is_503_after_one_wait_and_without_credentials(
    make_app: MakeApp,
) -> None:
    url = "mongodb://someone:secret@127.0.0.1:1/?replicaSet=nowhere"
    settings = Settings(_env_file=None, mongo_url=url)
    client = make_app(settings).test_client()
    began = time.monotonic()
    response = client.post(BACKFILL, json={"ticker": "AAPL"})
    assert time.monotonic() - began < 2 * settings.server_timeout_seconds
    detail = read_problem(response, 503)["detail"]
    assert "127.0.0.1:1" in detail
    assert "secret" not in detail
    assert "Retry-After" in response.headers


def test_health_says_what_is_wrong_and_liveness_does_not_depend_on_it(make_app: MakeApp) -> None:
    settings = Settings(
        _env_file=None, mongo_url="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1/0"
    )
    client = make_app(settings).test_client()
    health = client.get("/py/health").json
    assert health is not None
    assert health["status"] == "unavailable"
    assert health["mongodb"]["ok"] is False
    assert "127.0.0.1:1" in health["redis"]["detail"]
    assert client.get("/healthz").status_code == 200
    read_problem(client.get("/readyz"), 503)


def test_looking_up_the_key_and_answering_share_one_deadline(app: APIFlask) -> None:
    with app.test_request_context("/"):
        g.started = time.perf_counter() - 4
        start_deadline()
        left = _csot.remaining()
        lift_deadline()
    assert left is not None
    assert ANSWER_SECONDS - 5 < left <= ANSWER_SECONDS - 4
