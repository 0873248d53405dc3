"""The confidence that anomalies store, and lists filtered by it."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.markets import SHIPPED
from records.database import Db
from records.findings.anomaly_queries import find_new
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, run, store

SHOCKS = (100, 700)


@pytest.fixture
def found(database: Db, once: Once) -> list[Any]:
    """Anomalies of an ensemble, by time."""

    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
            store(database, ticker, make_bars(900, seed, shocks=SHOCKS))
        options = {"detector": "ensemble", "weights": "isolation_forest=1,half_space_trees=1"}
        train_model(
            database, TrainingPlan.from_options("US", markets=SHIPPED, options=options), now=NOW
        )
        run(database, "backfill", "AAA", "BBB", "CCC")

    once(make)
    return list(database.anomalies.find({"kind": "event"}).sort("Datetime", 1))


def test_confidence_is_the_product_of_three_factors(found: list[Any]) -> None:
    for anomaly in found:
        factors = anomaly["confidence_factors"]
        assert set(factors) == {"stability", "agreement", "completeness"}
        assert all(0.0 <= factor <= 1.0 for factor in factors.values())
        product = factors["stability"] * factors["agreement"] * factors["completeness"]
        assert anomaly["confidence"] == pytest.approx(product)


def test_a_young_series_has_a_shorter_history_and_fewer_votes(found: list[Any]) -> None:
    early = next(a for a in found if a["Ticker"] == "AAA")
    late = next(a for a in reversed(found) if a["Ticker"] == "AAA")
    # 61 bars warm up, and the trees look back on 499 more.
    assert early["confidence_factors"]["completeness"] == pytest.approx(100 / 311)
    assert late["confidence_factors"]["completeness"] == 1.0
    missing = {vote["detector"]: vote["missing"] for vote in early["members"]}
    assert missing == {"isolation_forest": None, "half_space_trees": "not_enough_bars"}
    assert all(vote["missing"] is None for vote in late["members"])


def test_lists_are_filtered_by_confidence(client: FlaskClient, found: list[Any]) -> None:
    bound = sorted(anomaly["confidence"] for anomaly in found)[len(found) // 2]
    listed = client.get(f"/py/anomalies?min_confidence={bound}&limit=500").json["items"]
    assert {a["_id"] for a in listed} == {a["_id"] for a in found if a["confidence"] >= bound}
    assert 0 < len(listed) < len(found)
    counted = client.get(f"/py/anomalies/summary?min_confidence={bound}").json
    assert counted["total"] == len(listed)
    shown = client.get(f"/py/anomalies/{listed[0]['_id']}").json
    assert shown["members"][0]["detector"] == "isolation_forest"
    assert client.get("/py/anomalies?min_confidence=1.5").status_code == 422


def test_a_confidence_of_zero_leaves_nothing_out(
    client: FlaskClient, database: Db, found: list[Any]
) -> None:
    fault = database.anomalies.find_one({"kind": "event"})
    assert fault is not None
    for name in ("confidence", "confidence_factors"):
        del fault[name]
    fault |= {"_id": f"{fault['_id']}-fault", "kind": "fault", "run_id": "other"}
    database.anomalies.insert_one(fault)
    everything = {a["_id"] for a in database.anomalies.find({})}
    for least, wanted in (("0", everything), ("0.0", everything), ("0.001", None)):
        listed = client.get(f"/py/anomalies?min_confidence={least}&limit=500").json["items"]
        named = {a["_id"] for a in listed}
        assert (fault["_id"] in named) == (wanted is not None)
        assert wanted is None or named == wanted
        counted = client.get(f"/py/anomalies/summary?min_confidence={least}").json
        assert counted["total"] == len(listed)


def test_notification_rules_can_require_a_confidence(database: Db, found: list[Any]) -> None:
    run_id = found[0]["detection_run_id"]
    bound = sorted(anomaly["confidence"] for anomaly in found)[len(found) // 2]
    told = find_new(database, run_id, min_grade=0.0, tickers=None, min_confidence=bound)
    assert {a["_id"] for a in told} == {a["_id"] for a in found if a["confidence"] >= bound}
    everything = find_new(database, run_id, min_grade=0.0, tickers=None)
    assert len(everything) == database.anomalies.count_documents({}) >= len(found)
