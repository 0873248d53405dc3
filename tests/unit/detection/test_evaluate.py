"""Alarms compared with labels, and two versions with each other: counted by hand."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.errors import BadInput
from detection.evaluate import compare, judge, measure_drift, split_scores
from detection.scoring.grades import GradeTable
from detection.stretch_scores import StretchScores
from tasks.requests.evaluations import check_labels

DAY = 86_400
START = datetime(2020, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def make_scores(scores: dict[str, list[float]], threshold: float = -0.5) -> StretchScores:
    """Return scores of consecutive days from 2020-01-01 on."""
    counts = [len(values) for values in scores.values()]
    times = [int(START.timestamp()) + day * DAY for count in counts for day in range(count)]
    return StretchScores(
        tuple(scores),
        np.repeat(np.arange(len(scores)), counts).astype(np.int64),
        np.array(times, np.int64),
        np.array([score for values in scores.values() for score in values], np.float64),
        threshold,
        {},
        np.zeros(len(times)),
        np.zeros(len(times), np.bool_),
    )


FOUND = make_scores({"AAA": [-0.9, -0.1, -0.2, -0.8], "BBB": [-0.1, -0.6]})


RECORD: Any = {
    "_id": "US_model-0.1.0",
    "parameters": {"threshold": {"kind": "contamination", "value": 0.25}},
    "tickers": [{"ticker": "AAA", "rows": 100}],
    "window_end": at(-200),
    "score_quantiles": GradeTable.from_scores(np.linspace(-0.7, -0.1, 100)).to_document(),
}


def label(ticker: str, day: int, *, is_anomaly: bool, hours: int = 0) -> dict:
    time = at(day) + timedelta(hours=hours)
    return {"ticker": ticker, "time": time, "is_anomaly": is_anomaly}


def test_bars_that_rules_call_wrong_do_not_count_as_drift() -> None:
    """A feed that is often wrong is no reason to train again, because rules find such bars."""
    quiet = [-0.3] * 297
    found = make_scores({"AAA": [*quiet, *[-0.9] * 3, *[-0.95] * 300]})
    assert measure_drift(RECORD, found)["flagged_share"] == pytest.approx(303 / 600)
    wrong = replace(found, wrong=found.scores == -0.95)
    assert measure_drift(RECORD, wrong)["flagged_share"] == pytest.approx(3 / 300)


def test_alarms_are_counted_per_thousand_bars() -> None:
    judged = judge(RECORD, FOUND, [], DAY)
    assert (judged["bars"], judged["tickers"], judged["alarms"]) == (6, 2, 3)
    assert judged["alarms_per_thousand"] == pytest.approx(500.0)
    assert judged["labels"] is None


def test_precision_and_recall_are_those_of_the_labelled_bars() -> None:
    labels = [
        label("AAA", 0, is_anomaly=True),
        label("AAA", 1, is_anomaly=True),
        label("AAA", 2, is_anomaly=False),
        # Any time within the day names its bar.
        label("AAA", 3, is_anomaly=False, hours=15),
        label("BBB", 1, is_anomaly=True),
        label("BBB", 9, is_anomaly=True),
        label("CCC", 1, is_anomaly=True),
    ]
    judged = judge(RECORD, FOUND, labels, DAY)["labels"]
    assert judged == {
        "true_alarms": 2,
        "false_alarms": 1,
        "missed": 1,
        "rightly_quiet": 1,
        "not_scored": 2,
        "contradictory": 0,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
    }


def test_a_bar_counts_once_however_often_it_is_labelled() -> None:
    labels = [
        label("AAA", 0, is_anomaly=True),
        label("AAA", 0, is_anomaly=True, hours=16),
        label("AAA", 3, is_anomaly=True),
        # A bar that is labelled both true and false says nothing about the version.
        label("AAA", 3, is_anomaly=False),
        label("BBB", 1, is_anomaly=False),
    ]
    judged = judge(RECORD, FOUND, labels, DAY)["labels"]
    assert judged is not None
    assert (judged["true_alarms"], judged["false_alarms"], judged["contradictory"]) == (1, 1, 1)
    assert (judged["precision"], judged["recall"]) == (0.5, 1.0)


def test_without_flagged_bars_there_is_no_precision() -> None:
    quiet = make_scores({"AAA": [-0.1, -0.2]})
    labels = [label("AAA", 0, is_anomaly=True), label("AAA", 1, is_anomaly=False)]
    judged = judge(RECORD, quiet, labels, DAY)["labels"]
    assert judged is not None
    assert (judged["precision"], judged["recall"]) == (None, 0.0)


def test_the_reasons_of_a_drift_are_named() -> None:
    drift = judge(RECORD, FOUND, [], DAY)["drift"]
    assert drift["flagged_share"] == pytest.approx(0.5)
    assert drift["asked_share"] == 0.25
    assert drift["age_days"] == pytest.approx(203.0)
    assert drift["unknown_tickers"] == 0.5
    assert {"old", "unknown_tickers"} <= set(drift["reasons"])
    assert not {"flags_too_much", "flags_too_little"} & set(drift["reasons"])
    none = judge(RECORD, make_scores({}), [], DAY)["drift"]
    assert (none["stability_index"], none["flagged_share"], none["reasons"]) == (None, None, [])


def test_few_bars_are_no_evidence_of_moved_scores() -> None:
    judged = judge(RECORD, make_scores({"AAA": [-0.9]}), [], DAY)["drift"]
    assert (judged["flagged_share"], judged["distance"]) == (1.0, pytest.approx(1.0, abs=0.02))
    assert judged["reasons"] == ["old"]


def test_versions_are_compared_on_the_bars_that_both_scored() -> None:
    other = make_scores({"BBB": [-0.9, -0.6, -0.9], "AAA": [-0.9, -0.1]})
    compared = compare(FOUND, other)
    assert compared == {
        "bars": 4,
        "flagged_by_both": 2,
        "only_by_first": 0,
        "only_by_second": 1,
        "strangest_in_common": 1.0,
    }


def test_comparing_many_bars_needs_little_memory() -> None:
    bars = 400_000
    one, other = (
        make_scores({"AAA": np.random.default_rng(seed).random(bars).tolist()}) for seed in (1, 2)
    )
    tracemalloc.start()
    assert compare(one, other)["bars"] == bars
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < bars * 100


def test_the_strangest_hundredth_is_compared() -> None:
    random = np.random.default_rng(1)
    one, other = -random.random(1_000), -random.random(1_000)
    other[:5], one[:5] = -2.0, -2.0
    found = compare(make_scores({"A": one.tolist()}), make_scores({"A": other.tolist()}))
    shared = len(set(np.argsort(one)[:10]) & set(np.argsort(other)[:10]))
    assert found["strangest_in_common"] == pytest.approx(shared / 10)
    assert shared >= 5


def test_without_common_bars_the_agreement_is_none() -> None:
    found = compare(FOUND, make_scores({"ZZZ": [-0.9]}))
    assert (found["bars"], found["strangest_in_common"]) == (0, None)


def test_scores_are_split_by_ticker() -> None:
    parts = {ticker: scores.tolist() for ticker, _, scores in split_scores(FOUND)}
    assert parts == {"AAA": [-0.9, -0.1, -0.2, -0.8], "BBB": [-0.1, -0.6]}


@pytest.mark.parametrize(("is_anomaly", "said"), [(True, "anomalies"), (False, "no anomalies")])
def test_labels_of_one_class_are_refused(is_anomaly: bool, said: str) -> None:  # noqa: FBT001 - pytest's form
    labels = [label("AAA", day, is_anomaly=is_anomaly) for day in range(3)]
    with pytest.raises(BadInput, match=f"all 3 labels say of their bars that they are {said}") as e:
        check_labels(labels)
    assert e.value.reason == "labels_of_one_class"


def test_a_market_is_evaluated_with_its_own_threshold_in_a_model_of_all_markets() -> None:
    own = GradeTable.from_scores(np.linspace(-0.9, -0.5, 100)).to_document()
    record = RECORD | {"by_market": {"CRYPTO": {"threshold": -0.85, "score_quantiles": own}}}
    found = make_scores({"AAA": np.linspace(-0.9, -0.5, 400).tolist()}, -0.85)
    of_all = judge(record, found, [], DAY)["drift"]
    assert "scores_moved" in of_all["reasons"]
    of_own = judge(record, replace(found, thresholds={"CRYPTO": -0.85}), [], DAY)["drift"]
    assert of_own["stability_index"] == pytest.approx(0.0, abs=0.05)
    assert "scores_moved" not in of_own["reasons"]


def test_bars_of_several_markets_are_alarms_by_their_markets_threshold() -> None:
    found = make_scores({"AAA": [-0.6, -0.2], "BTC-USD": [-0.6, -0.95]})
    own = {"CRYPTO": -0.9, "US": -0.5}
    found = replace(found, threshold=np.array([-0.5, -0.5, -0.9, -0.9]), thresholds=own)
    assert found.alarms.tolist() == [True, False, False, True]
    judged = judge(RECORD | {"threshold": -0.7}, found, [], DAY)
    assert (judged["threshold"], judged["thresholds"]) == (-0.7, own)
    assert found.market is None
