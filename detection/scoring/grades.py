"""The grades of bars: how rare each is among the model's training bars (core/grades.py).

A detector's score may not grow beyond the range of the training bars: a forest finds a bar that is
extreme in two columns, such as a wick of a hundred usual ranges, no stranger than a bar with a
moderate wick, and less strange than many bars that are large in all columns. So among the strangest
hundredth by score, a bar's rarity is that of its score or that of the rarest of its columns,
whichever is rarer, and its grade says how rare such a rarity is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from core.arrays import Float32, Float64, Int64
from core.grades import (
    HIGHEST_GRADE,
    LEAST_GRADES,
    POINTS_PER_DECADE,
    find_share,
    grade_share,
)
from detection.features.feature_sets import DISTANCES

# A table keeps the DENSE_RANKS strangest training scores, and of the others those at ranks 1 %
# apart, which is 0.11 of a grade.
DENSE_RANKS = 100
RANK_STEP = 1.01
# A bar's columns count where its grade by score alone is at least this.
BY_COLUMNS = LEAST_GRADES[0]
# Logarithms differ in their last bit between machines; rarities that differ by less are equal.
SAME_RARITY = 1e-9


@dataclass(frozen=True, slots=True)
class GradeTable:
    """The training scores by rank, the strangest first.

    Attributes:
        rows: how many training bars were scored.
        ranks: shape (q,), ascending; `ranks[i]` training bars have a score of at most `scores[i]`.
        scores: shape (q,), ascending.
        by_columns: the same table of the training bars' rarity by score or column, negated so that
            lower is rarer; None where columns do not count.
    """

    rows: int
    ranks: Int64
    scores: Float64
    by_columns: "GradeTable | None" = None

    @classmethod
    def from_scores(cls, scores: ArrayLike, rarities: Float64 | None = None) -> Self:
        """Build the table from the scores of all training bars, shape (n,), n >= 1, and from the
        rarities (n,) that `ColumnTails.find_rarity` returns of them, where columns count.
        """
        table = cls._from_values(scores)
        if rarities is None:
            return table
        own = table.find_rarity(scores)
        both = np.where(own >= BY_COLUMNS, np.maximum(own, rarities), own)
        return replace(table, by_columns=cls._from_values(-both))

    @classmethod
    def _from_values(cls, scores: ArrayLike) -> Self:
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
        scores = np.array(document["scores"], np.float64)
        by_columns = document.get("by_columns")
        return cls(
            int(document["rows"]),
            ranks,
            scores,
            None if by_columns is None else cls.from_document(by_columns),
        )

    def to_document(self) -> dict[str, Any]:
        """Return the table as plain values for a model's record."""
        own = {"rows": self.rows, "ranks": self.ranks.tolist(), "scores": self.scores.tolist()}
        return own | ({"by_columns": self.by_columns.to_document()} if self.by_columns else {})

    def compute(self, scores: ArrayLike, rarities: Float64 | None = None) -> Float64:
        """Return the grade of each score, shape (m,); a stranger score never has a lower grade.

        A score below that of every training bar counts as rank 0.5. With `rarities`, (m,) as
        `ColumnTails.find_rarity` returns them, columns count too: of two bars with the same score
        or the same rarity, the one that is stranger in the other never has the lower grade.
        """
        found = self.find_rarity(scores)
        if rarities is not None and self.by_columns is not None:
            both = self.by_columns.find_rarity(SAME_RARITY - np.maximum(found, rarities))
            found = np.where(found >= BY_COLUMNS, np.maximum(both, BY_COLUMNS), found)
        return np.minimum(found, HIGHEST_GRADE)

    def find_rarity(self, scores: ArrayLike) -> Float64:
        """Return the grade of each score, shape (m,), not cut at 100."""
        position = np.searchsorted(self.scores, np.asarray(scores, np.float64), side="right")
        shares = np.concatenate(([0.5], self.ranks))[position] / self.rows
        # Adding 0.0 turns the -0.0 of the most usual bar into 0.0.
        rarity: Float64 = -POINTS_PER_DECADE * np.log10(shares) + 0.0
        return rarity

    def cut(self, share: float) -> Self:
        """Return the part of the table with this share of the bars, the strangest; one at least."""
        count = max(1, int(np.searchsorted(self.ranks, share * self.rows, side="right")))
        return replace(self, ranks=self.ranks[:count], scores=self.scores[:count])

    def count_below(self, score: float) -> int:
        """Return how many of the training bars have a lower score, to 1 %."""
        position = int(np.searchsorted(self.scores, score, side="left"))
        return int(self.ranks[position - 1]) if position else 0

    def find_score(self, grade: float) -> float:
        """Return the score below which the grade is at least `grade`, for use as a threshold."""
        grades = self.compute(self.scores)
        usual = np.flatnonzero(grades < grade)
        return float(self.scores[usual[0]]) if usual.size else 0.0


@dataclass(frozen=True, slots=True)
class ColumnTails:
    """The largest training values of those columns of a model's inputs that are distances from what
    is usual (`DISTANCES`).

    Attributes:
        tables: by column a grade table of its largest values, negated so that lower is stranger.
    """

    tables: Mapping[str, GradeTable]

    @classmethod
    def from_inputs(cls, columns: Sequence[str], inputs: Float32) -> Self:
        """Build the tails from the training rows, shape (n, d), n >= 1."""
        own = [name for name in columns if name in DISTANCES]
        share = find_share(BY_COLUMNS) / max(1, len(own))
        return cls(
            {
                name: GradeTable.from_scores(-inputs[:, columns.index(name)]).cut(share)
                for name in own
            }
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the tails back from a model's record."""
        return cls({name: GradeTable.from_document(own) for name, own in document.items()})

    def to_document(self) -> dict[str, Any]:
        """Return the tails as plain values for a model's record."""
        return {name: table.to_document() for name, table in self.tables.items()}

    def find_rarity(self, columns: Sequence[str], inputs: Float32) -> Float64 | None:
        """Return for each row of `inputs` (m, d) the rarity of its rarest value, shape (m,), as a
        grade not cut at 100; None where no column has a tail.

        The rarity is corrected for the number of columns (Bonferroni): the more there are, the more
        likely a usual bar is rare in one of them.
        """
        if not self.tables:
            return None
        found = [
            table.find_rarity(-inputs[:, columns.index(name)])
            for name, table in self.tables.items()
        ]
        rarity: Float64 = np.max(found, axis=0) - grade_share(1.0 / len(found))
        return rarity


def _count_steps(rows: int) -> int:
    return 2 + int(np.log(max(rows / DENSE_RANKS, 1.0)) / np.log(RANK_STEP))
