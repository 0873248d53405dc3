"""Which keys, origins and machines may send which requests."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http.auth import PUBLIC, get_scope
from core.settings import Settings
from records.database import Db
from records.keys import add_key, revoke_key
from records.migrations import prepare_database
from tests.integration.stored import add_series

ROOT = Path(__file__).parent.parent.parent
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - settings of a server that is never started on it
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
UNAUTHENTICATED = {
    "/",
    "/<asset:path>",
    "/healthz",
    "/readyz",
    "/py/health",
    "/py/openapi.json",
} | {
    "/py/docs",
    "/py/docs/<asset:path>",
    "/healthcheck",
    "/py/healthcheck",
}

MakeApp = Callable[[Settings], APIFlask]


@pytest.fixture
def keys(database: Db) -> dict[str, str]:
    """A key of each scope."""
    return {scope: add_key(database, scope, [scope], NOW) for scope in ("read", "enqueue", "admin")}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_needs_a_key_but_the_named_ones(app: APIFlask, keys: dict[str, str]) -> None:
    client = app.test_client()
    rules = list(app.url_map.iter_rules())
    assert {rule.rule for rule in rules if rule.endpoint in PUBLIC} == UNAUTHENTICATED
    for rule in rules:
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(f"<{argument}>", "x").replace(f"<asset:{argument}>", "x.js")
            with client.open(path, method=method) as response:
                status = response.status_code
            if rule.rule in UNAUTHENTICATED:
                assert status != 401, (method, path)
            else:
                assert status == 401, (method, path)


def test_promotion_rollback_and_retirement_are_for_admins(app: APIFlask) -> None:
    for endpoint in ("models.promote_model", "models.roll_model_back", "models.retire_model"):
        assert get_scope(app, endpoint, "POST") == "admin"


def test_a_key_is_taken_from_either_header(client: FlaskClient, keys: dict[str, str]) -> None:
    assert client.get("/py/tickers", headers=bearer(keys["read"])).status_code == 200
    assert client.get("/py/tickers", headers={"X-API-Key": keys["read"]}).status_code == 200


def test_a_wrong_key_is_401_and_says_how_to_show_one(
    client: FlaskClient, keys: dict[str, str]
) -> None:
    response = client.get("/py/tickers", headers=bearer("tw_wrong"))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.content_type == "application/problem+json"


def test_a_key_without_the_scope_is_403_and_names_it(
    client: FlaskClient, keys: dict[str, str]
) -> None:
    response = client.post(
        "/py/anomalies/backfill", json={"ticker": "AAPL"}, headers=bearer(keys["read"])
    )
    assert response.status_code == 403
    assert "'enqueue'" in response.text
    assert client.get("/py/tickers", headers=bearer(keys["enqueue"])).status_code == 403


def test_admin_includes_the_other_scopes(client: FlaskClient, keys: dict[str, str]) -> None:
    assert client.get("/py/tickers", headers=bearer(keys["admin"])).status_code == 200
    response = client.post(
        "/py/anomalies/backfill", json={"ticker": "AAPL"}, headers=bearer(keys["admin"])
    )
    assert response.status_code == 404


def test_a_revoked_key_is_refused_at_once_and_reads_for_a_second_at_most(
    client: FlaskClient, database: Db
) -> None:
    headers = {name: bearer(add_key(database, name, ["admin"], NOW)) for name in ("one", "other")}
    for name, shown in headers.items():
        assert client.get("/py/tickers", headers=shown).status_code == 200
        revoke_key(database, name, NOW)
    refused = client.post("/py/scheduler/toggle", json={}, headers=headers["one"])
    assert refused.status_code == 401
    assert client.get("/py/tickers", headers=headers["one"]).status_code == 401
    sleep(1.01)
    assert client.get("/py/tickers", headers=headers["other"]).status_code == 401
    # Access does not become open when the last key is revoked.
    assert client.get("/py/tickers").status_code == 401


def test_keys_are_stored_hashed(database: Db) -> None:
    key = add_key(database, "a", ["read"], NOW)
    stored = database.api_keys.find_one({"name": "a"})
    assert stored is not None
    assert key not in str(stored)
    assert key.removeprefix("tw_") not in str(stored)


def test_without_keys_access_is_open_on_loopback_and_health_says_so(
    client: FlaskClient, database: Db
) -> None:
    assert client.get("/py/tickers").status_code == 200
    assert client.get("/py/health").json["access"] == "open"  # type: ignore[index]
    add_key(database, "first", ["read"], NOW)
    assert client.get("/py/health").json["access"] == "keys"  # type: ignore[index]


def test_without_keys_access_is_closed_where_other_machines_can_reach_it(
    make_app: MakeApp, settings: Settings, database: Db
) -> None:
    client = make_app(settings.model_copy(update={"host": ANY_ADDRESS})).test_client()
    assert client.get("/py/tickers").status_code == 401
    waiting = client.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json["reason"] == "no_key"  # type: ignore[index]
    add_key(database, "first", ["read"], NOW)
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.0.0.1"])
def test_open_access_accepts_the_host_names_of_loopback(client: FlaskClient, host: str) -> None:
    assert client.get("/py/tickers", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "10.0.0.1", "localhost.evil.example"]
)
def test_open_access_refuses_a_rebound_name(client: FlaskClient, host: str) -> None:
    response = client.get("/py/tickers", headers={"Host": host})
    assert response.status_code == 403
    assert response.json["reason"] == "host_not_allowed"  # type: ignore[index]


def test_open_access_refuses_other_machines(client: FlaskClient) -> None:
    assert client.get("/py/tickers", environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9999"])
def test_a_post_from_another_sites_page_is_refused(client: FlaskClient, origin: str) -> None:
    response = client.post("/py/detection-runs/x/cancel", headers={"Origin": origin})
    assert response.status_code == 403
    assert response.json["reason"] == "foreign_origin"  # type: ignore[index]


def test_a_post_from_our_own_page_is_taken(client: FlaskClient) -> None:
    response = client.post("/py/detection-runs/x/cancel", headers={"Origin": "http://localhost"})
    assert response.status_code == 404


def ask(address: str, headers: dict[str, str] | None = None) -> int:
    try:
        with urlopen(Request(address, headers=headers or {}), timeout=30) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except HTTPError as error:
        return error.code


def start_gunicorn(
    environment: dict[str, str], host: str = ANY_ADDRESS, bound: str = "127.0.0.1"
) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "wsgi:app",
        "--bind",
        f"{bound}:0",
        "--no-control-socket",
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env={**environment, "HOST": host}, stderr=subprocess.PIPE, text=True
    )


def test_gunicorn_refuses_to_bind_a_wider_address_than_host_names(
    environment: dict[str, str], database: Db
) -> None:
    _, said = start_gunicorn(environment, "127.0.0.1", ANY_ADDRESS).communicate(timeout=300)
    assert f"HOST={ANY_ADDRESS}" in said
    assert "flask keys create" in said
    assert "Listening" not in said


def test_gunicorn_without_a_key_says_so_and_refuses_others(
    environment: dict[str, str], database: Db
) -> None:
    process = start_gunicorn(environment)
    assert process.stderr is not None
    try:
        said: list[str] = []
        while not said or "Listening at" not in said[-1]:
            said.append(process.stderr.readline())
            assert said[-1], said
        assert any("flask keys create" in line for line in said)
        address = re.search(r"http://127\.0\.0\.1:\d+", said[-1])
        assert address
        assert ask(f"{address[0]}/healthz") == 200
        assert ask(f"{address[0]}/readyz") == 503
        assert ask(f"{address[0]}/py/tickers") == 401
        key = add_key(database, "first", ["read"], NOW)
        assert ask(f"{address[0]}/readyz") == 200
        assert ask(f"{address[0]}/py/tickers", bearer(key)) == 200
    finally:
        process.terminate()
        process.communicate(timeout=300)


def test_gunicorn_serves_others_once_there_is_a_key(
    environment: dict[str, str], database: Db
) -> None:
    add_key(database, "a", ["read"], NOW)
    process = start_gunicorn(environment)
    assert process.stderr is not None
    try:
        assert any("Listening at" in line for line in process.stderr)
    finally:
        process.terminate()
        process.communicate(timeout=300)


def test_the_web_process_never_loads_the_numeric_stack(
    environment: dict[str, str], database: Db
) -> None:
    code = """
import sys
from wsgi import app
client = app.test_client()
for rule in app.url_map.iter_rules():
    path = rule.rule
    for argument in rule.arguments:
        path = path.replace(f"<{argument}>", "AAPL").replace(f"<asset:{argument}>", "x.js")
    for method in (rule.methods or set()) & {"GET", "POST"}:
        json = {"ticker": "AAPL"} if method == "POST" else None
        status = client.open(path, method=method, json=json).status_code
        assert status < 500, (method, path, status)
for detector in ("simple", "mad", "moving_average", "seasonal", "stream"):
    values = [i % 6 + i / 9 for i in range(60)]
    history = {"timestamps": list(range(60)), "values": values, "detector": detector}
    assert client.post(f"/fit/{detector}", json=history).status_code == 200
    point = {"timestamp": "60", "value": 3.0}
    for query in ("", "?store=true"):
        assert client.post(f"/predict/{detector}{query}", json=[point]).status_code == 200
    lines = {"data": b'{"timestamp": "61", "value": 3.0}', "content_type": "application/x-ndjson"}
    assert client.post(f"/predict-stream/{detector}", **lines).text.count("anomaly") == 1
    for form in ("html", "svg", "json"):
        assert client.get(f"/plot?series_id={detector}&format={form}").status_code == 200
assert client.get("/healthcheck").json["series_trained"] == 5
heavy = {"numpy", "pandas", "scipy", "sklearn", "numba", "pyarrow", "joblib", "exchange_calendars"}
print(sorted(heavy & sys.modules.keys()))
"""
    prepare_database(database, NOW)
    add_series(database, "AAPL")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
