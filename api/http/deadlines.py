"""Deadlines for MongoDB within a request: the client must learn in time that it does not answer."""

from contextlib import ExitStack
from time import perf_counter

from flask import Flask, g, request
from pymongo import timeout

from api.http.bodies import MIB

# The promise is 7 s. One deadline covers everything that a request does, including the look-up of
# its key, so that a frozen server is waited for only once.
ANSWER_SECONDS = 6.0
LEAST_SECONDS = 0.1
# A body has to be stored, which may take longer the larger it is.
STORED_BYTES_A_SECOND = 2 * MIB


def register_deadlines(app: Flask) -> None:
    """Give each request of `app` a deadline that starts when its body has arrived; call this after
    everything else is registered.
    """
    app.before_request(start_deadline)
    app.teardown_request(lift_deadline)


def lift_deadline(_error: BaseException | None = None) -> None:
    """Let the rest of this request take longer, because its caller chose to wait for a run."""
    deadline: ExitStack | None = g.pop("deadline", None)
    if deadline is not None:
        deadline.close()


def start_deadline() -> None:
    """Give the rest of this request the time that the look-up of its key has left, plus time to
    store its body.
    """
    spent = perf_counter() - g.started
    if request.mimetype != "multipart/form-data":  # its parts have been read by now
        request.get_data()
    g.deadline = ExitStack()
    stored_seconds = (request.content_length or 0) / STORED_BYTES_A_SECOND
    left = max(ANSWER_SECONDS - spent, LEAST_SECONDS) + stored_seconds
    g.deadline.enter_context(timeout(left))
