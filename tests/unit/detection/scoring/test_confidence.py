"""Confidence compared with ExCeeD's formula, written again here in whole numbers."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from detection.scoring.confidence import compute_completeness, compute_stability
from detection.scoring.grades import GradeTable


def exceed(score: float, training: np.ndarray, threshold: float) -> float:
    """Return the confidence that a score is an anomaly: equations 2 and 4 of the paper."""
    n = len(training)
    p = Fraction(1 + int((training > score).sum()), 2 + n)
    usual = n - int((training < threshold).sum())
    tail = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(usual + 1, n + 1))
    return float(tail)


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("n", [50, 90])
def test_stability_is_that_of_the_paper(n: int, share: float) -> None:
    training = np.sort(-np.random.default_rng(n).random(n))
    grades = GradeTable.from_scores(training)
    threshold = float(np.quantile(training, share))
    scores = np.concatenate([training[:12] + 1e-9, [-1.0, -0.5, -0.01]])
    expected = [exceed(score, training, threshold) for score in scores]
    np.testing.assert_allclose(
        compute_stability(scores, threshold, grades), expected, rtol=0, atol=1e-12
    )


def test_stranger_bars_are_more_stable_and_stability_at_the_threshold_is_one_half() -> None:
    training = -np.random.default_rng(1).random(20_000)
    threshold = float(np.quantile(training, 0.01))
    grades = GradeTable.from_scores(training)
    at, far, usual = compute_stability([threshold, -1.0, -0.5], threshold, grades)
    assert at == pytest.approx(0.5, abs=0.05)
    assert far > 0.999
    assert usual < 0.001


def test_completeness_is_the_share_of_the_history_that_exists() -> None:
    assert compute_completeness([62, 125, 250, 900], 61).tolist() == [0.248, 0.5, 1.0, 1.0]
    assert compute_completeness([280], 560).tolist() == [0.5]
