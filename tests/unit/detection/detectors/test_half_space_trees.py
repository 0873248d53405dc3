"""Half-space trees compared with river's on the same trees, and the detection of a planted bar."""

import numpy as np
import pytest
from river.anomaly import HalfSpaceTrees as RiverTrees

from core.errors import BadInput
from detection.detectors.half_space_trees import (
    BLOCK_BARS,
    HEIGHT,
    TREES,
    HalfSpaceTrees,
    fit,
    grow_trees,
    load,
)
from detection.detectors.rows import SeriesRows

WIDTH = 4


def copy_trees(river: RiverTrees) -> HalfSpaceTrees:
    """Return river's trees in our form; their thresholds become numbers that float32 can hold."""
    columns = np.zeros((TREES, 2**HEIGHT - 1), np.int32)
    thresholds = np.zeros((TREES, 2**HEIGHT - 1), np.float32)
    for number, root in enumerate(river.trees):
        level = [root]
        for node in range(2**HEIGHT - 1):
            branch = level.pop(0)
            branch.threshold = float(np.float32(branch.threshold))
            columns[number, node], thresholds[number, node] = branch.feature, branch.threshold
            level += branch.children
    return HalfSpaceTrees(columns, thresholds)


def draw_rows(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(2, 6, (count, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_rivers_on_the_same_trees(seed: int) -> None:
    inputs = draw_rows(seed, 4 * BLOCK_BARS + 90)
    river = RiverTrees(n_trees=TREES, height=HEIGHT, window_size=BLOCK_BARS, seed=seed)
    points = [dict(enumerate(map(float, row))) for row in inputs]
    river.learn_one(points[0])
    ours = copy_trees(river)
    expected = []
    for point in points[1:]:
        expected.append(river.score_one(point))
        river.learn_one(point)
    rows = SeriesRows.of_one(inputs)
    found = ours.score_series(rows.want(rows.wanted[BLOCK_BARS:]))
    # The first row of a block is scored before river has seen it, so with the masses of the
    # complete block before.
    np.testing.assert_allclose(found, -np.array(expected[BLOCK_BARS - 1 :]), rtol=0, atol=1e-15)


def weigh_slowly(trees: HalfSpaceTrees, block: np.ndarray, row: np.ndarray) -> float:
    """Return the sum of the masses on a row's paths, each times 2^depth, node by node."""
    total = 0
    for columns, thresholds in zip(trees.columns, trees.thresholds, strict=True):
        node, inside = 0, block
        total += len(inside)
        for depth in range(1, HEIGHT + 1):
            if len(inside) < BLOCK_BARS // 10:
                break
            column, threshold = columns[node], thresholds[node]
            went_right = bool(row[column] >= threshold)
            inside = inside[(inside[:, column] >= threshold) == went_right]
            node = 2 * node + 1 + went_right
            total += len(inside) * 2**depth
    return total


@pytest.mark.parametrize("spread", [0.0, 0.3, 30.0])
def test_rows_on_and_beyond_all_thresholds_get_the_right_masses(spread: float) -> None:
    trees = load(fit(SeriesRows.of_one(draw_rows(1, 300)), seed=5))
    random = np.random.default_rng(2)
    inputs = np.abs(random.normal(1.0, spread, (2 * BLOCK_BARS, WIDTH))).astype(np.float32)
    for column in range(WIDTH):
        own = trees.thresholds[(trees.columns == column) & (trees.thresholds > 0.0)]
        inputs[::3, column] = random.choice(own, len(inputs[::3]))
    wanted = np.array([BLOCK_BARS, BLOCK_BARS + 2, 350, 351, 2 * BLOCK_BARS - 1])
    found = trees.score_series(SeriesRows.of_one(inputs).want(wanted))
    most = TREES * BLOCK_BARS * (2 ** (HEIGHT + 1) - 1)
    expected = [weigh_slowly(trees, inputs[:BLOCK_BARS], row) / most - 1 for row in inputs[wanted]]
    np.testing.assert_array_equal(found, expected)


def test_each_node_halves_the_range_that_its_parents_left() -> None:
    """By the paper's recursion, written again here, in the space where a column runs to 1."""
    columns, thresholds = grow_trees(WIDTH, np.random.default_rng(3))
    finite = np.where(np.isfinite(thresholds), thresholds, np.nan).astype(np.float64)
    middles = finite / (1.0 + finite)
    checked = 0
    for tree in range(TREES):
        for node in range(1, 2**HEIGHT - 1):
            above, below, at = [], [], node
            while at:
                parent, went_right = (at - 1) // 2, at % 2 == 0
                if columns[tree, parent] == columns[tree, node]:
                    (above if went_right else below).append(middles[tree, parent])
                at = parent
            known = np.array([*above, *below, middles[tree, node]])
            if above and below and np.isfinite(known).all():
                half = (max(above) + min(below)) / 2
                assert middles[tree, node] == pytest.approx(half, abs=1e-5)
                checked += 1
    assert checked > 1_000


def test_the_middle_of_a_work_range_lies_within_the_column() -> None:
    _, thresholds = grow_trees(WIDTH, np.random.default_rng(4))
    root = thresholds[:, 0] / (1.0 + thresholds[:, 0])
    assert ((root > 0) & (root < 1)).all()
    assert root.std() > 0.1


@pytest.mark.parametrize("column", range(WIDTH))
def test_a_planted_bar_is_among_the_strangest_and_attributed_to_its_column(column: int) -> None:
    inputs = np.abs(np.random.default_rng(9).normal(1.0, 0.2, (800, WIDTH))).astype(np.float32)
    inputs[700, column] = 12.0
    rows = SeriesRows.of_one(inputs)
    wanted = rows.want(rows.wanted[BLOCK_BARS:])
    detector = load(fit(wanted, seed=1))
    scores = detector.score_series(wanted)
    assert scores[700 - BLOCK_BARS] <= np.quantile(scores, 0.02)
    (shares,) = detector.attribute_series(rows.want(np.array([700])))
    assert shares.argmax() == column
    assert shares[column] > 0.4


def test_a_bar_that_is_small_in_all_columns_scores_like_a_usual_one() -> None:
    inputs = np.abs(np.random.default_rng(8).normal(1.0, 0.3, (600, WIDTH))).astype(np.float32)
    inputs[500], inputs[501] = 0.0, 1.0
    rows = SeriesRows.of_one(inputs)
    wanted = rows.want(rows.wanted[BLOCK_BARS:])
    scores = load(fit(wanted, seed=1)).score_series(wanted)
    assert scores[500 - BLOCK_BARS] == scores[501 - BLOCK_BARS] > np.median(scores)


def test_masses_are_those_of_the_block_before() -> None:
    inputs = 4.0 * draw_rows(1, 3 * BLOCK_BARS)
    rows = SeriesRows.of_one(inputs)
    detector = load(fit(rows.want(rows.wanted[BLOCK_BARS:]), seed=1))
    last = rows.want(rows.wanted[2 * BLOCK_BARS :])
    before = detector.score_series(last)
    changed = inputs.copy()
    changed[:BLOCK_BARS] = 3.6
    assert np.array_equal(
        detector.score_series(SeriesRows.of_one(changed).want(last.wanted)), before
    )
    changed[BLOCK_BARS + 3] = 3.6
    assert (detector.score_series(SeriesRows.of_one(changed).want(last.wanted)) != before).any()


def test_rows_without_a_block_before_them_are_refused() -> None:
    rows = SeriesRows.of_one(draw_rows(1, 100))
    with pytest.raises(BadInput, match="0 rows that have 250 bars before them"):
        fit(rows.want(rows.wanted[:0]), seed=1)
