"""The flows that clients are promised, over HTTP with a real worker: a run is the record of its
work.
"""

import json
from typing import Any

import pytest

from tests.integration.conftest import Live
from tests.integration.detecting import make_bars
from tests.processes import wait_until

SHOCKS = (400, 520, 640)
BARS = 800
SHORT_BARS = 40
# A row of the feature set needs 60 bars of history; earlier bars are not scored.
LEAST_SCORED = BARS - 100


def to_candles(seed: int, first: int, last: int) -> list[dict[str, Any]]:
    rows = (
        make_bars(BARS + 10, seed, shocks=SHOCKS).rename(columns={"date": "time"}).iloc[first:last]
    )
    return [{**row, "time": row["time"].strftime("%Y-%m-%d")} for row in rows.to_dict("records")]


def push(live: Live, ticker: str, candles: list[dict[str, Any]]) -> None:
    report = live.post("/py/data/candles", json={"ticker": ticker, "candles": candles}).json
    assert report["status"] == "complete", report


def read(live: Live, path: str) -> dict[str, Any]:
    response = live.client.get(f"/py{path}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json
    return found


def read_all(live: Live, path: str, limit: int = 2) -> list[dict[str, Any]]:
    """Return the items of all pages."""
    joint = "&" if "?" in path else "?"
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(live, f"{path}{joint}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        items += page["items"]
        cursor = page["next_cursor"]
    return items


def start(live: Live, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Request a run as a client does: POST, then poll the address in `Location` until the run has
    ended.
    """
    accepted = live.client.post(f"/py{path}", json=body)
    assert accepted.status_code == 202, accepted.text

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = live.client.get(accepted.headers["Location"]).json
        return run if run["completed_at"] else None

    return wait_until(ended, f"{path} has ended")


def read_last_event(live: Live, run_id: str) -> dict[str, Any]:
    with live.client.get(f"/py/detection-runs/{run_id}/events") as response:
        lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    last: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    return last


@pytest.fixture(scope="module")
def market(live: Live) -> Live:
    """Bars of a market, one ticker of which has too few, and the market's champion."""
    for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
        push(live, ticker, to_candles(seed, 0, BARS))
    push(live, "NEWCO", to_candles(9, 0, SHORT_BARS))
    run = start(live, "/models/train", {"market": "US"})
    assert (run["status"], run["model_version"]) == ("complete", "US_model-0.1.0")
    return live


@pytest.fixture(scope="module")
def backfill(market: Live) -> dict[str, Any]:
    """The ended run of a backfill of one ticker."""
    return start(market, "/anomalies/backfill", {"ticker": "AAA", "max_period": "max"})


@pytest.fixture(scope="module")
def scan(market: Live, backfill: dict[str, Any]) -> dict[str, Any]:
    """The ended run of a backfill of the whole market."""
    return start(market, "/anomalies/backfill", {"market": "US", "max_period": "max"})


def test_a_run_of_one_ticker_is_its_audit_record(market: Live, backfill: dict[str, Any]) -> None:
    model = read(market, "/models/US_model-0.1.0")
    assert (backfill["status"], backfill["reason"], backfill["error"]) == ("complete", None, None)
    assert (backfill["model_version"], backfill["model_hash"]) == (
        model["version"],
        model["sha256"],
    )
    assert backfill["rows_loaded"] == BARS
    assert backfill["rows_preprocessed"] == backfill["rows_processed"] >= LEAST_SCORED
    assert backfill["duration_seconds"] > 0
    assert (backfill["errors"], backfill["reasons"]) == ([], {})
    (warning,) = backfill["warnings"]
    assert warning.startswith("market US has 1d returns of 4 tickers on a day at the most")
    assert len(backfill["anomaly_ids"]) == backfill["anomalies_found"] >= len(SHOCKS)


def test_the_anomalies_of_a_run_carry_its_id(market: Live, backfill: dict[str, Any]) -> None:
    listed = read_all(market, f"/anomalies?run_id={backfill['_id']}", limit=100)
    assert sorted(anomaly["_id"] for anomaly in listed) == sorted(backfill["anomaly_ids"])
    assert {anomaly["detection_run_id"] for anomaly in listed} == {backfill["_id"]}


def test_the_status_of_a_tickers_backfill_agrees_with_its_run(
    market: Live, backfill: dict[str, Any]
) -> None:
    told = read(market, "/anomalies/backfill/AAA")
    (audit,) = read(market, backfill["tickers_url"].removeprefix("/py"))["items"]
    assert told == audit
    assert told["run_id"] == backfill["_id"]
    shared = (
        *("status", "reason", "error", "model_version", "model_hash", "anomaly_ids", "warnings"),
        *("rows_loaded", "rows_preprocessed", "rows_processed", "anomalies_found", "new_anomalies"),
    )
    assert {name: told[name] for name in shared} == {name: backfill[name] for name in shared}


def test_an_incremental_run_does_a_tenth_of_the_work_and_a_second_one_none(
    market: Live, backfill: dict[str, Any]
) -> None:
    push(market, "AAA", to_candles(1, BARS, BARS + 1))
    first = start(market, "/anomalies/incremental", {"ticker": "AAA"})
    assert (first["status"], first["rows_processed"], first["reason"]) == ("complete", 1, None)
    assert 10 * first["rows_processed"] <= backfill["rows_processed"]
    assert first["rows_loaded"] < backfill["rows_loaded"]
    times = backfill["duration_seconds"] / first["duration_seconds"]
    print(f"an incremental run took a {times:.1f}th of the backfill's time")  # noqa: T201 - a figure, no promise
    second = start(market, "/anomalies/incremental", {"ticker": "AAA"})
    assert (second["status"], second["reason"]) == ("complete", "already_detected")
    assert (second["rows_loaded"], second["rows_processed"], second["anomaly_ids"]) == (0, 0, [])
    assert second["reasons"] == {"already_detected": 1}


def test_a_run_of_many_counts_reasons_and_names_every_anomaly(
    market: Live, scan: dict[str, Any]
) -> None:
    assert scan["status"] == "complete"
    assert (scan["reason"], scan["reasons"]) == (None, {"not_enough_bars": 1})
    assert scan["model_version"] == "US_model-0.1.0"
    assert len(scan["anomaly_ids"]) == scan["anomalies_found"] >= 3 * len(SHOCKS)
    found = [
        anomaly_id
        for audit in read_all(market, f"/detection-runs/{scan['_id']}/tickers")
        for anomaly_id in audit["anomaly_ids"]
    ]
    assert found == scan["anomaly_ids"]


def test_the_tickers_of_a_run_come_in_pages_by_status_and_reason(
    market: Live, scan: dict[str, Any]
) -> None:
    path = f"/detection-runs/{scan['_id']}/tickers"
    assert [audit["ticker"] for audit in read_all(market, path)] == ["AAA", "BBB", "CCC", "NEWCO"]
    (short,) = read_all(market, f"{path}?reason=not_enough_bars&status=complete")
    assert (short["ticker"], short["bars_present"], short["anomaly_ids"]) == (
        "NEWCO",
        SHORT_BARS,
        [],
    )
    assert short["bars_needed"] > SHORT_BARS
    # Lists say it too, where the series was looked at up to its last bar.
    (listed,) = market.client.get("/py/tickers?contains=NEWCO").json["items"]
    assert (listed["bars"], listed["bars_needed"]) == (SHORT_BARS, short["bars_needed"])
    assert listed["watermark"] == listed["last_bar"]
    assert market.client.get("/py/markets/US").json["too_short"] == 1
    assert read_all(market, f"{path}?status=failed") == []
    assert market.client.get("/py/detection-runs/nowhere/tickers").status_code == 404
    assert market.client.get(f"/py{path}?status=done").status_code == 422


def test_tickers_that_fail_are_named_with_their_reason(market: Live) -> None:
    push(market, "PTT.BK", to_candles(5, 0, 120))
    run = start(market, "/anomalies/backfill", {"ticker": "PTT.BK"})
    assert (run["status"], run["reason"], run["reasons"]) == ("failed", "no_model", {"no_model": 1})
    assert run["errors"] == [run["failures"][0]["error"]]
    assert "flask models train" in run["errors"][0]
    (audit,) = read_all(market, f"/detection-runs/{run['_id']}/tickers")
    assert (audit["status"], audit["reason"], audit["error"]) == (
        "failed",
        "no_model",
        run["errors"][0],
    )


@pytest.mark.parametrize("task", ["backfill", "verify", "import", "train"])
def test_the_last_event_of_a_run_has_the_fields_of_its_document(
    market: Live, backfill: dict[str, Any], task: str
) -> None:
    if task == "verify":
        market.post("/py/anomalies/verify", json={"run_id": backfill["_id"]})
    (run,) = read(market, f"/detection-runs?task={task}&limit=1")["items"]
    document = read(market, f"/detection-runs/{run['_id']}")
    assert read_last_event(market, run["_id"]) == document
    if task in {"verify", "import"}:
        assert document["result"]
    if task == "verify":
        assert document["result"]["verdicts"] == {"identical": backfill["anomalies_found"]}
