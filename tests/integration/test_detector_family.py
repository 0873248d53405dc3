"""Every detector of the catalogue through the whole path: trained, cached, run and verified."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from detection.detectors.catalogue import DETECTORS, get_detector
from detection.models.manager import ModelManager
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.pipeline.job import Job
from detection.verify import verify
from market.markets import SHIPPED
from records.database import Db
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, detect, make_bars, read_anomalies, run, store
from tests.slow import slow_but_first

BARS = 900
SHOCKS = (700, 777, 899)
# Small parameters for training: the tests' time is for the bars.
FEW = {
    "trees": 20,
    "windows": 400,
    "epochs": 2,
    "weights": "isolation_forest=0.2,half_space_trees=0.3",
}


def make_plan(detector: str) -> TrainingPlan:
    few = {name: value for name, value in FEW.items() if name in DETECTORS[detector].parameters}
    return TrainingPlan.from_options("US", markets=SHIPPED, options={"detector": detector, **few})


def thin_out(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the bars with three in ten of them, and a hundred in a row, changed to bars without a
    trade; the shocks and the bars before them stay.
    """
    thin = frame.copy()
    idle = np.random.default_rng(2).random(len(frame)) < 0.3
    idle[[300, 302, *range(500, 600)]] = True
    idle[[0, *SHOCKS, *(shock - 1 for shock in SHOCKS)]] = False
    for row in np.flatnonzero(idle):
        thin.loc[row, ["open", "high", "low", "close"]] = thin.loc[row - 1, "close"]
    thin.loc[idle, "volume"] = 0.0
    return thin


@pytest.fixture(params=list(DETECTORS))
def market(request: pytest.FixtureRequest, database: Db, once: Once) -> Db:
    """A US market of three series with planted shocks, whose champion is of this detector."""

    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
            store(database, ticker, make_bars(BARS, seed, shocks=SHOCKS))
        train_model(database, make_plan(request.param), now=NOW)

    once(make, request.param)
    return database


@settings(
    max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(1, BARS - 1), min_size=1, max_size=6, unique=True),
    thin=st.booleans(),
)
@example(cuts=[1, 120, 380, 401, 640, 650, 778, 899], thin=False)
@example(cuts=[250, 401, 530, 600, 640, 650, 778, 899], thin=True)
def test_backfill_equals_incremental_to_the_last_bit(
    market: Db,
    cuts: list[int],
    thin: bool,  # noqa: FBT001 - drawn by name
) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    if thin:
        frame = thin_out(frame)
    for collection in ("bars", "series", "bar_revisions", "detection_metadata"):
        market[collection].delete_many({"ticker": {"$in": ["PARTS", "WHOLE"]}})
    market.anomalies.delete_many({"Ticker": {"$in": ["PARTS", "WHOLE"]}})
    store(market, "WHOLE", frame)
    _, (whole,) = detect(market, "backfill", "WHOLE")
    idle = frame["volume"].eq(0)
    assert whole.still_rows == idle.sum()
    assert whole.warm_up_rows + whole.still_rows + whole.rows_processed == BARS
    run(market, "backfill", "WHOLE")
    for cut in [*sorted(cuts), BARS]:
        store(market, "PARTS", frame[:cut])
        run(market, "incremental", "PARTS")
    found = read_anomalies(market, "WHOLE")
    assert read_anomalies(market, "PARTS") == found
    planted = {frame["date"][position].to_pydatetime().replace(tzinfo=UTC) for position in SHOCKS}
    assert planted <= {anomaly["Datetime"] for anomaly in found}
    events = {anomaly["Datetime"] for anomaly in found if anomaly["kind"] == "event"}
    assert not events & {day.replace(tzinfo=UTC) for day in frame["date"][idle].dt.to_pydatetime()}


@pytest.mark.parametrize("thin", slow_but_first([True, False]))
def test_a_correction_leaves_the_result_of_a_full_backfill(
    market: Db,
    thin: bool,  # noqa: FBT001 - a parameter
) -> None:
    """With detectors that look back on bars, a correction reaches further than the features of
    later bars; so does one that adds a trade to a bar that had none.
    """
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    corrected = frame.copy()
    corrected.loc[300:303, ["open", "high", "low", "close"]] *= 1.2
    if thin:
        frame = thin_out(frame)
        corrected = frame.copy()
        corrected.loc[300:303] = make_bars(BARS, 1, shocks=SHOCKS).loc[300:303]
    store(market, "FIXED", frame)
    run(market, "incremental", "FIXED")
    store(market, "FIXED", corrected)
    run(market, "incremental", "FIXED")
    store(market, "WHOLE", corrected)
    run(market, "backfill", "WHOLE")
    now = {a["Datetime"]: a["bars_fingerprint"] for a in read_anomalies(market, "WHOLE")}
    kept = {
        anomaly["Datetime"]: (anomaly["opinions"] or [anomaly])[-1]["bars_fingerprint"]
        for anomaly in read_anomalies(market, "FIXED")
        if anomaly["status"] != "superseded"
    }
    assert kept == now


def test_its_anomalies_are_verified_one_by_one(market: Db) -> None:
    run(market, "backfill", "AAA", "BBB")
    stored = list(market.anomalies.find())
    assert len(stored) > len(SHOCKS)
    for chosen in (stored, stored[:1]):
        tickers = tuple(sorted({anomaly["Ticker"] for anomaly in chosen}))
        job = Job("check", "verify", "verification", "US", tickers, "1d", None, datetime.now(UTC))
        found = verify(
            market, ModelManager(market), job, chosen, {}, lambda _fraction: None
        ).documents
        assert [document["verdict"] for document in found] == ["identical"] * len(chosen)


def test_a_series_too_short_is_told_how_many_bars_it_takes(market: Db) -> None:
    model = ModelManager(market).get_model("US", "1d")
    kind = get_detector(model.parameters["detector"])
    warm_up = kind.find_warm_up_bars(model.parameters)
    assert model.warm_up_bars == model.feature_set.warm_up_bars + warm_up
    store(market, "YOUNG", make_bars(model.warm_up_bars, 9))
    store(market, "OLDER", make_bars(model.warm_up_bars + 1, 9))
    young, older = run(market, "backfill", "YOUNG", "OLDER")
    assert young["reason"] == "not_enough_bars"
    assert young["bars_needed"] == model.warm_up_bars + 1
    assert (young["rows_processed"], older["rows_processed"]) == (0, 1)


def test_the_model_manager_caches_it(market: Db) -> None:
    manager = ModelManager(market)
    one, other = (manager.get_model("US", "1d") for _ in range(2))
    assert one is other
    assert manager.get_cache_stats()["loads"] == 1


def test_the_same_bars_and_plan_give_the_same_artefact(market: Db) -> None:
    before = ModelManager(market).get_model("US", "1d")
    again = train_model(market, make_plan(before.parameters["detector"]), now=NOW)
    assert again["sha256"] == before.sha256


def test_a_detector_with_its_own_columns_refuses_others() -> None:
    with pytest.raises(BadInput, match="zscore looks at the columns of returns/3"):
        TrainingPlan.from_options(
            "US",
            markets=SHIPPED,
            options={"detector": "zscore", "feature_set": "market14"},
        )
