"""Grades: how rare a bar is, from 0 to 100.

grade = 25 x -log10(share of bars at least as strange), at most 100: 50 is one bar in a hundred, 75
one in a thousand, 100 one in ten thousand or rarer.
"""

from bisect import bisect_right
from math import floor, log10
from typing import get_args

from core.words import Severity

POINTS_PER_DECADE = 25.0
HIGHEST_GRADE = 100.0
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
LEAST_GRADES = (50.0, 75.0, 100.0)


def grade_share(share: float) -> float:
    """Return the grade of a bar when this share of bars, from 0 to 1, is at least as strange."""
    return min(HIGHEST_GRADE, -POINTS_PER_DECADE * log10(share)) if share > 0.0 else HIGHEST_GRADE


def find_share(grade: float) -> float:
    """Return the share of bars at least as strange as a bar of this grade; inverts
    `grade_share`.
    """
    return float(10 ** (-grade / POINTS_PER_DECADE))


def get_severity(grade: float) -> Severity:
    """Return the word for a grade: `medium` is one bar in 100, `high` in 1,000,
    `critical` in 10,000.
    """
    return SEVERITIES[bisect_right(LEAST_GRADES, grade)]


def write_grade(grade: float) -> str:
    """Return a grade as an integer, rounded down. 74.96 must not be shown as 75, at which another
    severity begins.
    """
    return f"{floor(grade)}"
