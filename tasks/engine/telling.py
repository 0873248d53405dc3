"""Asking the notifier to run at once, so that messages about a run's end need not wait for the next
tick.
"""

from records.work.heartbeats import NOTIFIER, take_turn
from tasks import names
from tasks.engine.accept import send
from tasks.process.worker import Worker

# A message to the notifier that was not handled for this long counts as lost.
TURN_SECONDS = 60


def ask_notifier(worker: Worker) -> None:
    """Send the notifier its message, unless a message is on its way or the notifier is at work;
    events that come meanwhile are handled after the next tick.
    """
    if take_turn(worker.database, NOTIFIER, TURN_SECONDS):
        send(worker.celery, names.NOTIFY, NOTIFIER, names.INTERACTIVE_QUEUE)
