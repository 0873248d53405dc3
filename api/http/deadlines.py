"""How long MongoDB may take for a request:
who asks is to be told in time that it does not answer.
"""

from contextlib import ExitStack
from time import perf_counter

from flask import Flask, g, request
from pymongo import timeout

from api.http.bodies import MIB

# Promised are 7 s. One deadline for all that a request does, the look for its key included: for a
# frozen server is waited once.
ANSWER_SECONDS = 6.0
LEAST_SECONDS = 0.1
# What comes in has to be stored, and may take longer the more it is.
STORED_BYTES_A_SECOND = 2 * MIB


def register_deadlines(app: Flask) -> None:
    """Give each request of `app` a deadline, from when its body is here;
    call it when all else is registered.
    """
    app.before_request(start_deadline)
    app.teardown_request(lift_deadline)


def lift_deadline(_error: BaseException | None = None) -> None:
    """Let the rest of this request take longer, as its caller chose to wait for a run."""
    deadline: ExitStack | None = g.pop("deadline", None)
    if deadline is not None:
        deadline.close()


def start_deadline() -> None:
    """Give the rest of this request what the look for its key has left, and time to store its
    body.
    """
    spent = perf_counter() - g.started
    if request.mimetype != "multipart/form-data":  # of which the parts have been read by now
        request.get_data()
    g.deadline = ExitStack()
    stored_seconds = (request.content_length or 0) / STORED_BYTES_A_SECOND
    left = max(ANSWER_SECONDS - spent, LEAST_SECONDS) + stored_seconds
    g.deadline.enter_context(timeout(left))
