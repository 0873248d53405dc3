"""Isolation Forest (Liu, Ting, Zhou 2008): a bar is strange where random splits isolate it early.

scikit-learn fits the trees. `FlatForest` scores with them in one compiled walk, several times as
fast as scikit-learn: it adds the same numbers in the same order, so its scores are the same to the
last bit. It costs trees x depth steps a bar, and fails where scikit-learn's forest does: inputs
beyond the range of the training rows all look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.arrays import Float64
from core.errors import BadInput, TapewatchError
from detection.detectors.trees import ForestNodes, collect_nodes, unfold_trees
from detection.detectors.walks import (
    credit_columns,
    find_cells,
    find_low_rows,
    sum_lengths,
)

if TYPE_CHECKING:  # imported for fitting only: a process that only scores saves 50 MB
    from sklearn.ensemble import IsolationForest

CHECKED_ROWS = 512
# How much is grown between two checkpoints: trees, and trees times rows, as the time for a tree
# grows with the rows that its sample is drawn from.
STEP_TREES, STEP_ROWS = 10, 65_536
ROUNDING = 1e-12

Checkpoint = Callable[[float], None]


def fit(
    inputs: ArrayLike,
    *,
    trees: int,
    sample: int,
    seed: int,
    checkpoint: Checkpoint = lambda _fraction: None,
) -> dict[str, NDArray[Any]]:
    """Return the nodes of a forest (see `ForestNodes`) fitted on `inputs` (n, d).

    Raises BadInput when there is nothing to fit on, and TapewatchError where the scores would
    differ from scikit-learn's.
    """
    forest = fit_forest(inputs, trees=trees, sample=sample, seed=seed, checkpoint=checkpoint)
    return FlatForest.from_sklearn(forest).get_arrays()


def load(fitted: Mapping[str, NDArray[Any]]) -> FlatForest:
    """Return the forest of these nodes, laid out for speed.

    Its scores are the same to the last bit.
    """
    return FlatForest(
        ForestNodes(**{field.name: fitted[field.name] for field in fields(ForestNodes)})
    )


def fit_forest(
    inputs: ArrayLike,
    *,
    trees: int,
    sample: int,
    seed: int,
    checkpoint: Checkpoint = lambda _fraction: None,
) -> IsolationForest:
    """Return scikit-learn's forest of `trees` trees on `sample` rows each of `inputs`,
    or on all where there are fewer.

    It is grown in steps, and is the same as if it were grown at once. Raises BadInput when there is
    nothing to fit on.
    """
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - see above

    matrix = np.ascontiguousarray(inputs, np.float32)
    if len(matrix) < 2:
        raise BadInput(
            f"asked for {trees} trees of {sample} rows from {len(matrix)} rows; give at least two"
            " rows"
        )
    rows = min(sample, len(matrix))
    step = max(1, min(STEP_TREES, STEP_ROWS // rows))
    forest = IsolationForest(
        n_estimators=step, max_samples=rows, random_state=seed, warm_start=True
    )
    for grown in range(step, trees + step, step):
        forest.set_params(n_estimators=min(grown, trees))
        forest.fit(matrix)
        checkpoint(min(grown, trees) / trees)
    return forest


class FlatForest:
    """A fitted forest, laid out for speed when it is loaded."""

    def __init__(self, nodes: ForestNodes) -> None:
        self._nodes = nodes
        self._trees = unfold_trees(nodes)

    @classmethod
    def from_sklearn(cls, forest: IsolationForest) -> Self:
        """Return the forest that scikit-learn fitted.

        Its scores of rows for which a comparison is most easily wrong are compared with
        scikit-learn's. Raises TapewatchError if any differs, as it may with another version of
        scikit-learn.
        """
        flat = cls(collect_nodes(forest))
        sample = flat._draw_sample()
        differences = np.abs(flat.score_samples(sample) - forest.score_samples(sample))
        if differences.max() != 0.0:
            raise TapewatchError(
                f"{np.count_nonzero(differences)} of {CHECKED_ROWS} scores differ from those of"
                f" scikit-learn {version('scikit-learn')}, by up to {differences.max():.3g}; no"
                " model was made. Install the pinned version",
                reason="scores_differ",
            )
        return flat

    def get_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the stored arrays, by name."""
        return {field.name: getattr(self._nodes, field.name) for field in fields(ForestNodes)}

    def score_samples(self, inputs: ArrayLike, *, below: float | Float64 = 0.0) -> Float64:
        """Return the score of each row of `inputs` (m, d), shape (m,), in [-1, 0);
        lower is stranger.

        Only scores lower than `below` are right. A row that cannot have one, by the bound of its
        cell or after some of the trees, has 0.0.
        """
        matrix, trees = np.ascontiguousarray(inputs, np.float32), self._trees
        walked = (trees.places, trees.ordered, trees.lengths)
        rows = np.arange(len(matrix))
        bound = np.asarray(below, np.float64)
        if np.any(bound < 0.0):
            with np.errstate(divide="ignore", invalid="ignore"):
                longest = np.where(bound < 0.0, -np.log2(-bound) * trees.longest, np.inf)
            # The limit is a little wider than `below`, so that no row is left out by rounding: the
            # score alone decides.
            limits = np.full(len(matrix), longest * (1.0 + ROUNDING))
            rows = np.flatnonzero(trees.cells[self.find_cells(matrix)] < limits)
            rows = find_low_rows(matrix, rows, limits, walked, trees.order, trees.to_come)
        scores = np.zeros(len(matrix))
        lengths = sum_lengths(matrix, rows, walked)
        scores[rows] = -(2.0 ** (-(lengths / trees.longest)))
        return scores

    def find_cells(self, inputs: ArrayLike) -> NDArray[np.int32]:
        """Return the cell of each row of `inputs` (m, d), shape (m,)."""
        return find_cells(np.ascontiguousarray(inputs, np.float32), self._trees.edges)

    def bound_cells(self) -> Float64:
        """Return a lower bound for the scores of the rows in each cell."""
        shortest = self._trees.cells * (1.0 - ROUNDING)
        scores: Float64 = -(2.0 ** (-(shortest / self._trees.longest)))
        return scores

    def attribute(self, inputs: ArrayLike) -> Float64:
        """Return the share of each column in what makes each row strange, shape (m, d);
        a row's shares sum to 1.

        A split on the row's path is credited with what it takes off the expected path length (the
        mean over the node's training rows): E[length | node] - E[length | child]. The credits of a
        tree add up to its expected length minus the row's. Isolation trees draw the column of every
        split at random, so the mean over trees is also a mean over orders of the columns, as in a
        Shapley value. Columns with a negative credit made the row look usual and have share 0;
        where all have, the shares are equal.
        """
        matrix = np.ascontiguousarray(inputs, np.float32)
        trees = self._trees
        credit = np.maximum(
            credit_columns(matrix, trees.columns, trees.thresholds, trees.expected), 0.0
        )
        totals = credit.sum(axis=1, keepdims=True)
        credit[totals[:, 0] <= 0.0] = 1.0
        shares: Float64 = credit / credit.sum(axis=1, keepdims=True)
        return shares

    def _draw_sample(self) -> NDArray[np.float32]:
        """Return rows of the trees' own thresholds, for which a comparison is most easily wrong,
        and rows of noise.
        """
        generator = np.random.default_rng(0)
        trees = self._trees
        width = int(self._nodes.width)
        sample = generator.normal(scale=20.0, size=(CHECKED_ROWS, width)).astype(np.float32)
        for column in range(width):
            found = trees.thresholds[(trees.columns == column) & np.isfinite(trees.thresholds)]
            if found.size:
                sample[::2, column] = generator.choice(found, CHECKED_ROWS // 2)
        return sample
