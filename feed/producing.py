"""Sending to the feed: messages are numbered, sent again when it is uncertain whether they arrived,
and held back while the consumer is behind.
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
# NATS accepts one MiB a message by default; a thousand books are larger.
MOST_SENT_BYTES = 2**19
# After so many messages to a stream, the number of waiting entries is read again.
UNASKED = 16


class Producer:
    """Sends messages, either under a producer's name and numbered, or without.

    `seqs` is the last stored number of each stream (`GET /py/feed/positions`); messages are sent,
    or sent again, from the next number on. This requires that nobody else sends under the name and
    that none of its messages wait. `on_wait` is called while it waits.
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
        """Send records of one ticker; `venue`, and for candles `interval`, complete them.

        Returns when the bus has them. Raises `BUS_ERRORS` where it does not answer for long.
        """
        whose = {"ticker": ticker, **whose}
        for start in range(0, len(records), MOST_RECORDS):
            self._send_part(kind, whose, records[start : start + MOST_RECORDS])

    def _send_part(self, kind: DataKind, whose: Mapping[str, str], records: Sequence[Any]) -> None:
        """Send records as one message, or as two if that would be too large."""
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
                # The message may have arrived: it is sent again with the same number, and stored
                # once.
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
    """The ticker, venue and interval of a file's rows, where the file has them."""

    ticker: str | None
    venue: str | None
    interval: str | None


def group_records(rows: Iterator[FileRecord], *, size: int) -> Iterator[dict[Whose, list[Any]]]:
    """Yield the rows of a file grouped by ticker, venue and interval, some thousands at a time."""
    while part := list(islice(rows, size)):
        grouped: dict[Whose, list[Any]] = {}
        for row in part:
            whose = Whose(row.ticker, row.venue, row.interval)
            grouped.setdefault(whose, []).append(row.record)
        yield grouped
