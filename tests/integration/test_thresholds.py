"""The threshold for anomalies can be set for a market, a watchlist or a ticker, in place of the
model's.
"""

import pytest

from core.errors import NotFound
from detection.models.manager import ModelManager
from records.database import Db
from records.models.champions import Scope
from records.models.thresholds import (
    clear_threshold,
    find_threshold,
    find_thresholds,
    set_threshold,
)
from records.work.watchlists import add_watchlist, get_watchlist
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, run, store, train


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB"), 1):
            store(database, ticker, make_bars(700, seed, shocks=(500, 640)))
        train(database)

    once(make)
    return database


@pytest.mark.parametrize("name", ["../../x", "/x", "No Tenant/x"])
def test_a_name_that_no_tenant_can_have_is_no_watchlists(database: Db, name: str) -> None:
    assert find_threshold(database, Scope("watchlist", name)) is None


def test_the_narrowest_scope_wins(market: Db) -> None:
    set_threshold(market, Scope("market", "US"), "grade", 60.0, NOW)
    add_watchlist(market, "mine", {"tickers": ["AAA", "BBB"], "threshold": None}, NOW)
    set_threshold(market, Scope("watchlist", "mine"), "grade", 70.0, NOW)
    set_threshold(market, Scope("ticker", "AAA"), "grade", 80.0, NOW)
    found = find_thresholds(market, "US", ["AAA", "BBB"], watchlist="mine")
    assert {ticker: policy["value"] for ticker, policy in found.items()} == {
        "AAA": 80.0,
        "BBB": 70.0,
    }
    assert find_thresholds(market, "US", ["BBB"])["BBB"]["value"] == 60.0
    clear_threshold(market, Scope("market", "US"), NOW)
    assert find_thresholds(market, "US", ["BBB"]) == {}
    clear_threshold(market, Scope("watchlist", "mine"), NOW)
    assert find_thresholds(market, "US", ["BBB"], watchlist="mine") == {}


def test_a_threshold_of_a_watchlist_is_stored_in_it_as_its_next_version(database: Db) -> None:
    add_watchlist(database, "mine", {"tickers": ["AAA"], "threshold": None}, NOW)
    set_threshold(database, Scope("watchlist", "mine"), "contamination", 0.05, NOW)
    watchlist = get_watchlist(database, "mine")
    assert (watchlist["threshold"], watchlist["version"]) == (
        {"kind": "contamination", "value": 0.05},
        2,
    )
    assert find_threshold(database, Scope("watchlist", "mine")) == watchlist["threshold"]
    assert database.thresholds.count_documents({}) == 0
    for nowhere in (
        lambda s: set_threshold(database, s, "grade", 60.0, NOW),
        lambda s: clear_threshold(database, s, NOW),
    ):
        with pytest.raises(NotFound, match="no watchlist 'nobodys'"):
            nowhere(Scope("watchlist", "nobodys"))


def test_a_tickers_own_threshold_applies_to_it_and_the_models_to_the_others(
    market: Db,
) -> None:
    own = ModelManager(market).get_model("US", "1d").threshold
    set_threshold(market, Scope("ticker", "AAA"), "grade", 60.0, NOW)
    run(market, "backfill", "AAA", "BBB")
    strict = list(market.anomalies.find({"Ticker": "AAA", "kind": "event"}))
    others = market.anomalies.find({"Ticker": "BBB", "kind": "event"})
    assert {anomaly["threshold"] for anomaly in others} == {own}
    assert all(anomaly["grade"] >= 60 for anomaly in strict)
    assert all(anomaly["anomaly_score"] < anomaly["threshold"] < own for anomaly in strict)
    assert strict


def test_a_detection_warns_of_an_implausible_score_set_before_its_champion(market: Db) -> None:
    """When it was set, there was no champion to check it against."""
    for value in (-1.0, 0.0):
        set_threshold(market, Scope("ticker", "AAA"), "score", value, NOW)
        run(market, "backfill", "AAA", "BBB")
    told = {
        ticker: " ".join(market.detection_runs.distinct("warnings", {"ticker": ticker}))
        for ticker in ("AAA", "BBB")
    }
    assert "by the threshold that is set (score -1) US_model-0.1.0 flags 0 of" in told["AAA"]
    assert "so it would be silent" in told["AAA"]
    assert "by the threshold that is set (score 0) US_model-0.1.0 flags 1,278 of" in told["AAA"]
    assert "far more than was asked" in told["AAA"]
    assert "the threshold that is set" not in told["BBB"]


def test_anomalies_that_a_stricter_threshold_excludes_are_superseded_not_deleted(
    market: Db,
) -> None:
    set_threshold(market, Scope("market", "US"), "contamination", 0.03, NOW)
    run(market, "backfill", "AAA")
    before = set(market.anomalies.distinct("_id", {"kind": "event"}))
    set_threshold(market, Scope("market", "US"), "score", -1.0, NOW)
    run(market, "backfill", "AAA")
    superseded = set(market.anomalies.distinct("_id", {"status": "superseded"}))
    # A bar that may also be a fault is stored as one if it is no event.
    faults = set(market.anomalies.distinct("_id", {"opinions.kind": "fault"}))
    assert superseded
    assert superseded | faults == before
