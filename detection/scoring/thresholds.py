"""The score under which a bar is an anomaly: by share of bars, by grade, or fixed."""

import numpy as np
from numpy.typing import ArrayLike

from core.errors import BadInput
from core.grades import HIGHEST_GRADE, grade_share
from core.words import ThresholdKind
from detection.scoring.grades import GradeTable


def find_threshold(
    kind: ThresholdKind, value: float, grades: GradeTable, scores: ArrayLike | None = None
) -> float:
    """Return the threshold of a kind for a model with these grades.

    A contamination needs the training `scores`, shape (n,), to be exact. A stored model has only
    their grade table, from which the threshold is exact to 1 % of the share.
    Raises BadInput on a value out of range.
    """
    match kind:
        case "score":
            return threshold_fixed(value)
        case "grade":
            return threshold_by_grade(grades, value)
        case "contamination" if scores is not None:
            return threshold_by_contamination(scores, value)
        case "contamination":
            return threshold_by_grade(grades, grade_share(value))


def threshold_by_contamination(scores: ArrayLike, contamination: float) -> float:
    """Return the score below which the share `contamination` of the training `scores` (n,) lies, as
    scikit-learn computes it.

    Raises BadInput where it is not above 0, or above 0.5.
    """
    if not 0.0 < contamination <= 0.5:
        raise BadInput(
            f"contamination {contamination} is not a share above 0 and up to 0.5; 0.01 is one bar"
            " in 100"
        )
    return float(np.quantile(np.asarray(scores, np.float64), contamination))


def threshold_by_grade(grades: GradeTable, grade: float) -> float:
    """Return the score below which bars have at least `grade`.

    Raises BadInput where no bar or every bar would have it.
    """
    if not 0.0 < grade <= HIGHEST_GRADE:
        raise BadInput(
            f"grade {grade} is not above 0 and up to 100; 50 is one bar in 100, 75 one in 1,000"
        )
    return grades.find_score(grade)


def threshold_fixed(score: float) -> float:
    """Return a threshold given as a score.

    Raises BadInput where it is outside the range of scores, -1 to 0.
    """
    if not -1.0 <= score <= 0.0:
        raise BadInput(
            f"threshold {score} is not a score: they run from -1 (strangest) to 0; -0.6 is usual"
        )
    return score
