"""Messages of the feed: written by producers, read and checked by the consumer. Pure functions.

Fields: `v` (1), `kind`, `producer` and `seq` (its own counter, per stream), `sent` (milliseconds
since 1970), and `data`, JSON: `{ticker, venue, interval, records}` or a list of such, with 1,000
records at the most.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from core.errors import BadInput
from core.words import DataKind
from feed.adapters import (
    BINANCE,
    Foreign,
    is_cryptofeed,
    read_binance,
    read_cryptofeed,
    read_json,
)
from feed.bus import Entry
from market.intervals import parse_interval
from market.tickers import normalize_ticker
from market.ticks.fields import Unfit, normalize_venue

VERSION = "1"
MOST_RECORDS = 1_000
MOST_BYTES = 4 * 2**20
KINDS = ("candles", "trades", "depth", "funding")
_PRODUCER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"\d{1,18}")


class Part(NamedTuple):
    """Records of one ticker, as they were sent; `interval` is that of candles."""

    kind: DataKind
    ticker: str
    venue: str
    interval: str
    records: Sequence[Any]
    source: str


class Head(NamedTuple):
    """The sender of a message, its number, and when it was sent (0: unknown); a message without a
    producer has no number.
    """

    producer: str | None
    seq: int
    sent: int


def build_message(
    kind: DataKind, groups: Sequence[Mapping[str, Any]], head: Head
) -> dict[str, str | bytes]:
    """Return the fields of a message of `{ticker, venue, interval, records}`."""
    fields: dict[str, str | bytes] = {
        "v": VERSION,
        "kind": kind,
        "data": to_json(list(groups)),
    }
    if head.producer is not None:
        fields |= {"producer": head.producer, "seq": str(head.seq)}
    if head.sent:
        fields["sent"] = str(head.sent)
    return fields


def check_producer(name: str) -> str:
    """Return a producer's name. Raises BadInput on anything else."""
    if not _PRODUCER.fullmatch(name):
        raise BadInput(f"{name[:40]!r} is no producer's name: 1 to 64 letters, digits, _ and - are")
    return name


def read_head(entry: Entry) -> Head:
    """Return the sender of a message; `sent` is 0 if the message does not say.

    Raises Unfit also for a producer without a number, since duplicates could not be recognised.
    """
    name, seq, sent = (
        entry.fields.get(field, b"").decode("utf-8", "replace")
        for field in (b"producer", b"seq", b"sent")
    )
    if not _NUMBER.fullmatch(sent or "0"):
        raise Unfit("bad_producer")
    if not name:
        return Head(None, 0, int(sent or 0))
    if not (_PRODUCER.fullmatch(name) and _NUMBER.fullmatch(seq)):
        raise Unfit("bad_producer")
    return Head(name, int(seq), int(sent or 0))


def read_parts(entry: Entry, source: str, received: int) -> list[Part]:
    """Return the records of a message by ticker; `received` is the time of arrival in milliseconds.

    Raises Unfit with the reason if the message is rejected as a whole.
    """
    fields = entry.fields
    if sum(map(len, fields.values())) > MOST_BYTES:
        raise Unfit("too_large")
    if is_cryptofeed(fields):
        return [_take(read_cryptofeed(fields), source)]
    if fields.get(b"v", b"1") != VERSION.encode():
        raise Unfit("unknown_version")
    kind = fields.get(b"kind", b"").decode("utf-8", "replace")
    if kind not in (*KINDS, BINANCE):
        raise Unfit("unknown_kind")
    read = read_json(fields.get(b"data", b""))
    groups = read if isinstance(read, list) else [read]
    if kind == BINANCE:
        parts = [_take(read_binance(frame, received), source) for frame in groups]
    else:
        parts = [_read_group(kind, group, source) for group in groups]  # type: ignore[arg-type]  # one of KINDS
    if sum(len(part.records) for part in parts) > MOST_RECORDS:
        raise Unfit("too_many_records")
    return parts


def _take(foreign: Foreign, source: str) -> Part:
    return _read_group(foreign.kind, foreign._asdict(), source)


def _read_group(kind: DataKind, group: Any, source: str) -> Part:
    if not isinstance(group, Mapping) or not isinstance(group.get("records"), list):
        raise Unfit("not_json")
    interval = group.get("interval") or "1m"
    venue = group.get("venue")
    try:
        return Part(
            kind,
            normalize_ticker(_text(group.get("ticker"))),
            normalize_venue(_text(venue)) if venue or kind != "candles" else "",
            parse_interval(_text(interval)) if kind == "candles" else "",
            group["records"],
            source,
        )
    except BadInput as error:
        raise Unfit("bad_ticker") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("bad_ticker")
    return value
