"""The one path that every detection takes, with real bars, models and documents."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import LeaseLost, NoModel
from detection.explain import explain_series
from detection.pipeline.commit import commit
from market.bars.arriving import write_split
from records.database import Db, Document
from tests.integration.conftest import Once
from tests.integration.detecting import NOW, detect, make_bars, read_anomalies, run, store, train
from tests.integration.stored import change_bars

BARS = 900
SHOCKS = (500, 640, 777, 899)


@pytest.fixture
def market(database: Db, once: Once) -> Db:
    """A US market of three series with planted shocks, and its champion."""

    def make() -> None:
        for seed, ticker in enumerate(("AAA", "BBB", "CCC"), 1):
            store(database, ticker, make_bars(BARS, seed, shocks=SHOCKS))
        train(database)

    once(make)
    return database


def test_planted_shocks_are_found_with_their_whole_lineage(market: Db) -> None:
    (result,) = run(market, "backfill", "AAA", run_id="run-1")
    found = {a["Datetime"]: a for a in market.anomalies.find({"Ticker": "AAA"})}
    for position in SHOCKS:
        planted = make_bars(BARS, 1)["date"][position].to_pydatetime().replace(tzinfo=UTC)
        assert planted in found
    anomaly = found[max(found)]
    model = market.models.find_one({"_id": anomaly["model_version"]})
    assert model is not None
    assert anomaly["model_hash"] == model["sha256"]
    assert anomaly["detection_run_id"] == "run-1"
    assert anomaly["anomaly_score"] < anomaly["threshold"] == pytest.approx(model["threshold"])
    assert len(anomaly["features"]) == 14
    assert sum(anomaly["attribution"].values()) == pytest.approx(1)
    assert anomaly["reasons"]
    assert anomaly["bars_fingerprint"].startswith("sha256:")
    assert anomaly["status"] == "new"
    assert anomaly["sent"] is False
    assert result["new_anomalies"] == len(found) == len(result["anomaly_ids"])


def test_the_watermark_names_the_last_bar_model_and_run(market: Db) -> None:
    run(market, "backfill", "AAA", run_id="run-1")
    mark = market.detection_metadata.find_one({"_id": "detection_meta::AAA::1d"})
    assert mark is not None
    assert mark["last_detected_timestamp"] == make_bars(BARS, 1)["date"].iloc[
        -1
    ].to_pydatetime().replace(tzinfo=UTC)
    assert mark["last_detection_run"] == "run-1"
    assert mark["status"] == "complete"
    assert mark["model_hash"].startswith("sha256:")


def test_a_run_with_nothing_new_says_so(market: Db) -> None:
    run(market, "backfill", "AAA")
    (result,) = run(market, "incremental", "AAA", run_id="run-2")
    assert result == {
        "ticker": "AAA",
        "interval": "1d",
        "new_anomalies": 0,
        "detection_run_id": "run-2",
        "rows_processed": 0,
        "anomaly_ids": [],
        "reason": "already_detected",
    }


def test_a_second_backfill_adds_no_anomaly_and_no_opinion(market: Db) -> None:
    run(market, "backfill", "AAA")
    before = list(market.anomalies.find().sort("_id", 1))
    (result,) = run(market, "backfill", "AAA")
    assert list(market.anomalies.find().sort("_id", 1)) == before
    assert result["new_anomalies"] == 0
    assert len(result["anomaly_ids"]) == len(before)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(1, BARS - 1), min_size=1, max_size=6, unique=True),
    repeat=st.booleans(),
)
def test_a_backfill_equals_incremental_runs_in_any_chunks(
    market: Db, cuts: list[int], *, repeat: bool
) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    # The same two tickers each time: with six, the market's move would be known.
    whole, parts = "WHOLE", "PARTS"
    for ticker in (whole, parts):
        for collection in ("bars", "series", "bar_revisions", "detection_metadata"):
            market[collection].delete_many({"ticker": ticker})
        market.anomalies.delete_many({"Ticker": ticker})
    store(market, whole, frame)
    run(market, "backfill", whole)
    for cut in [*sorted(cuts), BARS]:
        store(market, parts, frame[:cut])
        run(market, "incremental", parts)
        if repeat:
            run(market, "incremental", parts)
    found = read_anomalies(market, parts)
    assert found == read_anomalies(market, whole)
    assert len(found) >= len(SHOCKS)


def test_later_bars_change_nothing_earlier(market: Db) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    store(market, "HEAD", frame[:700])
    run(market, "backfill", "HEAD")
    run(market, "backfill", "AAA")
    cut = frame["date"][700].to_pydatetime().replace(tzinfo=UTC)
    earlier = [anomaly for anomaly in read_anomalies(market, "AAA") if anomaly["Datetime"] < cut]
    assert read_anomalies(market, "HEAD") == earlier


def test_one_year_and_the_whole_history_agree_where_they_overlap(market: Db) -> None:
    store(market, "YEAR", make_bars(BARS, 1, shocks=SHOCKS))
    run(market, "backfill", "YEAR", period="1y")
    run(market, "backfill", "AAA", period="max")
    scored = market.detection_runs.find_one({"ticker": "YEAR"})["scored"][0]
    overlapping = [a for a in read_anomalies(market, "AAA") if a["Datetime"] >= scored["first"]]
    assert read_anomalies(market, "YEAR") == overlapping
    assert overlapping


def test_a_correction_is_noticed_and_only_the_bars_that_it_affects_are_scored_again(
    market: Db,
) -> None:
    run(market, "backfill", "AAA")
    shocked = make_bars(BARS, 1)["date"][500].to_pydatetime().replace(tzinfo=UTC)
    before = {a["_id"]: a for a in market.anomalies.find({"Ticker": "AAA"})}
    calm = make_bars(BARS, 1, shocks=SHOCKS)
    calm.loc[500:, ["open", "high", "low", "close"]] /= 1.12
    calm.loc[500, "open"] = calm["close"][500]
    calm.loc[500, ["high", "low"]] = calm["close"][500] * 1.002, calm["close"][500] * 0.998
    store(market, "AAA", calm)
    (result,) = run(market, "incremental", "AAA", run_id="run-2")
    assert result["rows_processed"] == BARS - 500
    gone = market.anomalies.find_one({"Ticker": "AAA", "Datetime": shocked})
    assert gone is not None
    assert (gone["status"], gone["superseded_by"]) == ("superseded", "run-2")
    assert gone["anomaly_score"] == before[gone["_id"]]["anomaly_score"], (
        "the score at detection is never rewritten"
    )
    assert market.anomalies.count_documents({"Ticker": "AAA"}) >= len(before), "nothing is deleted"
    (again,) = run(market, "incremental", "AAA")
    assert again["reason"] == "already_detected"


def test_a_backfill_of_a_period_keeps_what_is_due_before_it(market: Db) -> None:
    """A correction and unscored bars lie before the period; the backfill's watermark lies after
    both.
    """
    frame = make_bars(BARS, 5)
    store(market, "DUE", frame[:400])
    run(market, "incremental", "DUE")
    frame.loc[[200, 450], "high"] *= 1.3
    store(market, "DUE", frame)
    run(market, "backfill", "DUE", period="30d")
    run(market, "incremental", "DUE")
    store(market, "WHOLE", frame)
    run(market, "backfill", "WHOLE")
    days = [{a["Datetime"] for a in read_anomalies(market, name)} for name in ("DUE", "WHOLE")]
    corrected = {frame["date"][row].to_pydatetime().replace(tzinfo=UTC) for row in (200, 450)}
    assert corrected <= days[1]
    assert days[0] == days[1]


def test_a_corrected_bar_is_scored_again_with_all_bars_that_it_affects(market: Db) -> None:
    run(market, "backfill", "AAA")
    corrected = make_bars(BARS, 1, shocks=SHOCKS)
    corrected.loc[250, "high"] *= 1.3
    store(market, "AAA", corrected)
    (result,) = run(market, "incremental", "AAA")
    # The history of a recursion, the bar that the first of these may repeat, and the block of bars
    # whose recursions start at the same bar.
    reach = 384 + 1 + 128
    assert result["rows_processed"] == 1 + reach
    store(market, "FRESH", corrected)
    run(market, "backfill", "FRESH")
    standing = [a for a in read_anomalies(market, "AAA") if a["status"] == "new"]
    assert [a["Datetime"] for a in standing] == [
        a["Datetime"] for a in read_anomalies(market, "FRESH")
    ]


def test_late_bars_are_scored_with_all_bars_that_they_affect(market: Db) -> None:
    """A gap that is filled behind the watermark gives the same result as a history without the
    gap.
    """
    whole = make_bars(BARS, 4, shocks=SHOCKS)
    store(market, "LATE", whole.drop(range(495, 505)))
    run(market, "backfill", "LATE")
    store(market, "LATE", whole)
    (result,) = run(market, "incremental", "LATE", run_id="run-2")
    assert result["rows_processed"] == BARS - 495, "late bars move all that follow"
    store(market, "WHOLE", whole)
    run(market, "backfill", "WHOLE")
    standing = {
        a["Datetime"]: a for a in market.anomalies.find({"Ticker": "LATE", "status": "new"})
    }
    expected = {a["Datetime"]: a for a in market.anomalies.find({"Ticker": "WHOLE"})}
    assert standing.keys() == expected.keys()
    assert whole["date"][500].to_pydatetime().replace(tzinfo=UTC) in standing
    for time, anomaly in expected.items():
        latest = (standing[time]["opinions"] or [standing[time]])[-1]
        assert latest["anomaly_score"] == anomaly["anomaly_score"]


def test_a_penny_share_that_rises_by_a_tick_is_not_called_a_split(market: Db) -> None:
    bars = make_bars(BARS, 4)
    prices = ["open", "high", "low", "close"]
    bars[prices] = 0.002
    bars.loc[::5, "high"] = 0.003
    bars.loc[700, prices] = 0.003
    bars.loc[700, "volume"] = 50 * bars["volume"].max()
    store(market, "PENNY", bars)
    run(market, "backfill", "PENNY")
    day = bars["date"][700].to_pydatetime().replace(tzinfo=UTC)
    found = market.anomalies.find_one({"Ticker": "PENNY", "Datetime": day})
    assert found is not None
    assert (found["kind"], found["suspected_split"]) == ("event", None)


def test_an_anomaly_is_superseded_when_its_split_becomes_known(market: Db) -> None:
    """Prices that halve overnight are an anomaly, called a likely split, until the split is
    known.
    """
    bars = make_bars(BARS, 4)
    bars.loc[700:, ["open", "high", "low", "close"]] /= 2
    bars.loc[700:, "volume"] *= 2
    bars.loc[700, "open"] = bars["close"][699] / 2
    bars.loc[700, ["high", "low"]] = (
        bars.loc[700, ["open", "close"]].max() * 1.002,
        bars.loc[700, ["open", "close"]].min() * 0.998,
    )
    store(market, "SPLIT", bars)
    run(market, "backfill", "SPLIT")
    day = bars["date"][700].to_pydatetime().replace(tzinfo=UTC)
    found = market.anomalies.find_one({"Ticker": "SPLIT", "Datetime": day})
    assert found is not None
    assert found["suspected_split"] == 2.0
    write_split(market, "SPLIT", "1d", day.date(), 2.0, now=datetime.now(UTC))
    run(market, "incremental", "SPLIT", run_id="run-2")
    gone = market.anomalies.find_one({"Ticker": "SPLIT", "Datetime": day})
    assert gone is not None
    assert (gone["status"], gone["superseded_by"]) == ("superseded", "run-2")


def test_a_series_too_short_says_how_many_bars_it_needs(market: Db) -> None:
    store(market, "TINY", make_bars(30, 9))
    (result,) = run(market, "backfill", "TINY")
    assert result["reason"] == "not_enough_bars"
    assert result["bars_present"] == 30
    assert result["bars_needed"] > 30
    assert result["rows_processed"] == 0


def test_a_fund_with_one_price_a_day_is_told_why_it_has_no_result(market: Db) -> None:
    """It used to say that all of its bars were scored, though none of them is evidence of
    anything.
    """
    frame = make_bars(200, 9)
    for name in ("open", "high", "low"):
        frame[name] = frame["close"]
    frame["volume"] = 0.0
    store(market, "FUND", frame)
    (result,) = run(market, "backfill", "FUND")
    assert result["rows_processed"] == 0
    known = explain_series(market, "FUND", "1d", NOW)
    assert known["reason"] == "not_enough_bars"
    assert known["message"].startswith(
        "FUND has 0 of the 62 bars that a result takes; 200 more are no evidence, as nothing traded"
        " in them"
    )


def test_a_ticker_without_bars_fails_alone(market: Db) -> None:
    results = {r["ticker"]: r for r in run(market, "backfill", "AAA", "NOPE")}
    assert results["NOPE"]["reason"] == "no_bars"
    assert "flask bars import" in results["NOPE"]["error"]
    assert results["AAA"]["new_anomalies"] > 0


def test_bars_with_nan_fail_their_ticker_by_name(market: Db) -> None:
    change_bars(market, {"ticker": "BBB"}, "close", 3, np.nan)
    results: dict[str, Document] = {
        r["ticker"]: r for r in run(market, "backfill", "AAA", "BBB", "CCC")
    }
    assert results["BBB"]["reason"] == "bad_bars"
    assert "BBB" in results["BBB"]["error"]
    assert results["AAA"]["new_anomalies"] > 0
    assert results["CCC"]["new_anomalies"] > 0
    assert market.detection_metadata.find_one({"ticker": "BBB"}) is None


def test_a_market_without_a_model_says_how_to_train_one(database: Db) -> None:
    store(database, "AAA", make_bars(100))
    with pytest.raises(NoModel, match="flask models train --market US"):
        run(database, "backfill", "AAA")


def test_a_commit_that_lost_its_lease_leaves_nothing(market: Db) -> None:
    job, outcomes = detect(market, "backfill", "AAA")

    def refuse(*_: object) -> None:
        raise LeaseLost("another worker has it")

    with pytest.raises(LeaseLost):
        commit(market, job, lambda: nullcontext([outcomes]), refuse)
    assert market.anomalies.count_documents({}) == 0
    assert market.detection_metadata.count_documents({}) == 0
    assert market.detection_runs.count_documents({}) == 0


def test_committing_twice_stores_every_anomaly_once(market: Db) -> None:
    job, outcomes = detect(market, "backfill", "AAA")
    parts = nullcontext([outcomes])
    _, first = commit(market, job, lambda: parts, lambda *_: None)
    _, second = commit(market, replace(job, run_id="another"), lambda: parts, lambda *_: None)
    assert first[0]["new_anomalies"] == market.anomalies.count_documents({}) > 0
    assert second[0]["new_anomalies"] == 0
    assert datetime.now(UTC) >= market.anomalies.find_one()["created_at"]


def test_the_opinion_of_a_fault_that_became_an_event_says_so(
    market: Db,
) -> None:
    frame = make_bars(BARS, 1, shocks=SHOCKS)
    wrong = frame.copy()
    wrong.loc[500, ["open", "high", "low", "close"]] *= 100.0
    store(market, "OFF", wrong)
    run(market, "backfill", "OFF")
    time = frame["date"][500].to_pydatetime().replace(tzinfo=UTC)
    (before,) = market.anomalies.find({"Ticker": "OFF", "Datetime": time})
    assert (before["kind"], before["fault"], before["opinions"]) == ("fault", "level", [])
    store(market, "OFF", frame)
    run(market, "incremental", "OFF", run_id="run-2")
    store(market, "RIGHT", frame)
    run(market, "backfill", "RIGHT")
    (right,) = market.anomalies.find({"Ticker": "RIGHT", "Datetime": time})
    (after,) = market.anomalies.find({"Ticker": "OFF", "Datetime": time})
    (opinion,) = after["opinions"]
    told = ("kind", "fault", "Close", "reasons", "grade", "anomaly_score")
    assert [opinion[name] for name in told] == [right[name] for name in told]
    assert (opinion["kind"], opinion["Close"]) == ("event", frame["close"][500])
    assert [after[name] for name in told] == [before[name] for name in told]
