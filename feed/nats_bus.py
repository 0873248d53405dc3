"""The bus over NATS JetStream, an extra: `pip install 'nats-py>=2.16,<3'`.

Each of our streams is a JetStream stream on disk. An id is the stream's time of creation in
milliseconds with a sequence number, so ids of a lost stream are lower than those of its successor.
The fields of a message are its headers, `data` is its body.
"""

import asyncio
import re
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

import structlog

from core.errors import BadInput, Busy, ServerUnreachable
from feed.bus import NOTHING, Entry, place_of
from records.database import hide_credentials

try:
    from nats.aio.client import Client
    from nats.errors import Error as NatsError
    from nats.js.api import (
        AckPolicy,
        ConsumerConfig,
        DeliverPolicy,
        DiscardPolicy,
        StorageType,
        StreamConfig,
    )
    from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
except ImportError as error:
    raise BadInput(
        "FEED_URL names NATS, whose client is not installed: pip install 'nats-py>=2.16,<3'"
    ) from error

log = structlog.get_logger()
T = TypeVar("T")
# A stream of this size accepts no more until some of it is stored. JetStream reserves as much of
# its disk for each stream, and refuses a stream for which there is no room.
MOST_BYTES = 256 * 2**20
# The error of a full stream; its owner may have set other limits than ours.
FULL = re.compile("maximum (bytes|messages|messages per subject) exceeded")
# What to do about JetStream's refusals, by its error code; None if JetStream is not enabled.
_NO_JETSTREAM = "switch JetStream on (nats-server -js, or `jetstream` of the account)"
_NO_ROOM = (
    f"each of the feed's streams sets {MOST_BYTES // 2**20} MiB aside: give JetStream more"
    " (max_file_store, and max_file of the account)"
)
REMEDIES = {
    None: _NO_JETSTREAM,
    10039: _NO_JETSTREAM,
    10076: _NO_JETSTREAM,
    10002: _NO_ROOM,
    10023: _NO_ROOM,
    10047: _NO_ROOM,
    10054: "raise the stream's max_msg_size, or send fewer records at once",
    10065: "take the subjects tw.feed.* from the stream that has them",
}
# How long to wait for one of several streams before looking at the next.
LOOK_SECONDS = 0.02
IDLE_SECONDS = 60.0
# How often a silent stream is asked whether it has messages, and how long to wait for those that
# should have come.
ASK_SECONDS = 1.0
AGAIN_SECONDS = 2.0
# The limit of any single call. The client limits each call itself, but waits for ever if the server
# disappears at the wrong moment.
MOST_REQUESTS = 8


class NatsBus:
    """JetStream as the bus; serves one thread at a time."""

    def __init__(self, url: str, timeout_seconds: float, most_bytes: int = MOST_BYTES) -> None:
        self._url, self._timeout, self._most_bytes = url, timeout_seconds, most_bytes
        self._loop = asyncio.new_event_loop()
        self._lock = Lock()
        self._client: Any = None
        self._js: Any = None
        # By stream: its reader, and the sequence number that the reader brings next.
        self._readers: dict[str, tuple[Any, int]] = {}
        # When each stream was created, as last seen.
        self._made: dict[str, int] = {}
        # Streams whose reader did not bring the messages that there are, and when each was asked
        # for them.
        self._lost: set[str] = set()
        self._asked: dict[str, float] = {}

    def read(
        self, after: Mapping[str, str], *, count: int, wait_seconds: float
    ) -> dict[str, list[Entry]]:
        """Return the first entries behind a position of each stream; wait where there are none."""
        deadline = time.monotonic() + wait_seconds
        while True:
            found = {
                stream: entries
                for stream, position in after.items()
                if (entries := self._run(self._fetch(stream, place_of(position), count)))
            }
            if found or time.monotonic() >= deadline:
                return found

    async def _fetch(self, stream: str, place: tuple[int, ...], count: int) -> list[Entry]:
        if stream not in self._made:
            await self._ensure(stream)
        # The position is of an earlier stream, so all messages are new.
        position = place[1] if place[0] == self._made[stream] else 0
        reader, following = self._readers.get(stream, (None, -1))
        is_again = stream in self._lost
        if following != position + 1 or is_again:
            if reader is not None:
                await reader.unsubscribe()
            reader = await self._open_reader(stream, position + 1)
        self._readers[stream] = (reader, position + 1)
        try:
            messages = await reader.fetch(
                count, timeout=AGAIN_SECONDS if is_again else LOOK_SECONDS
            )
        except TimeoutError:  # of NATS, or of its client when it stops waiting
            messages = []
        entries = [
            Entry(
                f"{self._made[stream]}-{message.metadata.sequence.stream}",
                {
                    **{k.encode(): v.encode() for k, v in (message.headers or {}).items()},
                    b"data": message.data,
                },
            )
            for message in messages
        ]
        self._lost.discard(stream)
        # A reader that was opened for these messages brings all that there are.
        if not is_again and await self._has_lost(stream, position, entries):
            self._lost.add(stream)
            return []
        if entries:
            self._readers[stream] = (reader, place_of(entries[-1].id)[1] + 1)
        return entries

    async def _has_lost(self, stream: str, position: int, entries: list[Entry]) -> bool:
        """Whether the server has messages that should have come before these, or at all.

        The client may drop a message that arrives at the very moment at which it stops waiting.
        """
        if entries:
            last = place_of(entries[-1].id)[1]
            if last == position + len(entries):
                return False
        elif time.monotonic() - self._asked.get(stream, 0.0) < ASK_SECONDS:
            return False
        self._asked[stream] = time.monotonic()
        state = await self._ensure(stream)
        if not entries:
            return bool(state.messages) and state.last_seq > position
        return bool(last != max(position, state.first_seq - 1) + len(entries))

    async def _open_reader(self, stream: str, start: int) -> Any:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=IDLE_SECONDS,
        )
        await self._ensure(stream)
        return await self._js.pull_subscribe(_subject(stream), stream=_name(stream), config=config)

    def append(self, stream: str, fields: Mapping[str, str | bytes]) -> str:
        """Put a message behind the last one and return its id.

        Raises Busy where the stream is full, BadInput where the server takes no message so large.
        """
        plain = {k: v.encode() if isinstance(v, str) else v for k, v in fields.items()}
        data = plain.pop("data", b"")
        headers = {k: v.decode("utf-8", "replace") for k, v in plain.items()}

        async def publish() -> str:
            await self._ensure(stream)
            if len(data) > self._client.max_payload:
                raise BadInput(
                    f"a message of {len(data):,} bytes is larger than the"
                    f" {self._client.max_payload:,} that NATS takes (its max_payload): send fewer"
                    " records at once",
                    reason="too_large",
                )
            told = await self._js.publish(_subject(stream), data, headers=headers or None)
            return f"{self._made[stream]}-{told.seq}"

        return self._run(publish())

    def trim(self, stream: str, upto: str) -> None:
        """Forget the entries up to a position, which are stored."""

        async def purge() -> None:
            await self._ensure(stream)
            made, position = place_of(upto)
            if made == self._made[stream]:
                await self._js.purge_stream(_name(stream), seq=position + 1)

        self._run(purge())

    def count(self, stream: str) -> int:
        """Return how many entries wait."""
        return int(self._run(self._ensure(stream)).messages)

    def last_id(self, stream: str) -> str:
        """Return the id of the last entry there ever was; `0-0` where there was none."""
        last = self._run(self._ensure(stream)).last_seq
        return f"{self._made[stream]}-{last}" if last else NOTHING

    def close(self) -> None:
        """Give up the connection."""
        with self._lock:
            if self._client is not None:
                self._loop.run_until_complete(self._client.close())
            self._loop.close()

    async def _ensure(self, stream: str) -> Any:
        """Return the state of a stream; create it if it does not exist."""
        try:
            info = await self._js.stream_info(_name(stream))
        except NotFoundError:
            config = StreamConfig(
                name=_name(stream),
                subjects=[_subject(stream)],
                storage=StorageType.FILE,
                max_bytes=self._most_bytes,
                discard=DiscardPolicy.NEW,
            )
            info = await self._js.add_stream(config)
        made = int(info.created.timestamp() * 1_000)
        if self._made.get(stream) != made:
            self._readers.pop(stream, None)
            self._made[stream] = made
        return info.state

    def _run(self, asked: Coroutine[Any, Any, T]) -> T:
        async def answer() -> T:
            if self._client is None:
                # Stored before it has connected, so that a refused connection is closed too.
                self._client = Client()
                connecting = self._client.connect(
                    self._url,
                    error_cb=_note,
                    connect_timeout=int(self._timeout) or 1,
                    allow_reconnect=False,
                    reconnect_time_wait=1,
                )
                # By default the client tries an absent server sixty times.
                await asyncio.wait_for(connecting, self._timeout)
                self._js = self._client.jetstream(timeout=self._timeout)
            return await asked

        longest = MOST_REQUESTS * self._timeout + AGAIN_SECONDS
        with self._lock:
            try:
                return self._loop.run_until_complete(asyncio.wait_for(answer(), longest))
            except APIError as error:
                if FULL.search(str(error)):
                    raise Busy(f"a stream of NATS is full: {error}") from error
                raise self._explain(error, _describe(error)) from error
            except NoStreamResponseError as error:
                said = "refuses it: a stream of the feed does not take its own subject, tw.feed.*"
                raise self._explain(error, said) from error
            except (NatsError, OSError, TimeoutError) as error:
                is_refused = "authorization" in str(error).lower()
                denied = f"lets nobody in: {error}; correct FEED_URL" if is_refused else None
                raise self._explain(error, denied) from error
            finally:
                asked.close()  # without a connection it has not begun

    def _explain(self, error: Exception, said: str | None = None) -> ServerUnreachable:
        """Return the error to raise; the next call connects again."""
        client, self._client, self._readers = self._client, None, {}
        if client is not None:
            with suppress(TimeoutError):
                self._loop.run_until_complete(asyncio.wait_for(client.close(), self._timeout))
        if client is not None and isinstance(error, TimeoutError):
            error = client.last_error or error  # the reason why it had to wait
        said = said or f"did not answer: {str(error)[:200] or error!r}"
        return ServerUnreachable(f"NATS at {hide_credentials(self._url)} {said}")


async def _note(error: Exception) -> None:
    """Log an error of the client without its traceback; the caller gets the error too."""
    log.info("nats_error", error=str(error)[:200] or repr(error))


def _describe(error: APIError) -> str:
    """Return a server's refusal in words, with what to do about it."""
    remedy = REMEDIES.get(error.err_code)
    said = f"refuses it: {(error.description or 'there is no JetStream')[:200]}"
    return f"{said}; {remedy}" if remedy else said


def _name(stream: str) -> str:
    return stream.replace(":", "-").replace(".", "-")


def _subject(stream: str) -> str:
    return stream.replace(":", ".")
