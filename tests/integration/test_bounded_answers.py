"""The size of an answer is bounded whatever was asked: errors, quotes, and pages of large
documents.
"""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from flask.testing import FlaskClient

from api.http.errors import LONGEST_DETAIL, MOST_ERRORS
from records.database import Db
from records.work import endings, runs, watchlists
from tests.integration.alerting import build_anomaly
from tests.integration.stored import add_list, add_run, add_series

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
# The most bytes of an answer that describes the errors of a body, however large that is.
MOST_BYTES = 64 * 1024


def test_sixty_kilobytes_of_empty_candles_are_answered_with_a_few(client: FlaskClient) -> None:
    asked = json.dumps({"ticker": "AAPL", "candles": [{}] * 20_000})
    refused = client.post("/py/data/candles", data=asked, content_type="application/json")
    assert refused.status_code == 422
    assert len(refused.data) < min(MOST_BYTES, len(asked))
    assert refused.json["detail"]
    assert len(refused.json["errors"]) <= MOST_ERRORS


def test_the_first_hundred_errors_are_listed_with_their_total(client: FlaskClient) -> None:
    refused = client.post("/py/anomalies/backfill", json={"tickers": ["not a ticker"] * 5_000})
    assert refused.status_code == 422
    assert len(refused.json["errors"]) == MOST_ERRORS
    assert refused.json["error_count"] == 5_000
    assert "(and 4,997 more)" in refused.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"a" * 500_000: 1},
        {"ticker": "A" * 500_000},
        {"tickers": ["A" * 900] * 1_000},
        {"interval": "1" * 900_000},
        {"max_period": "9" * 900_000},
        {"watchlist": "w" * 900_000},
        {"market": "M" * 900_000},
        {"ticker": {"a": "b" * 900_000}},
    ],
)
def test_a_wrong_value_is_quoted_in_part(client: FlaskClient, body: dict[str, Any]) -> None:
    refused = client.post("/py/anomalies/backfill", json=body)
    assert refused.status_code in {400, 422}
    assert len(refused.data) < 2 * MOST_BYTES
    assert len(refused.json["detail"]) <= LONGEST_DETAIL + 3


def test_a_page_of_large_watchlists_ends_early_and_the_next_goes_on(
    client: FlaskClient, database: Db
) -> None:
    tickers = [f"T{number:05d}" for number in range(watchlists.LISTED_TICKERS // 2)]
    for number in range(5):
        add_list(database, f"list{number}", *tickers)
    seen, cursor, pages = [], None, 0
    while True:
        page = client.get(
            "/py/watchlists", query_string={"limit": 500, "cursor": cursor} if cursor else ""
        ).json
        assert sum(len(item["tickers"]) for item in page["items"]) <= watchlists.LISTED_TICKERS
        seen += [item["name"] for item in page["items"]]
        pages, cursor = pages + 1, page["next_cursor"]
        if cursor is None:
            break
    assert (seen, pages) == ([f"list{number}" for number in range(5)], 3)
    scans = client.get("/py/scheduler")
    assert len(scans.json["watchlists"]) == 5
    assert len(scans.data) < MOST_BYTES


def test_a_list_shows_runs_of_whole_markets_with_some_of_their_tickers(
    client: FlaskClient, database: Db
) -> None:
    tickers = [f"T{number:05d}" for number in range(10_000)]
    ids = {add_run(database, *tickers, task="verify") for _ in range(5)}
    result = {"verdicts": {"identical": 2}, "found": ["x" * MOST_BYTES]}
    database.detection_runs.update_many({}, {"$set": {"result": result}})
    answer = client.get("/py/detection-runs")
    items = answer.json["items"]
    assert ({item["_id"] for item in items}, answer.json["next_cursor"]) == (ids, None)
    assert all(item["tickers"] == tickers[: runs.LISTED_TICKERS] for item in items)
    assert {item["ticker_count"] for item in items} == {10_000}
    assert {item["verdicts"]["identical"] for item in items} == {2}
    assert len(answer.data) < MOST_BYTES
    whole = client.get(f"/py/detection-runs/{ids.pop()}").json
    assert (whole["tickers"], whole["ticker_count"]) == (tickers, 10_000)
    assert len(bson.encode({"found": runs.find_runs(database, {"run_id": None})})) < MOST_BYTES


def test_a_detection_of_many_tickers_is_accepted_as_before(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, *(f"T{number:04d}" for number in range(50)))
    accepted = client.post(
        "/py/anomalies/incremental", json={"tickers": [f"T{number:04d}" for number in range(50)]}
    )
    assert accepted.status_code == 202


def test_a_detection_that_found_many_anomalies_reads_those_that_it_lists(
    client: FlaskClient, database: Db
) -> None:
    """Whoever may detect could ask again and again for what a market's first detection found."""
    add_series(database, "AAPL")
    asked: dict[str, Any] = {"json": {"ticker": "AAPL"}, "headers": {"Idempotency-Key": "one"}}
    accepted = client.post("/py/anomalies/detect", **asked)
    assert accepted.status_code == 202
    run_id = accepted.json["run_id"]
    runs.start_run(database, run_id, [], NOW)
    assert endings.finish_run(database, run_id, NOW) is not None
    database.outbox.update_many({}, {"$set": {"delivered_at": NOW}})
    severities = ("critical", "high", "medium")
    database.anomalies.insert_many(
        build_anomaly(run_id, f"T{number:04d}", NOW, grade=number / 60)
        | {"severity": severities[number % 3]}
        for number in range(6_000)
    )

    def count_read() -> int:
        counted = database.client.admin.command("serverStatus")["metrics"]["document"]
        return int(counted["returned"])

    before = count_read()
    told = client.post("/py/anomalies/detect?wait=1", **asked)
    assert count_read() - before < 2_000
    assert told.status_code == 200, told.json
    assert len(told.json["anomalies"]) == 1_000
    assert told.json["anomalies"][0]["Ticker"] == "T5999"
    assert told.json["anomalies_detected"] == 6_000
    counts = [told.json[f"{word}_count"] for word in (*severities, "low")]
    assert counts == [2_000, 2_000, 2_000, 0]
