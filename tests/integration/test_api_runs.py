"""Runs over HTTP. No worker runs here."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.http import events
from api.http.events import STREAMS
from records.database import Db
from records.models.champions import ALL_MARKETS
from records.work.endings import request_cancel
from records.work.requests import RunRequest, insert_run
from tests.integration.stored import NOW, add_run, add_series, ids

RUNS = "/py/detection-runs"


def test_an_unknown_run_is_404(client: FlaskClient) -> None:
    assert client.get(f"{RUNS}/nowhere").status_code == 404
    assert client.post(f"{RUNS}/nowhere/cancel").status_code == 404


def test_runs_are_listed_newest_first_page_by_page(client: FlaskClient, database: Db) -> None:
    # Three of the five were requested in the same millisecond.
    times = [
        NOW,
        NOW + timedelta(seconds=1),
        NOW + timedelta(seconds=1),
        NOW + timedelta(seconds=1),
        NOW,
    ]
    added = {add_run(database, "AAPL", task="incremental", now=now): now for now in times}
    seen: list[object] = []
    cursor = ""
    for _ in range(3):
        page = client.get(f"{RUNS}?limit=2{cursor}").json
        seen += ids(page["items"])
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert sorted(map(str, seen)) == sorted(added)
    assert [added[str(run_id)] for run_id in seen] == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ticker=msft", ["b"]),
        ("market=jp", ["b", "c"]),
        ("market=US", ["a", "b", "c"]),
        ("market=HK", ["c"]),
        ("start=2026-01-05T12:30:00Z", ["b"]),
        ("end=2026-01-05T12:30:00Z", ["a", "c"]),
        ("task=incremental", ["b"]),
        ("watchlist=tech", ["b"]),
        ("watchlist=others", []),
        ("status=queued", ["a", "b", "c"]),
        ("status=failed", []),
    ],
)
def test_runs_are_filtered(
    client: FlaskClient, database: Db, query: str, expected: list[str]
) -> None:
    add_series(database, "AAPL", "MSFT", "7203.T")
    later = NOW + timedelta(hours=1)
    of_all = insert_run(database, RunRequest("train", "manual", market=ALL_MARKETS), NOW)
    names = {
        add_run(database, "AAPL"): "a",
        add_run(database, "AAPL", "MSFT", "7203.T", task="incremental", now=later): "b",
        of_all["_id"]: "c",
    }
    said = {"watchlist": "tech", "options": {"filename": "prices.csv"}}
    database.detection_runs.update_one({"task": "incremental"}, {"$set": said})
    found = client.get(f"{RUNS}?{query}").json["items"]
    assert sorted(names[run["_id"]] for run in found) == sorted(expected)
    about = {names[run["_id"]]: run["about"] for run in found}
    assert about == {name: "prices.csv" if name == "b" else None for name in expected}


def test_runs_of_an_unknown_market_are_an_error(client: FlaskClient) -> None:
    response = client.get(f"{RUNS}?market=XX")
    assert response.status_code == 422
    assert "XX" in response.json["detail"]


def test_an_unknown_status_is_422_with_the_choices(client: FlaskClient) -> None:
    response = client.get(f"{RUNS}?status=done")
    assert response.status_code == 422
    assert "'in_progress'" in response.json["detail"]


def test_a_queued_run_is_cancelled_at_once_and_cancelling_again_changes_nothing(
    client: FlaskClient, database: Db
) -> None:
    run_id = add_run(database, "AAPL")
    response = client.post(f"{RUNS}/{run_id}/cancel")
    assert response.status_code == 202
    assert response.json["status"] == "cancelled"
    assert client.post(f"{RUNS}/{run_id}/cancel").json == response.json


def test_times_are_iso_8601_in_utc(client: FlaskClient, database: Db) -> None:
    run_id = add_run(database, "AAPL")
    assert client.get(f"{RUNS}/{run_id}").json["requested_at"] == "2026-01-05T12:00:00Z"


def read_events(response: TestResponse) -> Iterator[dict[str, str]]:
    """Yield events as a browser reads them; comments are skipped."""
    text = ""
    for chunk in response.iter_encoded():
        text += chunk.decode()
        while "\n\n" in text:
            event, _, text = text.partition("\n\n")
            fields = dict(
                line.split(": ", 1) for line in event.splitlines() if not line.startswith(":")
            )
            if fields:
                yield fields


def test_events_report_each_change_once_and_end_with_the_run(
    client: FlaskClient, database: Db
) -> None:
    run_id = add_run(database, "AAPL")
    with client.get(f"{RUNS}/{run_id}/events", buffered=False) as response:
        assert response.content_type == "text/event-stream"
        events = read_events(response)
        first = next(events)
        assert json.loads(first["data"])["status"] == "queued"
        request_cancel(database, run_id, NOW)
        (last,) = list(events)
    assert last["event"] == "run"
    assert json.loads(last["data"])["status"] == "cancelled"
    assert last["id"] != first["id"]


def test_a_long_silence_is_broken_by_comments(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.1)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)
    run_id = add_run(database, "AAPL")
    with client.get(f"{RUNS}/{run_id}/events", buffered=False) as response:
        chunks = response.iter_encoded()
        assert next(chunks).startswith(b"event: run\n")
        assert [next(chunks) for _ in range(2)] == [b": still here\n\n"] * 2
        request_cancel(database, run_id, NOW)
        assert b"cancelled" in b"".join(chunks)


def test_a_client_that_reconnects_is_not_sent_what_it_saw(
    client: FlaskClient, database: Db
) -> None:
    run_id = add_run(database, "AAPL")
    request_cancel(database, run_id, NOW)
    with client.get(f"{RUNS}/{run_id}/events") as response:
        (seen,) = read_events(response)
    with client.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": seen["id"]}) as response:
        assert list(read_events(response)) == []
    with client.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": "older"}) as response:
        assert len(list(read_events(response))) == 1


def test_events_of_an_unknown_run_are_404(client: FlaskClient) -> None:
    assert client.get(f"{RUNS}/nowhere/events").status_code == 404


def test_streams_beyond_the_limit_are_refused_and_free_their_place(
    client: FlaskClient, database: Db
) -> None:
    path = f"{RUNS}/{add_run(database, 'AAPL')}/events"
    with ExitStack() as opened:
        for _ in range(STREAMS.each):
            opened.enter_context(client.get(path, buffered=False))
        refused = client.get(path)
        assert (refused.status_code, refused.json["reason"]) == (503, "too_many_streams")
    with client.get(path, buffered=False) as response:
        assert response.status_code == 200


def end_run(database: Db, run_id: str, status: str, **outcomes: str) -> None:
    """Bring a run to its end, with an audit of each ticker's outcome."""
    database.detection_runs.update_one(
        {"_id": run_id}, {"$set": {"status": status, "completed_at": NOW}}
    )
    database.detection_runs.insert_many(
        {"_id": f"{run_id}:{ticker}", "run_id": run_id, "ticker": ticker, "status": outcome}
        for ticker, outcome in outcomes.items()
    )


def test_a_retry_repeats_what_failed_or_was_not_reached(client: FlaskClient, database: Db) -> None:
    run_id = add_run(database, "AAPL", "MSFT", "IBM")
    end_run(database, run_id, "partial", AAPL="complete", MSFT="failed")
    retried = client.post(f"{RUNS}/{run_id}/retry")
    assert retried.status_code == 202
    assert retried.json["tickers"] == ["MSFT", "IBM"]
    run = client.get(retried.headers["Location"]).json
    assert (run["retry_of"], run["task"], run["period"]) == (run_id, "backfill", "5y")


def test_an_open_run_or_one_that_left_nothing_undone_is_not_retried(
    client: FlaskClient, database: Db
) -> None:
    run_id = add_run(database, "AAPL")
    assert client.post(f"{RUNS}/{run_id}/retry").json["reason"] == "run_in_progress"
    end_run(database, run_id, "complete", AAPL="complete")
    response = client.post(f"{RUNS}/{run_id}/retry")
    assert (response.status_code, response.json["reason"]) == (409, "nothing_to_retry")
