"""Rate limits, and requests from other sites' pages."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http import idempotency, limits
from core.settings import Settings
from records.database import Db
from records.keys import add_key
from tests.integration.stored import NOW, add_series

MakeApp = Callable[[Settings], APIFlask]
SITE = "https://charts.example"


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis, so that a busy machine does not make the API count in memory."""
    monkeypatch.setattr(limits, "REDIS_SECONDS", 30)


@pytest.fixture
def frozen_url() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        yield f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"


@pytest.mark.usefixtures("_patient")
def test_a_key_that_asks_too_often_is_429_and_told_when_to_come_back(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    client = make_app(settings.model_copy(update={"rate_limit_reads": "3/minute"})).test_client()
    eager, other = (
        {"X-API-Key": add_key(database, name, ["admin"], NOW)} for name in ("eager", "other")
    )
    assert [client.get("/py/tickers", headers=eager).status_code for _ in range(4)] == [
        200,
        200,
        200,
        429,
    ]
    refused = client.get("/py/models", headers=eager)
    assert refused.content_type == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "3 reads in 60 s" in refused.json["detail"]
    assert client.get("/py/tickers", headers=other).status_code == 200
    assert client.post("/py/scheduler/toggle", json={}, headers=eager).status_code == 200
    assert client.get("/healthz", headers=eager).status_code == 200


@pytest.mark.usefixtures("_patient")
def test_all_api_processes_count_together(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    limited = settings.model_copy(update={"rate_limit_reads": "3/minute"})
    one, two = (make_app(limited).test_client() for _ in range(2))
    headers = {"X-API-Key": add_key(database, "a", ["read"], NOW)}
    asked = (one, two, one, two, one)
    assert [client.get("/py/tickers", headers=headers).status_code for client in asked] == [
        200,
        200,
        200,
        429,
        429,
    ]


@pytest.mark.parametrize("where", ["frozen", "gone"])
def test_without_redis_a_process_counts_by_itself(
    make_app: MakeApp, settings: Settings, database: Db, frozen_url: str, where: str
) -> None:
    url = frozen_url if where == "frozen" else "redis://127.0.0.1:1/0"
    client = make_app(
        settings.model_copy(update={"redis_url": url, "rate_limit_reads": "3/minute"})
    ).test_client()
    headers = {"X-API-Key": add_key(database, "a", ["read"], NOW)}
    assert [client.get("/py/tickers", headers=headers).status_code for _ in range(4)] == [
        200,
        200,
        200,
        429,
    ]


def test_requests_that_wait_for_redis_when_it_freezes_are_all_answered(
    make_app: MakeApp, settings: Settings, database: Db, frozen_url: str
) -> None:
    app = make_app(settings.model_copy(update={"redis_url": frozen_url}))
    headers = {"X-API-Key": add_key(database, "a", ["read"], NOW)}
    ready = Barrier(8)

    def ask(_: int) -> int:
        ready.wait()
        return app.test_client().get("/py/tickers", headers=headers).status_code

    with ThreadPoolExecutor(ready.parties) as pool:
        assert list(pool.map(ask, range(ready.parties))) == [200] * ready.parties


def test_another_sites_page_may_send_requests_if_the_settings_name_it(
    make_app: MakeApp, settings: Settings
) -> None:
    client = make_app(
        settings.model_copy(update={"cors_origins": f"{SITE}, https://b.example"})
    ).test_client()
    asked = {
        "Origin": SITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    preflight = client.options("/py/anomalies/backfill", headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == SITE
    assert "x-api-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
    response = client.post(
        "/py/anomalies/backfill", json={"ticker": "AAPL"}, headers={"Origin": SITE}
    )
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == SITE
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    stranger = client.get("/py/tickers", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_no_other_site_may_send_requests_by_default(client: FlaskClient) -> None:
    response = client.get("/py/tickers", headers={"Origin": SITE})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_of_many_who_ask_for_runs_at_once_those_without_a_turn_are_told_to_come_back(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty that had a market of 65,000 tickers read and written left MongoDB nothing for who
    only reads.
    """
    add_series(database, "AAPL")
    monkeypatch.setattr(idempotency, "LONGEST_TURN_SECONDS", 0.05)
    with ExitStack() as turns:
        for _ in range(idempotency.ACCEPTED_AT_ONCE):
            turns.enter_context(idempotency.TURNS)
        refused = client.post("/py/anomalies/incremental", json={"ticker": "AAPL"})
        assert (refused.status_code, refused.json["reason"]) == (429, "busy")
        assert "nothing was done: send it again" in refused.json["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get("/py/tickers").status_code == 200
    assert database.detection_runs.count_documents({}) == 0
    for _ in range(2 * idempotency.ACCEPTED_AT_ONCE):
        accepted = client.post("/py/anomalies/incremental", json={"ticker": "AAPL"})
        assert accepted.status_code == 202


@pytest.mark.slow
@pytest.mark.parametrize("where", ["frozen", "gone"])
def test_no_turn_is_kept_while_redis_takes_no_message(
    make_app: MakeApp,
    settings: Settings,
    database: Db,
    frozen_url: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """Of thirty at once eighteen were refused: each turn took the 5 s of a frozen Redis."""
    add_series(database, "AAPL")
    monkeypatch.setattr(idempotency, "LONGEST_TURN_SECONDS", 1.0)
    url = frozen_url if where == "frozen" else "redis://127.0.0.1:1/0"
    app = make_app(settings.model_copy(update={"redis_url": url}))
    ready = Barrier(4 * idempotency.ACCEPTED_AT_ONCE)

    def ask(_: int) -> int:
        ready.wait()
        asked = {"ticker": "AAPL"}
        return app.test_client().post("/py/anomalies/incremental", json=asked).status_code

    with ThreadPoolExecutor(ready.parties) as pool:
        assert set(pool.map(ask, range(ready.parties))) == {202}
    assert database.detection_runs.count_documents({}) == ready.parties
