"""Drift: whether bars of today look to a model as those that it learned from did.

By the scores: the population stability index over tenths of the training scores, and the largest
distance between the two distributions (Kolmogorov and Smirnov's D). By what comes of them: the
share that is flagged beside the share that was asked for. By what the model knows: how old its
bars are, and how many tickers it has not seen. Bounds are those in use for scorecards (Siddiqi,
Credit Risk Scorecards, 2006: an index above .25 is a shift).
"""

from collections.abc import Sequence

import numpy as np

from core.arrays import Float64
from detection.scoring.grades import GradeTable

BINS = 10
# What an empty bin counts as, so that no logarithm is infinite.
LEAST_SHARE = 1e-4
MOST_INDEX = 0.25
MOST_DISTANCE = 0.1
MOST_TIMES_ASKED = 2.0
MOST_AGE_DAYS = 180.0
MOST_UNKNOWN = 0.2


def compute_stability_index(grades: GradeTable, scores: Float64) -> float:
    """Return the population stability index of scores (n,), n >= 1, beside the training scores.

    It is the sum of (found - expected) ln(found / expected) over tenths of the training scores, as
    the grade table knows them, to 1 %.
    """
    wanted = np.arange(1, BINS) * grades.rows / BINS
    at = np.unique(np.minimum(np.searchsorted(grades.ranks, wanted), len(grades.ranks) - 1))
    expected = np.diff(np.concatenate(([0], grades.ranks[at], [grades.rows]))) / grades.rows
    below = np.searchsorted(np.sort(scores), grades.scores[at], side="right")
    found = np.diff(np.concatenate(([0], below, [len(scores)]))) / len(scores)
    expected, found = np.maximum(expected, LEAST_SHARE), np.maximum(found, LEAST_SHARE)
    return float(((found - expected) * np.log(found / expected)).sum())


def compute_distance(grades: GradeTable, scores: Float64) -> float:
    """Return the largest distance between the distribution of scores (n,) and that of the training
    scores, at the scores that the grade table keeps: to 1 % of the share there.
    """
    ordered = np.sort(scores)
    trained = grades.ranks / grades.rows
    found = np.searchsorted(ordered, grades.scores, side="right") / len(ordered)
    return float(np.abs(found - trained).max())


def find_drift(
    *,
    index: float | None,
    distance: float | None,
    flagged: float | None,
    asked: float | None,
    age_days: float,
    unknown: float,
) -> Sequence[str]:
    """Return the words for what has drifted; shares that are not known are None."""
    times = flagged / asked if asked and flagged is not None else 1.0
    reasons = {
        "scores_moved": index is not None and index > MOST_INDEX,
        "distribution_moved": distance is not None and distance > MOST_DISTANCE,
        "flags_too_much": times > MOST_TIMES_ASKED,
        "flags_too_little": times < 1.0 / MOST_TIMES_ASKED,
        "old": age_days > MOST_AGE_DAYS,
        "unknown_tickers": unknown > MOST_UNKNOWN,
    }
    return [word for word, has_drifted in reasons.items() if has_drifted]
