"""The flat forest compared with scikit-learn, and its attribution with re-scoring."""

from functools import cache
from itertools import combinations
from math import comb

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from core.errors import BadInput, TapewatchError
from detection.detectors.isolation_forest import FlatForest, fit_forest, load
from detection.features.compute import compute_features
from detection.features.feature_sets import MARKET14, TWO_YARDSTICKS
from tests.unit.detection.features.twin import build_panel, read_real_bars


def draw_rows(seed: int, count: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, (count, width)).astype(np.float32)


@cache
def fit_drawn(trees: int, sample: int, width: int) -> IsolationForest:
    """Return a forest of scikit-learn's; fitting it takes longer than comparing it."""
    return fit_forest(draw_rows(1, 5000, width), trees=trees, sample=sample, seed=3)


@pytest.fixture(scope="module")
def real_inputs() -> np.ndarray:
    panel = build_panel(*read_real_bars().values())
    return compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS).inputs


@pytest.mark.parametrize("count", [1, 511, 512, 513, 20_000])
@pytest.mark.parametrize(
    ("trees", "sample", "width"), [(1, 2, 1), (7, 33, 3), (100, 256, 14), (30, 4096, 5)]
)
def test_scores_equal_scikit_learns(count: int, trees: int, sample: int, width: int) -> None:
    forest = fit_drawn(trees, sample, width)
    flat = FlatForest.from_sklearn(forest)
    rows = draw_rows(2, count, width)
    expected = forest.score_samples(rows)
    np.testing.assert_allclose(flat.score_samples(rows), expected, rtol=0, atol=0)
    threshold = np.quantile(expected, 0.01)
    assert ((flat.score_samples(rows) < threshold) == (expected < threshold)).all()


@pytest.mark.parametrize("count", [1, 511, 512, 513, 20_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 1.0])
@pytest.mark.parametrize(("trees", "sample", "width"), [(3, 33, 3), (100, 256, 14)])
def test_scores_below_a_threshold_are_exact_though_other_rows_are_not_walked_to_the_end(
    count: int, share: float, trees: int, sample: int, width: int
) -> None:
    forest = fit_drawn(trees, sample, width)
    rows = draw_rows(2, count, width)
    expected = forest.score_samples(rows)
    threshold = float(np.quantile(expected, share))
    found = FlatForest.from_sklearn(forest).score_samples(rows, below=threshold)
    is_below = FlatForest.from_sklearn(forest).score_samples(rows) < threshold
    assert ((found < threshold) == is_below).all()
    np.testing.assert_allclose(found[is_below], expected[is_below], rtol=0, atol=0)


def test_each_row_may_have_its_own_bound() -> None:
    forest = fit_forest(draw_rows(1, 5000, 5), trees=60, sample=512, seed=3)
    rows = draw_rows(2, 3000, 5)
    expected = forest.score_samples(rows)
    bounds = np.random.default_rng(3).permutation(expected)
    bounds[:100], bounds[100:200] = 0.0, -np.inf
    found = FlatForest.from_sklearn(forest).score_samples(rows, below=bounds)
    is_below = expected < bounds
    np.testing.assert_array_equal(found < bounds, is_below)
    np.testing.assert_array_equal(found[is_below], expected[is_below])


@pytest.mark.parametrize("below", [np.inf, 0.0, -5e-324, -0.3, -0.6, -1.0, -2.0, -np.inf])
@pytest.mark.parametrize("trees", [1, 6])
def test_no_bound_changes_a_score_below_it(trees: int, below: float) -> None:
    forest = fit_forest(draw_rows(1, 400, 2), trees=trees, sample=64, seed=3)
    flat, rows = FlatForest.from_sklearn(forest), draw_rows(2, 600, 2)
    expected = forest.score_samples(rows)
    for count in (0, 1, 9, 257, 600):
        found = flat.score_samples(rows[:count], below=below)
        is_below = expected[:count] < below
        np.testing.assert_array_equal(found[is_below], expected[:count][is_below])
        assert not (found[~is_below] < below).any()


def test_scores_of_real_bars_equal_scikit_learns(real_inputs: np.ndarray) -> None:
    forest = fit_forest(real_inputs, trees=100, sample=512, seed=7)
    flat = FlatForest.from_sklearn(forest)
    np.testing.assert_array_equal(
        flat.score_samples(real_inputs), forest.score_samples(real_inputs)
    )


def test_values_on_a_threshold_go_the_way_scikit_learn_sends_them() -> None:
    # With few distinct values, rows and thresholds are often equal.
    rows = np.random.default_rng(0).integers(0, 4, (3000, 3)).astype(np.float32) / 3
    forest = fit_forest(rows, trees=50, sample=256, seed=1)
    thresholds = np.concatenate([tree.tree_.threshold for tree in forest.estimators_]).astype(
        np.float32
    )
    meeting = np.random.default_rng(1).choice(thresholds, (2000, 3))
    np.testing.assert_array_equal(
        FlatForest.from_sklearn(forest).score_samples(meeting), forest.score_samples(meeting)
    )


def test_trees_that_use_only_some_columns_keep_them() -> None:
    rows = draw_rows(1, 3000, 6)
    forest = IsolationForest(n_estimators=40, max_features=0.5, random_state=1).fit(rows)
    np.testing.assert_array_equal(
        FlatForest.from_sklearn(forest).score_samples(rows), forest.score_samples(rows)
    )


def test_equal_rows_have_equal_scores() -> None:
    rows = np.ones((100, 3), np.float32)
    forest = fit_forest(rows, trees=5, sample=64, seed=1)
    flat = FlatForest.from_sklearn(forest)
    np.testing.assert_allclose(flat.score_samples(rows), forest.score_samples(rows), rtol=0, atol=0)
    np.testing.assert_allclose(flat.attribute(rows), 1 / 3)


def test_no_rows_give_no_scores() -> None:
    flat = FlatForest.from_sklearn(fit_forest(draw_rows(1, 100, 3), trees=5, sample=64, seed=1))
    assert flat.score_samples(np.empty((0, 3))).shape == (0,)
    assert flat.attribute(np.empty((0, 3))).shape == (0, 3)


def test_a_forest_whose_scores_would_differ_from_scikit_learns_is_refused() -> None:
    class Moved(IsolationForest):
        def score_samples(self, X: np.ndarray) -> np.ndarray:  # noqa: N803 - scikit-learn's name
            return super().score_samples(X) * (1 - 2**-52)

    forest = Moved(n_estimators=10, random_state=1).fit(draw_rows(1, 1000, 3))
    with pytest.raises(TapewatchError, match="scores differ from those of scikit-learn") as refusal:
        FlatForest.from_sklearn(forest)
    assert refusal.value.reason == "scores_differ"


@pytest.mark.parametrize(
    ("trees", "sample", "width"), [(1, 2, 1), (7, 33, 3), (100, 512, 14), (30, 4096, 5)]
)
def test_a_stored_forest_scores_and_attributes_the_same_to_the_last_bit(
    trees: int, sample: int, width: int
) -> None:
    forest = FlatForest.from_sklearn(fit_drawn(trees, sample, width))
    arrays, rows = forest.get_arrays(), draw_rows(2, 3000, width)
    assert all(array.dtype.kind in "if" for array in arrays.values())
    again = load(arrays)
    np.testing.assert_array_equal(again.score_samples(rows), forest.score_samples(rows))
    np.testing.assert_array_equal(again.attribute(rows), forest.attribute(rows))


def test_the_same_seed_gives_the_same_forest() -> None:
    rows = draw_rows(1, 2000, 4)
    one, two = (
        fit_forest(rows, trees=10, sample=128, seed=5).score_samples(rows) for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


def test_rows_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(BadInput, match="10 trees of 256 rows from 1 rows"):
        fit_forest(draw_rows(1, 1, 3), trees=10, sample=256, seed=1)


def replace_each(forest: FlatForest, rows: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return how much less strange each row is if a column has its usual value; the brute force,
    shape (m, d).
    """
    effects = np.empty(rows.shape)
    before = forest.score_samples(rows)
    for column in range(rows.shape[1]):
        replaced = rows.copy()
        replaced[:, column] = usual[column]
        effects[:, column] = forest.score_samples(replaced) - before
    return effects


def compute_shapley(forest: FlatForest, row: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return each column's Shapley value in the strangeness of a row, by its definition over all
    coalitions.
    """
    width = row.size
    masks = [
        np.isin(np.arange(width), kept)
        for size in range(width + 1)
        for kept in combinations(range(width), size)
    ]
    strangeness = -forest.score_samples(np.where(masks, row, usual))
    value = {tuple(mask): found for mask, found in zip(map(tuple, masks), strangeness, strict=True)}
    shapley = np.zeros(width)
    for mask in masks:
        for column in np.flatnonzero(~mask):
            joined = mask.copy()
            joined[column] = True
            shapley[column] += (value[tuple(joined)] - value[tuple(mask)]) / (
                width * comb(width - 1, int(mask.sum()))
            )
    return shapley


@pytest.mark.parametrize("width", [3, 5, 14])
def test_shares_name_the_only_planted_column(width: int) -> None:
    rows = draw_rows(1, 5000, width)
    forest = FlatForest.from_sklearn(fit_forest(rows, trees=100, sample=256, seed=1))
    planted = np.zeros((2 * width, width), np.float32)
    planted[np.arange(2 * width), np.arange(2 * width) % width] = np.repeat([40.0, -40.0], width)
    shares = forest.attribute(planted)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares >= 0).all()
    assert (shares.argmax(axis=1) == np.arange(2 * width) % width).all()
    assert (
        replace_each(forest, planted, np.median(rows, axis=0)).argmax(axis=1)
        == shares.argmax(axis=1)
    ).all()
    assert shares.max(axis=1).min() > 0.7


def rank_agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Return the mean Spearman correlation over rows."""
    ranks = [values.argsort(axis=1).argsort(axis=1) for values in (one, two)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)]))


def test_shares_of_real_anomalies_agree_with_re_scoring_and_with_shapley_values(
    real_inputs: np.ndarray,
) -> None:
    forest = FlatForest.from_sklearn(fit_forest(real_inputs, trees=100, sample=512, seed=7))
    scores = forest.score_samples(real_inputs)
    strange = real_inputs[scores < np.quantile(scores, 0.01)]
    usual = np.median(real_inputs, axis=0)
    shares = forest.attribute(strange)
    shapley = np.array([compute_shapley(forest, row, usual) for row in strange])
    assert rank_agreement(shares, shapley) > 0.7
    assert rank_agreement(shares, replace_each(forest, strange, usual)) > 0.5


def test_shares_of_the_documented_set_agree_with_re_scoring() -> None:
    panel = build_panel(*read_real_bars().values())
    inputs = compute_features(panel, panel.offsets[:-1], MARKET14).inputs
    forest = FlatForest.from_sklearn(fit_forest(inputs, trees=100, sample=256, seed=7))
    scores = forest.score_samples(inputs)
    strange = inputs[scores < np.quantile(scores, 0.01)]
    effects = replace_each(forest, strange, np.median(inputs, axis=0))
    assert rank_agreement(forest.attribute(strange), effects) > 0.5


@pytest.mark.parametrize("width", [3, 5, 14])
def test_no_score_is_below_the_bound_of_its_cell(width: int) -> None:
    flat = FlatForest.from_sklearn(fit_drawn(30, 256, width))
    rows = draw_rows(4, 20_000, width)
    bounds = flat.bound_cells()[flat.find_cells(rows)]
    assert (flat.score_samples(rows) >= bounds).all()
    assert (bounds < 0.0).all()


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3])
def test_the_early_exit_by_cells_changes_no_score_below_a_threshold(share: float) -> None:
    # Values equal to thresholds lie on the boundaries of the boxes that decide most early exits.
    forest = fit_forest(draw_rows(1, 5000, 3), trees=60, sample=256, seed=5)
    flat = FlatForest.from_sklearn(forest)
    thresholds = np.concatenate([tree.tree_.threshold for tree in forest.estimators_])
    values = [*thresholds.astype(np.float32), np.float32(-0.0), np.float32(0.0), 1e-45, -1e-45]
    extremes = np.array([np.finfo(np.float32).max, np.finfo(np.float32).min, np.inf, -np.inf])
    rows = np.random.default_rng(2).choice(
        np.concatenate([values, extremes]).astype(np.float32), (20_000, 3)
    )
    expected = flat.score_samples(rows)
    finite = np.isfinite(rows).all(axis=1)
    np.testing.assert_array_equal(expected[finite], forest.score_samples(rows[finite]))
    threshold = float(np.quantile(expected, share))
    found = flat.score_samples(rows, below=threshold)
    np.testing.assert_array_equal(found < threshold, expected < threshold)
    np.testing.assert_array_equal(found[expected < threshold], expected[expected < threshold])
