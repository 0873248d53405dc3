"""Drift compared with SciPy and with the formula, written again here."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from detection.scoring.drift import (
    InputTable,
    compute_distance,
    compute_stability_index,
    find_drift,
    settle_watched,
)
from detection.scoring.grades import GradeTable

TRAINED = -np.random.default_rng(1).beta(2, 6, 20_000)
GRADES = GradeTable.from_scores(TRAINED)
STEADY = {
    "bars": 2_000,
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
def test_index_and_distance_equal_the_formula_and_scipy(a: float, b: float) -> None:
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
        ({"bars": 249, "index": 0.3, "distance": 0.3, "age_days": 181.0}, ["old"]),
        ({"bars": 999, "flagged": 0.0}, []),
    ],
)
def test_the_reasons_of_a_drift_are_named(changes: dict, reasons: list[str]) -> None:
    assert find_drift(**STEADY | changes) == reasons


def test_the_input_that_moved_is_named_by_the_formula() -> None:
    rng = np.random.default_rng(3)
    trained = rng.standard_normal((20_000, 3)).astype(np.float32)
    trained[:, 2] = 0.0  # As in a market whose move is not known.
    table = InputTable.from_document(
        InputTable.from_inputs(("gap", "range", "market"), trained).to_document()
    )
    found = rng.standard_normal((5_000, 3)).astype(np.float32)
    found[:, 1] += 1.0
    found[:, 2] = 0.0
    # Counted in two parts, as a stretch of many tickers is.
    counts = [
        one + other
        for one, other in zip(table.count(found[:999]), table.count(found[999:]), strict=True)
    ]
    indices = table.compute_indices(counts)
    for column, name in enumerate(("gap", "range")):
        expected = index_slowly(trained[:, column], found[:, column])
        assert indices[name] == pytest.approx(expected, rel=0.05, abs=0.005)
    assert indices["gap"] < 0.02
    assert indices["range"] > 0.25
    assert indices["market"] == 0.0
    assert table.compute_indices(table.count(trained))["range"] == pytest.approx(0.0, abs=1e-9)


WATCHED = {"index_before": 0.3, "labels": 0, "precision": None}


@pytest.mark.parametrize(
    ("found", "changes", "reasons"),
    [
        (["scores_moved"], {}, ["scores_moved"]),
        (["scores_moved"], {"index_before": 0.2}, []),
        (["scores_moved"], {"index_before": None}, []),
        (["flags_too_much"], {}, ["flags_too_much"]),
        ([], {"labels": 20, "precision": 0.4}, ["imprecise"]),
        ([], {"labels": 19, "precision": 0.4}, []),
        ([], {"labels": 20, "precision": 0.5}, []),
    ],
)
def test_only_some_reasons_count_for_a_watched_champion(
    found: list[str], changes: dict, reasons: list[str]
) -> None:
    assert settle_watched(found, **WATCHED | changes) == reasons
