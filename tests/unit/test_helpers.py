"""Checks of what tests share."""

import pytest

from tests.faults.trial import check_same


def test_a_failed_assert_in_a_helper_shows_the_compared_values() -> None:
    with pytest.raises(AssertionError, match=r"'status': 'failed'.*==.*'status': 'complete'"):
        check_same({"run": {"status": "failed"}}, {"run": {"status": "complete"}})
