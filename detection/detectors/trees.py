"""Isolation trees as perfect binary trees in flat arrays, which `walks.py` walks.

A tree grown on a sub-sample of n rows is at most ceil(log2 n) deep, so each is filled up to that
depth.

Where only low sums of path lengths are wanted, most rows need no tree at all. Each column is cut
into a few pieces, which divide the input space into cells; for each cell the least sum of path
lengths of the rows in it is stored. That bound is never larger than a row's sum, so no score
depends on the cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Float32, Float64, Int64
from detection.detectors.walks import Int32, UInt32, bound_cells, find_places, order_bits

if TYPE_CHECKING:  # imported for fitting only, as in isolation_forest.py
    from sklearn.ensemble import IsolationForest

# A column is cut into at most so many pieces, and there are at most so many cells: their bounds are
# read in random order, and have to fit into a core's cache.
MOST_PIECES, MOST_CELLS = 8, 2**15
# With fewer pieces a column, bounds tell next to nothing: inputs of many columns are not cut at
# all.
FEWEST_PIECES = 3


@dataclass(frozen=True, slots=True)
class PerfectTrees:
    """Trees of one depth D over d columns, and a grid of p pieces a column.

    Attributes:
        columns: shape (trees, 2^D), the column each slot splits by; slot 0 is unused.
        thresholds: same shape; rows with a value above go right. Slots below a leaf have infinity.
        places, ordered: same shape; columns and thresholds as walks read them (see `find_places`,
            `order_bits`).
        lengths: same shape, the path length of each leaf after the last level.
        expected: shape (trees, 2^(D + 1)), the mean path length of the training rows below each
            slot.
        longest: the path length, summed over trees, of the score -0.5.
        edges: shape (d, p - 1), ascending, as in `ordered`; an edge belongs to the piece that it
            ends.
        cells: shape (p^d,), the least path length, summed over trees, that a row in each cell can
            have; a cell's number has a row's pieces as digits, the first column's first.
        order: shape (trees,), the trees by how much longer their mean path is than their shortest.
            Walking those of a large difference first tells soonest that a row is usual.
        to_come: shape (trees + 1,), the least path length that any row can have from each position
            of `order` on.
    """

    columns: Int32
    thresholds: Float32
    places: UInt32
    ordered: Int32
    lengths: Float64
    expected: Float64
    longest: float
    edges: Int32
    cells: Float64
    order: Int64
    to_come: Float64


@dataclass(frozen=True, slots=True)
class ForestNodes:
    """The nodes of fitted isolation trees, tree after tree: what is stored of a forest.

    Attributes:
        offsets: shape (trees + 1,), where the nodes of each tree begin.
        columns: shape (nodes,), the column each splits by; 0 at a leaf.
        thresholds: shape (nodes,), rows with a value above go right.
        left, right: shape (nodes,), a node's children by their number within the tree; -1 at a
            leaf. A node comes before its children.
        rows: shape (nodes,), how many training rows passed each node.
        lengths: shape (nodes,), the path length of each node if it is a leaf.
        longest: shape (), the path length, summed over trees, of the score -0.5.
        width: shape (), number of columns of the inputs.
    """

    offsets: Int64
    columns: Int32
    thresholds: Float64
    left: Int32
    right: Int32
    rows: Int64
    lengths: Float64
    longest: Float64
    width: Int64


def collect_nodes(forest: IsolationForest) -> ForestNodes:
    """Return the nodes of a fitted scikit-learn forest."""
    from sklearn.ensemble._iforest import _average_path_length  # noqa: PLC0415 - see above

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
    """Return the trees as perfect trees."""
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
    ordered = order_bits(thresholds)
    edges = order_bits(_draw_edges(columns, thresholds, int(nodes.width)))
    shortest = lengths.min(axis=1)
    order = np.argsort(shortest - expected[:, 1], kind="stable")
    to_come = np.zeros(trees + 1)
    to_come[:-1] = shortest[order][::-1].cumsum()[::-1]
    return PerfectTrees(
        columns,
        thresholds,
        find_places(columns),
        ordered,
        lengths,
        expected,
        float(nodes.longest),
        edges,
        bound_cells(columns, ordered, lengths, edges),
        order,
        to_come,
    )


def _draw_edges(columns: Int32, thresholds: Float32, width: int) -> Float32:
    """Return the edges at which each column is cut, shape (d, p - 1); a column that no tree looks
    at is not cut.

    Edges are quantiles of the trees' thresholds, which follow the distribution of the rows, so that
    no rows are needed. Pieces near the ends, where paths become short, have fewer thresholds.
    """
    possible = range(MOST_PIECES, FEWEST_PIECES - 1, -1)
    pieces = next((number for number in possible if number**width <= MOST_CELLS), 1)
    shares = (1 - np.cos(np.pi * np.arange(1, pieces) / pieces)) / 2
    edges = np.full((width, pieces - 1), np.inf, np.float32)
    for column in range(width):
        found = np.sort(thresholds[(columns == column) & np.isfinite(thresholds)])
        if found.size:
            edges[column] = found[(shares * (found.size - 1)).astype(np.int64)]
    return edges


def _find_depth(nodes: ForestNodes, tree: int) -> int:
    start, end = int(nodes.offsets[tree]), int(nodes.offsets[tree + 1])
    depths = np.zeros(end - start, np.int64)
    for node in np.flatnonzero(nodes.left[start:end] >= 0):
        depths[nodes.left[start + node]] = depths[nodes.right[start + node]] = depths[node] + 1
    return int(depths.max())


def _round_down(thresholds: Float64) -> Float32:
    """Return the largest float32 not above each threshold. A float32 value is above the result
    exactly where it is above the threshold.
    """
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _mean_below(left: Int32, right: Int32, rows: Int64, path_lengths: Float64) -> Float64:
    """Return for each node the mean of `path_lengths` over the training rows below it."""
    means = path_lengths.copy()
    # A node comes before its children in scikit-learn's arrays.
    for node in np.flatnonzero(left >= 0)[::-1]:
        one, two = left[node], right[node]
        means[node] = (rows[one] * means[one] + rows[two] * means[two]) / (rows[one] + rows[two])
    return means
