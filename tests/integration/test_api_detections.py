"""Requests for detections: what is stored and answered, and what is in their way. No worker runs
here.
"""

import socket
import time
from collections.abc import Callable

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from core.settings import Settings
from records.database import Db
from records.work.endings import request_cancel
from tests.integration.stored import NOW, add_run, add_series

MakeApp = Callable[[Settings], APIFlask]

BACKFILL = "/py/anomalies/backfill"
INCREMENTAL = "/py/anomalies/incremental"


def count_runs(database: Db) -> int:
    return database.detection_runs.count_documents({})


def test_a_backfill_is_accepted_as_a_queued_run_at_its_location(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL")
    response = client.post(BACKFILL, json={"ticker": "aapl"})
    assert response.status_code == 202
    accepted = response.json
    assert accepted == {
        "status": "backfill_started",
        "run_id": accepted["run_id"],
        "ticker": "AAPL",
        "tickers": ["AAPL"],
        "market": None,
        "interval": "1d",
        "max_period": "5y",
        "message": "backfill of AAPL (1d, 5y) accepted",
    }
    assert response.headers["Location"] == f"/py/detection-runs/{accepted['run_id']}"
    run = client.get(response.headers["Location"]).json
    assert run["_id"] == accepted["run_id"]
    assert run["status"] == "queued"
    assert run["trigger"] == "backfill"
    assert run["progress"]["percent"] == 0


def test_many_tickers_are_one_run_each_once(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT", "7203.T")
    accepted = client.post(
        BACKFILL, json={"tickers": ["msft", "AAPL", "7203.t", "MSFT"], "max_period": "6MO"}
    ).json
    assert accepted["tickers"] == ["MSFT", "AAPL", "7203.T"]
    assert accepted["ticker"] is None
    assert accepted["max_period"] == "6mo"
    assert count_runs(database) == 1


def test_a_market_means_its_series_of_the_interval(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT", "7203.T", "PTT.BK")
    add_series(database, "IBM", interval="1h")
    assert client.post(BACKFILL, json={"market": "US"}).json["tickers"] == ["AAPL", "MSFT"]
    assert client.post(INCREMENTAL, json={"market": "th"}).json["tickers"] == ["PTT.BK"]


def test_a_market_without_bars_is_404(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    response = client.post(BACKFILL, json={"market": "JP"})
    assert response.status_code == 404
    assert response.json["reason"] == "no_bars"
    assert count_runs(database) == 0


def test_an_unknown_ticker_is_404_with_similar_ones(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT")
    response = client.post(BACKFILL, json={"tickers": ["APPL", "MSFT"]})
    assert response.status_code == 404
    assert response.json["tickers"] == ["APPL"]
    assert "AAPL" in response.json["detail"]
    assert count_runs(database) == 0


def test_an_unknown_ticker_without_similar_ones_is_told_how_to_import(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL")
    assert "flask bars import" in client.post(BACKFILL, json={"ticker": "ZZZZ"}).json["detail"]


def test_a_stored_ticker_of_another_interval_is_404(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", interval="1h")
    assert client.post(BACKFILL, json={"ticker": "AAPL"}).status_code == 404
    assert client.post(BACKFILL, json={"ticker": "AAPL", "interval": "1h"}).status_code == 202


def test_a_ticker_and_a_market_together_are_422(client: FlaskClient) -> None:
    response = client.post(BACKFILL, json={"ticker": "AAPL", "market": "US"})
    assert response.status_code == 422
    assert response.json["reason"] == "too_much_named"


def test_an_open_backfill_of_a_ticker_makes_another_409_with_its_run(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL", "MSFT")
    first = client.post(BACKFILL, json={"tickers": ["AAPL", "MSFT"]}).json["run_id"]
    response = client.post(BACKFILL, json={"ticker": "MSFT"})
    assert response.status_code == 409
    assert response.json["run_id"] == first
    assert response.json["reason"] == "backfill_in_progress"
    assert count_runs(database) == 1


def test_force_cancels_the_open_backfill(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    first = client.post(BACKFILL, json={"ticker": "AAPL"}).json["run_id"]
    second = client.post(BACKFILL, json={"ticker": "AAPL", "force": True}).json["run_id"]
    assert client.get(f"/py/detection-runs/{first}").json["status"] == "cancelled"
    assert client.get(f"/py/detection-runs/{second}").json["status"] == "queued"


def test_an_ended_backfill_does_not_block_another(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    first = client.post(BACKFILL, json={"ticker": "AAPL"}).json["run_id"]
    request_cancel(database, first, NOW)
    assert client.post(BACKFILL, json={"ticker": "AAPL"}).status_code == 202


def test_the_same_key_and_body_are_the_same_run(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    key = {"Idempotency-Key": "monday-1"}
    first = client.post(BACKFILL, json={"ticker": "AAPL"}, headers=key)
    second = client.post(BACKFILL, json={"ticker": "AAPL"}, headers=key)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert count_runs(database) == 1


def test_the_same_key_and_another_body_are_422(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT")
    key = {"Idempotency-Key": "monday-1"}
    client.post(BACKFILL, json={"ticker": "AAPL"}, headers=key)
    response = client.post(BACKFILL, json={"ticker": "MSFT"}, headers=key)
    assert response.status_code == 422
    assert response.json["reason"] == "idempotency_key_reused"
    assert count_runs(database) == 1


def test_the_same_key_on_another_route_is_422(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    key = {"Idempotency-Key": "monday-1"}
    client.post(BACKFILL, json={"ticker": "AAPL"}, headers=key)
    assert client.post(INCREMENTAL, json={"ticker": "AAPL"}, headers=key).status_code == 422


@pytest.mark.parametrize("key", ["a b", "", "x" * 256, "ü"])
def test_an_unusable_idempotency_key_is_422(client: FlaskClient, key: str) -> None:
    response = client.post(BACKFILL, json={"ticker": "AAPL"}, headers={"Idempotency-Key": key})
    assert response.status_code == 422
    assert response.json["errors"][0]["location"] == "headers"


def test_waiting_for_a_run_that_does_not_end_answers_202(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL")
    began = time.monotonic()
    response = client.post(f"{BACKFILL}?wait=1", json={"ticker": "AAPL"})
    assert response.status_code == 202
    assert time.monotonic() - began >= 1


def test_the_status_of_a_tickers_backfill_is_that_of_its_run(
    client: FlaskClient, database: Db
) -> None:
    run_id = add_run(database, "AAPL", "MSFT")
    told = client.get(f"{BACKFILL}/aapl").json
    assert told["run_id"] == run_id
    assert told["ticker"] == "AAPL"
    assert told["status"] == "queued"


def test_a_ticker_without_backfill_is_404(client: FlaskClient, database: Db) -> None:
    add_run(database, "AAPL", task="incremental")
    response = client.get(f"{BACKFILL}/AAPL")
    assert response.status_code == 404
    assert client.get(f"{BACKFILL}/A%20B").status_code == 422


@pytest.mark.parametrize("path", [BACKFILL, INCREMENTAL])
def test_a_thousand_tickers_need_few_more_commands_than_one(
    client: FlaskClient, database: Db, path: str
) -> None:
    tickers = [f"T{number:04d}" for number in range(1_000)]
    add_series(database, *tickers)

    def count_commands(body: dict[str, object]) -> int:
        """Return how many commands MongoDB executed; a measured time would depend on the machine's
        load too.
        """
        database.command("profile", 2)
        try:
            accepted = client.post(path, json=body)
        finally:
            database.command("profile", 0)
        assert accepted.status_code == 202
        done = database["system.profile"].count_documents(
            {"ns": {"$ne": f"{database.name}.system.profile"}}
        )
        database["system.profile"].drop()
        request_cancel(database, accepted.json["run_id"], NOW)
        return done

    client.get("/py/tickers")
    # More than 101 documents come in two answers, and whether there is such a market takes two
    # queries.
    assert 0 < count_commands({"market": "US"}) <= count_commands({"ticker": "T0001"}) + 3


def test_a_post_is_accepted_without_redis(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    add_series(database, "AAPL")
    client = make_app(
        settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    ).test_client()
    began = time.monotonic()
    response = client.post(BACKFILL, json={"ticker": "AAPL"})
    assert response.status_code == 202
    # kombu's own retries would take 6 s.
    assert time.monotonic() - began < 6
    assert client.get("/py/health").json["status"] == "degraded"


@pytest.mark.slow
def test_with_redis_frozen_a_post_is_accepted_after_one_try(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    add_series(database, "AAPL", "MSFT")
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as frozen:  # A server that accepts connections and never answers.
        url = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        client = make_app(settings.model_copy(update={"redis_url": url})).test_client()
        for ticker in ("AAPL", "MSFT"):
            began = time.monotonic()
            assert client.post(BACKFILL, json={"ticker": ticker}).status_code == 202
            # A second try would also wait for its 5 s.
            assert time.monotonic() - began < 10
