"""A model of all markets is used for each market that has none of its own."""

import pandas as pd
import pytest

from core.errors import BadInput, Conflict, NoModel
from core.settings import Settings
from detection.models import registry
from detection.models.manager import ModelManager
from detection.models.plan import ThresholdPolicy, TrainingPlan, read_model_market
from detection.models.training import train_model
from detection.pipeline.job import Job
from detection.verify import verify
from market.imports.importing import import_frame
from market.market_rows import add_market
from market.markets import SHIPPED
from records.database import Db, open_database
from records.models.champions import ALL_MARKETS, Scope
from records.work.requests import RunRequest, insert_run
from tasks.engine import planning
from tasks.process.broker import build_celery
from tasks.process.worker import Worker
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, run, store
from tests.integration.modelling import add_model


def read_plan(market: str, *tickers: str) -> TrainingPlan:
    return TrainingPlan.from_options(market, markets=SHIPPED, tickers=tickers, options={})


@pytest.fixture
def both(database: Db, once: Once) -> Db:
    """Stocks of New York, and a coin."""

    def make() -> None:
        store(database, "AAA", make_bars(300, 1))
        store(database, "BBB", make_bars(300, 2))
        frame = make_bars(300, 3)
        import_frame(database, frame, interval="1d", source="test", ticker="BTC-USD", now=NOW)

    once(make)
    return database


def test_it_is_trained_on_every_market_and_used_for_one_without_a_model(both: Db) -> None:
    record = train_model(both, read_plan("all"), now=NOW)
    assert record["version"] == "ALL_model-0.1.0"
    assert [t["ticker"] for t in record["tickers"]] == ["AAA", "BBB", "BTC-USD"]
    assert ModelManager(both).get_model("CRYPTO", "1d").version == "ALL_model-0.1.0"
    (result,) = run(both, "backfill", "AAA")
    assert result["rows_processed"] == 300 - 61
    audit = both.detection_runs.find_one({"ticker": "AAA"})
    assert audit is not None
    assert audit["model_version"] == "ALL_model-0.1.0"


def test_it_is_also_trained_on_days_without_a_known_market_move(both: Db) -> None:
    for seed in range(12):
        store(both, f"T{seed}", make_bars(300, seed))
    record = train_model(both, read_plan("ALL"), now=NOW)
    assert (record["feature_set"], record["left_out"]) == ("events/6", [])
    assert record["rows"] == 15 * (300 - 61)


def test_a_market_s_own_champion_takes_precedence(both: Db) -> None:
    train_model(both, read_plan("ALL"), now=NOW)
    own = train_model(both, read_plan("US"), now=NOW)
    models = ModelManager(both)
    assert own["version"] == "US_model-0.1.0"
    assert models.get_model("US", "1d").version == "US_model-0.1.0"
    ((of_ticker, _),) = models.group_by_model("US", "1d", ["AAA"])
    assert of_ticker.version == "US_model-0.1.0"
    assert models.get_model("CRYPTO", "1d").version == "ALL_model-0.1.0"
    with pytest.raises(NoModel, match="--market ALL"):
        models.get_model("CRYPTO", "1h")


def test_it_can_be_promoted_to_one_market(database: Db) -> None:
    add_model(database, market="US")
    version = add_model(database, market=ALL_MARKETS, seed=8)
    registry.promote(database, version, NOW, scope=Scope("market", "US"))
    assert ModelManager(database).get_model("US", "1d").version == version
    ((of_ticker, _),) = ModelManager(database).group_by_model("US", "1d", ["AAPL"])
    assert of_ticker.version == version


def test_each_market_with_enough_bars_has_its_own_threshold_and_grades(
    database: Db,
) -> None:
    for seed in (1, 2):
        store(database, f"AA{seed}", make_bars(1500, seed))
    # A coin with many shocks, and a market with too few bars.
    shocks = range(100, 2400, 30)
    for ticker, frame in {
        "BTC-USD": make_bars(2400, 3, shocks=shocks),
        "7203.T": make_bars(300, 4),
    }.items():
        import_frame(database, frame, interval="1d", source="test", ticker=ticker, now=NOW)
    record = train_model(database, read_plan("ALL"), now=NOW)
    assert set(record["by_market"]) == {"US", "CRYPTO"}
    models = ModelManager(database)
    own = {
        market: models.group_by_model(market, "1d", (ticker,))[0][0]
        for market, ticker in (("US", "AA1"), ("CRYPTO", "BTC-USD"), ("JP", "7203.T"))
    }
    assert own["JP"].threshold == record["threshold"]
    assert own["CRYPTO"].threshold < record["threshold"] < own["US"].threshold
    for market in ("US", "CRYPTO"):
        assert own[market].threshold == record["by_market"][market]["threshold"]
    # The same score is rarer among stocks than among coins.
    score = record["threshold"]
    rare, usual = (own[market].grades.compute(score) for market in ("US", "CRYPTO"))
    assert rare > usual
    run(database, "backfill", "BTC-USD", market="CRYPTO")
    found = list(database.anomalies.find({"Ticker": "BTC-USD", "kind": "event"}))
    assert len(found) > 5
    assert {anomaly["threshold"] for anomaly in found} == {own["CRYPTO"].threshold}
    # The market with most bars has these grades in its table.
    table = own["CRYPTO"].grades.by_columns
    assert table is not None
    grades = {50.0, *table.compute([-1e3, *table.scores]).tolist()}
    assert {anomaly["grade"] for anomaly in found} <= grades
    job = Job("verify-1", "verify", "verification", "CRYPTO", ("BTC-USD",), "1d", None, NOW)
    checked = verify(database, models, job, found, {}, lambda _: None).documents
    assert len(checked) == len(found)
    assert {document["verdict"] for document in checked} == {"identical"}


def test_a_ticker_unlike_all_training_bars_is_reported(both: Db) -> None:
    train_model(both, read_plan("US", "AAA", "BBB"), now=NOW)
    store(both, "WILD", make_bars(600, 4, shocks=range(70, 600, 18)))
    run(both, "backfill", "AAA", "WILD")
    events = both.anomalies.count_documents({"Ticker": "WILD", "kind": "event"})
    told = {
        audit["ticker"]: audit["warnings"]
        for audit in both.detection_runs.find({"ticker": {"$in": ["AAA", "WILD"]}})
    }
    (warning,) = (each for each in told["WILD"] if each.startswith("WILD"))
    assert events > 0.04 * (600 - 61)
    assert warning.startswith(f"WILD: {events / (600 - 61):.1%} of 539 1d bars are flagged, and 1.")
    assert "of those that US_model-0.1.0 learned from" in warning
    assert not any(each.startswith("AAA") for each in told["AAA"])


def test_a_threshold_of_all_markets_is_used_where_none_is_set(both: Db) -> None:
    train_model(both, read_plan("ALL"), now=NOW)
    policy = ThresholdPolicy("grade", 75.0)
    registry.set_threshold(both, Scope("market", ALL_MARKETS), policy, NOW)
    ((model, _),) = ModelManager(both).group_by_model("CRYPTO", "1d", ("BTC-USD",))
    assert model.threshold == model.grades.find_score(75.0)


def test_a_score_is_checked_against_the_model_of_all_markets_for_that_market(both: Db) -> None:
    version = train_model(both, read_plan("ALL"), now=NOW)["version"]
    # Half of the coins' bars have a score below -.65, and hardly any of the others'.
    own = {"rows": 1000, "ranks": [500, 1000], "scores": [-0.7, -0.5]}
    tail = {"threshold": -0.7, "score_quantiles": own}
    whole = {"rows": 9000, "ranks": [90, 9000], "scores": [-0.7, -0.5]}
    changes = {"by_market.CRYPTO": tail, "score_quantiles": whole}
    both.models.update_one({"_id": version}, {"$set": changes})
    hours = pd.date_range("2015-01-02", periods=30, freq="h", tz="UTC")
    hourly = make_bars(30, 9).assign(date=hours)
    import_frame(both, hourly, interval="1h", source="test", ticker="BTC-USD", now=NOW)
    policy = ThresholdPolicy("score", -0.65)
    registry.set_threshold(both, Scope("ticker", "AAA"), policy, NOW)
    for scope in (Scope("ticker", "BTC-USD"), Scope("market", "CRYPTO")):
        with pytest.raises(Conflict, match="flags 500 of the 1,000 bars"):
            registry.set_threshold(both, scope, policy, NOW)


def test_an_impossible_request_is_refused(database: Db) -> None:
    with pytest.raises(BadInput, match="name none"):
        read_plan("ALL", "AAPL")
    with pytest.raises(BadInput, match="no market that is known"):
        read_model_market(SHIPPED, "ALLES")
    row = {"calendar": "BVMF", "timezone": "America/Sao_Paulo", "suffixes": [".SA"]}
    with pytest.raises(BadInput, match="stands for all markets"):
        add_market(database, {"code": "ALL"} | row, NOW)


def test_a_run_of_all_markets_trains_and_completes(both: Db, settings: Settings) -> None:
    request = RunRequest("train", "manual", market=ALL_MARKETS, options={"trees": 20})
    run_id = insert_run(both, request, NOW)["_id"]
    own = open_database(settings)
    with build_celery(settings) as celery:
        planning.start(Worker(settings, own, celery, "test:1"), run_id)
    own.client.close()
    done = both.detection_runs.find_one({"_id": run_id})
    assert done is not None
    assert (done["status"], done["model_version"]) == ("complete", "ALL_model-0.1.0")
