"""The Celery application as its clients need it: addresses and settings, no task bodies."""

import json
import os
from base64 import b64decode
from typing import Any

import structlog
from celery import Celery
from celery.signals import before_task_publish
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from core.settings import Settings
from records.database import Db, hide_credentials
from records.work.service_name import get_service_name
from tasks import names
from tasks.process import transport
from tasks.process.logs import hand_on_request_id
from tasks.process.memory import Task

TASK_MODULES = ("tasks.engine.celery_tasks", "tasks.periodic.control")
WORK_QUEUES = (names.INTERACTIVE_QUEUE, names.BACKFILL_QUEUE)
# Celery prefers these variables to its settings; if they are set, they mean another project's
# broker.
NOT_OURS = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
)
# The errors that a client raises when a broker is down, frozen or full.
BROKER_ERRORS = (OperationalError, RedisError, OSError)
# Whose it is, which each sweep renews: until the next one is so late.
OWNER = "tapewatch:service"
LATE_SECONDS = 45
SHARED_ADVICE = (
    "give this service a database of Redis of its own, such as REDIS_URL=redis://HOST:6379/1: each"
    " takes messages of the other, and trims what came by its feed before it is stored"
)

log = structlog.get_logger()


def build_celery(settings: Settings) -> Celery:
    """Return an application that sends to, and works from, the broker of these settings."""
    transport.install()
    for name in NOT_OURS:
        os.environ.pop(name, None)
    celery: Celery = Celery("tapewatch", include=TASK_MODULES, task_cls=Task, loader="app")
    celery.config_from_object("celeryconfig")
    beat_schedule = {
        "sweep": _build_entry(names.SWEEP, settings.sweep_seconds),
        "tick": _build_entry(names.TICK, settings.tick_seconds),
    }
    celery.conf.update(broker_url=settings.redis_url, beat_schedule=beat_schedule)
    before_task_publish.connect(hand_on_request_id)
    return celery


def _build_entry(task: str, period_seconds: int) -> dict[str, Any]:
    """Return the beat entry of a control task.

    Its messages have no expiry, because that would be compared with another host's clock: a control
    worker whose clock is a few seconds ahead would discard each as expired.
    """
    options = {"queue": names.CONTROL_QUEUE}
    return {"task": task, "schedule": period_seconds, "options": options}


def find_waiting(celery: Celery) -> set[str]:
    """Return the ids of the runs and batches that a message in the queues is about.

    Raises `BROKER_ERRORS`.
    """
    with celery.connection_for_read() as connection:
        channel: Any = connection.default_channel
        messages = [
            message for queue in WORK_QUEUES for message in channel.client.lrange(queue, 0, -1)
        ]
    return {subject for message in messages if (subject := _read_subject(message)) is not None}


def claim_redis(client: Redis, database: Db, settings: Settings) -> str | None:
    """Note in Redis that it is this service's; return where the MongoDB of another is whose it is
    already, and None where there is no other.

    Two on one take each other's messages, and trim what came by the other's feed.
    """
    # A copy of a database beside it is another service.
    name = f"{get_service_name(database)}:{settings.mongo_database}"
    own = f"{name} {hide_credentials(settings.mongo_url)} ({settings.mongo_database})"
    seconds = settings.sweep_seconds + LATE_SECONDS
    client.set(OWNER, own, nx=True, ex=seconds)
    noted: Any = client.get(OWNER)
    owner, _, place = (noted or b"").decode(errors="replace").partition(" ")
    if owner != name and place:
        return str(place)
    client.set(OWNER, own, ex=seconds)
    return None


def hold_redis(celery: Celery, database: Db, settings: Settings) -> None:
    """Renew the note that this Redis is ours; where it is another's, the log says so.

    Raises `BROKER_ERRORS`.
    """
    with celery.connection_for_read() as connection:
        channel: Any = connection.default_channel
        if others := claim_redis(channel.client, database, settings):
            log.error("redis_is_anothers", mongodb=others, advice=SHARED_ADVICE)


def take_unreadable(celery: Celery) -> dict[str, int]:
    """Return how many unreadable messages of each queue were set aside since the last call.

    Raises `BROKER_ERRORS`.
    """
    with celery.connection_for_read() as connection:
        channel: Any = connection.default_channel
        return transport.take_counts(channel.client)


def _read_subject(message: bytes) -> str | None:
    """Return the one argument of a task message; None where it is not one of ours."""
    try:
        args, *_ = json.loads(b64decode(json.loads(message)["body"]))
        return str(args[0])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
