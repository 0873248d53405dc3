"""Drift against SciPy and the formula written down again."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from detection.scoring.drift import compute_distance, compute_stability_index, find_drift
from detection.scoring.grades import GradeTable

TRAINED = -np.random.default_rng(1).beta(2, 6, 20_000)
GRADES = GradeTable.from_scores(TRAINED)
STEADY = {
    "index": 0.1,
    "distance": 0.05,
    "flagged": 0.012,
    "asked": 0.01,
    "age_days": 30.0,
    "unknown": 0.0,
}


def index_slowly(trained: np.ndarray, found: np.ndarray) -> float:
    edges = np.quantile(trained, np.arange(1, 10) / 10)
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, scores), minlength=10) / len(scores), 1e-4)
        for scores in (trained, found)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


@pytest.mark.parametrize(("a", "b"), [(2, 6), (2, 5), (3, 5), (8, 2)])
def test_index_and_distance_are_those_of_the_formula_and_of_scipy(a: float, b: float) -> None:
    found = -np.random.default_rng(2).beta(a, b, 5_000)
    assert compute_stability_index(GRADES, found) == pytest.approx(
        index_slowly(TRAINED, found), rel=0.1, abs=0.005
    )
    expected = ks_2samp(TRAINED, found).statistic
    assert compute_distance(GRADES, found) == pytest.approx(expected, abs=0.01)


def test_the_training_scores_themselves_have_not_drifted() -> None:
    assert compute_stability_index(GRADES, TRAINED) == pytest.approx(0.0, abs=1e-6)
    assert compute_distance(GRADES, TRAINED) == 0.0


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"index": 0.3}, ["scores_moved"]),
        ({"distance": 0.11}, ["distribution_moved"]),
        ({"flagged": 0.021}, ["flags_too_much"]),
        ({"flagged": 0.004}, ["flags_too_little"]),
        ({"age_days": 181.0, "unknown": 0.5}, ["old", "unknown_tickers"]),
        ({"asked": None, "flagged": 0.3}, []),
        ({"index": None, "distance": None, "flagged": None}, []),
    ],
)
def test_what_has_drifted_is_named(changes: dict, reasons: list[str]) -> None:
    assert find_drift(**STEADY | changes) == reasons
