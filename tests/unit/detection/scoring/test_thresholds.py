import numpy as np
import pytest

from detection.scoring.grades import GradeTable
from detection.scoring.thresholds import find_threshold

SCORES = -np.random.default_rng(3).beta(20, 25, 40_000)
GRADES = GradeTable.from_scores(SCORES)


def share_below(threshold: float) -> float:
    return float((threshold > SCORES).mean())


def test_contamination_is_the_share_of_training_bars_that_pass() -> None:
    assert share_below(find_threshold("contamination", 0.01, GRADES, SCORES)) == 0.01


@pytest.mark.parametrize("contamination", [0.3, 0.01, 0.001])
def test_contamination_of_a_stored_model_is_right_to_a_few_percent_of_it(
    contamination: float,
) -> None:
    threshold = find_threshold("contamination", contamination, GRADES)
    assert share_below(threshold) == pytest.approx(contamination, rel=0.03)


@pytest.mark.parametrize(("grade", "share"), [(25, 0.1), (50, 0.01), (75, 0.001)])
def test_a_grade_is_a_frequency(grade: float, share: float) -> None:
    assert share_below(find_threshold("grade", grade, GRADES)) == pytest.approx(share, rel=0.03)


def test_a_score_is_used_unchanged() -> None:
    assert find_threshold("score", -0.61, GRADES) == -0.61
