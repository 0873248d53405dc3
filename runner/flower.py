"""Starting Flower: once an API key was made, it asks for a password too.

`python -m runner.flower celery ... flower ...` becomes that command. The password is in
`.tapewatch/secrets/flower`, for the user `tapewatch`, unless FLOWER_BASIC_AUTH already says who may
come in.
"""

import os
import sys

from core.settings import STATE_DIR, read_settings
from records.database import open_database
from records.keys import has_keys
from runner.passwords import read_password

USER = "tapewatch"


def main() -> None:
    """Become the command of the arguments, with a password where one is needed."""
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        database = open_database(read_settings(env_file=None))
        with database.client:
            needs_password = has_keys(database)
        if needs_password:
            os.environ["FLOWER_BASIC_AUTH"] = (
                f"{USER}:{read_password(STATE_DIR.absolute(), 'flower')}"
            )
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606 -- the runner's own command line


if __name__ == "__main__":
    main()
