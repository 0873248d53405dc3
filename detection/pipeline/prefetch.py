"""A thread makes the next part while the one before is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

Part = TypeVar("Part")


@contextmanager
def work_ahead(parts: Iterator[Part]) -> Iterator[Iterator[Part]]:
    """Yield an iterator over `parts`, none of which is None,
    that has the next one made while the last is used.

    What the making of a part raises is raised where the part is asked for. At the end of the
    context a part that is being made is waited for.
    """
    with ThreadPoolExecutor(1) as thread:
        yield _take(parts, thread)


def _take(parts: Iterator[Part], thread: ThreadPoolExecutor) -> Iterator[Part]:
    # In this context, so that what is logged and traced there says for whom.
    context = copy_context()

    def make() -> Part | None:
        return context.run(lambda: next(parts, None))

    coming = thread.submit(make)
    while (part := coming.result()) is not None:
        coming = thread.submit(make)
        yield part
        del part  # not kept while the next is waited for
