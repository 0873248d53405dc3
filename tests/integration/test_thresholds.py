"""What counts as an anomaly can be set for a market, a watchlist or a ticker, in place of the model's threshold."""

import pytest

from detection.models.manager import ModelManager
from records.database import Db
from records.models.champions import Scope
from records.models.thresholds import clear_threshold, find_thresholds, set_threshold
from tests.integration.detecting import NOW, make_bars, run, store, train


@pytest.fixture
def market(database: Db) -> Db:
    for seed, ticker in enumerate(("AAA", "BBB"), 1):
        store(database, ticker, make_bars(700, seed, shocks=(500, 640)))
    train(database)
    return database


def test_the_narrowest_scope_wins(market: Db) -> None:
    set_threshold(market, Scope("market", "US"), "grade", 60.0, NOW)
    set_threshold(market, Scope("watchlist", "mine"), "grade", 70.0, NOW)
    set_threshold(market, Scope("ticker", "AAA"), "grade", 80.0, NOW)
    found = find_thresholds(market, "US", ["AAA", "BBB"], watchlist="mine")
    assert {ticker: policy["value"] for ticker, policy in found.items()} == {"AAA": 80.0, "BBB": 70.0}
    assert find_thresholds(market, "US", ["BBB"])["BBB"]["value"] == 60.0
    assert clear_threshold(market, Scope("market", "US"))
    assert find_thresholds(market, "US", ["BBB"]) == {}


def test_a_ticker_of_its_own_threshold_is_held_to_it_and_the_others_to_the_model(market: Db) -> None:
    own = ModelManager(market).get_model("US").threshold
    set_threshold(market, Scope("ticker", "AAA"), "grade", 60.0, NOW)
    run(market, "backfill", "AAA", "BBB")
    strict = list(market.anomalies.find({"Ticker": "AAA"}))
    assert {a["threshold"] for a in market.anomalies.find({"Ticker": "BBB"})} == {own}
    assert all(anomaly["grade"] >= 60 for anomaly in strict)
    assert all(anomaly["anomaly_score"] < anomaly["threshold"] < own for anomaly in strict)
    assert strict


def test_what_a_stricter_threshold_no_longer_lets_pass_is_superseded_not_deleted(market: Db) -> None:
    run(market, "backfill", "AAA")
    before = market.anomalies.count_documents({})
    set_threshold(market, Scope("market", "US"), "score", -1.0, NOW)
    run(market, "backfill", "AAA")
    assert market.anomalies.count_documents({"status": "superseded"}) == before > 0
