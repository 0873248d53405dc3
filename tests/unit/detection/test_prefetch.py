"""Working ahead: which parts are computed in the thread, and when."""

from collections.abc import Iterator
from threading import Event, get_ident

import pytest

from core.errors import LeaseLost
from detection.pipeline.prefetch import work_ahead

WAIT_SECONDS = 10


def test_the_next_part_is_computed_while_one_is_used() -> None:
    made = [Event(), Event(), Event()]
    makers = set()

    def make() -> Iterator[int]:
        for number, event in enumerate(made):
            makers.add(get_ident())
            event.set()
            yield number

    used = []
    with work_ahead(make()) as parts:
        for part in parts:
            assert all(event.wait(WAIT_SECONDS) for event in made[: part + 2])
            used.append(part)
    assert used == [0, 1, 2]
    assert get_ident() not in makers


def test_an_exception_in_the_thread_is_raised_where_its_part_is_requested() -> None:
    def make() -> Iterator[int]:
        yield 0
        raise LeaseLost("another worker has it")

    with work_ahead(make()) as parts:
        assert next(parts) == 0
        with pytest.raises(LeaseLost):
            next(parts)
