"""A load: the records of a stream's entries, those of them that are rejected, and the position
after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from feed.bus import Entry
from feed.messages import Head, Part, read_head, read_parts
from market.ticks.fields import Unfit, read_time
from records.ticks.documents import RejectedRecordDocument
from records.ticks.positions import Held, ProducerFields
from records.ticks.rejected import build_rejected_record

MOST_PRODUCERS = 1_000
# A producer that skips more numbers at once cannot have lost that many messages.
MOST_SKIPPED = 1_000_000
# If a message's `sent` is further in the future than this, it has another unit or the clock is
# wrong: the producer's next messages would seem to be sent before it.
MOST_AHEAD_MILLISECONDS = 5 * 60 * 1_000
SHOWN_BYTES = 4_000


@dataclass(slots=True)
class Load:
    """What is to be stored of a stream up to an entry.

    Attributes:
        held: the stream and its holder.
        parts: records by ticker, in the order of the stream.
        rejected: messages that were rejected as a whole.
        producers: the last message numbers of the producers, after this load.
        sent: when the oldest of its messages was sent, in milliseconds; None if no message says.
    """

    held: Held
    last_id: str
    producers: dict[str, ProducerFields]
    parts: list[Part] = field(default_factory=list)
    rejected: list[RejectedRecordDocument] = field(default_factory=list)
    entries: int = 0
    doubles: int = 0
    missing: int = 0
    sent: int | None = None

    @property
    def records(self) -> int:
        """The number of records."""
        return sum(len(part.records) for part in self.parts)

    def halve(self) -> "list[Load]":
        """Return the load as two loads, of which only the second moves the position: half of the
        parts each or, of a single part, the earlier and the later records; nothing for a single
        record.

        If the process ends in between, the next holder stores all of it again, which changes
        nothing that is stored.
        """
        if len(self.parts) > 1:
            half = len(self.parts) // 2
            first, second = self.parts[:half], self.parts[half:]
        elif self.records > 1:
            (part,) = self.parts
            ordered, half = sorted(part.records, key=_find_time), len(part.records) // 2
            first = [part._replace(records=ordered[:half])]
            second = [part._replace(records=ordered[half:])]
        else:
            return []
        held = self.held
        head = Load(held, held.last_id, dict(held.producers), first, sent=self.sent)
        return [head, replace(self, parts=second)]


def _find_time(record: Any) -> int:
    try:
        return read_time(record["time"])
    except (Unfit, TypeError, KeyError):  # which is counted elsewhere
        return 0


def read_load(held: Held, entries: Sequence[Entry], now: datetime) -> Load:
    """Return the load of entries: their records, the rejected ones, and the position.

    A message whose number its producer has already used is a duplicate and is left out. If it was
    sent later than the message with that number, its producer counts from the beginning again; it
    is rejected, because it cannot be told from a duplicate. A message with a number that is far too
    high is rejected too, because the messages after it would count as duplicates.
    """
    load = build_empty(held)
    received = int(now.timestamp() * 1_000)
    for entry in entries:
        load.last_id, load.entries = entry.id, load.entries + 1
        try:
            head = read_head(entry)
            if not note_sender(load, head, now):
                continue
            parts = read_parts(entry, f"feed:{head.producer or 'unnamed'}", received)
        except Unfit as unfit:
            load.rejected.append(reject_entry(held, entry, unfit.reason, now))
        else:
            load.parts += [part for part in parts if part.records]
    while len(load.producers) > MOST_PRODUCERS:
        del load.producers[min(load.producers, key=lambda name: load.producers[name]["sent"])]
    return load


def note_sender(load: Load, head: Head, now: datetime) -> bool:
    """Record a message's number and time of sending; return False for a duplicate.

    Raises Unfit if its producer counts from the beginning again, or if its number or its time of
    sending cannot be right.
    """
    is_ahead = head.sent > now.timestamp() * 1_000 + MOST_AHEAD_MILLISECONDS
    known = load.producers.get(head.producer) if head.producer else None
    if known is not None and head.seq <= known["seq"]:
        if is_ahead:
            raise Unfit("sent_in_future")
        if head.sent > known["sent"]:
            raise Unfit("seq_jumped_back")
        load.doubles += 1
        return False
    if head.producer:
        if known is not None:
            skipped = head.seq - known["seq"] - 1
            if skipped > MOST_SKIPPED:
                raise Unfit("seq_jumped_ahead")
            load.missing += skipped
        # The number of a message that is rejected for its time still counts: it is not missing.
        sent = head.sent if not is_ahead else known["sent"] if known else 0
        load.producers[head.producer] = {"seq": head.seq, "sent": sent}
    if is_ahead:
        raise Unfit("sent_in_future")
    if head.sent:
        load.sent = min(head.sent, load.sent or head.sent)
    return True


def build_empty(held: Held) -> Load:
    """Return a load without records."""
    return Load(held, held.last_id, dict(held.producers))


def reject_entry(held: Held, entry: Entry, reason: str, now: datetime) -> RejectedRecordDocument:
    """Return the document of a message that is rejected as a whole, with its beginning."""
    shown = {
        name.decode("utf-8", "replace")[:40]: value[:SHOWN_BYTES].decode("utf-8", "replace")
        for name, value in list(entry.fields.items())[:10]
    }
    return build_rejected_record(
        "message",
        "",
        "",
        row=1,
        reason=reason,
        content=shown,
        source=f"{held.stream} {entry.id}",
        now=now,
    )
