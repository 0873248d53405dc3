"""The consumer: reads the streams that it holds, and stores their messages.

Each message takes effect once, because MongoDB has the position: what was read and not committed is
read again by the stream's next holder, and what was committed lies before the position. The bus
removes nothing before it is stored.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event

import structlog
from celery import Celery
from pymongo.errors import PyMongoError

from core.errors import BadInput, LeaseLost
from core.settings import Settings
from feed.bus import BUS_ERRORS, STREAMS, Bus, Entry, place_of
from feed.loads import Load, build_empty, note_sender, read_load, reject_entry
from feed.messages import MOST_BYTES, read_head
from feed.storing import (
    GATHER_SECONDS,
    Store,
    is_transient,
    reject_part,
    take_out,
)
from market.ticks.arrivals import Retention
from market.ticks.fields import Unfit
from records.database import Db, is_too_much
from records.ticks.positions import (
    START,
    Held,
    add_streams,
    claim_stream,
    count_attempt,
    note_lag,
    release_stream,
    renew_stream,
    start_again,
)
from records.work.documents import RunDocument
from records.work.watchlists import find_watched
from tasks.engine.accept import publish_run

log = structlog.get_logger()

MOST_BUFFERED = 20_000
# If a transaction is too large, the next ones take fewer records, down to this, and then more again
# in steps of this size.
LEAST_BUFFERED = 500
LONGEST_BUFFER_SECONDS = 0.1
# Of one stream at once. The size of a message is unknown before it is read. So at first, and after
# a message larger than ours can be, only one is read: no process runs out of memory at the same
# place again.
READ_ENTRIES = 10
LEASE_SECONDS = 10.0
# How often free streams, watched tickers and lags are checked.
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 1.0
# A commit that failed so often is tried again record by record.
TRIES = 5
# If a stream was taken over this many times without a commit, its next holder reads one entry at a
# time. After as many more takeovers it puts that entry aside unread, because the entry ends its
# process.
TAKEN_UP = 5


class Consumer:
    """A process that stores the messages of the streams that it holds."""

    def __init__(
        self, settings: Settings, database: Db, bus: Bus, celery: Celery, name: str
    ) -> None:
        self._database = database
        self._bus = bus
        self._celery = celery
        self._name = name
        self._store = Store(database, Retention.read(settings), LEASE_SECONDS)
        self._streams = (*STREAMS, *settings.list_feed_streams())
        self._held: dict[str, Held] = {}
        # Counted by this process only: an entry that fails without ending the process is not
        # poison.
        self._taken_up: set[str] = set()
        # The next entries are read while the previous ones are stored.
        self._reader = ThreadPoolExecutor(1, "feed-reader")
        self._ahead: Future[dict[str, list[Entry]]] | None = None
        self._most_buffered = MOST_BUFFERED
        self._read_entries = 1
        self._renewed = self._looked = 0.0

    def run(self, stop: Event, on_look: Callable[[], object] = bool) -> None:
        """Store until told to stop; if a server does not answer, wait for it.

        `on_look` is called about once a second.
        """
        log.info("feed_started", consumer=self._name)
        told = 0.0
        while not stop.is_set():
            if time.monotonic() - told > LOOK_SECONDS:
                told = time.monotonic()
                on_look()
            try:
                self.step()
            except LeaseLost as error:
                log.warning("stream_lost", error=error.message)
                self._forget()
            except (PyMongoError, *BUS_ERRORS) as error:
                log.warning("feed_waits", error=str(error)[:300])
                # It is unknown whether a commit took place, so the stored position is read again.
                self._forget()
                stop.wait(PAUSE_SECONDS)
        self._reader.shutdown(wait=False)
        for held in self._held.values():
            release_stream(self._database, held)
        log.info("feed_stopped", consumer=self._name)

    def _forget(self) -> None:
        self._held, self._looked, self._ahead = {}, 0.0, None

    def step(self) -> int:
        """Store the entries that came since the last step; return how many."""
        self._look()
        if not self._held:
            time.sleep(LONGEST_BUFFER_SECONDS)
            return 0
        is_careful = any(held.attempts >= TAKEN_UP for held in self._held.values())
        found = self._gather(is_careful=is_careful)
        taken = {stream: entries for stream, entries in found.items() if stream in self._held}
        taken |= {s: [] for s, held in self._held.items() if s not in taken and self._is_due(held)}
        for part in [{s: entries} for s, entries in taken.items()] if is_careful else [taken]:
            self._take(part)
        return sum(map(len, found.values()))

    def _look(self) -> None:
        """Claim free streams, renew those that are held, and measure how much waits."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if len(self._held) < len(self._streams):
            add_streams(self._database, self._streams)
        for stream in self._streams:
            if stream in self._held:
                continue
            held = claim_stream(self._database, stream, self._name, LEASE_SECONDS)
            if held is not None:
                self._held[stream] = held
                log.info("stream_claimed", stream=stream, position=held.last_id)
        if now - self._renewed > LEASE_SECONDS / 3:
            self._renewed = now
            for held in self._held.values():
                renew_stream(self._database, held, LEASE_SECONDS)
        self._store = replace(self._store, watched=frozenset(find_watched(self._database)))
        for held in list(self._held.values()):
            try:
                self._look_at(held)
            except BadInput as error:  # it would spoil what is read from the other streams
                log.warning("stream_unreadable", stream=held.stream, error=error.message)
                release_stream(self._database, self._held.pop(held.stream))

    def _look_at(self, held: Held) -> None:
        """Note how much of a stream waits; start from its beginning if the stream was replaced by a
        new one.
        """
        if place_of(self._bus.last_id(held.stream)) < place_of(held.last_id):
            log.warning("stream_is_new", stream=held.stream, position=held.last_id)
            start_again(self._database, held)
            self._ahead = None
        if held.last_id != START:
            # The holder before may have died between its commit and its trim.
            self._bus.trim(held.stream, held.last_id)
        waiting = self._bus.count(held.stream)
        first = self._bus.read({held.stream: held.last_id}, count=1, wait_seconds=0.001)
        now, seconds = datetime.now(UTC), 0.0
        for entry in first.get(held.stream, ()):
            sent = _read_sent(entry)
            seconds = max(0.0, now.timestamp() - sent / 1_000) if sent else 0.0
        note_lag(self._database, held, entries=waiting, seconds=seconds, now=now)

    def _gather(self, *, is_careful: bool) -> dict[str, list[Entry]]:
        """Return the entries after the positions, and start reading the next ones in the
        background.
        """
        ahead, self._ahead = self._ahead, None
        found = ahead.result() if ahead is not None and not is_careful else {}
        places = {stream: held.last_id for stream, held in self._held.items()}
        found = found or self._read(places, is_careful=is_careful)
        if found and not is_careful:
            places |= {stream: entries[-1].id for stream, entries in found.items()}
            self._ahead = self._reader.submit(self._read, places, is_careful=False)
        return found

    def _read(self, places: dict[str, str], *, is_careful: bool) -> dict[str, list[Entry]]:
        """Return the entries after these places: some thousands of records, or what comes within a
        moment.
        """
        found: dict[str, list[Entry]] = {}
        deadline, size = time.monotonic() + LONGEST_BUFFER_SECONDS, 0
        while (left := deadline - time.monotonic()) > 0 and size < self._most_buffered:
            entries = self._bus.read(
                places, count=1 if is_careful else self._read_entries, wait_seconds=left
            )
            sizes: list[int] = []
            for stream, part in entries.items():
                found.setdefault(stream, []).extend(part)
                places[stream] = part[-1].id
                sizes += [sum(map(len, entry.fields.values())) for entry in part]
            if not entries or is_careful:
                break
            self._read_entries = READ_ENTRIES if max(sizes) <= MOST_BYTES else 1
            # The records are not parsed yet, so their number is estimated from their bytes.
            size += sum(1 + bytes_ // 100 for bytes_ in sizes)
        return found

    def _take(self, taken: Mapping[str, Sequence[Entry]]) -> None:
        """Store entries of held streams in one transaction; if that fails, one stream at a time."""
        now = datetime.now(UTC)
        loads = [self._take_up(self._held[s], entries, now) for s, entries in taken.items()]
        if len(loads) > 1:
            try:
                runs = self._store.commit(loads, now)
            except LeaseLost:
                raise
            except Exception as error:  # whatever a record causes, the stream goes on
                if is_transient(error):
                    raise
                _note_failure(error, streams=[*taken])
            else:
                self._follow_up(loads, runs)
                self._most_buffered = min(MOST_BUFFERED, self._most_buffered + LEAST_BUFFERED)
                return
        for load in loads:
            self._follow_up([load], self._commit(load))

    def _take_up(self, held: Held, entries: Sequence[Entry], now: datetime) -> Load:
        """Return the load of these entries; without the first one if it ended its process each
        time.
        """
        if entries and held.stream not in self._taken_up:
            count_attempt(self._database, held)
            self._taken_up.add(held.stream)
            if held.attempts >= 2 * TAKEN_UP:
                log.error("entry_put_aside", stream=held.stream, entry=entries[0].id)
                load = build_empty(held)
                load.last_id, load.entries = entries[0].id, 1
                load.rejected.append(reject_entry(held, entries[0], "poison", now))
                with suppress(Unfit):
                    note_sender(load, read_head(entries[0]), now)
                return load
        return read_load(held, entries, now)

    def _commit(self, load: Load) -> list[RunDocument]:
        """Store one stream's load: by halves if it is too much at once. If it fails again and
        again, find the bad records by halves and reject them.
        """
        for tries in range(1, TRIES + 1):
            try:
                return self._store.commit([load], datetime.now(UTC))
            except LeaseLost:
                raise
            except Exception as error:  # as above
                if is_transient(error):
                    raise
                _note_failure(error, stream=load.held.stream, tries=tries)
                is_large = is_too_much(error)
            if is_large and (halves := load.halve()):
                self._most_buffered = max(LEAST_BUFFERED, self._most_buffered // 2)
                return [run for half in halves for run in self._commit(half)]
            if is_large:  # MongoDB is writing from its cache to disk what others stored
                time.sleep(PAUSE_SECONDS)
        now = datetime.now(UTC)
        unstorable = self._store.find_unstorable(load.parts, now)
        load.parts = take_out(load.parts, unstorable)
        load.rejected += [reject_part(part, now, said) for part, said in unstorable]
        log.warning("records_put_aside", stream=load.held.stream, records=len(unstorable))
        return self._store.commit([load], now)

    def _follow_up(self, loads: Sequence[Load], runs: Sequence[RunDocument]) -> None:
        """Send the messages of a commit's runs, and trim what was stored."""
        for run in runs:
            log.info("run_accepted", run_id=run["_id"], trigger="feed", tickers=len(run["tickers"]))
            publish_run(self._database, self._celery, run)
        for load in loads:
            if load.entries:
                self._bus.trim(load.held.stream, load.last_id)

    def _is_due(self, held: Held) -> bool:
        since = min((one["since"] for one in held.waiting), default=None)
        return since is not None and datetime.now(UTC) - since >= timedelta(seconds=GATHER_SECONDS)


def _note_failure(error: Exception, **where: object) -> None:
    """Log that a commit failed."""
    if is_too_much(error):
        log.info("feed_commit_too_large", error=str(error)[:300], **where)
    else:
        log.error("feed_commit_failed", exc_info=error, **where)


def _read_sent(entry: Entry) -> int:
    try:
        return read_head(entry).sent
    except Unfit:
        return 0
