"""How rare a share of bars is, the word for it, and how it is shown."""

from typing import cast

import pytest

from alerts.raising import passes
from core.grades import get_severity, grade_share, write_grade
from records.findings.documents import AnomalyDocument


@pytest.mark.parametrize(
    ("grade", "written"), [(74.96, "74"), (75.0, "75"), (49.999, "49"), (100.0, "100")]
)
def test_a_grade_is_never_shown_as_one_of_the_next_severity(grade: float, written: str) -> None:
    assert write_grade(grade) == written


@pytest.mark.parametrize(
    ("share", "grade"), [(1, 0), (0.01, 50), (0.001, 75), (1e-4, 100), (1e-6, 100), (0, 100)]
)
def test_no_share_has_a_grade_above_the_highest(share: float, grade: float) -> None:
    assert grade_share(share) == pytest.approx(grade)


def test_a_bar_of_the_highest_grade_passes_any_share_that_can_be_requested() -> None:
    strangest = cast("AnomalyDocument", {"grade": 100.0})
    assert passes({"kind": "contamination", "value": 1e-6}, strangest)


@pytest.mark.parametrize(
    ("grade", "word"),
    [
        (0, "low"),
        (49.9, "low"),
        (50, "medium"),
        (74.9, "medium"),
        (75, "high"),
        (99.9, "high"),
        (100, "critical"),
    ],
)
def test_severity_follows_the_grade(grade: float, word: str) -> None:
    assert get_severity(grade) == word
