"""Grades as people read them."""

import pytest

from core.grades import write_grade


@pytest.mark.parametrize(
    ("grade", "written"), [(74.96, "74"), (75.0, "75"), (49.999, "49"), (100.0, "100")]
)
def test_a_grade_is_never_written_as_one_of_the_next_severity(grade: float, written: str) -> None:
    assert write_grade(grade) == written
