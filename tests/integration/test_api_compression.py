"""Answers are compressed for clients that accept it; event streams are not."""

import gzip
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from records.database import Db
from records.work.endings import request_cancel
from tests.integration.stored import NOW, add_run, add_series

GZIP = {"Accept-Encoding": "gzip"}
TICKERS = [f"T{number}" for number in range(50)]


@pytest.fixture
def connection(served: str, database: Db) -> Iterator[HTTPConnection]:
    """A connection to a real gunicorn that adds no headers of its own to a request."""
    made = HTTPConnection(urlsplit(served).netloc, timeout=30)
    yield made
    made.close()


def test_json_is_compressed_and_the_same_unpacked(client: FlaskClient, database: Db) -> None:
    add_series(database, *TICKERS)
    plain = client.get("/py/tickers")
    packed = client.get("/py/tickers", headers=GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 4
    assert json.loads(gzip.decompress(packed.data)) == plain.json
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("path", ["/", "/py/docs/swagger-ui.css", "/py/docs/swagger-ui-bundle.js"])
def test_files_are_compressed_and_answered_with_304_when_unchanged(
    client: FlaskClient, path: str
) -> None:
    with client.get(path) as plain, client.get(path, headers=GZIP) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["ETag"] == plain.headers["ETag"]
        again = {**GZIP, "If-None-Match": packed.headers["ETag"]}
    with client.get(path, headers=again) as known:
        assert (known.status_code, known.data) == (304, b"")


def test_a_range_of_a_file_is_taken_from_the_uncompressed_file(client: FlaskClient) -> None:
    path = "/py/docs/swagger-ui.css"
    with (
        client.get(path) as whole,
        client.get(path, headers=GZIP | {"Range": "bytes=100-1099"}) as part,
    ):
        assert part.status_code == 206
        assert part.data == whole.data[100:1_100]


def test_short_answers_are_not_compressed(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/healthz", headers=GZIP).headers


def test_the_etag_of_a_compressed_watchlist_can_be_sent_back(client: FlaskClient) -> None:
    client.post("/py/watchlists", json={"name": "long", "tickers": TICKERS})
    read = client.get("/py/watchlists/long", headers=GZIP)
    assert read.headers["Content-Encoding"] == "gzip"
    changed = client.put(
        "/py/watchlists/long",
        json={"tickers": ["AAPL"]},
        headers=GZIP | {"If-Match": read.headers["ETag"]},
    )
    assert changed.status_code == 200


def test_events_come_at_once_to_clients_that_accept_compression_too(
    connection: HTTPConnection, database: Db
) -> None:
    run_id = add_run(database, "AAPL")
    connection.request(
        "GET", f"/py/detection-runs/{run_id}/events", headers={"Accept-Encoding": "gzip, zstd"}
    )
    stream = connection.getresponse()
    assert "Content-Encoding" not in stream.headers
    assert stream.readline() == b"event: run\n"  # While the run is still open.
    request_cancel(database, run_id, NOW)
    assert b'"status":"cancelled"' in stream.read()
