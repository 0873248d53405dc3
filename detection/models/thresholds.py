"""From a threshold policy to the score that anomalies lie below."""

from math import log10

from core.arrays import Float64
from detection.models.plan import ThresholdPolicy
from detection.scoring.grades import POINTS_PER_DECADE, GradeTable
from detection.scoring.thresholds import threshold_by_contamination, threshold_by_grade, threshold_fixed


def resolve_threshold(policy: ThresholdPolicy, grades: GradeTable, scores: Float64 | None = None) -> float:
    """Return the threshold that a policy means for a model with these grades.

    A contamination is exact with the training scores, shape (n,); a model that is stored has only their grades, which
    give it to 1 % of the share.
    """
    match policy.kind:
        case "score":
            return threshold_fixed(policy.value)
        case "grade":
            return threshold_by_grade(grades, policy.value)
        case "contamination" if scores is not None:
            return threshold_by_contamination(scores, policy.value)
        case "contamination":
            return threshold_by_grade(grades, min(100.0, -POINTS_PER_DECADE * log10(policy.value)))
