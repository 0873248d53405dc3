"""Confidence: how far a finding can be relied on, from 0 to 1, beside how strange the bar is.

It is the product of three factors. Stability is ExCeeD (Perini, Vercruyssen and Davis, Quantifying
the Confidence of Anomaly Detectors in Their Example-Wise Predictions, 2020): had the model learned
from other bars of the same kind, how probably would it flag this bar too? Agreement is the share
of an ensemble's weight whose members find the bar strange; of a single detector it is 1.
Completeness is how much of the history that the bar is measured by exists.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from core.arrays import Float64
from detection.scoring.grades import GradeTable

# As many bars as the slow yardstick looks back on; a model that looks further back needs more.
FULL_HISTORY_BARS = 250


def compute_stability(scores: ArrayLike, threshold: float, grades: GradeTable) -> Float64:
    """Return how probably each score (m,) would pass the threshold, had the model learned from
    other bars, shape (m,).

    Of n training bars `flagged` pass the threshold. A bar that is stranger than t of them is
    stranger than a new bar of their kind with probability p = (1 + t) / (2 + n), the mean of a Beta
    posterior from a uniform prior. It passes where at least n - flagged + 1 of n new bars are less
    strange. The probability of that is the upper tail of a binomial distribution, which is a
    regularised incomplete beta function.
    """
    n = grades.rows
    stranger = n - _count_as_strange(scores, grades)
    p = (1.0 + stranger) / (2.0 + n)
    flagged = max(1.0, float(grades.count_below(threshold)))
    stability: Float64 = betainc(n - flagged + 1.0, flagged, p)
    return stability


def compute_completeness(bars_before: ArrayLike, needed: int) -> Float64:
    """Return how much of the history that a score looks back on existed, a share, shape (m,)."""
    full = max(FULL_HISTORY_BARS, needed)
    completeness: Float64 = np.minimum(np.asarray(bars_before, np.float64) / full, 1.0)
    return completeness


def _count_as_strange(scores: ArrayLike, grades: GradeTable) -> Float64:
    """Return how many training bars are at least as strange as each score, to 1 %."""
    position = np.searchsorted(grades.scores, np.asarray(scores, np.float64), side="right")
    counts: Float64 = np.concatenate(([0], grades.ranks))[position].astype(np.float64)
    return counts
