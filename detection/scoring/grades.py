"""The grades of scores: how rare each is among the model's training bars (core/grades.py)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from core.arrays import Float64, Int64
from core.grades import HIGHEST_GRADE, POINTS_PER_DECADE

# The strangest training scores are all kept, the others at ranks 1 % apart: 0.11 of a grade.
DENSE_RANKS = 100
RANK_STEP = 1.01


@dataclass(frozen=True, slots=True)
class GradeTable:
    """The tail of the training scores.

    Attributes:
        rows: how many training bars were scored.
        ranks: shape (q,), ascending; `ranks[i]` training bars have a score of at most `scores[i]`.
        scores: shape (q,), ascending.
    """

    rows: int
    ranks: Int64
    scores: Float64

    @classmethod
    def from_scores(cls, scores: ArrayLike) -> Self:
        """Build the table from the scores of all training bars, shape (n,), n >= 1."""
        ordered = np.sort(np.asarray(scores, np.float64))
        wide = np.geomspace(DENSE_RANKS, max(ordered.size, DENSE_RANKS), _count_steps(ordered.size))
        ranks = np.unique(
            np.concatenate((np.arange(1, DENSE_RANKS), wide.astype(np.int64), [ordered.size]))
        )
        ranks = ranks[ranks <= ordered.size]
        kept = np.unique(ordered[ranks - 1])
        return cls(ordered.size, np.searchsorted(ordered, kept, side="right"), kept)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the table back from a model's record."""
        ranks = np.array(document["ranks"], np.int64)
        return cls(int(document["rows"]), ranks, np.array(document["scores"], np.float64))

    def to_document(self) -> dict[str, Any]:
        """Return the table as plain values for a model's record."""
        return {"rows": self.rows, "ranks": self.ranks.tolist(), "scores": self.scores.tolist()}

    def compute(self, scores: ArrayLike) -> Float64:
        """Return the grade of each score, shape (m,); a stranger score never has a lower grade.

        A score below that of every training bar counts as half a bar.
        """
        position = np.searchsorted(self.scores, np.asarray(scores, np.float64), side="right")
        shares = np.concatenate(([0.5], self.ranks))[position] / self.rows
        # Adding 0.0 turns the -0.0 of the most usual bar into 0.0.
        return np.minimum(-POINTS_PER_DECADE * np.log10(shares) + 0.0, HIGHEST_GRADE)

    def count_below(self, score: float) -> int:
        """Return how many of the training bars have a lower score, to 1 %."""
        position = int(np.searchsorted(self.scores, score, side="left"))
        return int(self.ranks[position - 1]) if position else 0

    def find_score(self, grade: float) -> float:
        """Return the score below which the grade is at least `grade`, for use as a threshold."""
        grades = self.compute(self.scores)
        usual = np.flatnonzero(grades < grade)
        return float(self.scores[usual[0]]) if usual.size else 0.0


def _count_steps(rows: int) -> int:
    return 2 + int(np.log(max(rows / DENSE_RANKS, 1.0)) / np.log(RANK_STEP))
