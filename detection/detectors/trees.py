"""Isolation trees as perfect binary trees in flat arrays, and the compiled walks over them.

A tree grown on a sub-sample of n rows is at most ceil(log2 n) deep, so each is filled up to that
depth: the children of slot p are 2p + 1 and 2p + 2, no pointer is read, no branch is taken, and
many rows step down a tree side by side.
"""

from dataclasses import dataclass

import numpy as np
from numba import float32, float64, int32, njit, types
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length

from core.arrays import Float32, Float64, Int64

Slots = NDArray[np.uint32]

# Rows that walk a tree together: their columns and positions stay in the first-level cache, as long
# as this is no power of two, which would put all columns into the same few lines of it.
BLOCK_ROWS = 400
# How often rows that have walked enough are looked for, and how few must be left for the others to
# move together.
TREES_BETWEEN = 8
WORTH_MOVING = 0.9


@dataclass(frozen=True, slots=True)
class PerfectTrees:
    """Trees of one depth D.

    Attributes:
        columns: shape (trees, 2^D - 1), the column each slot splits by.
        thresholds: same shape; rows with a value above go right. Slots below a leaf have infinity.
        lengths: shape (trees, 2^D), the path length each last slot stands for.
        expected: shape (trees, 2^(D + 1) - 1), the mean path length of the training rows below each
            slot.
        longest: the path length, summed over trees, that has score -0.5.
        to_come: shape (trees,), the least path length that the trees after each one can add.
    """

    columns: NDArray[np.int32]
    thresholds: Float32
    lengths: Float64
    expected: Float64
    longest: float
    to_come: Float64


@dataclass(frozen=True, slots=True)
class ForestNodes:
    """The nodes of fitted isolation trees, tree after tree: what is stored of a forest.

    Attributes:
        offsets: shape (trees + 1,), where the nodes of each tree begin.
        columns: shape (nodes,), the column each splits by; 0 at a leaf.
        thresholds: shape (nodes,), rows with a value above go right.
        left, right: shape (nodes,), a node's children by their number within the tree; -1 at a
        leaf. A node comes
            before its children.
        rows: shape (nodes,), how many training rows came by.
        lengths: shape (nodes,), the path length each stands for, were it a leaf.
        longest: shape (), the path length, summed over trees, that has score -0.5.
        width: shape (), number of columns of the inputs.
    """

    offsets: Int64
    columns: NDArray[np.int32]
    thresholds: Float64
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    rows: Int64
    lengths: Float64
    longest: Float64
    width: Int64


def collect_nodes(forest: IsolationForest) -> ForestNodes:
    """Return the nodes of a fitted scikit-learn forest."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    columns = [
        np.where(tree.children_left >= 0, picked[np.maximum(tree.feature, 0)], 0)
        for tree, picked in zip(trees, forest.estimators_features_, strict=True)
    ]
    # The order of operations is scikit-learn's, so that sums of lengths agree to the last bit.
    lengths = [
        forest._decision_path_lengths[number] + forest._average_path_length_per_tree[number] - 1.0  # noqa: SLF001 - scikit-learn has no public form
        for number in range(len(trees))
    ]
    longest = len(trees) * _average_path_length([forest._max_samples])[0]  # noqa: SLF001 - as above
    return ForestNodes(
        offsets=np.cumsum([0, *(tree.node_count for tree in trees)], dtype=np.int64),
        columns=np.concatenate(columns).astype(np.int32),
        thresholds=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        left=np.concatenate([tree.children_left for tree in trees]).astype(np.int32),
        right=np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
        rows=np.concatenate([tree.n_node_samples for tree in trees]).astype(np.int64),
        lengths=np.concatenate(lengths).astype(np.float64),
        longest=np.array(longest, np.float64),
        width=np.array(forest.n_features_in_, np.int64),
    )


def unfold_trees(nodes: ForestNodes) -> PerfectTrees:
    """Lay trees out as perfect trees."""
    trees = len(nodes.offsets) - 1
    depth = max(_find_depth(nodes, tree) for tree in range(trees))
    columns = np.zeros((trees, 2**depth - 1), np.int32)
    thresholds = np.full((trees, 2**depth - 1), np.inf, np.float32)
    lengths = np.empty((trees, 2**depth))
    expected = np.empty((trees, 2 ** (depth + 1) - 1))
    for number in range(trees):
        tree = slice(int(nodes.offsets[number]), int(nodes.offsets[number + 1]))
        children, path_lengths = (nodes.left[tree], nodes.right[tree]), nodes.lengths[tree]
        split_by, cuts = nodes.columns[tree], _round_down(nodes.thresholds[tree])
        means = _mean_below(*children, nodes.rows[tree], path_lengths)
        place = np.zeros(1, np.int64)
        for level in range(depth):
            slots = slice(2**level - 1, 2 ** (level + 1) - 1)
            inner = children[0][place] >= 0
            columns[number, slots] = np.where(inner, split_by[place], 0)
            thresholds[number, slots] = np.where(inner, cuts[place], np.float32(np.inf))
            expected[number, slots] = means[place]
            left, right = (np.where(inner, child[place], place) for child in children)
            place = np.stack((left, right), axis=1).ravel()
        expected[number, 2**depth - 1 :] = means[place]
        lengths[number] = path_lengths[place]
    shortest = lengths.min(axis=1)
    to_come = shortest[::-1].cumsum()[::-1] - shortest
    return PerfectTrees(columns, thresholds, lengths, expected, float(nodes.longest), to_come)


def _find_depth(nodes: ForestNodes, tree: int) -> int:
    start, end = int(nodes.offsets[tree]), int(nodes.offsets[tree + 1])
    depths = np.zeros(end - start, np.int64)
    for node in np.flatnonzero(nodes.left[start:end] >= 0):
        depths[nodes.left[start + node]] = depths[nodes.right[start + node]] = depths[node] + 1
    return int(depths.max())


def _round_down(thresholds: Float64) -> Float32:
    """Return the largest float32 not above each threshold:
    a float32 is above one where it is above the other.
    """
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _mean_below(
    left: NDArray[np.int32], right: NDArray[np.int32], rows: Int64, path_lengths: Float64
) -> Float64:
    """Return for each node the mean of `path_lengths` over the training rows below it."""
    means = path_lengths.copy()
    # A node comes before its children in scikit-learn's arrays.
    for node in np.flatnonzero(left >= 0)[::-1]:
        one, two = left[node], right[node]
        means[node] = (rows[one] * means[one] + rows[two] * means[two]) / (rows[one] + rows[two])
    return means


_matrix = types.Array(float32, 2, "C", readonly=True)


@njit(inline="always")
def _step_down(
    block: Float32,
    stride: int,
    count: int,
    column_of: NDArray[np.int32],
    threshold_of: Float32,
    slots: Slots,
) -> None:
    """Bring the first `count` rows of a block from the root of a tree to its last level,
    side by side.
    """
    last = np.uint32(column_of.shape[0])
    slots[:count] = 0
    slot = np.uint32(0)
    while slot < last:
        for i in range(count):
            slot = slots[i]
            value = block[np.uint32(column_of[slot]) * np.uint32(stride) + np.uint32(i)]
            slots[i] = np.uint32(2) * slot + np.uint32(1) + np.uint32(value > threshold_of[slot])
        slot = slots[0]


@njit(inline="always")
def _close_ranks(
    block: Float32, stride: int, count: int, sums: Float64, rows: Int64, enough: float
) -> int:
    """Move the rows whose sums are below `enough` to the front, if that is worth it;
    return how many still walk.
    """
    left = 0
    for i in range(count):
        left += sums[i] < enough
    if left > WORTH_MOVING * count:
        return count
    for column in range(block.size // BLOCK_ROWS):
        at = column * stride
        for i in range(count):
            if sums[i] < enough:
                block[at] = block[column * stride + i]
                at += 1
    at = 0
    for i in range(count):
        if sums[i] < enough:
            sums[at], rows[at] = sums[i], rows[i]
            at += 1
    return left


@njit(
    float64[::1](_matrix, int32[:, ::1], float32[:, ::1], float64[:, ::1], float64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def walk_trees(
    inputs: Float32,
    columns: NDArray[np.int32],
    thresholds: Float32,
    lengths: Float64,
    enough: Float64,
) -> Float64:
    """Return for each row of `inputs` (m, d) its path length summed over the trees,
    in their order, shape (m,).

    A row whose sum after tree t is `enough[t]` or more need not be walked further; it may have the
    sum infinity.
    """
    width, trees = inputs.shape[1], columns.shape[0]
    last = np.uint32(columns.shape[1])
    total = np.full(inputs.shape[0], np.inf)
    block = np.empty(BLOCK_ROWS * width, np.float32)
    slots, sums, rows = (
        np.empty(BLOCK_ROWS, np.uint32),
        np.empty(BLOCK_ROWS),
        np.empty(BLOCK_ROWS, np.int64),
    )
    for start in range(0, inputs.shape[0], BLOCK_ROWS):
        stride = min(BLOCK_ROWS, inputs.shape[0] - start)
        count = stride
        for i in range(count):
            rows[i], sums[i] = start + i, 0.0
            for column in range(width):
                block[column * stride + i] = inputs[start + i, column]
        for tree in range(trees):
            _step_down(block, stride, count, columns[tree], thresholds[tree], slots)
            length_of = lengths[tree]
            for i in range(count):
                sums[i] += length_of[slots[i] - last]
            if tree % TREES_BETWEEN == TREES_BETWEEN - 1:
                count = _close_ranks(block, stride, count, sums, rows, enough[tree])
                if count == 0:
                    break
        for i in range(count):
            total[rows[i]] = sums[i]
    return total


@njit(
    float64[:, ::1](_matrix, int32[:, ::1], float32[:, ::1], float64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def credit_columns(
    inputs: Float32, columns: NDArray[np.int32], thresholds: Float32, expected: Float64
) -> Float64:
    """Return what each column's splits take off the expected path length of each row,
    all trees, shape (m, d).
    """
    credit = np.zeros(inputs.shape)
    last = np.uint32(columns.shape[1])
    for tree in range(columns.shape[0]):
        column_of, threshold_of, expected_of = columns[tree], thresholds[tree], expected[tree]
        for row in range(inputs.shape[0]):
            slot = np.uint32(0)
            before = expected_of[slot]
            while slot < last:
                column = np.uint32(column_of[slot])
                slot = (
                    np.uint32(2) * slot
                    + np.uint32(1)
                    + np.uint32(inputs[row, column] > threshold_of[slot])
                )
                after = expected_of[slot]
                credit[row, column] += before - after
                before = after
    return credit
