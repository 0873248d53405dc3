"""What every log line of a task says: which task it is, of which run and batch,
and which request asked for it.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from structlog.contextvars import get_contextvars

from tasks import names

REQUEST_ID = "request_id"
SUBJECT = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(:\S+)?")

# Tasks that beat sends every few seconds; they log their results themselves.
ROUTINE = frozenset({names.SWEEP, names.TICK})


def quiet_routine() -> None:
    """Leave out Celery's lines that only say that a sweep or a tick was sent or succeeded."""
    for name in ("celery.beat", "celery.app.trace"):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    about = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    return record.levelno > logging.INFO or ROUTINE.isdisjoint(map(str, about))


def describe_task(
    name: str, task_id: str, args: Sequence[Any] | None, headers: Mapping[str, Any]
) -> dict[str, str]:
    """Return the fields of a task's log lines.

    Its argument may be a run's id, or a batch's, which begins with it.
    """
    fields = {"task": name, "task_id": task_id}
    if args:
        fields |= describe_subject(str(args[0]))
    if headers.get(REQUEST_ID):
        fields[REQUEST_ID] = headers[REQUEST_ID]
    return fields


def describe_subject(subject: str) -> dict[str, str]:
    """Return the run, and the batch, that an id names; nothing where it names neither."""
    match = SUBJECT.fullmatch(subject)
    if match is None:
        return {}
    return {"run_id": match[1], "batch_id": subject} if match[2] else {"run_id": match[1]}


def hand_on_request_id(headers: dict[str, Any], **_: object) -> None:
    """Send with each message the id of the request that led to it."""
    request_id = get_contextvars().get(REQUEST_ID)
    if request_id is not None:
        headers[REQUEST_ID] = request_id
