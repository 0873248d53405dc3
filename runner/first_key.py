"""Makes the first API key while nothing else runs: of the service's servers only MongoDB is
started, on the data of the current folder.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from core.binaries import find_mongod
from core.settings import Settings, read_settings
from records.database import explain_unreachable, open_database
from records.keys import add_key
from records.migrations import upgrade
from runner.passwords import protect_mongod, read_passwords
from runner.programs import server_programs
from runner.servers import READY_SECONDS, die_with_parent, free_port, mongo_url, wait_for_primary
from runner.service import own_state

MEANWHILE = "`.venv/bin/flask keys create NAME --scope admin` makes a key of it"


def make_first_key(name: str) -> str:
    """Make a key with the scope `admin` before anything listens, and return it; it cannot be shown
    again.

    Raises BadInput while the service runs here, and Conflict on a name in use.
    """
    with _serve_mongodb() as settings, explain_unreachable(settings):
        database = open_database(settings)
        with database.client:
            now = datetime.now(UTC)
            upgrade(database, now)
            return add_key(database, name, ("admin",), now)


@contextmanager
def _serve_mongodb() -> Iterator[Settings]:
    """Yield settings for reaching MongoDB: the one that MONGO_URL names, else the embedded one."""
    wanted = read_settings(env_file=None)
    if os.environ.get("MONGO_URL"):
        yield wanted
        return
    with own_state(MEANWHILE) as state_dir:
        passwords, port = read_passwords(state_dir), free_port()
        (mongod,) = server_programs(state_dir, passwords, redis_port=None, mongo_port=port)
        protect_mongod(find_mongod(), state_dir, passwords)
        with subprocess.Popen(  # noqa: S603 -- built above
            die_with_parent(mongod.command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_for_primary(port, password=passwords.mongo)
                url = mongo_url(port, password=passwords.mongo)
                yield wanted.model_copy(update={"mongo_url": url})
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(READY_SECONDS)
