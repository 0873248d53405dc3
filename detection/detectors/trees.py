"""Isolation trees as perfect binary trees in flat arrays, and the compiled walks over them.

A tree grown on a sub-sample of n rows is at most ceil(log2 n) deep, so each is filled up to that
depth: the children of slot p are 2p and 2p + 1, the root is slot 1, no pointer is read, no branch
is taken, and eight rows step down a tree side by side, their places in registers.

Where only low sums are wanted, most rows need few trees. What the trees to come add at the least is
known: of a row inside a box, the shortest path that any point of the box can take. Boxes lie one in
the other around the middle of the columns, where paths are long, and a row goes by the innermost
that it lies in. A bound is never more than what is bounded, so that no score depends on the boxes.
"""

from dataclasses import dataclass

import numpy as np
from numba import float32, float64, int32, int64, njit, types
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length

from core.arrays import Float32, Float64, Int64

# The lower half of a packed slot.
LOWER = 0xFFFFFFFF

# Rows that walk a tree side by side, and those that do so before the next tree: their columns stay
# in the first-level cache beside a tree.
LANES = 8
BLOCK_ROWS = 256
# How often rows that have walked enough are looked for, and how few must be left for the others to
# move together.
TREES_BETWEEN = 4
WORTH_MOVING = 0.9
# Where the boxes lie, innermost first: between this share of the thresholds that a column is split
# by, and the same share from above. Thresholds are drawn evenly from where rows are, down the tree,
# so their shares need no rows.
BOX_SHARES = tuple(share / 100 for share in range(42, 0, -3))


@dataclass(frozen=True, slots=True)
class PerfectTrees:
    """Trees of one depth D over d columns, and K boxes.

    Attributes:
        columns: shape (trees, 2^D), the column each slot splits by; slot 0 is unused.
        thresholds: same shape; rows with a value above go right. Slots below a leaf have infinity.
        packed: same shape; threshold as the upper 32 bits, as a whole number of the same order, and
            where a block has the column as the lower.
        lengths: same shape, the path length that each place after the last level stands for.
        expected: shape (trees, 2^(D + 1)), the mean path length of the training rows below each
            slot.
        longest: the path length, summed over trees, that has score -0.5.
        low, high: shape (K, d), the ends of each box, which belong to it, as whole numbers of the
            same order; innermost first.
        to_come: shape (K + 1, trees + 1), the least path length that a row in each box can have
            from each tree on, and last that of any row.
    """

    columns: NDArray[np.int32]
    thresholds: Float32
    packed: Int64
    lengths: Float64
    expected: Float64
    longest: float
    low: NDArray[np.int32]
    high: NDArray[np.int32]
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
    columns = np.zeros((trees, 2**depth), np.int32)
    thresholds = np.full((trees, 2**depth), np.inf, np.float32)
    lengths = np.empty((trees, 2**depth))
    expected = np.zeros((trees, 2 ** (depth + 1)))
    for number in range(trees):
        tree = slice(int(nodes.offsets[number]), int(nodes.offsets[number + 1]))
        children, path_lengths = (nodes.left[tree], nodes.right[tree]), nodes.lengths[tree]
        split_by, cuts = nodes.columns[tree], _round_down(nodes.thresholds[tree])
        means = _mean_below(*children, nodes.rows[tree], path_lengths)
        place = np.zeros(1, np.int64)
        for level in range(depth):
            slots = slice(2**level, 2 ** (level + 1))
            inner = children[0][place] >= 0
            columns[number, slots] = np.where(inner, split_by[place], 0)
            thresholds[number, slots] = np.where(inner, cuts[place], np.float32(np.inf))
            expected[number, slots] = means[place]
            left, right = (np.where(inner, child[place], place) for child in children)
            place = np.stack((left, right), axis=1).ravel()
        expected[number, 2**depth :] = means[place]
        lengths[number] = path_lengths[place]
    low, high = _draw_boxes(columns, thresholds, int(nodes.width))
    shortest = [
        _find_shortest(columns, thresholds, lengths, *box) for box in zip(low, high, strict=True)
    ]
    to_come = np.zeros((len(low) + 1, trees + 1))
    to_come[:, :-1] = np.stack((*shortest, lengths.min(axis=1)))[:, ::-1].cumsum(axis=1)[:, ::-1]
    packed = (_order_bits(thresholds) << 32) | (columns.astype(np.int64) * BLOCK_ROWS)
    longest = float(nodes.longest)
    ends = (_order_bits(low).astype(np.int32), _order_bits(high).astype(np.int32))
    return PerfectTrees(columns, thresholds, packed, lengths, expected, longest, *ends, to_come)


def _draw_boxes(
    columns: NDArray[np.int32], thresholds: Float32, width: int
) -> tuple[Float32, Float32]:
    """Return the ends of the boxes, shape (K, d) each; a column that no tree looks at has none."""
    low = np.full((len(BOX_SHARES), width), -np.inf, np.float32)
    high = np.full((len(BOX_SHARES), width), np.inf, np.float32)
    for column in range(width):
        found = np.sort(thresholds[(columns == column) & np.isfinite(thresholds)])
        if found.size:
            places = (np.array(BOX_SHARES) * (found.size - 1)).astype(np.int64)
            low[:, column], high[:, column] = found[places], found[found.size - 1 - places]
    return low, high


def _find_shortest(
    columns: NDArray[np.int32], thresholds: Float32, lengths: Float64, low: Float32, high: Float32
) -> Float64:
    """Return the shortest path that a row with `low` <= row <= `high` can have in each tree."""
    reached = np.ones((len(columns), 1), np.bool_)
    while reached.shape[1] < columns.shape[1]:
        slots = slice(reached.shape[1], 2 * reached.shape[1])
        column, threshold = columns[:, slots], thresholds[:, slots]
        left, right = reached & (low[column] <= threshold), reached & (high[column] > threshold)
        reached = np.stack((left, right), axis=2).reshape(len(columns), -1)
    shortest: Float64 = np.where(reached, lengths, np.inf).min(axis=1)
    return shortest


def _order_bits(values: Float32) -> Int64:
    """Return whole numbers of 32 bits that have the order of `values`; both zeros are 0."""
    bits = np.ascontiguousarray(values + np.float32(0.0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)


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
    block: NDArray[np.int32],
    first: int,
    packed: Int64,
    length_of: Float64,
    sums: Float64,
) -> None:
    """Bring eight rows from the root of a tree to its last level, side by side, and add their path
    lengths to `sums`.

    Each row's slot is a variable of its own, and so stays in a register.
    """
    slot0 = slot1 = slot2 = slot3 = slot4 = slot5 = slot6 = slot7 = np.uint64(1)
    last, at = np.uint64(packed.size - 1), np.uint64(first)
    while slot0 <= last:
        node0 = packed[slot0]
        node1 = packed[slot1]
        node2 = packed[slot2]
        node3 = packed[slot3]
        node4 = packed[slot4]
        node5 = packed[slot5]
        node6 = packed[slot6]
        node7 = packed[slot7]
        value0 = block[at + np.uint64(node0 & LOWER) + np.uint64(0)]
        value1 = block[at + np.uint64(node1 & LOWER) + np.uint64(1)]
        value2 = block[at + np.uint64(node2 & LOWER) + np.uint64(2)]
        value3 = block[at + np.uint64(node3 & LOWER) + np.uint64(3)]
        value4 = block[at + np.uint64(node4 & LOWER) + np.uint64(4)]
        value5 = block[at + np.uint64(node5 & LOWER) + np.uint64(5)]
        value6 = block[at + np.uint64(node6 & LOWER) + np.uint64(6)]
        value7 = block[at + np.uint64(node7 & LOWER) + np.uint64(7)]
        slot0 = slot0 + slot0 + np.uint64(np.int64(value0) > (node0 >> 32))
        slot1 = slot1 + slot1 + np.uint64(np.int64(value1) > (node1 >> 32))
        slot2 = slot2 + slot2 + np.uint64(np.int64(value2) > (node2 >> 32))
        slot3 = slot3 + slot3 + np.uint64(np.int64(value3) > (node3 >> 32))
        slot4 = slot4 + slot4 + np.uint64(np.int64(value4) > (node4 >> 32))
        slot5 = slot5 + slot5 + np.uint64(np.int64(value5) > (node5 >> 32))
        slot6 = slot6 + slot6 + np.uint64(np.int64(value6) > (node6 >> 32))
        slot7 = slot7 + slot7 + np.uint64(np.int64(value7) > (node7 >> 32))
    sums[first + 0] += length_of[slot0 & last]
    sums[first + 1] += length_of[slot1 & last]
    sums[first + 2] += length_of[slot2 & last]
    sums[first + 3] += length_of[slot3 & last]
    sums[first + 4] += length_of[slot4 & last]
    sums[first + 5] += length_of[slot5 & last]
    sums[first + 6] += length_of[slot6 & last]
    sums[first + 7] += length_of[slot7 & last]


@njit(inline="always")
def _order_value(bits: np.int32) -> np.int32:
    """Return a whole number that has the order of the float32 of these bits, as `_order_bits`."""
    ordered = np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    # -0.0, which is no less than 0.0, would be -1
    return np.int32(ordered + (ordered == -1))


@njit(inline="always")
def _find_boxes(
    block: NDArray[np.int32],
    count: int,
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    boxes: NDArray[np.int32],
    outside: NDArray[np.int32],
) -> None:
    """Note for each row of a block the number of the innermost box that it lies in.

    That is how many boxes it lies outside of, in the column where these are most.
    """
    boxes[:count] = 0
    for column in range(low.shape[1]):
        values = block[column * BLOCK_ROWS : column * BLOCK_ROWS + count]
        outside[:count] = 0
        for box in range(low.shape[0]):
            lowest, highest = low[box, column], high[box, column]
            for i in range(count):
                outside[i] += (values[i] < lowest) | (values[i] > highest)
        for i in range(count):
            boxes[i] = max(boxes[i], outside[i])


@njit(inline="always")
def _close_ranks(
    block: NDArray[np.int32],
    count: int,
    sums: Float64,
    rows: Int64,
    boxes: NDArray[np.int32],
    enough: Float64,
) -> int:
    """Move the rows whose sums are below what is enough in their box to the front, if that is worth
    it; return how many still walk.
    """
    left, width = 0, block.size // BLOCK_ROWS
    for i in range(count):
        left += sums[i] < enough[boxes[i]]
    if left > WORTH_MOVING * count:
        return count
    to = 0
    for i in range(count):
        if sums[i] < enough[boxes[i]]:
            for column in range(width):
                block[column * BLOCK_ROWS + to] = block[column * BLOCK_ROWS + i]
            sums[to], rows[to], boxes[to] = sums[i], rows[i], boxes[i]
            to += 1
    return left


@njit(
    float64[::1](
        _matrix, int64[:, ::1], float64[:, ::1], float64[:, ::1], int32[:, ::1], int32[:, ::1]
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def walk_trees(
    inputs: Float32,
    packed: Int64,
    lengths: Float64,
    enough: Float64,
    low: NDArray[np.int32],
    high: NDArray[np.int32],
) -> Float64:
    """Return for each row of `inputs` (m, d) its path length summed over the trees,
    in their order, shape (m,).

    A row in box k whose sum before tree t is `enough[t, k]` or more need not be walked further; it
    may have the sum infinity.
    """
    width, trees = inputs.shape[1], packed.shape[0]
    total = np.full(inputs.shape[0], np.inf)
    bits = inputs.view(np.int32)
    block = np.zeros(BLOCK_ROWS * width, np.int32)
    sums, rows = np.zeros(BLOCK_ROWS), np.empty(BLOCK_ROWS, np.int64)
    boxes, outside = np.empty(BLOCK_ROWS, np.int32), np.empty(BLOCK_ROWS, np.int32)
    for start in range(0, inputs.shape[0], BLOCK_ROWS):
        count = min(BLOCK_ROWS, inputs.shape[0] - start)
        for i in range(count):
            rows[i], sums[i] = start + i, 0.0
            for column in range(width):
                block[column * BLOCK_ROWS + i] = _order_value(bits[start + i, column])
        _find_boxes(block, count, low, high, boxes, outside)
        count = _close_ranks(block, count, sums, rows, boxes, enough[0])
        for tree in range(trees):
            for first in range(0, count, LANES):
                _step_down(block, first, packed[tree], lengths[tree], sums)
            if tree % TREES_BETWEEN == TREES_BETWEEN - 1:
                count = _close_ranks(block, count, sums, rows, boxes, enough[tree + 1])
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
            slot = np.uint32(1)
            before = expected_of[slot]
            while slot < last:
                column = np.uint32(column_of[slot])
                slot = np.uint32(2) * slot + np.uint32(inputs[row, column] > threshold_of[slot])
                after = expected_of[slot]
                credit[row, column] += before - after
                before = after
    return credit
