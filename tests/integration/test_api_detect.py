"""A detection whose caller waits for the result: a real worker finds, explains, and raises
alerts.
"""

from datetime import UTC, datetime, timedelta

import pytest

from records.consistency import find_disagreements
from records.database import Document
from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store, train

BARS = 500


@pytest.fixture(scope="module")
def detecting(live: Live) -> Live:
    """Two tickers, the first of which jumps on its last bar, and a champion."""
    for seed, (ticker, shocks) in enumerate({"AAPL": (BARS - 1,), "MSFT": ()}.items()):
        store(live.database, ticker, make_bars(BARS, seed, shocks=shocks))
    train(live.database)
    return live


def detect(live: Live, **body: object) -> Document:
    answer = live.post("/py/anomalies/detect", json={"tickers": ["AAPL", "MSFT"], **body})
    assert answer.status_code == 200, answer.json
    found: Document = answer.json
    return found


def test_a_detection_with_store_false_answers_and_stores_nothing(detecting: Live) -> None:
    database = detecting.database
    found = detect(detecting, store=False, detector="isolation_forest")
    assert (found["total_entities_checked"], found["status"]) == (2, "complete")
    assert found["alerts"] == []
    strange = {anomaly["Ticker"]: anomaly for anomaly in found["anomalies"]}
    assert strange.keys() == {"AAPL"}
    assert strange["AAPL"]["inputs"][0]["actual"] is not None
    assert strange["AAPL"]["scope"] in {"own", "mixed"}
    assert found["anomalies_detected"] == len(found["anomalies"])
    assert database.anomalies.count_documents({}) == 0
    assert database.detection_metadata.count_documents({}) == 0
    assert database.alerts.count_documents({}) == 0
    assert list(find_disagreements(database, datetime.now(UTC))) == []
    bare = detect(detecting, store=False, include_explanation=False, include_root_cause=False)
    assert bare["anomalies"][0]["inputs"] == []
    assert bare["anomalies"][0]["root_cause"] is None


def test_a_stored_detection_is_answered_with_its_alerts(detecting: Live) -> None:
    database = detecting.database
    found = detect(detecting, store=True)
    stored = database.anomalies.count_documents({})
    assert found["anomalies_detected"] == stored > 0
    counts = [found[f"{word}_count"] for word in ("critical", "high", "medium", "low")]
    assert sum(counts) == stored
    assert len(found["alerts"]) == database.alerts.count_documents({}) > 0
    # It was the first look at these bars; see "When an alert is raised" in docs/alerts.md.
    ends = [series["last_bar"] for series in database.series.find()]
    limit = f"{max(ends) - timedelta(days=30):%Y-%m-%d}"
    old = sum(anomaly["Datetime"] < limit for anomaly in found["anomalies"])
    assert old > 0
    assert min(alert["bar_time"] for alert in found["alerts"]) >= limit
    assert any(warning.startswith(f"{old} new anomal") for warning in found["warnings"])
    latest = max(found["alerts"], key=lambda alert: alert["last_bar"])
    assert (latest["entity_id"], latest["direction"]) == ("AAPL", "up")
    assert latest["root_causes"]
    assert latest["metric_name"] == latest["inputs"][0]["name"]
    assert found["execution_time_ms"] > 0
    # The same bars are not detected again.
    again = detect(detecting)
    assert (again["anomalies_detected"], again["alerts"]) == (0, [])


@pytest.mark.parametrize("is_stored", [False, True])
def test_the_strangest_come_first_whatever_their_kind(detecting: Live, *, is_stored: bool) -> None:
    """The scores of faults and events are on different scales, only their grades are not."""
    frame = make_bars(BARS, 4, shocks=(300, 350))
    # A price that slipped by the decimal point, the strangest of all, which scores as any fault.
    frame.loc[400, ["open", "high", "low", "close"]] *= 100
    ticker = f"SLIP{int(is_stored)}"
    store(detecting.database, ticker, frame)
    found = detect(detecting, tickers=[ticker], store=is_stored, max_period="max")["anomalies"]
    assert {anomaly["kind"] for anomaly in found} == {"event", "fault"}
    grades = [anomaly["grade"] for anomaly in found]
    assert grades == sorted(grades, reverse=True)


def test_a_period_is_detected_again_and_raises_nothing_twice(detecting: Live) -> None:
    before = detecting.database.alerts.count_documents({})
    found = detect(detecting, max_period="1y")
    assert found["status"] == "complete"
    assert detecting.database.alerts.count_documents({}) == before


def test_a_detection_without_store_scores_only_the_last_bars_however_many_are_due(
    detecting: Live,
) -> None:
    frame = make_bars(BARS, 3, shocks=(300, BARS - 1))
    store(detecting.database, "DUE", frame[:200])
    detect(detecting, tickers=["DUE"])
    store(detecting.database, "DUE", frame)
    days = [f"{frame['date'].iloc[at]:%Y-%m-%d}" for at in (300, BARS - 1)]
    looked = detect(detecting, tickers=["DUE"], store=False)["anomalies"]
    assert [anomaly["Datetime"][:10] for anomaly in looked] == days[1:]
    stored = detect(detecting, tickers=["DUE"])["anomalies"]
    assert set(days) <= {anomaly["Datetime"][:10] for anomaly in stored}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tickers": ["AAPL"], "detector": "no such"}, 422),
        ({"interval": "1d"}, 400),
        ({"tickers": ["NOWHERE"]}, 404),
        ({"tickers": ["AAPL"], "store": "yes"}, 422),
    ],
)
def test_an_impossible_detection_is_refused(
    detecting: Live, body: dict[str, object], status: int
) -> None:
    assert detecting.client.post("/py/anomalies/detect", json=body).status_code == status
