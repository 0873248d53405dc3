"""Perfect binary trees as packed slots, and the compiled walks down them, rows side by side.

The root of a tree of depth D is slot 1, the children of slot p are 2p and 2p + 1, and from slot 2^D
on lie its leaves. No pointer is read and no branch is taken; eight rows go at once, and what a step
reads of the tree is one number.
"""

import numpy as np
from numba import float32, float64, int32, int64, njit, types, uint16
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64

# Rows that walk a tree side by side, and those that do so before the next tree: their columns stay
# in the first-level cache beside a tree.
LANES = 8
BLOCK_ROWS = 256
# How often rows that have walked enough are looked for, and how few must be left for the others to
# move together.
TREES_BETWEEN = 4
WORTH_MOVING = 0.9
# The lower half of a packed slot.
LOWER = 0xFFFFFFFF

Slots = tuple[
    np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64
]


def pack_slots(columns: NDArray[np.int32], thresholds: Int64) -> Int64:
    """Return each slot as one number: its threshold (see `order_bits`) as the upper 32 bits, and
    where a block has its column as the lower. A row whose value is above goes right.
    """
    return (thresholds << 32) | (columns.astype(np.int64) * BLOCK_ROWS)


def order_bits(values: Float32) -> Int64:
    """Return whole numbers of 32 bits that have the order of `values`; both zeros are 0."""
    bits = np.ascontiguousarray(values + np.float32(0.0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)


@njit(inline="always")
def order_value(bits: np.int32) -> np.int32:
    """Return a whole number that has the order of the float32 of these bits, as `order_bits`."""
    ordered = np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    # -0.0, which is no less than 0.0, would be -1
    return np.int32(ordered + (ordered == -1))


@njit(inline="always")
def step_down(
    block: NDArray[np.int32],
    first: int,
    packed: Int64,
) -> Slots:
    """Bring eight rows of a block, from `first` on, down a tree; return their slots past its last
    level.

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
    return slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7


_matrix = types.Array(float32, 2, "C", readonly=True)


@njit(
    uint16[:, ::1](_matrix, int64[::1], int64[:, ::1]), nogil=True, cache=True, error_model="numpy"
)
def find_leaves(inputs: Float32, rows: Int64, packed: Int64) -> NDArray[np.uint16]:
    """Return the number of the leaf, from 0 on, of each of `rows` (m,) in each tree,
    shape (m, trees).
    """
    width, trees, last = inputs.shape[1], packed.shape[0], np.uint64(packed.shape[1] - 1)
    bits = inputs.view(np.int32)
    block = np.zeros(BLOCK_ROWS * width, np.int32)
    leaves = np.empty((rows.size, trees), np.uint16)
    for start in range(0, rows.size, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows.size - start)
        for i in range(count):
            for column in range(width):
                block[column * BLOCK_ROWS + i] = order_value(bits[rows[start + i], column])
        for tree in range(trees):
            for first in range(0, count, LANES):
                slots = step_down(block, first, packed[tree])
                for lane in range(min(LANES, count - first)):
                    leaves[start + first + lane, tree] = slots[lane] & last
    return leaves


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
    width, trees, last = inputs.shape[1], packed.shape[0], np.uint64(packed.shape[1] - 1)
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
                block[column * BLOCK_ROWS + i] = order_value(bits[start + i, column])
        _find_boxes(block, count, low, high, boxes, outside)
        count = _close_ranks(block, count, sums, rows, boxes, enough[0])
        for tree in range(trees):
            for first in range(0, count, LANES):
                slots = step_down(block, first, packed[tree])
                for lane in range(LANES):
                    sums[first + lane] += lengths[tree, slots[lane] & last]
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
