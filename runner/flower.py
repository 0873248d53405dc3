"""Starts Flower. It asks for a password once an API key was made; until then it only answers
requests to a loopback name.

`python -m runner.flower celery ... flower ...` runs that command. The password is in
`.tapewatch/secrets/flower`, for the user `tapewatch`, unless FLOWER_BASIC_AUTH names users.
"""

import os
import sys
from runpy import run_module
from typing import Any

from flower import command
from flower.app import Flower
from tornado.httputil import HTTPServerRequest
from tornado.web import ErrorHandler

from core.hosts import is_loopback
from core.settings import STATE_DIR, read_settings
from records.database import open_database
from records.keys import has_keys
from runner.passwords import read_password

USER = "tapewatch"


class OpenFlower(Flower):  # type: ignore[misc]  # Flower has no types
    """Flower without a password, which only answers requests whose `Host` is a loopback name.

    A page of another site can make its name resolve to 127.0.0.1, and so read Flower from a
    visitor's browser (DNS rebinding). Such requests still have that name in `Host`. The API has the
    same check.
    """

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return the handler of a request, which answers 403 where its Host is no loopback name."""
        if is_loopback(request.host_name):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})


def main() -> None:
    """Run the command of the arguments, with a password where one is needed."""
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        database = open_database(read_settings(env_file=None))
        with database.client:
            needs_password = has_keys(database)
        if needs_password:
            password = read_password(STATE_DIR.absolute(), "flower")
            os.environ["FLOWER_BASIC_AUTH"] = f"{USER}:{password}"
        else:
            command.Flower = OpenFlower
    del sys.argv[0]
    run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
