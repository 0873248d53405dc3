"""The bus over Redis Streams, with commands that Redis 6.2 and Valkey know."""

from collections.abc import Mapping
from typing import Any

import redis
from redis.exceptions import ResponseError

from core.errors import BadInput, Busy
from feed.bus import NOTHING, Entry, place_of
from records.database import hide_credentials


class RedisBus:
    """Redis Streams, by commands that Redis 6.2 and Valkey know."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=timeout_seconds + 1, socket_connect_timeout=timeout_seconds
            )
        except ValueError as error:
            named = hide_credentials(url)
            raise BadInput(f"{named} cannot be used for the feed: {error}") from error

    def read(
        self, after: Mapping[str, str], *, count: int, wait_seconds: float
    ) -> dict[str, list[Entry]]:
        """Return the first entries after a position of each stream; wait if there are none."""
        found: Any = self._client.xread(
            dict(after), count=count, block=max(1, int(wait_seconds * 1_000))
        )
        pairs: Any = found.items() if isinstance(found, dict) else found or ()
        return {
            stream.decode(): [
                Entry(entry_id.decode(), fields or {})
                for entry_id, fields in (entries[0] if isinstance(entries[0], list) else entries)
            ]
            for stream, entries in pairs
        }

    def append(self, stream: str, fields: Mapping[str, str | bytes]) -> str:
        """Append a message to a stream and return its id. Raises Busy where Redis is full."""
        try:
            return str(self._client.xadd(stream, dict(fields)).decode())
        except ResponseError as error:
            if "OOM" in str(error) or "maxmemory" in str(error):
                raise Busy(f"Redis at {hide_credentials(self._url)} is full: {error}") from error
            raise

    def trim(self, stream: str, upto: str) -> None:
        """Remove the entries up to a position, which are stored."""
        time, number = place_of(upto)
        self._client.xtrim(stream, minid=f"{time}-{number + 1}", approximate=False)

    def count(self, stream: str) -> int:
        """Return how many entries wait."""
        return int(self._client.xlen(stream))

    def last_id(self, stream: str) -> str:
        """Return the id of the last entry that the stream ever had; `0-0` if it had none.

        Raises BadInput if the key holds something else than a stream.
        """
        try:
            return str(self._client.xinfo_stream(stream)["last-generated-id"].decode())
        except ResponseError as error:
            if "no such key" in str(error):
                return NOTHING
            if "WRONGTYPE" in str(error):
                raise BadInput(f"{stream} is a key of Redis, but no stream: {error}") from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
