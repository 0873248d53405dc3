"""Isolation Forest (Liu, Ting, Zhou 2008): strange bars are those that random splits cut off early.

scikit-learn fits the trees. `FlatForest` scores with them: the same sums in the same order, so the same bits, in one
compiled walk, several times as fast. It costs trees x depth steps a bar, and fails where scikit-learn's own does:
inputs beyond the range seen in training all look alike.
"""

import numpy as np
import structlog
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import IsolationForest

from core.arrays import Float64
from core.errors import BadInput
from detection.detectors.trees import credit_columns, unfold_trees, walk_trees

CHECKED_ROWS = 512
CHECK_TOLERANCE = 1e-12

log = structlog.get_logger()


def fit(inputs: ArrayLike, *, trees: int, sample: int, seed: int) -> IsolationForest:
    """Fit `trees` trees on `sample` rows each of `inputs` (n, d), or on all n where there are fewer.

    Raises BadInput when there is nothing to fit on.
    """
    matrix = np.ascontiguousarray(inputs, np.float32)
    if len(matrix) < 2:
        raise BadInput(f"asked for {trees} trees of {sample} rows from {len(matrix)} rows; give at least two rows")
    forest = IsolationForest(n_estimators=trees, max_samples=min(sample, len(matrix)), random_state=seed)
    return forest.fit(matrix)


def load(forest: IsolationForest) -> "FlatForest":
    """Return the forest laid out for speed."""
    return FlatForest(forest)


class FlatForest:
    """A fitted scikit-learn forest laid out for speed; built from it when a model is loaded, never stored.

    At construction its scores are held against scikit-learn's; should they differ (another version's internals),
    scikit-learn scores from then on, and the log says so.
    """

    def __init__(self, forest: IsolationForest) -> None:
        self._forest = forest
        self._trees = unfold_trees(forest)
        sample = self._draw_sample()
        self.is_flat = bool(np.abs(self._walk(sample) - forest.score_samples(sample)).max() <= CHECK_TOLERANCE)
        if not self.is_flat:
            log.warning("flat_forest_differs", trees=len(forest.estimators_), checked_rows=CHECKED_ROWS)

    def score_samples(self, inputs: ArrayLike, *, below: float = 0.0) -> Float64:
        """Return the score of each row of `inputs` (m, d), shape (m,), in [-1, 0); lower is stranger.

        Only scores lower than `below` are wanted: rows that cannot have one, as a part of the trees tells, have 0.0.
        """
        matrix = np.ascontiguousarray(inputs, np.float32)
        if self.is_flat or len(matrix) == 0:
            return self._walk(matrix, below)
        scores: Float64 = self._forest.score_samples(matrix)
        return scores

    def attribute(self, inputs: ArrayLike) -> Float64:
        """Return the share of each column in what makes each row strange, shape (m, d); a row's shares sum to 1.

        A split on the row's path is credited with what it takes off the path length to be expected, the mean over
        the training rows of the node: E[length | node] - E[length | child]. The credits of a tree add up to
        expectation minus length. Isolation trees draw the column of every split at random, so that the mean over
        trees is a mean over orders of the columns too, as in a Shapley value. Columns that on balance made the row
        look usual have share 0; where all did, the shares are equal.
        """
        matrix = np.ascontiguousarray(inputs, np.float32)
        trees = self._trees
        credit = np.maximum(credit_columns(matrix, trees.columns, trees.thresholds, trees.expected), 0.0)
        totals = credit.sum(axis=1, keepdims=True)
        credit[totals[:, 0] <= 0.0] = 1.0
        shares: Float64 = credit / credit.sum(axis=1, keepdims=True)
        return shares

    def _walk(self, matrix: NDArray[np.float32], below: float = 0.0) -> Float64:
        trees = self._trees
        limit = -np.log2(-below) * trees.longest if below < 0.0 else np.inf
        # Where rounding could matter the walk goes on, so that what is below is told by the score alone.
        enough = limit * (1.0 + CHECK_TOLERANCE) - trees.to_come
        lengths = walk_trees(matrix, trees.columns, trees.thresholds, trees.lengths, enough)
        scores: Float64 = -(2.0 ** (-(lengths / trees.longest)))
        return scores

    def _draw_sample(self) -> NDArray[np.float32]:
        """Return rows made of the trees' own thresholds, where a comparison is most easily wrong, and of noise."""
        generator = np.random.default_rng(0)
        trees = self._trees
        width = self._forest.n_features_in_
        sample = generator.normal(scale=20.0, size=(CHECKED_ROWS, width)).astype(np.float32)
        for column in range(width):
            found = trees.thresholds[(trees.columns == column) & np.isfinite(trees.thresholds)]
            if found.size:
                sample[::2, column] = generator.choice(found, CHECKED_ROWS // 2)
        return sample
