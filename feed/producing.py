"""The producer's side: messages with a number each, sent again where it is not sure, and waiting
while the consumer is behind.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.errors import Busy, ServerUnreachable
from core.words import DataKind
from feed.bus import MOST_WAITING, Bus, choose_stream
from feed.messages import MOST_RECORDS, Head, build_message, check_producer
from market.ticks.files import FileRecord

PAUSE_SECONDS = 0.05
# NATS takes a MiB at once, where it is not told otherwise; a thousand books are more.
MOST_SENT_BYTES = 2**19
# How many messages of a stream are sent before it is asked again how many wait.
UNASKED = 16


class Producer:
    """Sends messages, under a name with a number each, or without one.

    `seqs` is the last number that was stored of each stream (`GET /py/feed/positions`); what
    follows it is sent, or sent again, from there on: nobody else sends under the name, and nothing
    else of it waits. `on_wait` is called while it waits.
    """

    def __init__(
        self,
        bus: Bus,
        name: str | None,
        seqs: Mapping[str, int],
        *,
        most_waiting: int = MOST_WAITING,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self._bus = bus
        self._name = None if name is None else check_producer(name)
        self._seqs = dict(seqs)
        self._most_waiting = most_waiting
        self._on_wait = on_wait
        self._unasked: dict[str, int] = {}

    def send(self, kind: DataKind, ticker: str, records: Sequence[Any], **whose: str) -> None:
        """Send records of one ticker: `venue`, and for candles `interval`, say the rest.

        Returns when the bus has them. Raises `BUS_ERRORS` where it does not answer for long.
        """
        whose = {"ticker": ticker, **whose}
        for start in range(0, len(records), MOST_RECORDS):
            self._send_part(kind, whose, records[start : start + MOST_RECORDS])

    def _send_part(self, kind: DataKind, whose: Mapping[str, str], records: Sequence[Any]) -> None:
        """Send records as one message; as two where that would be too large."""
        stream = choose_stream(whose["ticker"])
        seq = self._seqs.get(stream, 0) + 1
        head = Head(self._name, seq, time.time_ns() // 1_000_000)
        message = build_message(kind, [{**whose, "records": list(records)}], head)
        if len(message["data"]) > MOST_SENT_BYTES and len(records) > 1:
            half = len(records) // 2
            self._send_part(kind, whose, records[:half])
            self._send_part(kind, whose, records[half:])
            return
        self._seqs[stream] = seq
        self._append(stream, message)

    def _append(self, stream: str, message: Mapping[str, str | bytes]) -> None:
        self._wait_for_room(stream)
        tries = 0
        while True:
            try:
                self._bus.append(stream, message)
            except Busy:
                self._pause()
            except (RedisConnectionError, RedisTimeoutError, ServerUnreachable):
                # It may be there: it is sent again under the same number, and stored once.
                tries += 1
                if tries == 5:
                    raise
                self._pause()
            else:
                return

    def _wait_for_room(self, stream: str) -> None:
        self._unasked[stream] = self._unasked.get(stream, 0) - 1
        if self._unasked[stream] > 0:
            return
        while self._bus.count(stream) >= self._most_waiting:
            self._pause()
        self._unasked[stream] = UNASKED

    def _pause(self) -> None:
        if self._on_wait is not None:
            self._on_wait()
        time.sleep(PAUSE_SECONDS)


class Whose(NamedTuple):
    """Whose rows of a file are, and of which interval, where it says so."""

    ticker: str | None
    venue: str | None
    interval: str | None


def group_records(rows: Iterator[FileRecord], *, size: int) -> Iterator[dict[Whose, list[Any]]]:
    """Yield the rows of a file by whose they are, some thousands at a time."""
    while part := list(islice(rows, size)):
        grouped: dict[Whose, list[Any]] = {}
        for row in part:
            whose = Whose(row.ticker, row.venue, row.interval)
            grouped.setdefault(whose, []).append(row.record)
        yield grouped
