"""Starting Flower: it asks for a password once an API key was made, for a loopback name until then.

`python -m runner.flower celery ... flower ...` does what that command does. The password is in
`.tapewatch/secrets/flower`, for the user `tapewatch`, unless FLOWER_BASIC_AUTH already says who may
come in.
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
    """Flower that asks for no password, and so answers only who meant this machine.

    A page of another site can have its name resolve to 127.0.0.1 and so read it from a visitor's
    browser (DNS rebinding); such requests still carry that name in `Host`. The API does the same.
    """

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return what answers a request: 403 where its Host is no loopback name."""
        if is_loopback(request.host_name):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})


def main() -> None:
    """Do what the command of the arguments does, with a password where one is needed."""
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
