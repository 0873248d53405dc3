"""Small security holes, each tested by itself."""

import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from rich.table import Table

from api.http.auth import WRONG_KEYS
from cli.common import print_table
from core.logs import strip_controls
from core.settings import Settings
from records.database import Db
from records.keys import add_key
from runner.programs import flower_command
from runner.servers import free_port, is_port_free
from tests.integration.detecting import make_bars, store, train
from tests.integration.detecting import run as detect
from tests.processes import ROOT, wait_until

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "runs"), [("cross-site", 0), ("same-site", 0), ("same-origin", 1), (None, 1)]
)
def test_an_image_on_another_sites_page_enqueues_nothing(
    client: FlaskClient, database: Db, site: str | None, runs: int
) -> None:
    bars = make_bars(420)
    store(database, "AAPL", bars[:400])
    train(database)
    detect(database, "backfill", "AAPL")
    store(database, "AAPL", bars)
    chart = client.get(
        "/py/chart?ticker=AAPL&period=1y", headers={"Sec-Fetch-Site": site} if site else {}
    )
    assert chart.status_code == 200
    assert database.detection_runs.count_documents({"trigger": "chart_request"}) == runs
    store(database, "MSFT", bars)
    matrix = client.get(
        "/py/analysis/correlation?tickers=AAPL,MSFT",
        headers={"Sec-Fetch-Site": site} if site else {},
    )
    assert matrix.status_code == 200
    assert database.detection_runs.count_documents({"task": "correlation"}) == runs


@pytest.mark.parametrize("depth", [1_000, 100_000, 500_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_deeply_nested_body_is_400_or_422(client: FlaskClient, depth: int, opening: str) -> None:
    for content in (
        opening * (depth // len(opening)),
        '{"ticker": ' + "[" * depth + "]" * depth + "}",
    ):
        answer = client.post(
            "/py/anomalies/backfill", data=content, content_type="application/json"
        )
        assert answer.status_code in {400, 413, 422}, answer.text[:300]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/py/anomalies/backfill", {"ticker": "\ud800"}),
        ("POST", "/py/anomalies/backfill", {"\ud800": 1}),
        ("POST", "/py/models/train", {"market": "US", "feature_set": "\ud800"}),
        ("POST", "/py/watchlists", {"name": "a\ud800", "tickers": ["AAPL"]}),
        ("POST", "/py/anomalies/verify", {"run_id": "\ud800"}),
        ("PUT", "/py/notifications/rules/a", {"channel": "json://\ud800/"}),
        ("GET", "/py/detection-runs/%ED%A0%80", None),
        ("GET", "/py/models/%ED%A0%80", None),
        ("GET", "/py/anomalies/%00", None),
        ("GET", "/py/watchlists/%ED%A0%80%00", None),
        ("GET", "/py/anomalies?cursor=W10", None),
        ("GET", "/py/anomalies?cursor=%ED%A0%80", None),
        ("GET", "/py/tickers?cursor=eyJhIjoxfQ", None),
        ("GET", "/py/detection-runs?cursor=WyI5OTk5OTk5OTk5OTk5IiwgIngiXQ", None),
    ],
)
def test_lone_surrogates_and_invented_cursors_cause_no_server_error(
    client: FlaskClient, method: str, path: str, body: Any
) -> None:
    content = None if body is None else json.dumps(body)
    answer = client.open(
        path, method=method, data=content, content_type="application/json" if body else None
    )
    assert answer.status_code < 500, answer.text[:300]


@pytest.mark.parametrize("name", ["a" * 50_000 + ".csv", "a\x1b[2J.csv", "a\nb.csv"])
def test_a_file_name_that_is_too_long_or_has_control_characters_is_refused(
    client: FlaskClient, name: str
) -> None:
    form = {"file": (BytesIO(b"date,close\n"), name), "ticker": "AAPL"}
    answer = client.post("/py/data/import", data=form, content_type="multipart/form-data")
    assert answer.status_code in {400, 413, 422}
    assert len(answer.data) < 10_000


def test_wrong_keys_are_counted_and_a_missing_key_is_not(client: FlaskClient, database: Db) -> None:
    add_key(database, "a", ["read"], NOW)
    before = WRONG_KEYS._value.get()
    for headers in ({"X-API-Key": "tw_wrong"}, {"Authorization": "Bearer nobody"}, {}):
        assert client.get("/py/tickers", headers=headers).status_code == 401
    assert WRONG_KEYS._value.get() - before == 2


def test_a_terminal_is_shown_names_and_obeys_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    table = Table("name")
    table.add_row("a\x1b]0;owned\x07b\x9b2J")
    print_table(table)
    assert "\x1b" not in shown.getvalue()
    assert "a?]0;owned?b?2J" in shown.getvalue()
    assert strip_controls("one\ttwo\nthree é") == "one\ttwo\nthree é"


def test_flower_without_a_password_answers_only_requests_that_name_this_machine(
    environment: dict[str, str], database: Db, tmp_path: Path
) -> None:
    """The page of a domain that was made to resolve to 127.0.0.1 still sends that domain as
    `Host`.
    """
    assert database.api_keys.count_documents({}) == 0
    settings = Settings(_env_file=None, flower_port=free_port())
    process = subprocess.Popen(
        flower_command(settings, tmp_path),
        cwd=tmp_path,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
    )
    try:
        wait_until(lambda: not is_port_free(settings.flower_port), "Flower listens")
        port = settings.flower_port
        for path in ("/", "/api/workers", "/tasks", "/healthcheck", "/nowhere"):
            for host in (f"evil.example:{port}", "127.0.0.1.evil.example", "[fe80::1]", ""):
                assert ask_as(port, path, host) == 403, (path, host)
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}"):
            assert ask_as(port, "/healthcheck", host) == 200, host
    finally:
        process.terminate()
        process.wait(30)


def ask_as(port: int, path: str, host: str) -> int:
    """Return the status of a GET with this host name."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status


def test_flower_asks_for_a_password_once_there_is_a_key(
    environment: dict[str, str], database: Db, tmp_path: Path
) -> None:
    (tmp_path / "told.py").write_text("import os; print(os.environ.get('FLOWER_BASIC_AUTH'))")

    def start(**variables: str) -> str:
        command = [sys.executable, "-m", "runner.flower", "told"]
        known = environment | {"PYTHONPATH": f"{ROOT}:{tmp_path}"} | variables
        done = subprocess.run(
            command, cwd=tmp_path, env=known, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert start() == "None"
    add_key(database, "a", ["read"], NOW)
    user, _, password = start().partition(":")
    file = tmp_path / ".tapewatch" / "secrets" / "flower"
    assert (user, password) == ("tapewatch", file.read_text())
    assert len(password) >= 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert start() == f"{user}:{password}"
    assert start(FLOWER_BASIC_AUTH="ops:mine") == "ops:mine"
