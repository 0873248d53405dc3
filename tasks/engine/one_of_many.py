"""Errors of one item among many are logged and do not stop the work on the others."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from pymongo.errors import ConnectionFailure

from tasks.process.memory import is_refused

log = structlog.get_logger()


@contextmanager
def going_on(event: str, subject: str) -> Iterator[None]:
    """Log an error of one item as `event` and go on with the next; used once for each item.

    Errors that affect all items are raised: an unreachable database, a time limit that has passed,
    and memory that is refused.
    """
    try:
        yield
    except (ConnectionFailure, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        if is_refused(error):
            raise
        log.exception(event, subject=subject)
