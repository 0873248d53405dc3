"""From HTTP to MongoDB and back, with a real worker: push bars, train, backfill, read, verify,
catch up.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.schemas.chart import Chart
from core.settings import Settings
from runner.servers import Servers
from tasks import names
from tasks.process.broker import build_celery
from tests.integration.conftest import Live, run_worker
from tests.integration.detecting import make_bars
from tests.processes import wait_until

TICKERS = ("AAA", "BBB", "CCC")
SHOCKS = (400, 520, 640)
BARS = 800


def to_candles(ticker: str, first: int, last: int) -> list[dict[str, Any]]:
    frame = make_bars(BARS + 1, TICKERS.index(ticker) + 1, shocks=SHOCKS)
    rows = frame.rename(columns={"date": "time"}).iloc[first:last]
    return [{**row, "time": row["time"].strftime("%Y-%m-%d")} for row in rows.to_dict("records")]


def push(live: Live, ticker: str, candles: list[dict[str, Any]]) -> TestResponse:
    return live.post("/py/data/candles", json={"ticker": ticker, "candles": candles})


@pytest.fixture(scope="module")
def live_worker(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A worker of this file's own, because the tests ask for the content of its caches."""
    with run_worker(servers, tmp_path_factory.mktemp("worker")) as settings:
        yield settings


@pytest.fixture(scope="module")
def trained(live: Live) -> Live:
    """Bars of three tickers, pushed over HTTP, and the US market's first champion, trained over
    HTTP.
    """
    for ticker in TICKERS:
        report = push(live, ticker, to_candles(ticker, 0, BARS)).json
        assert report["status"] == "complete", report
        assert (report["read"], report["new"]) == (BARS, BARS)
    run = live.post("/py/models/train", json={"market": "US"}).json
    assert run["status"] == "complete", run
    assert run["model_version"] == "US_model-0.1.0"
    return live


@pytest.fixture(scope="module")
def detected(trained: Live) -> dict[str, Any]:
    """The ended run of a backfill of the market."""
    body = {"market": "US", "max_period": "max"}
    run: dict[str, Any] = trained.post("/py/anomalies/backfill", json=body).json
    return run


def test_a_backfill_ends_with_its_counts(detected: dict[str, Any]) -> None:
    assert detected["status"] == "complete"
    assert detected["progress"]["percent"] == 100
    assert detected["progress"]["tickers_done"] == 3
    assert detected["failures"] == []
    assert detected["anomalies_found"] >= 3 * len(SHOCKS)


def test_the_planted_shocks_are_found_with_their_lineage(
    live: Live, detected: dict[str, Any]
) -> None:
    page = live.client.get(f"/py/anomalies?ticker=aaa&run_id={detected['_id']}&limit=500").json
    times = {anomaly["Datetime"] for anomaly in page["items"]}
    for candle in (to_candles("AAA", position, position + 1)[0] for position in SHOCKS):
        assert f"{candle['time']}T00:00:00Z" in times
    anomaly = live.client.get(f"/py/anomalies/{page['items'][0]['_id']}").json
    assert anomaly["model_version"] == "US_model-0.1.0"
    assert anomaly["model_hash"] == live.client.get("/py/models/US_model-0.1.0").json["sha256"]
    assert anomaly["detection_run_id"] == detected["_id"]
    assert anomaly["bars_fingerprint"].startswith("sha256:")
    assert len(anomaly["features"]) == 14
    assert anomaly["anomaly_score"] < anomaly["threshold"]


def test_the_backfill_of_one_ticker_is_its_audit(live: Live, detected: dict[str, Any]) -> None:
    told = live.client.get("/py/anomalies/backfill/BBB").json
    assert told["run_id"] == detected["_id"]
    assert told["status"] == "complete"
    assert told["rows_loaded"] == BARS
    assert told["anomalies_found"] == len(told["anomaly_ids"]) >= len(SHOCKS)
    assert told["model_version"] == "US_model-0.1.0"


def test_pages_of_anomalies_have_no_gap_and_no_overlap(
    live: Live, detected: dict[str, Any]
) -> None:
    # An anomaly's explanation may be added between two pages.
    facts = "fields=Ticker,Datetime,kind,anomaly_score,grade,detection_run_id"
    for sort in ("-Datetime", "anomaly_score"):
        whole = live.client.get(f"/py/anomalies?{facts}&sort={sort}&limit=500").json["items"]
        paged: list[dict[str, Any]] = []
        cursor = ""
        while cursor is not None:
            argument = f"&cursor={cursor}" if cursor else ""
            page = live.client.get(f"/py/anomalies?{facts}&sort={sort}&limit=4{argument}").json
            paged += page["items"]
            cursor = page["next_cursor"]
        assert paged == whole
    scores = [anomaly["anomaly_score"] for anomaly in whole]
    assert scores == sorted(scores)


def test_a_list_holds_only_the_fields_that_were_asked_for(
    live: Live, detected: dict[str, Any]
) -> None:
    asked = "/py/anomalies?sort=anomaly_score&limit=2"
    whole = live.client.get(asked).json
    page = live.client.get(f"{asked}&fields=Datetime,severity,features.return_1").json
    kept = ("_id", "Datetime", "severity", "anomaly_score")
    features = [{"return_1": anomaly["features"]["return_1"]} for anomaly in whole["items"]]
    expected = [{name: anomaly[name] for name in kept} for anomaly in whole["items"]]
    assert page["items"] == [
        one | {"features": two} for one, two in zip(expected, features, strict=True)
    ]
    assert page["next_cursor"] == whole["next_cursor"]
    more = live.client.get(
        f"{asked}&fields=features,features.return_1&cursor={page['next_cursor']}"
    ).json
    assert all(len(anomaly["features"]) == 14 for anomaly in more["items"])


@pytest.mark.parametrize("fields", ["", "grade,", "_id,%24where", "features.close", "Ticker" * 100])
def test_a_field_that_no_anomaly_has_is_refused(live: Live, fields: str) -> None:
    assert live.client.get(f"/py/anomalies?fields={fields}").status_code == 422


def test_the_summary_counts_what_the_list_holds(live: Live, detected: dict[str, Any]) -> None:
    everything = live.client.get("/py/anomalies?limit=500").json["items"]
    summary = live.client.get("/py/anomalies/summary").json
    assert summary["total"] == len(everything) == sum(summary["by_severity"].values())
    assert {count["ticker"] for count in summary["by_ticker"]} == set(TICKERS)
    severe = live.client.get("/py/anomalies?min_grade=60&limit=500").json["items"]
    assert len(severe) == sum(anomaly["grade"] >= 60 for anomaly in everything)


def test_one_anomaly_is_verified_while_the_caller_waits(
    live: Live, detected: dict[str, Any]
) -> None:
    anomaly = live.client.get("/py/anomalies?sort=anomaly_score&limit=1").json["items"][0]
    response = live.post(f"/py/anomalies/verify/{anomaly['_id']}")
    assert response.status_code == 200
    comparison = response.json
    assert comparison["anomaly_id"] == anomaly["_id"]
    assert comparison["verified"] is True
    assert comparison["verdict"] == "identical"
    assert comparison["cause"] is None
    assert comparison["recomputed_score"] == pytest.approx(anomaly["anomaly_score"], abs=1e-9)


def test_all_anomalies_of_a_run_are_verified(live: Live, detected: dict[str, Any]) -> None:
    run = live.post("/py/anomalies/verify", json={"run_id": detected["_id"]}).json
    assert run["status"] == "complete"
    assert run["result"] == {"verdicts": {"identical": detected["anomalies_found"]}}
    page = live.client.get(f"/py/detection-runs/{run['_id']}/verifications?limit=500").json
    assert len(page["items"]) == detected["anomalies_found"]
    assert {document["verdict"] for document in page["items"]} == {"identical"}
    counts = live.client.get(f"/py/detection-runs/{run['_id']}").json["result"]["verdicts"]
    assert counts == {"identical": len(page["items"])}


def test_verifying_something_unknown_is_404_or_422(live: Live) -> None:
    assert live.client.post("/py/anomalies/verify/AAA::1d::1999-01-01T00:00:00Z").status_code == 404
    assert live.client.post("/py/anomalies/verify", json={}).status_code == 422
    assert live.client.post("/py/anomalies/verify", json={"ticker": "ZZZ"}).status_code == 404


def test_pushing_the_same_bars_again_changes_nothing(live: Live, detected: dict[str, Any]) -> None:
    before = live.client.get("/py/tickers").json["items"]
    assert live.client.get("/py/tickers?ticker=bbb").json["items"] == [
        s for s in before if s["ticker"] == "BBB"
    ]
    report = push(live, "CCC", to_candles("CCC", 0, BARS)).json
    assert (report["new"], report["changed"], report["unchanged"]) == (0, 0, BARS)
    after = live.client.get("/py/tickers").json["items"]
    assert [s["fingerprint"] for s in before] == [s["fingerprint"] for s in after]


def test_dirty_candles_are_rejected_and_listed(live: Live, detected: dict[str, Any]) -> None:
    (good,) = to_candles("CCC", BARS, BARS + 1)
    dirty = [
        {**good, "high": good["low"] / 2},
        {**good, "open": -1.0},
        {**good, "close": None},
        {**good, "time": "yesterday"},
    ]
    (series,) = push(live, "DDD", dirty).json["series"]
    assert (series["read"], series["new"], series["rejected_rows"]) == (4, 0, 4)
    assert [row["reason"] for row in series["rejected"]] == [
        "high_below_low",
        "non_positive_price",
        "not_a_number",
        "bad_time",
    ]


def test_stored_bars_come_back_as_they_were_pushed(live: Live, detected: dict[str, Any]) -> None:
    sent = to_candles("BBB", 0, BARS)
    shown: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        argument = f"&cursor={cursor}" if cursor else ""
        page = live.client.get(f"/py/data/candles?ticker=BBB&limit=300{argument}").json
        shown = page["items"] + shown
        cursor = page["next_cursor"]
    assert [bar["time"] for bar in shown] == [f"{bar['time']}T00:00:00Z" for bar in sent]
    assert [bar["close"] for bar in shown] == [bar["close"] for bar in sent]
    assert [bar["volume"] for bar in shown] == [bar["volume"] for bar in sent]
    first, last = sent[100]["time"], sent[104]["time"]
    part = live.client.get(f"/py/data/candles?ticker=BBB&start={first}&end={last}").json
    assert part["items"] == shown[100:105]
    assert part["next_cursor"] is None


def test_an_uploaded_file_becomes_a_run_with_its_report(live: Live, tmp_path: Path) -> None:
    lines = ["Date,Symbol,Open,High,Low,Close,Volume", "2013-03-01,up1,10,11,9,10.5,1000"]
    (tmp_path / "some.csv").write_text("\n".join(lines))
    response = live.post(
        "/py/data/import", data={"file": (tmp_path / "some.csv", "some.csv"), "interval": "1d"}
    )
    assert response.status_code == 200, response.text
    assert response.json["series"][0]["ticker"] == "UP1"
    assert response.json["new"] == 1
    run = live.client.get(f"/py/detection-runs/{response.json['run_id']}").json
    assert run["result"]["series"][0]["new"] == 1
    stored = live.database["detection_runs"].find_one({"_id": response.json["run_id"]}) or {}
    upload = {"_id": stored["options"]["upload_id"]}
    wait_until(
        lambda: live.database["uploads.files"].count_documents(upload) == 0, "the upload's end"
    )


def test_an_upload_that_failed_in_part_is_kept_and_can_be_retried(
    live: Live, tmp_path: Path
) -> None:
    lines = [
        "Date,Symbol,Open,High,Low,Close,Volume",
        "2013-03-01,up2,10,11,9,10.5,1000",
        "2013-03-01,n!,1,1,1,1,1",
    ]
    (tmp_path / "part.csv").write_text("\n".join(lines))
    report = live.post("/py/data/import", data={"file": (tmp_path / "part.csv", "part.csv")}).json
    assert report["status"] == "partial"
    again = live.post(f"/py/detection-runs/{report['run_id']}/retry")
    assert again.status_code == 200, again.text
    assert {series["ticker"]: series["unchanged"] for series in again.json["result"]["series"]} == {
        "n!": 0,
        "UP2": 1,
    }


def test_later_bars_are_caught_up_with_and_then_nothing_is_due(
    live: Live, detected: dict[str, Any]
) -> None:
    status = "/py/tickers/AAA/status"
    assert live.client.get(status).json["reason"] == "up_to_date"
    listed = {series["ticker"]: series for series in live.client.get("/py/tickers").json["items"]}
    assert listed["AAA"]["watermark"] == listed["AAA"]["last_bar"]
    (late,) = to_candles("AAA", BARS, BARS + 1)
    late |= {
        "close": 1.3 * late["close"],
        "high": 1.3 * late["high"],
        "volume": 20 * late["volume"],
    }
    push(live, "AAA", [late])
    assert live.client.get(status).json["reason"] == "behind"
    run = live.post("/py/anomalies/incremental", json={"ticker": "AAA"}).json
    assert run["status"] == "complete"
    assert (run["rows_processed"], run["new_anomalies"]) == (1, 1)
    found = live.client.get(f"/py/anomalies?run_id={run['_id']}").json["items"]
    assert [anomaly["Datetime"] for anomaly in found] == [f"{late['time']}T00:00:00Z"]
    assert live.client.get(status).json["reason"] == "up_to_date"
    again = live.post("/py/anomalies/incremental", json={"ticker": "AAA"}).json
    assert again["rows_processed"] == 0
    assert (
        live.client.get("/py/tickers/AAA/status").json["last_run"]["reason"] == "already_detected"
    )


def test_a_market_without_a_model_fails_by_name(live: Live) -> None:
    candles = [{**candle} for candle in to_candles("AAA", 0, 60)]
    live.post("/py/data/candles", json={"ticker": "PTT.BK", "candles": candles})
    assert live.client.get("/py/tickers/PTT.BK/status").json["reason"] in {"no_model", "no_bars"}


def test_the_reason_for_no_result_of_a_ticker_is_given(live: Live) -> None:
    told = live.client.get("/py/tickers/NOWHERE/status").json
    assert told["reason"] == "no_bars"
    assert "flask bars import" in told["message"]


def test_a_chart_shows_bars_lines_and_markers_and_requests_detection_of_new_bars(
    live: Live, detected: dict[str, Any]
) -> None:
    path = "/py/chart?ticker=bbb&period=6mo&indicators=sma,rsi,macd"
    chart = live.client.get(path).json
    assert chart["run_id"] is None
    assert 120 < len(chart["bars"]) < 130
    assert set(chart["indicators"]) == {"sma_20", "RSI", "MACD", "MACD_hist"}
    for line in chart["indicators"].values():
        assert len(line) == len(chart["bars"])
        assert None not in line  # The indicators begin with the history before the first bar shown.
    (late,) = to_candles("BBB", BARS, BARS + 1)
    push(live, "BBB", [late])
    run_id = live.client.get(path).json["run_id"]
    run = live.client.get(f"/py/detection-runs/{run_id}").json
    assert (run["trigger"], run["tickers"]) == ("chart_request", ["BBB"])
    wait_until(
        lambda: live.client.get(path).json["watermark"] == f"{late['time']}T00:00:00Z",
        "the chart is whole",
    )


def test_whole_history_has_its_anomalies_as_markers(live: Live, detected: dict[str, Any]) -> None:
    chart = live.client.get("/py/chart?ticker=AAA&period=max").json
    assert Chart.model_validate(chart).model_dump(mode="json", by_alias=True) == chart
    listed = live.client.get("/py/anomalies?ticker=AAA&limit=500").json["items"]
    assert [marker["_id"] for marker in chart["markers"]] == [anomaly["_id"] for anomaly in listed][
        ::-1
    ]
    older = {"If-None-Match": '"another"'}
    assert live.client.get("/py/chart?ticker=AAA&period=max", headers=older).json == chart
    assert live.client.get("/py/chart?ticker=AAA&indicators=magic").status_code == 422
    assert live.client.get("/py/chart?ticker=ZZZ").status_code == 404


def test_the_workers_report_what_their_caches_hold(live: Live, detected: dict[str, Any]) -> None:
    # A worker has a second to answer.
    def ask() -> dict[str, Any] | None:
        told: dict[str, Any] = live.client.get("/py/model-stats").json
        return told if any(worker["queues"] for worker in told["workers"]) else None

    stats = wait_until(ask, "the worker answers") or {}
    assert stats["cached_models"] == ["US"]
    assert stats["model_versions"] == ["US_model-0.1.0"]
    assert stats["total_cached"] == 1
    (worker,) = stats["workers"]
    assert worker["queues"] == ["backfill", "control", "interactive"]
    (process,) = worker["processes"]
    assert process["loads"] == 1


def test_health_knows_the_worker_and_misses_the_sweeper(live: Live) -> None:
    health = wait_until(
        lambda: (told := live.client.get("/py/health").json)["workers"]["ok"] and told, "it answers"
    )
    assert health["workers"] == {"ok": True, "detail": None}
    assert health["sweeper"]["ok"] is False  # This test runs no beat.
    for task in (names.SWEEP, names.TICK):
        build_celery(live.settings).send_task(task, queue=names.CONTROL_QUEUE)
    wait_until(lambda: live.client.get("/py/health").json["status"] == "ok", "swept and ticked")
    wait_until(
        lambda: live.client.get("/py/health").json["oldest_pending_seconds"] is None,
        "what the tick had accepted does not wait any more",
    )


@pytest.mark.parametrize("day", ["9999-12-31", "2206-01-09", "1800-01-09"])
def test_a_session_of_a_day_far_away_is_refused_and_not_kept(live: Live, day: str) -> None:
    answer = live.post("/py/markets/US/sessions", json={"day": day, "session": "shut"})
    assert answer.status_code == 422
    assert "is its year right?" in answer.json["detail"]
    assert live.client.get("/py/markets/US/sessions").json["sessions"] == []


def test_splits_sessions_and_thresholds_set_over_http_are_applied(live: Live) -> None:
    """The prices before a split of two for one are halved, and a day that is set to closed lacks no
    bar.
    """
    days = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-08"]
    candles = [
        {"time": day, "open": 100, "high": 101, "low": 99, "close": 100, "volume": 5}
        for day in days
    ]
    live.post("/py/data/candles", json={"ticker": "SPLITCO", "candles": candles})
    series = {"ticker": "SPLITCO", "interval": "1d"}

    split = live.post("/py/tickers/SPLITCO/splits", json={"session": "2024-03-06", "factor": 2})
    assert split.status_code == 200, split.json
    assert split.json["result"]["splits"] == [{"session": "2024-03-06", "factor": 2.0}]
    read = live.client.get("/py/data/candles", query_string=series).json["items"]
    assert [bar["close"] for bar in read] == [50, 50, 100, 100]
    outside = live.client.post(
        "/py/tickers/SPLITCO/splits", json={"session": "2030-01-02", "factor": 2}
    )
    assert outside.status_code == 422
    assert "2024-03-04 to 2024-03-08" in outside.json["detail"]

    def list_missing() -> list[str]:
        found = live.client.get("/py/tickers/SPLITCO/coverage", query_string={"interval": "1d"})
        return [gap["first"][:10] for gap in found.json["gaps"]]

    assert list_missing() == ["2024-03-07"]
    shut = {"day": "2024-03-07", "session": "shut", "note": "a day of mourning"}
    assert live.post("/py/markets/US/sessions", json=shut).json["status"] == "complete"
    assert list_missing() == []
    (known,) = live.client.get("/py/markets/US/sessions").json["sessions"]
    assert (known["day"], known["opens"], known["note"]) == ("2024-03-07", None, shut["note"])
    live.post("/py/markets/US/sessions", json={"day": "2024-03-07", "session": "calendar"})
    assert list_missing() == ["2024-03-07"]
    hours = {"day": "2024-03-07", "session": "open", "opens": "13:00", "closes": "09:30"}
    assert live.client.post("/py/markets/US/sessions", json=hours).status_code == 422

    path, grade = "/py/tickers/SPLITCO/threshold", {"kind": "grade", "value": 80.0}
    assert live.client.get(path).json["threshold"] is None
    live.client.put(path, json={"threshold": grade})
    assert live.client.get(path).json["threshold"] == grade
    live.client.put(path, json={"threshold": None})
    assert live.client.get(path).json["threshold"] is None
