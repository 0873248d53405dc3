"""Half-space trees (Tan, Ting and Liu 2011): strange is a bar where the series' bars are rarely.

Trees that know no data halve the space of the columns at random; how many of the series' own bars
of late lie in a half-space is its mass, and a bar in half-spaces of little mass is strange. The
masses are those of the last 250 bars before the block of 250 places that a bar is in, counted from
the series' first bar past the warm-up: of bars that all traded, the last complete block. So a score
is a function of a bounded stretch of stored bars, and there is no state to lose. It learns each
ticker's own habits, and goes along with them as they change. It fails within a year of a change of
regime, when the block before is no measure, and on bars beyond all splits, which are all as
strange. It costs 25 trees x 8 levels a bar, as a bar's way down is kept for the block that it is
in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import float64, int32, int64, njit, uint16
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64
from core.errors import BadInput
from detection.detectors.rows import SeriesRows, freeze
from detection.detectors.walks import find_leaves, find_places, order_bits

TREES = 25
HEIGHT = 8
# Bars whose masses are the measure of those of the next block.
BLOCK_BARS = 250
# In a half-space with fewer bars than so many a tree looks no further, as in the paper.
LEAST_MASS = BLOCK_BARS // 10
NODES = 2 ** (HEIGHT + 1) - 1
MOST = float(TREES * BLOCK_BARS * NODES)

Columns = NDArray[np.int32]
Leaves = NDArray[np.uint16]


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

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:  # noqa: ARG002 - no row is told from a part of its trees
        """Return the score of each wanted row, shape (m,), in [-1, 0]; lower is stranger.

        It is the sum of a row's masses, each times 2^depth, over all trees, as a share of the most
        that this can be, minus 1.
        """
        sums = weigh_leaves(*self._drop(rows))
        scores: Float64 = sums / MOST - 1.0
        return scores

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in what makes each wanted row strange, shape (m, d).

        A split on a row's path is credited with the share that the row's side lacks of a half of
        the mass; where no split has any credit, the shares are equal.
        """
        credit = credit_splits(*self._drop(rows), self.columns, rows.inputs.shape[1])
        totals = credit.sum(axis=1, keepdims=True)
        credit[totals[:, 0] <= 0.0] = 1.0
        shares: Float64 = credit / credit.sum(axis=1, keepdims=True)
        return shares

    def _drop(self, rows: SeriesRows) -> tuple[Leaves, Int64, Int64]:
        """Let the wanted rows, and those of their blocks, down the trees.

        Returns:
            leaves, shape (r, trees); which of these rows is each wanted one, shape (m,), and which
            is the first of its block, shape (m,).
        """
        blocks = rows.find_blocks(BLOCK_BARS) - BLOCK_BARS
        needed = np.zeros(len(rows.inputs), np.bool_)
        needed[rows.wanted] = True
        # Wanted rows ascend, and so do their blocks.
        own = blocks[np.diff(blocks, prepend=-1) > 0]
        needed[(own[:, None] + np.arange(BLOCK_BARS)).ravel()] = True
        place = needed.cumsum() - 1
        # Slot 0 is none, and a row goes right by a value that is not less than the threshold.
        slots = (
            find_places(np.insert(self.columns, 0, 0, axis=1)),
            np.insert(order_bits(self.thresholds) - np.int32(1), 0, 0, axis=1),
        )
        leaves = find_leaves(freeze(rows.inputs), np.flatnonzero(needed), *slots)
        return leaves, place[rows.wanted], place[blocks]


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


_arguments = (uint16[:, ::1], int64[::1], int64[::1])


@njit(inline="always")
def _count_masses(leaves: Leaves, first: int, masses: NDArray[np.int32]) -> None:
    """Count how many of the block's rows, from `first` on, come by each slot of each tree; masses
    have shape (trees, 2^(height + 1)).
    """
    masses[:] = 0
    middle = masses.shape[1] // 2
    for row in range(first, first + BLOCK_BARS):
        for tree in range(masses.shape[0]):
            masses[tree, middle + leaves[row, tree]] += 1
    for tree in range(masses.shape[0]):
        for slot in range(middle - 1, 0, -1):
            masses[tree, slot] = masses[tree, 2 * slot] + masses[tree, 2 * slot + 1]


@njit(inline="always")
def _weigh_paths(masses: NDArray[np.int32], weights: NDArray[np.int32]) -> None:
    """Set the `weights` of each slot to the sum of the masses on the path to it, each times
    2^depth; a path ends where there is less than the least mass.
    """
    for tree in range(masses.shape[0]):
        weights[tree, 1] = masses[tree, 1]
        first = 2
        while first < masses.shape[1]:
            for slot in range(first, 2 * first):
                goes_on = masses[tree, slot // 2] >= LEAST_MASS
                # What lies below an end has no mass that counts.
                if not goes_on:
                    masses[tree, slot] = 0
                weights[tree, slot] = weights[tree, slot // 2] + masses[tree, slot] * first
            first *= 2


@njit(float64[::1](*_arguments), nogil=True, cache=True, error_model="numpy")
def weigh_leaves(leaves: Leaves, at: Int64, blocks: Int64) -> Float64:
    """Return the sum of the masses on each wanted row's paths, each times 2^depth, shape (m,).

    All sums are of whole numbers, and so exact. Arguments are what `_drop` returns.
    """
    trees = leaves.shape[1]
    sums = np.zeros(at.size)
    masses = np.zeros((trees, 2 ** (HEIGHT + 1)), np.int32)
    weights = np.zeros((trees, 2 ** (HEIGHT + 1)), np.int32)
    for i in range(at.size):
        if i == 0 or blocks[i] != blocks[i - 1]:
            _count_masses(leaves, blocks[i], masses)
            _weigh_paths(masses, weights)
        total = 0
        for tree in range(trees):
            total += weights[tree, 2**HEIGHT + leaves[at[i], tree]]
        sums[i] = total
    return sums


@njit(
    float64[:, ::1](*_arguments, int32[:, ::1], int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def credit_splits(
    leaves: Leaves, at: Int64, blocks: Int64, columns: Columns, width: int
) -> Float64:
    """Return what each column's splits take off the half of the mass that each wanted row's side
    would have, were the bars spread evenly, as a share of it, all trees, shape (m, d).
    """
    trees = leaves.shape[1]
    credit = np.zeros((at.size, width))
    masses = np.zeros((trees, 2 ** (HEIGHT + 1)), np.int32)
    for i in range(at.size):
        if i == 0 or blocks[i] != blocks[i - 1]:
            _count_masses(leaves, blocks[i], masses)
        for tree in range(trees):
            leaf, slot = 2**HEIGHT + np.int64(leaves[at[i], tree]), 1
            for level in range(HEIGHT - 1, -1, -1):
                if masses[tree, slot] < LEAST_MASS:
                    break
                half = 0.5 * masses[tree, slot]
                column = columns[tree, slot - 1]
                slot = leaf >> level
                credit[i, column] += max(half - masses[tree, slot], 0.0) / half
    return credit
