"""Half-space trees (Tan, Ting and Liu 2011): strange is a bar where the series' bars are rarely.

Trees that know no data halve the space of the columns at random; how many of the series' own bars
of late lie in a half-space is its mass, and a bar in half-spaces of little mass is strange. The
masses are those of the last complete block of 250 bars of the series, counted from its first bar
past the warm-up: so a score is a function of at most 500 stored bars, and there is no state to
lose. It learns each ticker's own habits, and goes along with them as they change. It fails within
a year of a change of regime, when the block before is no measure, and on bars beyond all splits,
which are all as strange. It costs 25 trees x 8 levels twice a bar, some three times the forest,
which walks most bars through a few of its trees only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64
from core.errors import BadInput
from detection.detectors.rows import SeriesRows, freeze

TREES = 25
HEIGHT = 8
# Bars whose masses are the measure of those of the next block.
BLOCK_BARS = 250
# In a half-space with fewer bars than so many a tree looks no further, as in the paper.
LEAST_MASS = BLOCK_BARS // 10
NODES = 2 ** (HEIGHT + 1) - 1
MOST = float(TREES * BLOCK_BARS * NODES)

Columns = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class HalfSpaceTrees:
    """Trees of one height, ready to score.

    Attributes:
        columns: shape (trees, 2^height - 1), the column that each node halves.
        thresholds: same shape; rows with this value or more go right. The children of node p are
            2p + 1 and 2p + 2.
    """

    columns: Columns
    thresholds: Float32

    def score_series(self, rows: SeriesRows, *, below: float = 0.0) -> Float64:  # noqa: ARG002 - no row is told from a part of its trees
        """Return the score of each wanted row, shape (m,), in [-1, 0]; lower is stranger.

        It is the sum of a row's masses, each times 2^depth, over all trees, as a share of the most
        that this can be, minus 1.
        """
        sums = weigh_rows(*self._freeze(rows))
        scores: Float64 = sums / MOST - 1.0
        return scores

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in what makes each wanted row strange, shape (m, d).

        A split on a row's path is credited with the share that the row's side lacks of a half of
        the mass; where no split has any credit, the shares are equal.
        """
        credit = credit_splits(*self._freeze(rows))
        totals = credit.sum(axis=1, keepdims=True)
        credit[totals[:, 0] <= 0.0] = 1.0
        shares: Float64 = credit / credit.sum(axis=1, keepdims=True)
        return shares

    def _freeze(self, rows: SeriesRows) -> tuple[Float32, Int64, Int64, Int64, Columns, Float32]:
        """Return what the compiled walks take: they are compiled for read-only arrays alone."""
        series = np.searchsorted(rows.offsets, rows.wanted, side="right") - 1
        starts = rows.offsets[series] - rows.places[series]
        where = (freeze(rows.wanted), freeze(starts), freeze(rows.find_places()))
        return (freeze(rows.inputs), *where, self.columns, self.thresholds)


def fit(
    rows: SeriesRows, *, seed: int, checkpoint: Callable[[float], None] = lambda _fraction: None
) -> dict[str, NDArray[Any]]:
    """Return trees grown from the seed alone; `rows` says how many columns there are.

    Raises BadInput where no two rows have a block of bars before them.
    """
    if len(rows.wanted) < 2:
        raise BadInput(
            f"asked for half-space trees with {len(rows.wanted)} rows that have {BLOCK_BARS} bars"
            " before them; give at least two"
        )
    columns, thresholds = grow_trees(rows.inputs.shape[1], np.random.default_rng(seed))
    checkpoint(1.0)
    return {"columns": columns, "thresholds": thresholds}


def load(fitted: Mapping[str, NDArray[Any]]) -> HalfSpaceTrees:
    """Return the trees, ready to score."""
    columns = np.ascontiguousarray(fitted["columns"], np.int32)
    return HalfSpaceTrees(columns, np.ascontiguousarray(fitted["thresholds"], np.float32))


def grow_trees(width: int, random: np.random.Generator) -> tuple[Columns, Float32]:
    """Return columns and thresholds of trees over `width` columns, which are never negative.

    As in the paper each tree has work ranges of its own: s - 2 max(s, 1 - s) to s + 2 max(s, 1 - s)
    of a column that runs from 0 to 1, s being drawn evenly; a node halves its range of a column
    that is drawn. A column x runs from 0 to 1 as x / (1 + x), so that no data are needed.
    """
    columns = np.zeros((TREES, 2**HEIGHT - 1), np.int32)
    thresholds = np.zeros((TREES, 2**HEIGHT - 1), np.float32)
    for tree in range(TREES):
        centre = random.random(width)
        reach = 2.0 * np.maximum(centre, 1.0 - centre)
        ranges = {0: (centre - reach, centre + reach)}
        for node in range(2**HEIGHT - 1):
            low, high = ranges.pop(node)
            column = int(random.integers(width))
            middle = (low[column] + high[column]) / 2.0
            columns[tree, node] = column
            thresholds[tree, node] = middle / (1.0 - middle) if middle < 1.0 else np.inf
            left, right = high.copy(), low.copy()
            left[column] = right[column] = middle
            ranges[2 * node + 1], ranges[2 * node + 2] = (low, left), (right, high)
    return columns, thresholds


_matrix = types.Array(float32, 2, "C", readonly=True)
_vector = types.Array(int64, 1, "C", readonly=True)
_arguments = (_matrix, _vector, _vector, _vector, int32[:, ::1], float32[:, ::1])


@njit(nogil=True, error_model="numpy")
def _count_masses(
    inputs: Float32, start: int, columns: Columns, thresholds: Float32, masses: Int64
) -> None:
    """Count how many of the block's rows, from `start` on, come by each node of each tree."""
    masses[:] = 0
    last = columns.shape[1]
    for tree in range(columns.shape[0]):
        for row in range(start, start + BLOCK_BARS):
            node = 0
            masses[tree, 0] += 1
            while node < last:
                right = inputs[row, columns[tree, node]] >= thresholds[tree, node]
                node = 2 * node + 1 + int(right)
                masses[tree, node] += 1


@njit(float64[::1](*_arguments), nogil=True, cache=True, error_model="numpy")
def weigh_rows(
    inputs: Float32,
    wanted: Int64,
    starts: Int64,
    places: Int64,
    columns: Columns,
    thresholds: Float32,
) -> Float64:
    """Return the sum of the masses on each wanted row's paths, each times 2^depth, shape (m,).

    starts, places: shape (m,), where place 0 of the row's series would lie in `inputs`, and the
    row's place. All sums are of whole numbers, and so exact.
    """
    sums = np.zeros(wanted.size)
    masses = np.zeros((columns.shape[0], 2 * columns.shape[1] + 1), np.int64)
    counted = np.int64(-1)
    for i in range(wanted.size):
        block = starts[i] + (places[i] // BLOCK_BARS - 1) * BLOCK_BARS
        if i == 0 or block != counted:
            _count_masses(inputs, block, columns, thresholds, masses)
            counted = block
        for tree in range(columns.shape[0]):
            node, weight = 0, 1.0
            while True:
                sums[i] += masses[tree, node] * weight
                if node >= columns.shape[1] or masses[tree, node] < LEAST_MASS:
                    break
                right = inputs[wanted[i], columns[tree, node]] >= thresholds[tree, node]
                node = 2 * node + 1 + int(right)
                weight *= 2.0
    return sums


@njit(float64[:, ::1](*_arguments), nogil=True, cache=True, error_model="numpy")
def credit_splits(
    inputs: Float32,
    wanted: Int64,
    starts: Int64,
    places: Int64,
    columns: Columns,
    thresholds: Float32,
) -> Float64:
    """Return what each column's splits take off the half of the mass that each wanted row's side
    would have, were the bars spread evenly, as a share of it, all trees, shape (m, d).
    """
    credit = np.zeros((wanted.size, inputs.shape[1]))
    masses = np.zeros((columns.shape[0], 2 * columns.shape[1] + 1), np.int64)
    counted = np.int64(-1)
    for i in range(wanted.size):
        block = starts[i] + (places[i] // BLOCK_BARS - 1) * BLOCK_BARS
        if i == 0 or block != counted:
            _count_masses(inputs, block, columns, thresholds, masses)
            counted = block
        for tree in range(columns.shape[0]):
            node = 0
            while node < columns.shape[1] and masses[tree, node] >= LEAST_MASS:
                column = columns[tree, node]
                half = 0.5 * masses[tree, node]
                right = inputs[wanted[i], column] >= thresholds[tree, node]
                node = 2 * node + 1 + int(right)
                credit[i, column] += max(half - masses[tree, node], 0.0) / half
    return credit
