"""Drift: whether today's bars look to a model like those that it learned from.

It is measured on the scores, by the population stability index over tenths of the training scores
and by the largest distance between the two distributions (Kolmogorov and Smirnov's D); on the
inputs, by the same index of each column, which names the columns that have moved; on the results,
by the share that is flagged beside the share that was asked for, and by how many of the labelled
anomalies were true; and on the training data, by how old its bars are and how many tickers it
lacks. Bounds are those in use for scorecards (Siddiqi, Credit Risk Scorecards, 2006: an index above
.25 is a shift).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.scoring.grades import GradeTable

BINS = 10
# The share that an empty bin counts as, so that no logarithm is infinite.
LEAST_SHARE = 1e-4
MOST_INDEX = 0.25
MOST_DISTANCE = 0.1
MOST_TIMES_ASKED = 2.0
MOST_AGE_DAYS = 180.0
MOST_UNKNOWN = 0.2
LEAST_PRECISION = 0.5
# A share of fewer bars, of fewer alarms than were asked for, or of fewer labels tells nothing.
FEWEST_BARS = 250
FEWEST_ALARMS = 10.0
FEWEST_LABELS = 20


def compute_stability_index(grades: GradeTable, scores: Float64) -> float:
    """Return the population stability index of scores (n,), n >= 1, beside the training scores.

    It is the sum of (found - expected) ln(found / expected) over tenths of the training scores,
    which the grade table has to 1 %.
    """
    wanted = np.arange(1, BINS) * grades.rows / BINS
    at = np.unique(np.minimum(np.searchsorted(grades.ranks, wanted), len(grades.ranks) - 1))
    expected = np.diff(np.concatenate(([0], grades.ranks[at], [grades.rows]))) / grades.rows
    below = np.searchsorted(np.sort(scores), grades.scores[at], side="right")
    found = np.diff(np.concatenate(([0], below, [len(scores)]))) / len(scores)
    return _compare_shares(expected, found)


@dataclass(frozen=True, slots=True)
class InputTable:
    """How each column of a model's inputs was distributed among its training bars.

    Attributes:
        columns: the d columns.
        edges: of each column the distinct edges of its tenths, ascending.
        shares: of each column the share of the training bars between each edge and the one before
            it, and beyond the last.
    """

    columns: tuple[str, ...]
    edges: tuple[Float64, ...]
    shares: tuple[Float64, ...]

    @classmethod
    def from_inputs(cls, columns: Sequence[str], inputs: Float32) -> Self:
        """Build the table from the training rows, shape (n, d), n >= 1."""
        tenths = np.arange(1, BINS) / BINS
        edges = tuple(
            np.unique(np.quantile(column, tenths, method="lower")).astype(np.float64)
            for column in inputs.T
        )
        empty = cls(tuple(columns), edges, ())
        shares = tuple(counts / len(inputs) for counts in empty.count(inputs))
        return cls(tuple(columns), edges, shares)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the table back from a model's record."""
        return cls(
            tuple(document),
            tuple(np.array(column["edges"], np.float64) for column in document.values()),
            tuple(np.array(column["shares"], np.float64) for column in document.values()),
        )

    def to_document(self) -> dict[str, Any]:
        """Return the table as plain values for a model's record."""
        return {
            name: {"edges": edges.tolist(), "shares": shares.tolist()}
            for name, edges, shares in zip(self.columns, self.edges, self.shares, strict=True)
        }

    def count(self, inputs: Float32) -> list[Int64]:
        """Return for each column how many rows of `inputs` (n, d) lie between each edge and the one
        before it, and beyond the last.
        """
        if not self.columns:
            return []
        return [
            np.bincount(
                np.searchsorted(edges, column.astype(np.float64), side="left"),
                minlength=edges.size + 1,
            )
            for edges, column in zip(self.edges, inputs.T, strict=True)
        ]

    def compute_indices(self, counts: Sequence[Int64]) -> dict[str, float]:
        """Return by column the stability index of the `counts` that `count` returns."""
        return {
            name: _compare_shares(shares, found / max(1, int(found.sum())))
            for name, shares, found in zip(self.columns, self.shares, counts, strict=True)
        }


def _compare_shares(expected: Float64, found: Float64) -> float:
    expected, found = np.maximum(expected, LEAST_SHARE), np.maximum(found, LEAST_SHARE)
    return float(((found - expected) * np.log(found / expected)).sum())


def compute_distance(grades: GradeTable, scores: Float64) -> float:
    """Return the largest distance between the distribution of scores (n,) and that of the training
    scores.

    It is taken at the scores that the grade table keeps, so it is exact to 1 % of the share there.
    """
    ordered = np.sort(scores)
    trained = grades.ranks / grades.rows
    found = np.searchsorted(ordered, grades.scores, side="right") / len(ordered)
    return float(np.abs(found - trained).max())


def find_drift(
    *,
    bars: int,
    index: float | None,
    distance: float | None,
    flagged: float | None,
    asked: float | None,
    age_days: float,
    unknown: float,
) -> Sequence[str]:
    """Return the words for what has drifted; shares that are not known are None.

    With too few bars, neither their distribution nor the share that was flagged counts as drifted.
    """
    times = flagged / asked if asked and flagged is not None else 1.0
    has_shape, has_share = bars >= FEWEST_BARS, (asked or 0.0) * bars >= FEWEST_ALARMS
    reasons = {
        "scores_moved": has_shape and index is not None and index > MOST_INDEX,
        "distribution_moved": has_shape and distance is not None and distance > MOST_DISTANCE,
        "flags_too_much": has_share and times > MOST_TIMES_ASKED,
        "flags_too_little": has_share and times < 1.0 / MOST_TIMES_ASKED,
        "old": age_days > MOST_AGE_DAYS,
        "unknown_tickers": unknown > MOST_UNKNOWN,
    }
    return [word for word, has_drifted in reasons.items() if has_drifted]


def settle_watched(
    reasons: Sequence[str],
    *,
    index_before: float | None,
    labels: int,
    precision: float | None,
) -> list[str]:
    """Return the words for what has drifted of a champion that is watched once a session.

    A stability index above its bound counts if it was above it at the last measurement as well.
    With too few labels the precision does not count.

    Args:
        reasons: the words that `find_drift` returned.
        index_before: the stability index of the same version at the last measurement, None where
            there was none.
        labels: how many of the version's anomalies are labelled.
        precision: the share of these that are true.
    """
    is_first = index_before is None or index_before <= MOST_INDEX
    words = [word for word in reasons if not (is_first and word == "scores_moved")]
    if precision is not None and labels >= FEWEST_LABELS and precision < LEAST_PRECISION:
        words.append("imprecise")
    return words
