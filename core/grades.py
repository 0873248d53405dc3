"""Grades, as people read them."""

from math import floor


def write_grade(grade: float) -> str:
    """Return a grade as a whole number, rounded down: 74.96 is below 75, where another severity
    begins, and must not look like it.
    """
    return f"{floor(grade)}"
