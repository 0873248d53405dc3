"""Rate limits, and other sites' pages."""

from collections.abc import Callable

from apiflask import APIFlask
from flask.testing import FlaskClient

from detection.records.database import Db
from detection.records.keys import add_key
from detection.settings import Settings
from tests.integration.stored import NOW

MakeApp = Callable[[Settings], APIFlask]
SITE = "https://charts.example"


def test_a_key_that_asks_too_often_is_429_and_told_when_to_come_back(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    client = make_app(settings.model_copy(update={"rate_limit_reads": "3/minute"})).test_client()
    eager, other = ({"X-API-Key": add_key(database, name, ["admin"], NOW)} for name in ("eager", "other"))
    assert [client.get("/py/tickers", headers=eager).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get("/py/models", headers=eager)
    assert refused.content_type == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert client.get("/py/tickers", headers=other).status_code == 200
    assert client.post("/py/scheduler/toggle", json={}, headers=eager).status_code == 200
    assert client.get("/healthz", headers=eager).status_code == 200


def test_another_sites_page_may_ask_where_the_settings_name_it(make_app: MakeApp, settings: Settings) -> None:
    client = make_app(settings.model_copy(update={"cors_origins": f"{SITE}, https://b.example"})).test_client()
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = client.options("/py/anomalies/backfill", headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == SITE
    assert "x-api-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
    response = client.post("/py/anomalies/backfill", json={"ticker": "AAPL"}, headers={"Origin": SITE})
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == SITE
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    stranger = client.get("/py/tickers", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_no_other_site_may_ask_by_default(client: FlaskClient) -> None:
    response = client.get("/py/tickers", headers={"Origin": SITE})
    assert "Access-Control-Allow-Origin" not in response.headers
