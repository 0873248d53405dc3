"""`python -m feed`: the process that stores the feed's messages until it is told to stop."""

import os
import signal
import socket
import sys
from pathlib import Path
from threading import Event

from core.errors import TapewatchError
from core.logs import configure_logs
from core.settings import get_settings
from feed.consumer import Consumer
from feed.opening import open_bus
from records.database import open_database
from tasks.process.broker import build_celery

# An election takes some 12 s.
ELECTION_SECONDS = 20
# Health checks look at it.
ALIVE = Path(os.environ.get("TMPDIR", "/tmp")) / "tapewatch-feed.alive"  # noqa: S108 - a container has its /tmp to itself


def main() -> int:
    """Store messages until SIGTERM or SIGINT; return 0 then, 1 after an error."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = get_settings()
        bus = open_bus(settings)
        database = open_database(settings, ELECTION_SECONDS)
    except TapewatchError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - there are no logs yet
        return 2
    configure_logs(settings.log_level)
    name = f"{socket.gethostname()}:{os.getpid()}"
    consumer = Consumer(settings, database, bus, build_celery(settings), name)
    try:
        consumer.run(stop, on_look=ALIVE.touch)
    finally:
        bus.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
