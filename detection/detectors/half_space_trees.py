"""Half-space trees (Tan, Ting and Liu 2011): a bar is strange where few of its series' bars lie.

The trees halve the space of the columns at random, without data. The mass of a half-space is how
many of the series' own recent bars lie in it, and a bar in half-spaces of little mass is strange.
Columns are sizes in units of the usual size. Bars smaller than usual are few, too, but not strange,
so the space is halved above the usual size only. The bars of a series are cut into blocks of 250
places, counted from its first bar past the warm-up; the masses for a bar are those of the last 250
rows before its block, which are the last complete block if all bars traded. So a score is a
function of a bounded stretch of stored bars, and there is no state to lose. It learns each ticker's
own habits, and follows them as they change. It fails within a year of a change of regime, as the
block before is no measure then, and beyond the largest thresholds, where all bars are equally
strange. It costs 25 trees x some 12 comparisons a bar, twice: once to score the bar, once to count
it for the next block.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64, freeze
from core.errors import BadInput
from detection.detectors.rows import SeriesRows

TREES = 25
HEIGHT = 8
# The masses of so many bars are the measure for the bars of the next block.
BLOCK_BARS = 250
# A half-space with fewer bars is not split further, as in the paper.
LEAST_MASS = BLOCK_BARS // 10
# Columns are in units of the usual size; all values up to it are alike.
USUAL = 1.0
NODES = 2 ** (HEIGHT + 1) - 1
MOST = float(TREES * BLOCK_BARS * NODES)
# At most so many half-spaces of a level have the least mass or more.
MOST_SPLIT = BLOCK_BARS // LEAST_MASS

Columns = NDArray[np.int32]
Labels = NDArray[np.int32]
Spaces = NDArray[np.int32]


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

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:  # noqa: ARG002 - all are as quickly scored
        """Return the score of each wanted row, shape (m,), in [-1, 0]; lower is stranger.

        It is the sum of a row's masses, each times 2^depth, over all trees, as a share of the most
        that this can be, minus 1.
        """
        sums = sum_masses(*self._lay_out(rows))
        scores: Float64 = sums / MOST - 1.0
        return scores

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in what makes each wanted row strange, shape (m, d).

        A split on a row's path is credited with the share that the row's side lacks of a half of
        the mass; where no split has any credit, the shares are equal.
        """
        credit = credit_splits(*self._lay_out(rows))
        totals = credit.sum(axis=1, keepdims=True)
        credit[totals[:, 0] <= 0.0] = 1.0
        shares: Float64 = credit / credit.sum(axis=1, keepdims=True)
        return shares

    def _lay_out(self, rows: SeriesRows) -> tuple[Float32, Int64, Int64, Columns, Float32]:
        """Return rows and trees as the compiled functions take them."""
        blocks = rows.find_blocks(BLOCK_BARS) - BLOCK_BARS
        seen = freeze(rows.inputs), freeze(rows.wanted), freeze(blocks)
        return *seen, self.columns, self.thresholds


def fit(
    rows: SeriesRows, *, seed: int, checkpoint: Callable[[float], None] = lambda _fraction: None
) -> dict[str, NDArray[Any]]:
    """Return trees grown from the seed alone; `rows` only gives the number of columns.

    Raises BadInput where fewer than two rows have a block of bars before them.
    """
    if len(rows.wanted) < 2:
        raise BadInput(
            f"asked for half-space trees with {len(rows.wanted)} rows that have {BLOCK_BARS} bars"
            " before them; give at least two"
        )
    columns, thresholds = grow_trees(rows.inputs.shape[1], np.random.default_rng(seed))
    # With the threshold 0 all rows go right, as no column is negative.
    thresholds[thresholds <= USUAL] = 0.0
    checkpoint(1.0)
    return {"columns": columns, "thresholds": thresholds}


def load(fitted: Mapping[str, NDArray[Any]]) -> HalfSpaceTrees:
    """Return the trees, ready to score."""
    columns = np.ascontiguousarray(fitted["columns"], np.int32)
    return HalfSpaceTrees(columns, np.ascontiguousarray(fitted["thresholds"], np.float32))


def grow_trees(width: int, random: np.random.Generator) -> tuple[Columns, Float32]:
    """Return columns and thresholds of trees over `width` columns, which are never negative.

    As in the paper, each tree has its own work range of each column: s - 2 max(s, 1 - s) to
    s + 2 max(s, 1 - s) of a column from 0 to 1, where s is drawn uniformly. A node halves its range
    of a column that is drawn at random. A column x is mapped to 0 to 1 by x / (1 + x), so that no
    data are needed.
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
_rows = types.Array(int64, 1, "C", readonly=True)
_arguments = (_matrix, _rows, _rows, int32[:, ::1], float32[:, ::1])


@njit(inline="always")
def _lay_side_by_side(inputs: Float32, rows: Int64, values: Float32, ranges: Float32) -> None:
    """Copy the columns of some rows into `values` (d, 250), and widen `ranges` (2, d), the least
    and the largest value of each column, to include them.
    """
    for i in range(rows.size):
        for column in range(inputs.shape[1]):
            value = inputs[rows[i], column]
            values[column, i] = value
            ranges[0, column] = min(ranges[0, column], value)
            ranges[1, column] = max(ranges[1, column], value)


@njit(inline="always")
def _split(
    values: Float32, threshold: np.float32, labels: Labels, label: int | np.int32, right_label: int
) -> np.int32:
    """Give the rows of a half-space that go right the label `right_label`; return how many do."""
    change, mass = np.int32(right_label - label), np.int32(0)
    for row in range(np.uint64(labels.size)):
        right = np.int32(labels[row] == label) & np.int32(values[row] >= threshold)
        labels[row] += right * change
        mass += right
    return mass


@njit(inline="always")
def _note(spaces: Spaces, at: int, node: int, label: int, mass: int | np.int32, due: int) -> int:
    """Append a half-space at position `at` of those to split if it has at least LEAST_MASS; return
    the next free position.
    """
    spaces[at, 0], spaces[at, 1], spaces[at, 2], spaces[at, 3] = node, label, mass, due
    return at + int(mass >= LEAST_MASS)


@njit(nogil=True, error_model="numpy")
def _add_masses(
    before: Float32, own: Float32, ranges: Float32, tree: tuple[Columns, Float32], sums: Labels
) -> None:
    """Add to `sums` (k,) the masses on the paths of k rows in a tree, each times 2^depth, without
    the root's.

    Args:
        before: shape (d, 250), the columns of the bars whose masses count.
        own: shape (d, at least k), the columns of the k rows first.
        ranges: shape (2, d), the least and the largest value of each column.
        tree: columns and thresholds of the tree's nodes.
        sums: shape (k,), changed in place.
    """
    columns, thresholds = tree
    labels_before, labels = np.ones(BLOCK_BARS, np.int32), np.ones(BLOCK_BARS, np.int32)
    # The half-spaces to split on this level and on the next: of each its node, the label of the
    # rows in it, its mass, and the sum that its rows get.
    spaces = np.empty((2, MOST_SPLIT + 1, 4), np.int32)
    last = 1
    count = _note(spaces[0], 0, 0, last, BLOCK_BARS, 0)
    for level in range(HEIGHT):
        coming, below = 0, spaces[(level + 1) % 2]
        for node, label, mass, due in spaces[level % 2, :count]:
            column, threshold = columns[node], thresholds[node]
            all_right = threshold <= ranges[0, column]
            if all_right or threshold > ranges[1, column]:
                more_due = due + (mass << (level + 1))
                coming = _note(below, coming, 2 * node + 1 + all_right, label, mass, more_due)
                continue
            last += 1
            to_right = _split(before[column], threshold, labels_before, label, last)
            to_left = mass - to_right
            coming = _note(below, coming, 2 * node + 1, label, to_left, 0)
            coming = _note(below, coming, 2 * node + 2, last, to_right, 0)
            less = np.int32(due + (to_left << (level + 1)))
            more = np.int32((to_right - to_left) << (level + 1))
            values, change = own[column], np.int32(last - label)
            for i in range(np.uint64(sums.size)):
                inside = np.int32(labels[i] == label)
                right = inside & np.int32(values[i] >= threshold)
                labels[i] += right * change
                sums[i] += inside * less + right * more
        count = coming
    for _, label, _, due in spaces[HEIGHT % 2, :count]:
        for i in range(np.uint64(sums.size)):
            sums[i] += np.int32(labels[i] == label) * due


@njit(float64[::1](*_arguments), nogil=True, cache=True, error_model="numpy")
def sum_masses(
    inputs: Float32, wanted: Int64, blocks: Int64, columns: Columns, thresholds: Float32
) -> Float64:
    """Return the sum of the masses on each wanted row's paths, each times 2^depth, shape (m,).

    `blocks` (m,) is for each wanted row the first of the 250 rows whose masses count. Only the few
    half-spaces of at least LEAST_MASS are split: all rows are compared with a threshold at once,
    and none where the threshold lies outside the range of all rows, as most do. All sums are of
    integers, and so exact.
    """
    width, trees, found = inputs.shape[1], columns.shape[0], np.empty(wanted.size)
    before, own = (
        np.empty((width, BLOCK_BARS), np.float32),
        np.empty((width, BLOCK_BARS), np.float32),
    )
    ranges, sums = np.empty((2, width), np.float32), np.empty(BLOCK_BARS, np.int32)
    start = 0
    while start < wanted.size:
        count = 1
        while start + count < wanted.size and blocks[start + count] == blocks[start]:
            count += 1
        ranges[0], ranges[1] = np.inf, -np.inf
        block = np.arange(blocks[start], blocks[start] + BLOCK_BARS)
        _lay_side_by_side(inputs, block, before, ranges)
        _lay_side_by_side(inputs, wanted[start : start + count], own, ranges)
        sums[:] = trees * BLOCK_BARS
        for tree in range(trees):
            nodes = columns[tree], thresholds[tree]
            _add_masses(before, own, ranges, nodes, sums[:count])
        for i in range(count):
            found[start + i] = sums[i]
        start += count
    return found


@njit(float64[:, ::1](*_arguments), nogil=True, cache=True, error_model="numpy")
def credit_splits(
    inputs: Float32, wanted: Int64, blocks: Int64, columns: Columns, thresholds: Float32
) -> Float64:
    """Return the credit of each column for each wanted row, summed over all trees, shape (m, d).

    Each side of a split would have half of the mass if the bars were spread evenly. The credit of a
    split is the share of that half which the row's side lacks. Arguments are as in `sum_masses`.
    """
    credit = np.zeros((wanted.size, inputs.shape[1]))
    before = np.empty((inputs.shape[1], BLOCK_BARS), np.float32)
    ranges = np.zeros((2, inputs.shape[1]), np.float32)
    labels = np.empty(BLOCK_BARS, np.int32)
    for i in range(wanted.size):
        block = np.arange(blocks[i], blocks[i] + BLOCK_BARS)
        _lay_side_by_side(inputs, block, before, ranges)
        for tree in range(columns.shape[0]):
            labels[:] = label = 1
            node, mass, level = 0, BLOCK_BARS, 0
            while level < HEIGHT and mass >= LEAST_MASS:
                column, threshold = columns[tree, node], thresholds[tree, node]
                half = 0.5 * mass
                right = _split(before[column], threshold, labels, label, level + 2)
                goes_right = inputs[wanted[i], column] >= threshold
                mass = int(right) if goes_right else mass - int(right)
                label = level + 2 if goes_right else label
                node = 2 * node + 1 + goes_right
                credit[i, column] += max(half - mass, 0.0) / half
                level += 1
    return credit
