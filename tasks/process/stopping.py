"""A worker that is asked to end finishes what runs, for so long, and hands the rest back.

Celery's own soft shutdown sleeps for all of that time as soon as one task runs, and takes no notice
of its end.
"""

import os
import signal
from threading import Timer

FINISH_SECONDS = 20


def bound_stop(how: str) -> None:
    """Have Celery wait no longer: from then on it ends what runs, and sends its message back."""
    if how == "Warm":
        timer = Timer(FINISH_SECONDS, os.kill, (os.getpid(), signal.SIGQUIT))
        timer.daemon = True
        timer.start()
