"""Asking the notifier: what a run's end brings need not wait for the next tick."""

from records.work.heartbeats import NOTIFIER, take_turn
from tasks import names
from tasks.engine.accept import send
from tasks.process.worker import Worker

# A message to the notifier that was not worked on for so long is taken for lost.
TURN_SECONDS = 60


def ask_notifier(worker: Worker) -> None:
    """Send the notifier its message, unless one is on its way or it is at work;
    what comes meanwhile the next tick asks for.
    """
    if take_turn(worker.database, NOTIFIER, TURN_SECONDS):
        send(worker.celery, names.NOTIFY, NOTIFIER, names.INTERACTIVE_QUEUE)
