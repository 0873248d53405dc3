"""A walk-forward backfill scores no bar with a model that has seen it."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from pymongo.client_session import ClientSession

from core.errors import NoModel
from detection.models.manager import ModelManager
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.pipeline import detect as pipeline
from detection.pipeline.commit import commit
from detection.pipeline.job import Job, Outcome
from market.bars.deleting import delete_bars
from records.database import Db, Document
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, store

# 2015-01-02 and the 1,199 sessions after it.
BARS = 1200
ENDS = (datetime(2016, 12, 31, tzinfo=UTC), datetime(2017, 12, 31, tzinfo=UTC))


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    def make() -> None:
        store(database, "AAA", make_bars(BARS, 1, shocks=(300, 600, 900, 1100)))
        store(database, "BBB", make_bars(BARS, 2))
        train_model(database, TrainingPlan("US", window_end=ENDS[1], promote=False), now=NOW)
        train_model(database, TrainingPlan("US", window_end=ENDS[0], promote=False), now=NOW)

    once(make)
    return database


def walk(database: Db) -> tuple[Job, list[Outcome]]:
    job = Job("wf", "backfill", "manual", "US", ("AAA", "BBB"), "1d", "max", NOW, walk_forward=True)
    with pipeline.detect(database, ModelManager(database), job, lambda _fraction: None) as parts:
        return job, [outcome for part in parts for outcome in part]


def run_walk_forward(database: Db) -> list[Document]:
    job, outcomes = walk(database)

    def finish(_session: ClientSession, _counts: Document) -> None:
        """Do nothing: there is no batch to end."""

    _, results = commit(database, job, lambda: nullcontext([outcomes]), finish)
    return results


def test_every_anomaly_lies_after_the_window_of_its_model_and_before_that_of_the_next(
    market: Db,
) -> None:
    run_walk_forward(market)
    windows = {m["_id"]: m["window_end"] for m in market.models.find()}
    found = list(market.anomalies.find())
    assert {windows[anomaly["model_version"]] for anomaly in found} == set(ENDS)
    for anomaly in found:
        assert anomaly["in_training_window"] is False
        assert anomaly["Datetime"] > windows[anomaly["model_version"]]
        if windows[anomaly["model_version"]] == ENDS[0]:
            assert anomaly["Datetime"] <= ENDS[1]


def test_bars_that_every_model_has_seen_are_not_scored(market: Db) -> None:
    results = run_walk_forward(market)
    later = sum(
        1 for day in make_bars(BARS, 1)["date"] if day.to_pydatetime().replace(tzinfo=UTC) > ENDS[0]
    )
    assert [result["rows_processed"] for result in results] == [later, later]
    assert read_left_out(market) == {"bars up to 2016-12-31 are not scored: US_model-0.1.1"}


def read_left_out(market: Db) -> set[str]:
    _, outcomes = walk(market)
    told = {warning for outcome in outcomes for warning in outcome.warnings}
    return {warning.partition(", whose")[0] for warning in told if "are not scored" in warning}


def test_if_no_model_has_seen_a_bar_none_is_reported_as_left_out(market: Db) -> None:
    for ticker in ("AAA", "BBB"):
        delete_bars(market, ticker, None, NOW)
        store(market, ticker, make_bars(BARS, 1)[600:])
    results = run_walk_forward(market)
    assert min(result["rows_processed"] for result in results) > 0
    assert read_left_out(market) == set()


def test_without_any_model_the_error_says_how_to_train_one(database: Db) -> None:
    store(database, "AAA", make_bars(100, 1))
    store(database, "BBB", make_bars(100, 2))
    with pytest.raises(NoModel, match="--window-end DATE --no-promote"):
        run_walk_forward(database)
