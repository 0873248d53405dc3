"""Grades are frequencies, survive storage, and set thresholds."""

import json
from bisect import bisect_right
from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from detection.detectors import isolation_forest
from detection.features.feature_sets import EVENTS, MARKET14
from detection.scoring.grades import ColumnTails, GradeTable
from detection.scoring.thresholds import (
    threshold_by_contamination,
    threshold_by_grade,
    threshold_fixed,
)


def draw_scores(count: int) -> np.ndarray:
    return -np.random.default_rng(1).beta(20, 30, count)


@pytest.mark.parametrize("count", [1, 50, 100, 101, 10_000, 300_000])
def test_grades_follow_their_definition(count: int) -> None:
    scores = draw_scores(count)
    ordered = sorted(scores.tolist())
    table = GradeTable.from_scores(scores)
    for score in np.random.default_rng(2).choice(scores, 200):
        expected = min(100.0, 25 * -log10(bisect_right(ordered, score) / count))
        # After the 100 strangest, ranks are stored 1 % apart: 25 x log10(1.01).
        assert abs(table.compute([score])[0] - expected) <= 0.11
    for score in ordered[:100]:
        assert table.compute([score])[0] == pytest.approx(
            min(100.0, 25 * -log10(bisect_right(ordered, score) / count))
        )


def test_the_table_stays_small() -> None:
    assert len(GradeTable.from_scores(draw_scores(500_000)).ranks) < 1000


def test_fifty_is_one_bar_in_a_hundred_and_seventy_five_one_in_a_thousand() -> None:
    scores = np.linspace(-0.9, -0.3, 100_000)
    grades = GradeTable.from_scores(scores).compute(scores[[999, 99, 9]])
    assert grades.tolist() == pytest.approx([50.0, 75.0, 100.0], abs=0.11)


def test_a_score_below_all_counts_as_half_a_bar() -> None:
    table = GradeTable.from_scores(np.linspace(-0.6, -0.4, 100))
    assert table.compute([-0.7])[0] == pytest.approx(25 * -log10(0.5 / 100))
    assert table.compute([-0.3])[0] == 0.0


def test_the_bars_below_a_score_are_counted() -> None:
    scores = draw_scores(10_000)
    table = GradeTable.from_scores(scores)
    for score in (*np.quantile(scores, [0.0, 0.001, 0.005]), -1.0):
        assert table.count_below(score) == (scores < score).sum()
    for score in np.quantile(scores, [0.01, 0.1, 0.5]):
        assert table.count_below(score) == pytest.approx((scores < score).sum(), rel=0.011)


@given(
    st.lists(st.floats(-1, 0), min_size=1, max_size=300),
    st.lists(st.floats(-1, 0), min_size=2, max_size=20),
)
def test_a_stranger_score_never_has_a_lower_grade(
    training: list[float], scores: list[float]
) -> None:
    grades = GradeTable.from_scores(training).compute(sorted(scores))
    assert (np.diff(grades) <= 0).all()
    assert ((grades >= 0) & (grades <= 100)).all()


@given(st.lists(st.floats(-1, 0), min_size=1, max_size=300))
def test_storage_changes_nothing(training: list[float]) -> None:
    table = GradeTable.from_scores(training)
    stored = GradeTable.from_document(json.loads(json.dumps(table.to_document())))
    scores = np.linspace(-1, 0, 101)
    assert stored.compute(scores).tolist() == table.compute(scores).tolist()


@pytest.mark.parametrize("grade", [10.0, 50.0, 62.5, 75.0, 100.0])
def test_scores_below_the_threshold_of_a_grade_are_those_with_the_grade(grade: float) -> None:
    scores = draw_scores(50_000)
    table = GradeTable.from_scores(scores)
    assert ((scores < threshold_by_grade(table, grade)) == (table.compute(scores) >= grade)).all()


@pytest.mark.parametrize("contamination", [0.001, 0.01, 0.25])
def test_contamination_is_the_share_of_training_bars_below(contamination: float) -> None:
    scores = draw_scores(20_000)
    below = (scores < threshold_by_contamination(scores, contamination)).mean()
    assert below == pytest.approx(contamination, abs=1 / 20_000)


@pytest.mark.parametrize("value", [-0.1, 0.0, 0.6, float("nan")])
def test_an_impossible_contamination_is_refused(value: float) -> None:
    with pytest.raises(BadInput, match="contamination"):
        threshold_by_contamination([-0.5], value)


@pytest.mark.parametrize("value", [0.0, 100.1, float("nan")])
def test_an_impossible_grade_is_refused(value: float) -> None:
    with pytest.raises(BadInput, match="grade"):
        threshold_by_grade(GradeTable.from_scores([-0.5]), value)


def test_a_fixed_threshold_is_a_score() -> None:
    assert threshold_fixed(-0.61) == -0.61
    with pytest.raises(BadInput, match=r"0\.61"):
        threshold_fixed(0.61)


def draw_bars(count: int, seed: int) -> np.ndarray:
    """Return rows of the default columns: square roots of departures with a fat tail, which occur
    in all columns at once as often as in one.
    """
    random = np.random.default_rng(seed)
    shared = random.pareto(3.0, (count, 1)) + 0.5
    alone = random.pareto(4.0, (count, len(EVENTS.columns))) + 0.5
    return np.sqrt(np.maximum(shared * random.uniform(0.3, 1.0, alone.shape), alone)).astype("f4")


def grade_bars(bars: np.ndarray, learned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the grades of some bars by score alone, and by score and columns."""
    forest = isolation_forest.load(isolation_forest.fit(learned, trees=50, sample=256, seed=1))
    tails = ColumnTails.from_inputs(EVENTS.columns, learned)
    tails = ColumnTails.from_document(json.loads(json.dumps(tails.to_document())))
    rarities = tails.find_rarity(EVENTS.columns, learned)
    table = GradeTable.from_scores(forest.score_samples(learned), rarities)
    table = GradeTable.from_document(json.loads(json.dumps(table.to_document())))
    scores = forest.score_samples(bars)
    return table.compute(scores), table.compute(scores, tails.find_rarity(EVENTS.columns, bars))


def test_a_bar_that_is_extreme_in_two_columns_has_a_high_grade() -> None:
    """A wick of 15 to 100 usual ranges on a bar that hardly moved: its score cannot fall below
    those that the forest was trained on.
    """
    learned = draw_bars(40_000, 1)
    wicks = np.full((6, len(EVENTS.columns)), 0.7, np.float32)
    for name in ("departure_fast", "event_steady"):
        of = EVENTS.columns.index(name)
        wicks[:, of] = np.quantile(learned[:, of], (0.99, 0.995, 0.999, 0.9999, 1.0, 1.0))
    wicks[-1] *= 1.5
    by_score, grades = grade_bars(wicks, learned)
    assert by_score.max() < 75
    assert (np.diff(grades) >= 0).all()
    assert grades[3] >= 75
    assert grades[-1] == 100


def test_grades_by_columns_are_reached_as_often_as_they_promise() -> None:
    by_score, grades = grade_bars(draw_bars(200_000, 2), draw_bars(40_000, 1))
    for grade, share in ((50, 0.01), (75, 0.001), (87.5, 0.000316)):
        assert share / 1.5 < (grades >= grade).mean() < 1.5 * share
    # Only these columns count; which bars are the strangest hundredth is decided by the score
    # alone.
    np.testing.assert_array_equal(grades >= 50, by_score >= 50)
    np.testing.assert_array_equal(grades[by_score < 50], by_score[by_score < 50])


@pytest.mark.parametrize("bit", [-1.0, 1.0])
def test_grades_by_columns_do_not_depend_on_the_last_bit_of_logarithms(bit: float) -> None:
    """numpy's logarithms differ in it between machines with and without AVX-512."""
    learned = draw_bars(4_000, 1)
    rarities = ColumnTails.from_inputs(EVENTS.columns, learned).find_rarity(EVENTS.columns, learned)
    assert rarities is not None
    scores = -np.sort(np.random.default_rng(2).random(4_000))
    table = GradeTable.from_scores(scores, rarities)
    elsewhere = np.nextafter(rarities, bit * np.inf)
    np.testing.assert_array_equal(table.compute(scores, elsewhere), table.compute(scores, rarities))


def test_columns_without_a_tail_do_not_count() -> None:
    learned = np.random.default_rng(1).normal(size=(1_000, 14)).astype(np.float32)
    tails = ColumnTails.from_inputs(MARKET14.columns, learned)
    assert tails.find_rarity(MARKET14.columns, learned) is None
    # As in a version from before records had tails.
    assert ColumnTails.from_document({}).find_rarity(EVENTS.columns, learned) is None
    table = GradeTable.from_scores(draw_scores(1_000))
    rarities = np.full(1_000, 100.0)
    scores = draw_scores(1_000)
    np.testing.assert_array_equal(table.compute(scores, rarities), table.compute(scores))
