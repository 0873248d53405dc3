"""Perfect binary trees in flat arrays, and the compiled walks down them, rows side by side.

The root of a tree of depth D is slot 1, the children of slot p are 2p and 2p + 1, and its leaves
are the slots from 2^D on. So a walk follows no pointers and takes no branches. A block of rows is
stored column by column: near the root, where there are few slots, all rows are compared with each
slot by vector instructions; further down each row looks up its own slot.
"""

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, njit, types, uint32
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from core.arrays import Float32, Float64, Int64

Int32 = NDArray[np.int32]
# Unsigned integers: as indices they need no check of the sign.
UInt32 = NDArray[np.uint32]

# So many rows walk one tree before the next tree is walked: their columns and the tree fit into the
# first-level cache.
BLOCK_ROWS = 256
# So many rows go down side by side where each looks up its own slot.
LANES = 8
# After so many trees, rows that cannot be low any more are dropped; the others move to the front of
# the block if at most this share is left.
TREES_BETWEEN = 5
WORTH_MOVING = 0.75
# The threshold of slots below a leaf (infinity), as `order_bits` returns it.
INFINITE = 0x7F800000


def find_places(columns: Int32) -> UInt32:
    """Return the position in a block at which each of these columns begins."""
    return columns.astype(np.uint32) * np.uint32(BLOCK_ROWS)


def order_bits(values: Float32) -> Int32:
    """Return integers in the same order as the floats `values`; both zeros become 0."""
    bits = np.ascontiguousarray(values + np.float32(0.0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


@njit(inline="always")
def order_value(bits: np.int32) -> np.int32:
    """Return the integer of `order_bits` for one float32, given by its bits."""
    ordered = np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    # -0.0, which is no less than 0.0, would be -1
    return np.int32(ordered + (ordered == -1))


# Its annotations are those of what it is made of.
_take: Any = to_fixed_tuple


@njit(inline="always")
def _step_down_together(
    block: Int32, count: int, places: UInt32, thresholds: Int32, slots: UInt32
) -> None:
    """Take the first `count` rows of a block down the first four levels of a tree.

    All rows are compared with all 15 slots, although a row passes only four of them: comparing many
    rows at once is faster than looking up the slot of each.
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
    """Take the first `count` rows of a block down a tree; put the slot each arrives at, past the
    last level, into `slots`.

    `places` and `thresholds` are those of each slot: a row with a value above the threshold goes
    right. Rows are taken eight at a time, so that their slots stay in registers.
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
    """Set `shortest` to at most a path's `length` in all cells from `low` to `high`."""
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
    # A stack of slots to visit, with the range of pieces, per column, whose rows come there.
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
            # A piece that begins below the threshold has rows that go left; one that ends above it
            # has rows that go right.
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
    """Move the rows `kept` (ascending) of a block to its front."""
    for column in range(block.size // BLOCK_ROWS):
        values = block[column * BLOCK_ROWS : (column + 1) * BLOCK_ROWS]
        for to in range(np.uint64(kept.size)):
            values[to] = values[kept[to]]


# The places and the thresholds of the slots of each tree, and the path lengths of its leaves.
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
    """Return which of some `rows` (k,) of `inputs` (m, d) have a path length, summed over the
    trees, below their limit (m,).

    The trees are walked in the given `order`. A row stops as soon as it cannot stay below its
    limit: `to_come[t]` is the least path length of any row from the t-th tree of the order on.
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
    """Return the path length of each of some `rows` (k,) of `inputs` (m, d), summed over the trees
    in their order, shape (k,).
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
    """Return how much each column's splits shorten the expected path length of each row, summed
    over all trees, shape (m, d).
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
