"""How long MongoDB may take for a request:
who asks is to be told in time that it does not answer.
"""

from contextlib import ExitStack

from flask import Flask, g, request
from pymongo import timeout

from api.http.bodies import MIB

# Promised are 7 s. One deadline for all that a request does: a frozen server is waited for once.
ANSWER_SECONDS = 6.0
# What comes in has to be stored, and may take longer the more it is.
STORED_BYTES_A_SECOND = 2 * MIB


def register_deadlines(app: Flask) -> None:
    """Give each request of `app` a deadline, from when its body is here;
    call it when all else is registered.
    """
    app.before_request(_start_deadline)
    app.teardown_request(lift_deadline)


def lift_deadline(_error: BaseException | None = None) -> None:
    """Let the rest of this request take longer, as its caller chose to wait for a run."""
    deadline: ExitStack | None = g.pop("deadline", None)
    if deadline is not None:
        deadline.close()


def _start_deadline() -> None:
    if request.mimetype != "multipart/form-data":  # of which the parts have been read by now
        request.get_data()
    g.deadline = ExitStack()
    stored_seconds = (request.content_length or 0) / STORED_BYTES_A_SECOND
    g.deadline.enter_context(timeout(ANSWER_SECONDS + stored_seconds))
