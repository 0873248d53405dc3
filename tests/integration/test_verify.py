"""Verification says whether a stored anomaly can be derived again, and if not, whether model, code
or data moved.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from detection.detectors.isolation_forest import CHECKED_ROWS, FlatForest
from detection.features import feature_sets
from detection.models.plan import ThresholdPolicy, TrainingPlan
from detection.models.registry import promote
from detection.models.training import train_model
from detection.pipeline import load
from detection.pipeline.job import Job
from detection.verify import Spans, verify
from market.bars.panel import BarPanel
from records.database import Db, Document
from records.models.champions import Scope
from records.models.thresholds import set_threshold
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, make_bars, open_models, run, store, train
from tests.integration.stored import add_list

BARS = 700
SHOCKS = (500, 640)


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
            store(database, ticker, make_bars(BARS, seed, shocks=SHOCKS))
        train(database)
        run(database, "backfill", "AAA", "BBB", "CCC")

    once(make)
    return database


def check(
    database: Db,
    stored: Sequence[Document],
    spans: Spans | None = None,
    *,
    watchlist: str | None = None,
) -> dict[str, Document]:
    """Verify anomalies, and return the verifications by anomaly id."""
    tickers = tuple(sorted({anomaly["Ticker"] for anomaly in stored} | (spans or {}).keys()))
    now = datetime.now(UTC)
    job = Job("verify-1", "verify", "verification", "US", tickers, "1d", None, now, watchlist)
    found = verify(
        database, open_models(database), job, stored, spans or {}, lambda _fraction: None
    )
    return {document["anomaly_id"]: document for document in found.documents}


def test_an_untouched_record_is_derived_again_to_the_last_digit(market: Db) -> None:
    stored = list(market.anomalies.find())
    documents = check(market, stored)
    assert len(documents) == len(stored) > 4
    for anomaly in stored:
        document = documents[anomaly["_id"]]
        assert (document["verified"], document["verdict"], document["cause"]) == (
            True,
            "identical",
            None,
        )
        assert (
            document["original_score"] == document["recomputed_score"] == document["current_score"]
        )
        assert document["original_features"] == document["current_features"] == anomaly["features"]


def test_verifying_one_bar_reads_and_scores_no_more_than_it_needs(
    market: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, scored = [], []

    def note_read(*args: Any) -> BarPanel:
        read.append(read_panel(*args))
        return read[-1]

    def note_scored(detector: FlatForest, inputs: np.ndarray, **bounds: float) -> np.ndarray:
        scored.append(len(inputs))
        return score_samples(detector, inputs, **bounds)

    read_panel, score_samples = load.read_panel, FlatForest.score_samples
    monkeypatch.setattr(load, "read_panel", note_read)
    monkeypatch.setattr(FlatForest, "score_samples", note_scored)
    anomaly = market.anomalies.find_one({"Ticker": "AAA"}, sort=[("Datetime", 1)])
    assert anomaly is not None
    scored.clear()
    assert check(market, [anomaly])[anomaly["_id"]]["verdict"] == "identical"
    bar = int(anomaly["Datetime"].timestamp())
    assert [int(panel.times[-1]) for panel in read] == [bar, bar]
    own = [count for count in scored if count != CHECKED_ROWS]
    assert own == [
        1,
        1,
        1,
        1,
        # For each model: whether the score is below its threshold, and then the whole score.
    ]


def test_a_fault_that_a_rule_just_recognises_is_derived_again(market: Db) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    frame.loc[600, "volume"] = 0.0
    store(market, "AAA", frame)
    run(market, "backfill", "AAA")
    (fault,) = market.anomalies.find({"fault": "no_volume"})
    assert fault["anomaly_score"] == fault["threshold"]
    (document,) = check(market, [fault]).values()
    assert (document["verdict"], document["cause"]) == ("identical", None)


def test_a_fault_of_repeated_bars_is_derived_again(market: Db) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    frame.loc[601, frame.columns[1:]] = frame.loc[600, frame.columns[1:]]
    store(market, "AAA", frame)
    run(market, "backfill", "AAA")
    (fault,) = market.anomalies.find({"fault": "stale"})
    (document,) = check(market, [fault]).values()
    assert (document["verdict"], document["verified"]) == ("identical", True)
    market.verifications.insert_one(document)


def detect_by_another(market: Db) -> list[Document]:
    """Detect with a second version too, which flags more, and return the anomalies that are not
    superseded.
    """
    train_model(
        market,
        TrainingPlan("US", seed=11, threshold=ThresholdPolicy("contamination", 0.05), promote=True),
        now=NOW,
    )
    run(market, "backfill", "AAA", "BBB", "CCC")
    return list(market.anomalies.find({"status": "new"}))


def test_anomalies_of_one_version_do_not_affect_those_of_another(market: Db) -> None:
    """Two versions flagged bars of a ticker: each anomaly is compared with the version that found
    it.
    """
    first = list(market.anomalies.find())
    stored = detect_by_another(market)
    assert len({anomaly["model_version"] for anomaly in stored}) == 2
    assert len(stored) > len(first)
    documents = check(market, stored)
    alone = {anomaly["_id"]: check(market, [anomaly])[anomaly["_id"]] for anomaly in stored}
    for anomaly_id, document in documents.items():
        assert document["verified"] is True
        assert document["cause"] in {None, "model"}
        assert document["recomputed_score"] == document["original_score"]
        assert document == alone[anomaly_id] | {"verified_at": document["verified_at"]}


def test_a_version_whose_columns_no_longer_exist_affects_only_its_own_anomalies(market: Db) -> None:
    gone = market.anomalies.distinct("model_version")
    stored = detect_by_another(market)
    lost = [anomaly["_id"] for anomaly in stored if anomaly["model_version"] in gone]
    assert 0 < len(lost) < len(stored)
    market.models.update_many({"_id": {"$in": gone}}, {"$set": {"feature_set": "family/2"}})
    assert set(check(market, stored)) == {anomaly["_id"] for anomaly in stored} - set(lost)


def test_a_new_champion_is_named_as_the_cause_while_the_record_is_still_reproduced(
    market: Db,
) -> None:
    train_model(market, TrainingPlan("US", seed=11, promote=True), now=NOW)
    documents = check(market, list(market.anomalies.find()))
    moved = [document for document in documents.values() if document["verdict"] != "identical"]
    assert moved
    for document in moved:
        assert document["verified"] is True
        assert document["cause"] == "model"
        assert document["original_model"] != document["current_model"]


def test_anomalies_of_a_watchlists_scan_are_compared_with_its_champion_and_threshold(
    market: Db,
) -> None:
    market.anomalies.delete_many({})
    other = train_model(market, TrainingPlan("US", seed=11, promote=False), now=NOW)
    add_list(market, "tech", "AAA", "BBB")
    market.detection_runs.insert_one({"_id": "scan", "run_id": None, "watchlist": "tech"})
    promote(market, other["version"], NOW, scope=Scope("watchlist", "tech"))
    set_threshold(market, Scope("watchlist", "tech"), "contamination", 0.1, NOW)
    run(market, "backfill", "AAA", "BBB", run_id="scan", watchlist="tech")
    stored = list(market.anomalies.find({"kind": "event"}))
    assert {anomaly["model_version"] for anomaly in stored} == {other["version"]}
    assert len(stored) > 2 * len(SHOCKS) * 2
    documents = check(market, stored).values()
    assert {(each["verdict"], each["cause"]) for each in documents} == {("identical", None)}
    # The same holds if all bars of the run are verified: nothing is new.
    spans: Spans = {"AAA": [(stored[0]["Datetime"], NOW)], "BBB": [(stored[0]["Datetime"], NOW)]}
    documents = check(market, stored, spans, watchlist="tech").values()
    assert {each["verdict"] for each in documents if each["original_score"]} == {"identical"}
    set_threshold(market, Scope("watchlist", "tech"), "contamination", 0.002, NOW)
    found = {(each["verdict"], each["cause"]) for each in check(market, stored).values()}
    assert found >= {("identical", None), ("vanished", "threshold")}
    # A bar that may also be a fault is one if it no longer passes as an event.
    assert found <= {("identical", None), ("vanished", "threshold"), ("score_moved", "threshold")}


def test_a_corrected_bar_is_named_as_the_cause_with_what_changed(market: Db) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    old = float(frame.loc[640, "high"])
    frame.loc[640, "high"] = old * 1.1
    store(market, "AAA", frame)
    changed = frame["date"][640].to_pydatetime().replace(tzinfo=UTC)
    stored = list(market.anomalies.find({"Ticker": "AAA", "Datetime": changed}))
    (document,) = check(market, stored).values()
    assert (document["verified"], document["verdict"], document["cause"]) == (
        False,
        "score_moved",
        "data",
    )
    (revision,) = document["data_changes"]
    assert revision["old"]["high"] == pytest.approx(old)
    assert revision["new"]["high"] == pytest.approx(old * 1.1)


def test_a_bar_that_is_no_longer_strange_has_vanished(market: Db) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    frame.loc[640:, ["open", "high", "low", "close"]] /= 1.12
    frame.loc[640, ["open", "high", "low"]] = (
        frame["close"][640] * 1.0,
        frame["close"][640] * 1.002,
        frame["close"][640] * 0.998,
    )
    store(market, "AAA", frame)
    calmed = frame["date"][640].to_pydatetime().replace(tzinfo=UTC)
    (document,) = check(
        market, list(market.anomalies.find({"Ticker": "AAA", "Datetime": calmed}))
    ).values()
    assert (document["verdict"], document["cause"]) == ("vanished", "data")


def test_a_record_that_was_tampered_with_does_not_verify(market: Db) -> None:
    anomaly = market.anomalies.find_one()
    assert anomaly is not None
    market.anomalies.update_one(
        {"_id": anomaly["_id"]}, {"$set": {"anomaly_score": anomaly["anomaly_score"] - 0.01}}
    )
    (document,) = check(market, list(market.anomalies.find({"_id": anomaly["_id"]}))).values()
    assert document["verified"] is False
    assert document["cause"] == "code"
    assert document["code_changes"] == []


def test_a_fault_that_is_none_by_todays_rules_has_moved_because_of_the_code(market: Db) -> None:
    """As if an earlier rule had called a bar a split that today's rules call an event."""
    event = market.anomalies.find_one({"kind": "event"})
    market.anomalies.update_one(
        {"_id": event["_id"]}, {"$set": {"kind": "fault", "fault": "split"}}
    )
    (document,) = check(market, [market.anomalies.find_one({"_id": event["_id"]})]).values()
    assert (document["verdict"], document["cause"]) == ("identical", "code")
    assert not document["verified"]


def test_a_changed_library_version_is_named(market: Db) -> None:
    anomaly = market.anomalies.find_one()
    assert anomaly is not None
    market.anomalies.update_one(
        {"_id": anomaly["_id"]}, {"$set": {"anomaly_score": anomaly["anomaly_score"] - 0.01}}
    )
    market.models.update_one(
        {"_id": anomaly["model_version"]}, {"$set": {"library_versions.numpy": "1.0.0"}}
    )
    (document,) = check(market, list(market.anomalies.find({"_id": anomaly["_id"]}))).values()
    (change,) = document["code_changes"]
    assert (change["name"], change["then"]) == ("numpy", "1.0.0")
    assert change["now"] == np.__version__


def test_an_anomaly_found_today_but_not_stored_is_new(market: Db) -> None:
    stored = list(market.anomalies.find({"Ticker": "AAA"}).sort("Datetime", 1))
    lost = stored.pop()
    market.anomalies.delete_one({"_id": lost["_id"]})
    mark = market.detection_metadata.find_one({"ticker": "AAA"})
    assert mark is not None
    documents = check(
        market,
        stored,
        {"AAA": [(mark["first_detected_timestamp"], mark["last_detected_timestamp"])]},
    )
    assert documents[lost["_id"]]["verdict"] == "new"
    assert [d["verdict"] for i, d in documents.items() if i != lost["_id"]] == ["identical"] * len(
        stored
    )


def test_verifying_changes_nothing(market: Db) -> None:
    names = ("anomalies", "detection_metadata", "detection_runs")
    before = {name: list(market[name].find().sort("_id", 1)) for name in names}
    check(market, list(market.anomalies.find()))
    assert {name: list(market[name].find().sort("_id", 1)) for name in names} == before
    assert feature_sets.DEFAULT_FEATURE_SET.label == before["anomalies"][0]["feature_set"]


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_a_bar_that_may_be_event_or_fault_keeps_the_kind_that_it_was_found_as(
    market: Db, share: float
) -> None:
    """The threshold that decided it is not the one in the model that is asked again."""
    set_threshold(market, Scope("ticker", "AAA"), "contamination", share, NOW)
    market.anomalies.delete_many({"Ticker": "AAA"})
    run(market, "backfill", "AAA")
    stored = list(market.anomalies.find({"Ticker": "AAA"}))
    kinds = {anomaly["kind"] for anomaly in stored}
    assert ("event" if share == 0.5 else "fault") in kinds
    for document in check(market, stored).values():
        assert document["verified"], document
        assert (document["verdict"], document["cause"]) == ("identical", None)
