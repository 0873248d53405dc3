"""The bus, which carries messages from producers to the consumer. Redis Streams by default.

The bus may lose everything: MongoDB has the stored position of each stream, and producers send the
rest again.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol
from zlib import crc32

from redis.exceptions import RedisError

from core.errors import ServerUnreachable

SHARDS = 4
PREFIX = "tw:feed:"
STREAMS = tuple(f"{PREFIX}{number}" for number in range(SHARDS))
NOTHING = "0-0"
# If this many entries wait in a stream, its producers wait too.
MOST_WAITING = 1_000
BUS_ERRORS = (RedisError, OSError, ServerUnreachable)


class Entry(NamedTuple):
    """One message: its place in its stream, and its fields."""

    id: str
    fields: Mapping[bytes, bytes]


class Bus(Protocol):
    """Ordered streams of messages; the ids of a stream's messages ascend."""

    def read(
        self, after: Mapping[str, str], *, count: int, wait_seconds: float
    ) -> dict[str, list[Entry]]:
        """Return the first entries after a position of each stream; wait if there are none."""

    def append(self, stream: str, fields: Mapping[str, str | bytes]) -> str:
        """Append a message to a stream and return its id. Raises Busy where it is full."""

    def trim(self, stream: str, upto: str) -> None:
        """Remove the entries up to a position, which are stored."""

    def count(self, stream: str) -> int:
        """Return how many entries wait."""

    def last_id(self, stream: str) -> str:
        """Return the id of the last entry that the stream ever had; `0-0` if it had none."""

    def close(self) -> None:
        """Close the connection."""


def place_of(entry_id: str) -> tuple[int, ...]:
    """Return an id as numbers, which can be compared."""
    return tuple(int(part) for part in entry_id.split("-"))


def choose_stream(ticker: str) -> str:
    """Return the stream of a ticker: always the same, so that its records stay in order."""
    return STREAMS[crc32(ticker.encode()) % SHARDS]
