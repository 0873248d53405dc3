"""What fails for one of many does not end the work on the others."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from pymongo.errors import ConnectionFailure

from tasks.process.memory import is_refused

log = structlog.get_logger()


@contextmanager
def going_on(event: str, subject: str) -> Iterator[None]:
    """Log what is wrong with one of many as `event`, so that it does not stop the others,
    each time anew.

    A database that is gone, a time limit that has passed and memory that is not given are
    everybody's, and are raised.
    """
    try:
        yield
    except (ConnectionFailure, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        if is_refused(error):
            raise
        log.exception(event, subject=subject)
