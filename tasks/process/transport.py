"""The connection to the broker: kombu's Redis transport, which lets no unreadable message through.

A message that is not one of ours (see messages.py) is taken out of its queue for good, its
beginning is kept in Redis for people to look at, and it is counted. Otherwise it would end the
worker that takes it.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty
from typing import Any

import structlog
from kombu import matcher
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis import Redis
from redis.exceptions import RedisError

from tasks import names
from tasks.process.messages import find_fault

SET_ASIDE = "tapewatch:unreadable"
SET_ASIDE_COUNTS = "tapewatch:unreadable:counts"
MOST_SET_ASIDE = 100
KEPT_BYTES = 2_000

CHECKED_QUEUES = frozenset({names.CONTROL_QUEUE, names.INTERACTIVE_QUEUE, names.BACKFILL_QUEUE})
# The inquiries that people, Flower and the API send to workers. Every other remote command changes
# or ends a worker.
INQUIRIES = frozenset(
    {
        "ping",
        "stats",
        "active",
        "active_queues",
        "reserved",
        "scheduled",
        "registered",
        "revoked",
        "conf",
        "clock",
    }
    # Flower's own command: it only turns on events, which are sent anyway.
    | {"enable_events", "heartbeat"}
)

log = structlog.get_logger()


def install() -> None:
    """Check the messages of all Redis connections of this process, and let its workers obey no
    remote command.
    """
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    # A pattern from somebody else could take for ever to match.
    with suppress(matcher.MatcherNotInstalled):
        matcher.unregister("pcre")


def forbid_commands() -> None:
    """Remove all remote commands that are no inquiries from this process' worker."""
    from celery.worker.control import Panel  # noqa: PLC0415 - only workers need it

    for name in set(Panel.data) - INQUIRIES:
        del Panel.data[name]


class Message(virtual.Message):
    """A message whose size is known: a compressed one is refused."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        if "compression" in (payload.get("headers") or {}):
            raise ValueError("compressed messages are not taken")
        super().__init__(payload, channel=channel, **options)


class Channel(redis.Channel):
    """kombu's channel, which sets an unreadable message aside instead of delivering it."""

    Message = Message

    def is_readable(self, key: bytes, content: bytes) -> bool:
        """Whether a message is one of ours; else it is set aside."""
        queue = key.decode().partition(self.sep)[0]
        if queue not in CHECKED_QUEUES:
            return True
        fault = find_fault(content)
        if fault is not None:
            log.error("message_set_aside", queue=queue, fault=fault, bytes=len(content))
            try:
                with self.conn_or_acquire() as client:
                    set_aside(client, queue, content, fault)
            except (RedisError, OperationalError) as error:
                log.warning("message_lost", queue=queue, error=str(error))
        return fault is None

    def _get_client(self) -> Any:
        channel = self

        class Client(super()._get_client()):  # type: ignore[misc]  # redis-py's, or kombu's with a prefix
            def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
                response = super().parse_response(connection, command_name, **options)
                if command_name == "BRPOP" and response and not channel.is_readable(*response):
                    return None  # the same as if nothing had come
                return response

        return Client

    def _receive_one(self, connection: Any) -> Any:
        """Take a message to all workers, which normally is an inquiry. One that cannot be read is
        dropped.
        """
        try:
            return super()._receive_one(connection)  # type: ignore[misc]  # missing in kombu's types
        except (*self.connection_errors, Empty):  # type: ignore[attr-defined]  # as above
            raise
        except Exception as error:
            log.warning("broadcast_not_read", error=f"{type(error).__name__}: {str(error)[:200]}")
            raise Empty from error


class Transport(redis.Transport):
    """kombu's transport with that channel."""

    Channel = Channel


def set_aside(client: Redis, queue: str, content: bytes, fault: str) -> None:
    """Keep the beginning of an unreadable message, the newest first, and count it."""
    shown = content[:KEPT_BYTES].decode(errors="backslashreplace")
    kept = {"at": datetime.now(UTC).isoformat(), "queue": queue, "fault": fault, "message": shown}
    with client.pipeline() as pipe:
        pipe.lpush(SET_ASIDE, json.dumps(kept))
        pipe.ltrim(SET_ASIDE, 0, MOST_SET_ASIDE - 1)
        pipe.hincrby(SET_ASIDE_COUNTS, queue, 1)
        pipe.execute()


def take_counts(client: Redis) -> dict[str, int]:
    """Return how many messages of each queue were set aside since the last call."""
    with client.pipeline() as pipe:
        pipe.hgetall(SET_ASIDE_COUNTS)
        pipe.delete(SET_ASIDE_COUNTS)
        found, _ = pipe.execute()
    return {queue.decode(): int(count) for queue, count in found.items()}
