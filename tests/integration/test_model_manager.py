"""The cache of models in one process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.errors import NoModel, NotFound
from core.settings import Settings
from detection.detectors.isolation_forest import fit_forest
from detection.models.manager import ModelManager
from detection.models.registry import promote, rollback
from records.database import Db, open_database
from records.models.champions import Scope
from tests.integration.modelling import NOW, add_model, make_fit
from tests.integration.stored import add_series


def test_a_stored_model_scores_as_the_one_that_was_fitted(database: Db) -> None:
    fit = make_fit(11)
    version = add_model(database, 11)
    model = ModelManager(database).get_model("US", "1d")
    inputs = (
        np.random.default_rng(1)
        .normal(size=(300, len(fit.plan.feature_set.columns)))
        .astype(np.float32)
    )
    rows = np.random.default_rng(11).normal(size=(400, inputs.shape[1])).astype(np.float32)
    expected = fit_forest(rows, **fit.plan.parameters, seed=11).score_samples(inputs)
    np.testing.assert_array_equal(model.detector.score_samples(inputs), expected)
    assert (model.version, model.market, model.interval) == (version, "US", "1d")
    assert model.feature_set == fit.plan.feature_set
    assert model.threshold == fit.threshold
    np.testing.assert_array_equal(model.grades.compute(expected), fit.grades.compute(expected))


def test_a_version_is_loaded_once(database: Db) -> None:
    add_model(database)
    manager = ModelManager(database)
    assert manager.get_model("US", "1d") is manager.get_model("US", "1d")
    assert manager.get_cache_stats() == {
        "hits": 1,
        "misses": 1,
        "loads": 1,
        "models": ["US_model-0.1.0"],
        "capacity": 8,
    }


def test_a_new_process_knows_whether_the_champion_reads_the_market_s_move(database: Db) -> None:
    manager = ModelManager(database)
    assert not manager.may_see_market("US", "1d")
    add_model(database)  # The default columns include the market's.
    assert manager.may_see_market("US", "1d")
    assert not manager.may_see_market("US", "5m")
    assert manager.get_cache_stats()["loads"] == 1


def test_a_version_whose_columns_no_longer_exist_says_what_to_train(database: Db) -> None:
    version = add_model(database)
    database.models.update_one({"_id": version}, {"$set": {"feature_set": "family/2"}})
    manager = ModelManager(database)
    said = r"family/2, which are no more; train another: `flask models train .* --promote`"
    with pytest.raises(NoModel, match=said):
        manager.get_model("US", "1d")
    assert not manager.may_see_market("US", "1d")


def test_threads_that_ask_at_once_share_one_load(database: Db) -> None:
    add_model(database)
    manager = ModelManager(database)
    barrier = threading.Barrier(6)

    def ask(_number: int) -> int:
        barrier.wait()
        return id(manager.get_model("US", "1d"))

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 1
    assert manager.get_cache_stats()["loads"] == 1


def test_a_promotion_is_seen_by_another_manager_at_its_next_call(
    database: Db, settings: Settings
) -> None:
    first, second = add_model(database, 1), add_model(database, 2)
    elsewhere = open_database(settings)
    manager = ModelManager(elsewhere)
    assert manager.get_model("US", "1d").version == first
    promote(database, second, NOW)
    assert manager.get_model("US", "1d").version == second
    rollback(database, Scope("market", "US"), "1d", NOW)
    assert manager.get_model("US", "1d").version == first
    assert manager.get_cache_stats()["loads"] == 2
    elsewhere.client.close()


def test_the_cache_keeps_the_last_used_models_up_to_its_capacity(database: Db) -> None:
    versions = [add_model(database, seed) for seed in (1, 2, 3)]
    manager = ModelManager(database, capacity=2)
    for version in (versions[0], versions[1], versions[0], versions[2]):
        manager.get_model_version(version)
    stats = manager.get_cache_stats()
    assert stats["models"] == [versions[0], versions[2]]
    assert (stats["loads"], stats["hits"], stats["capacity"]) == (3, 1, 2)
    manager.get_model_version(versions[1])
    assert manager.get_cache_stats()["loads"] == 4


def test_no_champion_names_the_command_that_trains_one(database: Db) -> None:
    manager = ModelManager(database)
    with pytest.raises(NoModel, match="flask models train --market US"):
        manager.get_model("US", "1d")
    with pytest.raises(NoModel, match="flask models train --market US"):
        manager.group_by_model("US", "1d", ["AAPL"])
    with pytest.raises(NotFound, match=r"US_model-7\.0\.0"):
        manager.get_model_version("US_model-7.0.0")


def test_tickers_are_grouped_by_the_champion_in_use_for_them(database: Db) -> None:
    market, own = add_model(database, 1), add_model(database, 2)
    add_series(database, "IBM")
    promote(database, own, NOW, scope=Scope("ticker", "IBM"))
    manager = ModelManager(database)
    groups = {
        model.version: tickers
        for model, tickers in manager.group_by_model("US", "1d", ["AAPL", "IBM", "MSFT"])
    }
    assert groups == {market: ("AAPL", "MSFT"), own: ("IBM",)}


def test_a_rebuilt_model_with_the_same_version_is_not_taken_for_the_old_one(database: Db) -> None:
    version = add_model(database, 1)
    manager = ModelManager(database)
    before = manager.get_model("US", "1d")
    for name in database.list_collection_names():
        database[name].delete_many({})
    assert add_model(database, 2) == version
    assert manager.get_model("US", "1d").sha256 != before.sha256
