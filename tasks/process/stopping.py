"""Stopping a worker: it finishes running tasks within a time limit, and hands the rest back.

Celery's own soft shutdown sleeps for the whole limit as soon as one task runs, even if the task
ends sooner.
"""

import os
import signal
from threading import Timer

FINISH_SECONDS = 20


def bound_stop(how: str) -> None:
    """End Celery's wait after the time limit: it then ends the running tasks and sends their
    messages back.
    """
    if how == "Warm":
        timer = Timer(FINISH_SECONDS, os.kill, (os.getpid(), signal.SIGQUIT))
        timer.daemon = True
        timer.start()
