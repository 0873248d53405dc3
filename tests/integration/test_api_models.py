"""The registry of models over HTTP. No worker runs here."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from detection.detectors.catalogue import DETECTORS
from records.database import Db
from records.models.artefacts import delete_artefact
from tests.integration.modelling import add_model
from tests.integration.stored import add_series


def test_versions_are_listed_with_who_uses_them(client: FlaskClient, database: Db) -> None:
    first, second = add_model(database), add_model(database)
    japanese = add_model(database, market="JP")
    listed = client.get("/py/models?market=us").json
    assert [(m["version"], m["state"], m["champion_of"]) for m in listed["items"]] == [
        (second, "candidate", []),
        (first, "champion", ["champion::US::1d"]),
    ]
    assert listed["next_cursor"] is None
    champions = client.get("/py/models?state=champion").json["items"]
    assert {m["version"] for m in champions} == {first, japanese}


def test_versions_are_listed_page_by_page(client: FlaskClient, database: Db) -> None:
    made = [add_model(database) for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = client.get(f"/py/models?limit=2{cursor}").json
        seen += [model["version"] for model in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == made[::-1]


def test_a_version_shows_what_it_was_trained_from(client: FlaskClient, database: Db) -> None:
    version = add_model(database)
    shown = client.get(f"/py/models/{version}").json
    assert shown["tickers"] == [{"ticker": "AAPL", "rows": 400}]
    assert shown["sha256"].startswith("sha256:")
    assert shown["window_start"] == "2000-01-01T00:00:00Z"


def test_an_unknown_version_is_404(client: FlaskClient) -> None:
    assert client.get("/py/models/US_model-9.9.9").status_code == 404
    assert client.post("/py/models/US_model-9.9.9/promote", json={}).status_code == 404
    assert client.post("/py/models/US_model-9.9.9/retire").status_code == 404


def test_promotion_moves_the_market_or_one_ticker(client: FlaskClient, database: Db) -> None:
    first, second = add_model(database), add_model(database)
    add_series(database, "AAPL")
    assert client.post(f"/py/models/{second}/promote", json={}).json["_id"] == "champion::US::1d"
    assert client.get(f"/py/models/{first}").json["state"] == "candidate"
    pointer = client.post(f"/py/models/{first}/promote", json={"ticker": "aapl"}).json
    assert (pointer["_id"], pointer["version"]) == ("champion::ticker::AAPL::1d", first)


def test_promotion_for_an_unknown_or_foreign_scope_changes_nothing(
    client: FlaskClient, database: Db
) -> None:
    path = f"/py/models/{add_model(database)}/promote"
    add_series(database, "AAPL", "7203.T")
    client.post("/py/watchlists", json={"name": "tokyo", "tickers": ["7203.T"]})
    nowhere = client.post(path, json={"ticker": "APPL"})
    assert (nowhere.status_code, nowhere.json["reason"]) == (404, "no_bars")
    assert "AAPL" in nowhere.json["detail"]
    assert "tokyo" in client.post(path, json={"watchlist": "tokio"}).json["detail"]
    assert client.post(path, json={"watchlist": "tokio"}).status_code == 404
    for elsewhere in ({"watchlist": "tokyo"}, {"ticker": "7203.T"}):
        assert client.post(path, json=elsewhere).status_code == 422
    assert client.post(path, json={"ticker": "AAPL", "watchlist": "tokyo"}).status_code == 422
    assert [pointer["_id"] for pointer in database.champions.find()] == ["champion::US::1d"]


def test_a_watchlist_has_a_champion_of_its_own_until_it_is_rolled_back(
    client: FlaskClient, database: Db
) -> None:
    _, second = add_model(database), add_model(database)
    client.post("/py/watchlists", json={"name": "tech", "tickers": ["AAPL"]})
    promoted = client.post(f"/py/models/{second}/promote", json={"watchlist": "tech"}).json
    assert (promoted["_id"], promoted["version"]) == ("champion::watchlist::tech::1d", second)
    rolled = client.post("/py/models/rollback", json={"watchlist": "tech"}).json
    assert (rolled["_id"], rolled["version"]) == ("champion::watchlist::tech::1d", None)


def test_rollback_goes_to_the_champion_before_and_says_when_there_is_none(
    client: FlaskClient, database: Db
) -> None:
    first, second = add_model(database), add_model(database)
    client.post(f"/py/models/{second}/promote", json={})
    rolled = client.post("/py/models/rollback", json={"market": "us"}).json
    assert (rolled["_id"], rolled["version"]) == ("champion::US::1d", first)
    assert client.get(f"/py/models/{first}").json["state"] == "champion"
    refused = client.post("/py/models/rollback", json={"market": "US"})
    assert (refused.status_code, refused.json["reason"]) == (409, "nothing_to_roll_back")
    assert client.post("/py/models/rollback", json={"market": "JP"}).json["reason"] == "no_champion"


@pytest.mark.parametrize(
    "body", [{}, {"market": "US", "ticker": "AAPL"}, {"market": {"$ne": ""}}, {"market": "MARS"}]
)
def test_a_rollback_without_exactly_one_scope_is_422(
    client: FlaskClient, database: Db, body: dict[str, Any]
) -> None:
    add_model(database)
    assert client.post("/py/models/rollback", json=body).status_code == 422


def test_a_version_in_use_cannot_be_retired_nor_a_retired_one_promoted(
    client: FlaskClient, database: Db
) -> None:
    first, second = add_model(database), add_model(database)
    assert client.post(f"/py/models/{first}/retire").json["reason"] == "model_in_use"
    assert client.post(f"/py/models/{second}/retire").json["state"] == "retired"
    refused = client.post(f"/py/models/{second}/promote", json={})
    assert (refused.status_code, refused.json["reason"]) == (409, "model_retired")


def test_a_version_whose_artefact_is_lost_is_not_put_in_use(
    client: FlaskClient, database: Db
) -> None:
    first, second = add_model(database), add_model(database)
    client.post(f"/py/models/{second}/promote", json={})
    notes = database.alert_trail.count_documents({})
    delete_artefact(database, first)
    for path, body in ((f"{first}/promote", {}), ("rollback", {"market": "US"})):
        refused = client.post(f"/py/models/{path}", json=body)
        assert (refused.status_code, refused.json["reason"]) == (409, "model_integrity"), path
        assert f"{first} was not put in use, and nothing was changed" in refused.json["detail"]
    assert client.get(f"/py/models/{second}").json["state"] == "champion"
    assert database.alert_trail.count_documents({}) == notes > 0


def test_a_training_is_accepted_with_its_options(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    response = client.post(
        "/py/models/train", json={"market": "us", "contamination": 0.02, "trees": 50}
    )
    assert response.status_code == 202
    run = client.get(response.headers["Location"]).json
    assert (run["task"], run["market"]) == ("train", "US")
    assert run["options"] == {"contamination": 0.02, "trees": 50}


def test_a_training_of_all_markets_is_accepted(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "7203.T")
    response = client.post("/py/models/train", json={"market": "all"})
    assert response.status_code == 202
    run = client.get(response.headers["Location"]).json
    assert (run["task"], run["market"]) == ("train", "ALL")
    assert client.get("/py/models?market=ALL").json["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"market": "MARS"},
        {"market": "ALL", "tickers": ["AAPL"]},
        {"market": "US", "contamination": 0.9},
        {"market": "US", "contamination": 0.01, "grade": 50},
        {"market": "US", "feature_set": "nobody/1"},
        {"market": "US", "trees": 0},
        {"market": "US", "window_start": "yesterday"},
        {"market": "US", "tickers": ["7203.T"]},
        {"market": "JP"},
    ],
)
def test_an_impossible_training_is_422_and_no_run(
    client: FlaskClient, database: Db, body: dict[str, Any]
) -> None:
    add_series(database, "AAPL")
    assert client.post("/py/models/train", json=body).status_code == 422
    assert database.detection_runs.count_documents({}) == 0


def test_a_version_of_all_markets_shows_the_threshold_of_each(
    client: FlaskClient, database: Db
) -> None:
    version = add_model(database, market="ALL")
    assert client.get(f"/py/models/{version}").json["by_market"] == {}
    own = {"threshold": -0.61, "score_quantiles": {"rows": 1, "ranks": [1], "scores": [-0.5]}}
    database.models.update_one({"_id": version}, {"$set": {"by_market": {"CRYPTO": own}}})
    assert client.get(f"/py/models/{version}").json["by_market"] == {"CRYPTO": own}


def test_detectors_are_listed_with_what_each_reads(client: FlaskClient) -> None:
    listed = client.get("/py/detectors").json["detectors"]
    by_name = {detector["name"]: detector for detector in listed}
    assert list(by_name) == list(DETECTORS)
    assert [name for name, detector in by_name.items() if detector["is_default"]] == [
        "isolation_forest"
    ]
    forest = by_name["isolation_forest"]
    assert forest["feature_set"] == "events/6"
    assert [p["name"] for p in forest["parameters"]] == ["trees", "sample"]
    assert forest["parameters"][0]["default"] == 100
    assert (by_name["mad"]["warm_up_bars"], by_name["mad"]["history_bars"]) == (60, 240)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detector": "zscore", "trees": 50}, "zscore has no parameter 'trees'"),
        ({"detector": "mad", "feature_set": "market14"}, "mad looks at the columns of returns/3"),
        ({"detector": "oracle"}, "no detector 'oracle'; choose one of isolation_forest"),
    ],
)
def test_parameters_that_a_detector_cannot_use_are_422_and_no_run(
    client: FlaskClient, database: Db, body: dict[str, Any], said: str
) -> None:
    add_series(database, "AAPL")
    refused = client.post("/py/models/train", json={"market": "US", **body})
    assert refused.status_code == 422
    assert said in refused.json["detail"]
    assert database.detection_runs.count_documents({}) == 0
