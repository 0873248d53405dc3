"""Perfect binary trees in flat arrays, and the compiled walks down them, rows side by side.

The root of a tree of depth D is slot 1, the children of slot p are 2p and 2p + 1, and from slot 2^D
on lie its leaves. No pointer is read and no branch is taken. A block of rows has its columns one
after the other: near the root, where there are few slots, all rows are compared with each of them
by vector instructions; further down each row looks at its own.
"""

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, njit, types, uint32
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64

Int32 = NDArray[np.int32]
# Numbers that are never below 0: as indices they need no look at the sign.
UInt32 = NDArray[np.uint32]

# Rows that walk a tree before the next one: their columns stay in the first-level cache beside it.
BLOCK_ROWS = 256
# Rows that go down side by side where each looks at its own slot.
LANES = 8
# How often rows that have walked enough are looked for, and how few must be left for the others to
# move together.
TREES_BETWEEN = 5
WORTH_MOVING = 0.75
# The threshold of slots below a leaf, as `order_bits` has it.
INFINITE = 0x7F800000


def find_places(columns: Int32) -> UInt32:
    """Return where a block has each of these columns."""
    return columns.astype(np.uint32) * np.uint32(BLOCK_ROWS)


def order_bits(values: Float32) -> Int32:
    """Return whole numbers that have the order of `values`; both zeros are 0."""
    bits = np.ascontiguousarray(values + np.float32(0.0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


@njit(inline="always")
def order_value(bits: np.int32) -> np.int32:
    """Return a whole number that has the order of the float32 of these bits, as `order_bits`."""
    ordered = np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    # -0.0, which is no less than 0.0, would be -1
    return np.int32(ordered + (ordered == -1))


# Its annotations are those of what it is made of.
_take: Any = to_fixed_tuple


@njit(inline="always")
def _step_down_together(
    block: Int32, count: int, places: UInt32, thresholds: Int32, slots: UInt32
) -> None:
    """Bring the first `count` rows of a block down the first four levels of a tree.

    All rows are compared with all 15 slots, of which each comes to four: a comparison of many
    takes less than it takes each to look for its own.
    """
    at, cut = _take(places, 16), _take(thresholds, 16)
    for i in range(np.uint64(count)):
        right1 = block[at[1] + i] > cut[1]
        right2 = (not right1) & (block[at[2] + i] > cut[2])
        right3 = right1 & (block[at[3] + i] > cut[3])
        in4, in6 = (not right1) & (not right2), right1 & (not right3)
        right4 = in4 & (block[at[4] + i] > cut[4])
        right5 = right2 & (block[at[5] + i] > cut[5])
        right6 = in6 & (block[at[6] + i] > cut[6])
        right7 = right3 & (block[at[7] + i] > cut[7])
        in8, in10 = in4 & (not right4), right2 & (not right5)
        in12, in14 = in6 & (not right6), right3 & (not right7)
        right = in8 & (block[at[8] + i] > cut[8])
        right |= right4 & (block[at[9] + i] > cut[9])
        right |= in10 & (block[at[10] + i] > cut[10])
        right |= right5 & (block[at[11] + i] > cut[11])
        right |= in12 & (block[at[12] + i] > cut[12])
        right |= right6 & (block[at[13] + i] > cut[13])
        right |= in14 & (block[at[14] + i] > cut[14])
        right |= right7 & (block[at[15] + i] > cut[15])
        slots[i] = np.uint32(
            16
            + np.int32(right1) * np.int32(8)
            + np.int32(right2 | right3) * np.int32(4)
            + np.int32(right4 | right5 | right6 | right7) * np.int32(2)
            + np.int32(right)
        )


@njit(inline="always")
def step_down(block: Int32, count: int, places: UInt32, thresholds: Int32, slots: UInt32) -> None:
    """Bring the first `count` rows of a block down a tree, to their `slots` past its last level.

    `places` and `thresholds` are those of each slot: a row whose value is above goes right. Eight
    rows at once have their slots in registers.
    """
    slots[:] = 1
    if places.size >= 16:
        _step_down_together(block, count, places, thresholds, slots)
    last, four = np.uint64(places.size - 1), np.uint64(4)
    for first in range(0, count, LANES):
        i0 = np.uint64(first)
        i1, i2, i3 = i0 + np.uint64(1), i0 + np.uint64(2), i0 + np.uint64(3)
        i4, i5, i6, i7 = i0 + four, i1 + four, i2 + four, i3 + four
        at0, at1, at2, at3 = slots[i0], slots[i1], slots[i2], slots[i3]
        at4, at5, at6, at7 = slots[i4], slots[i5], slots[i6], slots[i7]
        while at0 <= last:
            at0 += at0 + np.uint64(block[places[at0] + i0] > thresholds[at0])
            at1 += at1 + np.uint64(block[places[at1] + i1] > thresholds[at1])
            at2 += at2 + np.uint64(block[places[at2] + i2] > thresholds[at2])
            at3 += at3 + np.uint64(block[places[at3] + i3] > thresholds[at3])
            at4 += at4 + np.uint64(block[places[at4] + i4] > thresholds[at4])
            at5 += at5 + np.uint64(block[places[at5] + i5] > thresholds[at5])
            at6 += at6 + np.uint64(block[places[at6] + i6] > thresholds[at6])
            at7 += at7 + np.uint64(block[places[at7] + i7] > thresholds[at7])
        slots[i0], slots[i1], slots[i2], slots[i3] = at0, at1, at2, at3
        slots[i4], slots[i5], slots[i6], slots[i7] = at4, at5, at6, at7


_matrix = types.Array(float32, 2, "C", readonly=True)
# numba's tuple types are classes without annotations
_mixed: Any = types.Tuple


@njit(inline="always")
def _lower(
    shortest: Float64, length: float, pieces: int, low: Int64, high: Int64, digits: Int64
) -> None:
    """Lower what is the shortest so far in the cells from `low` to `high` to a path's length."""
    width = low.size
    digits[:] = low
    while True:
        cell = 0
        for column in range(width):
            cell = cell * pieces + digits[column]
        for step in range(high[width - 1] - low[width - 1] + 1):
            shortest[cell + step] = min(shortest[cell + step], length)
        column = width - 2
        while column >= 0 and digits[column] == high[column]:
            digits[column] = low[column]
            column -= 1
        if column < 0:
            return
        digits[column] += 1


@njit(
    float64[::1](int32[:, ::1], int32[:, ::1], float64[:, ::1], int32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def bound_cells(columns: Int32, thresholds: Int32, lengths: Float64, edges: Int32) -> Float64:
    """Return the least path length, summed over trees, that a row in each cell can have, (p^d,).

    columns, thresholds, lengths: those of the trees' slots, (trees, 2^D); thresholds and edges,
    (d, p - 1), as `order_bits` has them.
    """
    trees, slots = columns.shape
    width, pieces = edges.shape[0], edges.shape[1] + 1
    cells = np.zeros(pieces**width)
    shortest = np.empty(cells.size)
    # What is left to look at: slots, and from which piece to which the rows lie that come there.
    stack = np.empty(slots, np.int64)
    low, high = np.empty((slots, width), np.int64), np.empty((slots, width), np.int64)
    first, last, digits = np.empty((3, width), np.int64)
    for tree in range(trees):
        shortest[:] = np.inf
        stack[0], low[0], high[0], height = 1, 0, pieces - 1, 1
        while height > 0:
            height -= 1
            slot = stack[height]
            first[:], last[:] = low[height], high[height]
            if slot >= slots:
                _lower(shortest, lengths[tree, slot - slots], pieces, first, last, digits)
                continue
            column, threshold = columns[tree, slot], thresholds[tree, slot]
            # A piece has rows that go left where it begins below the threshold, and rows that go
            # right where it ends above.
            left = right = 0
            for edge in edges[column]:
                left += edge < threshold
                right += edge <= threshold
            begin, end = first[column], last[column]
            if begin <= left:
                stack[height], low[height], high[height] = 2 * slot, first, last
                high[height, column] = min(end, left)
                height += 1
            if end >= right and threshold != INFINITE:
                stack[height], low[height], high[height] = 2 * slot + 1, first, last
                low[height, column] = max(begin, right)
                height += 1
        cells += shortest
    return cells


@njit(int32[::1](_matrix, int32[:, ::1]), nogil=True, cache=True, error_model="numpy")
def find_cells(inputs: Float32, edges: Int32) -> Int32:
    """Return the cell of each row of `inputs` (m, d), shape (m,)."""
    width, pieces = edges.shape[0], edges.shape[1] + 1
    bits = inputs.view(np.int32)
    found = np.zeros(inputs.shape[0], np.int32)
    values, piece = np.empty(BLOCK_ROWS, np.int32), np.empty(BLOCK_ROWS, np.int32)
    for start in range(0, inputs.shape[0], BLOCK_ROWS):
        count = min(BLOCK_ROWS, inputs.shape[0] - start)
        own = found[start : start + count]
        for column in range(width):
            for i in range(count):
                values[i] = order_value(bits[start + i, column])
            piece[:] = 0
            for edge in edges[column]:
                for i in range(count):
                    piece[i] += values[i] > edge
            for i in range(count):
                own[i] = own[i] * np.int32(pieces) + piece[i]
    return found


@njit(inline="always")
def _close_ranks(block: Int32, kept: UInt32) -> None:
    """Move the `kept` rows of a block, which ascend, to its front."""
    for column in range(block.size // BLOCK_ROWS):
        values = block[column * BLOCK_ROWS : (column + 1) * BLOCK_ROWS]
        for to in range(np.uint64(kept.size)):
            values[to] = values[kept[to]]


# Of each tree the places and thresholds of its slots, and the path lengths of its leaves.
Trees = tuple[UInt32, Int32, Float64]
_trees = types.Array(uint32, 2, "C"), types.Array(int32, 2, "C"), types.Array(float64, 2, "C")


@njit(
    int64[::1](
        _matrix,
        int64[::1],
        float64[::1],
        _mixed(_trees),
        int64[::1],
        float64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def find_low_rows(
    inputs: Float32,
    rows: Int64,
    limits: Float64,
    trees: Trees,
    order: Int64,
    to_come: Float64,
) -> Int64:
    """Return which of these `rows` (k,) of `inputs` (m, d) have a path length, summed over the
    trees, below their limit (m,).

    The trees are walked in this order, and a row no further than it may stay below its limit: any
    has at the least `to_come[t]` to come from the t-th tree of the order on.
    """
    places, thresholds, lengths = trees
    width, last = inputs.shape[1], np.uint64(places.shape[1] - 1)
    bits = inputs.view(np.int32)
    block = np.zeros(BLOCK_ROWS * width, np.int32)
    sums, own_limits = np.zeros(BLOCK_ROWS), np.zeros(BLOCK_ROWS)
    origins, own_slots = np.empty(BLOCK_ROWS, np.int64), np.empty(BLOCK_ROWS, np.uint32)
    kept = np.empty(BLOCK_ROWS + 1, np.uint32)
    found = np.empty(rows.size, np.int64)
    total = 0
    for start in range(0, rows.size, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows.size - start)
        for i in range(count):
            row = rows[start + i]
            origins[i], sums[i], own_limits[i] = row, 0.0, limits[row]
            for column in range(width):
                block[column * BLOCK_ROWS + i] = order_value(bits[row, column])
        for walked, tree in enumerate(order, 1):
            step_down(block, count, places[tree], thresholds[tree], own_slots)
            for i in range(count):
                sums[i] += lengths[tree, own_slots[i] & last]
            if walked % TREES_BETWEEN and walked < order.size:
                continue
            left = 0
            for i in range(count):
                kept[left] = i
                left += sums[i] + to_come[walked] < own_limits[i]
            if left > WORTH_MOVING * count and walked < order.size:
                continue
            _close_ranks(block, kept[:left])
            for to in range(left):
                i = kept[to]
                origins[to], sums[to], own_limits[to] = origins[i], sums[i], own_limits[i]
            count = left
            if count == 0:
                break
        for i in range(count):
            found[total] = origins[i]
            total += 1
    return found[:total].copy()


@njit(
    float64[::1](_matrix, int64[::1], _mixed(_trees)),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def sum_lengths(inputs: Float32, rows: Int64, trees: Trees) -> Float64:
    """Return the path length, summed over the trees one after the other, of each of these `rows`
    (k,) of `inputs` (m, d), shape (k,).
    """
    places, thresholds, lengths = trees
    width, last = inputs.shape[1], np.uint64(places.shape[1] - 1)
    bits = inputs.view(np.int32)
    block = np.zeros(BLOCK_ROWS * width, np.int32)
    own_slots = np.empty(BLOCK_ROWS, np.uint32)
    sums = np.zeros(rows.size)
    for start in range(0, rows.size, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows.size - start)
        for i in range(count):
            for column in range(width):
                block[column * BLOCK_ROWS + i] = order_value(bits[rows[start + i], column])
        for tree in range(places.shape[0]):
            step_down(block, count, places[tree], thresholds[tree], own_slots)
            for i in range(count):
                sums[start + i] += lengths[tree, own_slots[i] & last]
    return sums


@njit(
    float64[:, ::1](_matrix, int32[:, ::1], float32[:, ::1], float64[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def credit_columns(
    inputs: Float32, columns: Int32, thresholds: Float32, expected: Float64
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
