"""What tests share."""

import pytest

from tests.faults.trial import check_same


def test_a_helper_that_fails_says_what_it_compared() -> None:
    with pytest.raises(AssertionError, match=r"'status': 'failed'.*==.*'status': 'complete'"):
        check_same({"run": {"status": "failed"}}, {"run": {"status": "complete"}})
