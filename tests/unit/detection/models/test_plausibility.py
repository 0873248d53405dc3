"""A threshold with which a model flags nothing, or far more than was requested, is distinguished
from a plausible one.
"""

from typing import Any

import numpy as np
import pytest

from core.errors import Conflict
from core.grades import POINTS_PER_DECADE
from detection.models.plan import ThresholdPolicy
from detection.models.plausibility import check_plausible, count_flagged, find_asked_share
from detection.scoring.grades import GradeTable

SCORES = np.random.default_rng(3).uniform(-0.8, -0.4, 10_000)


def make_record(kind: str, value: float, threshold: float, scores: Any = SCORES) -> dict[str, Any]:
    table = GradeTable.from_scores(scores).to_document()
    policy = {"threshold": {"kind": kind, "value": value}}
    return {
        "_id": "US_model-0.1.0",
        "market": "US",
        "interval": "5m",
        "threshold": threshold,
        "score_quantiles": table,
    } | {"parameters": policy}


@pytest.mark.parametrize(
    ("threshold", "said"), [(-0.9, "flags 0 of the 1,000 bars of market JP"), (-0.5, "far more")]
)
def test_a_threshold_of_one_market_is_checked_against_its_bars(threshold: float, said: str) -> None:
    record = make_record("contamination", 0.01, float(np.quantile(SCORES, 0.01)))
    own = GradeTable.from_scores(SCORES[:1_000]).to_document()
    usual = {"threshold": float(np.quantile(SCORES[:1_000], 0.01)), "score_quantiles": own}
    check_plausible(record | {"by_market": {"JP": usual, "US": usual}})
    with pytest.raises(Conflict, match=said):
        check_plausible(
            record | {"by_market": {"US": usual, "JP": usual | {"threshold": threshold}}}
        )


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_a_requested_share_is_plausible(share: float) -> None:
    threshold = float(np.quantile(SCORES, share))
    record = make_record("contamination", share, threshold)
    check_plausible(record)
    assert count_flagged(record, threshold) == pytest.approx(share * SCORES.size, rel=0.02, abs=1)


@pytest.mark.parametrize("grade", [25.0, 50.0, 75.0])
def test_a_requested_grade_is_plausible(grade: float) -> None:
    check_plausible(make_record("grade", grade, GradeTable.from_scores(SCORES).find_score(grade)))


def test_less_than_one_training_bar_is_plausible_too() -> None:
    scores = SCORES[:400]
    check_plausible(
        make_record("grade", 100.0, GradeTable.from_scores(scores).find_score(100.0), scores)
    )


@pytest.mark.parametrize(
    ("kind", "value", "threshold", "said"),
    [
        ("score", -1.0, -1.0, "silent"),
        ("score", -0.81, -0.81, "silent"),
        ("score", 0.0, 0.0, "far more"),
        ("score", -0.7, -0.7, "far more"),
        ("contamination", 0.01, -0.9, "silent"),
        ("contamination", 0.01, -0.7, "far more"),
        ("grade", 50.0, -0.9, "silent"),
    ],
)
def test_a_threshold_that_flags_nothing_or_far_too_much_is_refused(
    kind: str, value: float, threshold: float, said: str
) -> None:
    with pytest.raises(Conflict, match=said) as refusal:
        check_plausible(make_record(kind, value, threshold))
    assert refusal.value.reason == "implausible_threshold"
    advised = "flask models train --market US --interval 5m --contamination 0.01"
    assert advised in refusal.value.message


def test_a_grade_requests_the_share_that_it_promises() -> None:
    assert find_asked_share(ThresholdPolicy("grade", 50.0)) == pytest.approx(0.01)
    assert find_asked_share(ThresholdPolicy("grade", 3 * POINTS_PER_DECADE)) == pytest.approx(0.001)
