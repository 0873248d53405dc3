"""Makes the next part in a thread while the one before is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

Part = TypeVar("Part")


@contextmanager
def work_ahead(parts: Iterator[Part]) -> Iterator[Iterator[Part]]:
    """Yield an iterator over `parts` that makes the next part in a thread while the last is used.

    No part may be None. An exception from making a part is raised where that part is asked for. The
    end of the context waits for a part that is being made.
    """
    with ThreadPoolExecutor(1) as thread:
        yield _take(parts, thread)


def _take(parts: Iterator[Part], thread: ThreadPoolExecutor) -> Iterator[Part]:
    # The thread runs in the caller's context, so that its logs and traces name the same run.
    context = copy_context()

    def make() -> Part | None:
        return context.run(lambda: next(parts, None))

    coming = thread.submit(make)
    while (part := coming.result()) is not None:
        coming = thread.submit(make)
        yield part
        del part  # so that it is freed while the next one is waited for
