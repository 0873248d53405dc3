"""The registry of models over HTTP. No worker is running here."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from detection.records.database import Db
from tests.integration.modelling import add_model
from tests.integration.stored import add_series


def test_versions_are_listed_with_who_uses_them(client: FlaskClient, database: Db) -> None:
    first, second = add_model(database), add_model(database)
    japanese = add_model(database, market="JP")
    listed = client.get("/py/models?market=us").json
    assert [(m["version"], m["state"], m["champion_of"]) for m in listed["items"]] == [
        (second, "candidate", []),
        (first, "champion", ["champion::US"]),
    ]
    assert listed["next_cursor"] is None
    champions = client.get("/py/models?state=champion").json["items"]
    assert {m["version"] for m in champions} == {first, japanese}


def test_a_version_tells_what_it_learned_from(client: FlaskClient, database: Db) -> None:
    version = add_model(database)
    shown = client.get(f"/py/models/{version}").json
    assert shown["tickers"] == [{"ticker": "AAPL", "rows": 400}]
    assert shown["sha256"].startswith("sha256:")
    assert shown["window_start"] == "2000-01-01T00:00:00Z"


def test_a_version_that_is_nowhere_is_404(client: FlaskClient) -> None:
    assert client.get("/py/models/US_model-9.9.9").status_code == 404
    assert client.post("/py/models/US_model-9.9.9/promote", json={}).status_code == 404
    assert client.post("/py/models/US_model-9.9.9/retire").status_code == 404


def test_promotion_moves_the_market_or_one_ticker(client: FlaskClient, database: Db) -> None:
    first, second = add_model(database), add_model(database)
    assert client.post(f"/py/models/{second}/promote", json={}).json["_id"] == "champion::US"
    assert client.get(f"/py/models/{first}").json["state"] == "candidate"
    pointer = client.post(f"/py/models/{first}/promote", json={"ticker": "aapl"}).json
    assert (pointer["_id"], pointer["version"]) == ("champion::ticker::AAPL", first)


def test_a_version_in_use_cannot_be_retired_nor_a_retired_one_promoted(client: FlaskClient, database: Db) -> None:
    first, second = add_model(database), add_model(database)
    assert client.post(f"/py/models/{first}/retire").json["reason"] == "model_in_use"
    assert client.post(f"/py/models/{second}/retire").json["state"] == "retired"
    refused = client.post(f"/py/models/{second}/promote", json={})
    assert (refused.status_code, refused.json["reason"]) == (409, "model_retired")


def test_a_training_is_accepted_with_its_options(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    response = client.post("/py/models/train", json={"market": "us", "contamination": 0.02, "trees": 50})
    assert response.status_code == 202
    run = client.get(response.headers["Location"]).json
    assert (run["task"], run["market"]) == ("train", "US")
    assert run["options"] == {"contamination": 0.02, "trees": 50}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"market": "MARS"},
        {"market": "US", "contamination": 0.9},
        {"market": "US", "contamination": 0.01, "grade": 50},
        {"market": "US", "feature_set": "nobody/1"},
        {"market": "US", "trees": 0},
        {"market": "US", "window_start": "yesterday"},
        {"market": "US", "tickers": ["7203.T"]},
        {"market": "JP"},
    ],
)
def test_a_training_that_cannot_be_done_is_422_and_no_run(
    client: FlaskClient, database: Db, body: dict[str, Any]
) -> None:
    add_series(database, "AAPL")
    assert client.post("/py/models/train", json=body).status_code == 422
    assert database.detection_runs.count_documents({}) == 0
