"""Storing the records of streams, and each stream's position, in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, PyMongoError

from core.errors import TapewatchError
from feed.loads import Load
from feed.messages import Part
from market.markets import Markets, load_markets
from market.ticks.arrivals import Retention, Ticks
from records.database import Db, in_transaction, is_too_much, try_transaction
from records.ticks.documents import RejectedRecordDocument
from records.ticks.positions import WaitingFields, commit_position
from records.ticks.rejected import add_rejected_records, build_rejected_record
from records.work.documents import RunDocument
from records.work.requests import Once, RunRequest, insert_run

# Closed candles are collected for this long, so that one run takes many of them.
GATHER_SECONDS = 0.3
# Buckets of bars are read and written whole: at 48 bytes a bar, this is some 24 MB in one
# transaction, which fits into a small cache of MongoDB.
MOST_BARS = 500_000


@dataclass(frozen=True, slots=True)
class Store:
    """The database and settings of the feed; `watched` are the tickers and intervals on
    watchlists.
    """

    database: Db
    retention: Retention
    lease_seconds: float
    watched: frozenset[tuple[str, str]] = frozenset()

    def commit(self, loads: Sequence[Load], now: datetime) -> list[RunDocument]:
        """Store loads and move the positions of their streams, or do neither; accept the runs that
        are due, and return them. Afterwards the holders of the streams know the new positions.

        Raises LeaseLost where another holds one of the streams, TooMuchAtOnce where it is more than
        one record and too much for a transaction.
        """
        markets = load_markets(self.database)
        most_bars = MOST_BARS if sum(load.records for load in loads) > 1 else None

        def write(session: ClientSession) -> tuple[list[RunDocument], list[WaitingFields]]:
            parts = [part for load in loads for part in load.parts]
            aside, closed = self._write(parts, markets, now, session, most_bars)
            streams = {part.ticker: load.held.stream for load in loads for part in load.parts}
            rejected: Counter[str] = Counter()
            for ticker, count in aside.items():
                rejected[streams.get(ticker, loads[0].held.stream)] += count
            whole = [message for load in loads for message in load.rejected]
            add_rejected_records(self.database, whole, session)
            before = [one for load in loads for one in load.held.waiting]
            waiting = _add_closed(before, closed, now)
            due = [
                one for one in waiting if now - one["since"] >= timedelta(seconds=GATHER_SECONDS)
            ]
            runs = [self._accept(loads[0], one, now, session) for one in due]
            rest = [one for one in waiting if one not in due]
            for load in loads:
                # Values about all streams together are passed with the first one.
                is_first = load is loads[0]
                commit_position(
                    self.database,
                    load.held,
                    last_id=load.last_id,
                    producers=load.producers,
                    waiting=rest if is_first else [],
                    counts={
                        # A message that is rejected as a whole counts as one.
                        "records": load.records + len(load.rejected),
                        "rejected": rejected[load.held.stream] + len(load.rejected),
                        "doubles": load.doubles,
                        "missing": load.missing,
                        "entries": load.entries,
                        "runs": len(runs) if is_first else 0,
                    },
                    lag_seconds=max(0.0, now.timestamp() - load.sent / 1_000) if load.sent else 0.0,
                    lease_seconds=self.lease_seconds,
                    now=now,
                    session=session,
                )
            return runs, rest

        runs, rest = in_transaction(self.database, write)
        for load in loads:
            held = load.held
            held.last_id, held.producers, held.attempts = load.last_id, load.producers, 0
            held.waiting = rest if load is loads[0] else []
        return runs

    def find_unstorable(self, parts: Sequence[Part], now: datetime) -> list[tuple[Part, str]]:
        """Find, by halves, the records that cannot be stored; return each with its error."""
        error = self._try(parts, now)
        if error is None:
            return []
        if len(parts) > 1:
            halves = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        else:
            (part,) = parts
            half = len(part.records) // 2
            if not half:
                return [(part, error)]
            halves = (
                [part._replace(records=part.records[:half])],
                [part._replace(records=part.records[half:])],
            )
        found = [one for side in halves for one in self.find_unstorable(side, now)]
        # If each half can be stored but not both together, no record counts as storable.
        return found or [(part, error) for part in parts]

    def _try(self, parts: Sequence[Part], now: datetime) -> str | None:
        markets = load_markets(self.database)
        try:
            try_transaction(
                self.database, lambda session: self._write(parts, markets, now, session)
            )
        except Exception as error:
            if is_transient(error) or is_too_much(error):
                raise
            return f"{type(error).__name__}: {error}"
        return None

    def _write(
        self,
        parts: Sequence[Part],
        markets: Markets,
        now: datetime,
        session: ClientSession,
        most_bars: int | None = None,
    ) -> tuple[Counter[str], dict[tuple[str, str], set[str]]]:
        """Write records; return the number of rejected records of each ticker, and the tickers with
        closed candles by market and interval. Raises TooMuchAtOnce.
        """
        ticks, candles = Ticks(), []
        for part in parts:
            if part.kind == "candles":
                candles.append(part)
            else:
                ticks.check(
                    part.kind, part.ticker, part.venue, part.records, source=part.source, now=now
                )
        ticks.write(self.database, self.retention, now, session)
        rejected = Counter(one["ticker"] for one in ticks.rejected)
        if not candles:
            return rejected, {}
        more, closed = self._write_candles(candles, markets, now, session, most_bars)
        return rejected + more, closed

    def _write_candles(
        self,
        parts: Sequence[Part],
        markets: Markets,
        now: datetime,
        session: ClientSession,
        most_bars: int | None,
    ) -> tuple[Counter[str], dict[tuple[str, str], set[str]]]:
        from feed.candles import leave_out, read_candles  # noqa: PLC0415 - loads the numeric stack
        from market.bars.overlaps import BarsOverlap  # noqa: PLC0415 - the same
        from market.bars.writing import write_all  # noqa: PLC0415 - the same

        arrivals, rejected = read_candles(self.database, parts, markets, now)
        outcomes = write_all(self.database, arrivals, session, most_bars=most_bars)
        # Candles of a feed do not come again, so some that overlap take no others with them.
        # Without these, others may turn out to overlap.
        while left := {
            at: leave_out(arrivals[at], outcome.times)
            for at, outcome in enumerate(outcomes)
            if isinstance(outcome, BarsOverlap)
        }:
            again = write_all(self.database, [*left.values()], session, most_bars=most_bars)
            for (at, arrival), outcome in zip(left.items(), again, strict=True):
                arrivals[at], outcomes[at] = arrival, outcome
        closed: dict[tuple[str, str], set[str]] = {}
        counted: Counter[str] = Counter()
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            own = arrival.ticker, arrival.interval
            if isinstance(outcome, TapewatchError):
                rejected += [
                    reject_part(part, now, outcome.message)
                    for part in parts
                    if (part.ticker, part.interval) == own
                ]
                continue
            counted[arrival.ticker] += len(arrival.rejected)
            if outcome.new + outcome.changed and own in self.watched:
                closed.setdefault((arrival.market.code, arrival.interval), set()).add(own[0])
        counted.update(one["ticker"] for one in rejected)
        add_rejected_records(self.database, rejected, session)
        return counted, closed

    def _accept(
        self, load: Load, due: WaitingFields, now: datetime, session: ClientSession
    ) -> RunDocument:
        """Write the run of closed candles; its key consists of stream, position, and since when the
        candles wait.
        """
        held, since = load.held, int(due["since"].timestamp() * 1_000)
        return insert_run(
            self.database,
            RunRequest(
                "incremental",
                "feed",
                tickers=tuple(due["tickers"]),
                interval=due["interval"],
                market=due["market"],
                once=Once(
                    f"feed:{held.stream}:{load.last_id}:{held.fence}:{since}"
                    f":{due['market']}:{due['interval']}"
                ),
            ),
            now,
            session,
        )


def is_transient(error: Exception) -> bool:
    """Whether an error is unrelated to the records: the server could not be reached, or had to
    start again.
    """
    labels = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
    return not is_too_much(error) and (
        isinstance(error, ConnectionFailure)
        or (
            isinstance(error, PyMongoError)
            and (error.timeout or any(map(error.has_error_label, labels)))
        )
    )


def reject_part(part: Part, now: datetime, error: str) -> RejectedRecordDocument:
    """Return the document of records that are rejected together, because they cannot be stored."""
    return build_rejected_record(
        part.kind,
        part.ticker,
        part.venue,
        row=1,
        reason="not_storable",
        content=list(part.records) if len(part.records) > 1 else part.records[0],
        source=part.source,
        now=now,
        error=error,
    )


def take_out(parts: Sequence[Part], unstorable: Sequence[tuple[Part, str]]) -> list[Part]:
    """Return parts without the records that cannot be stored, which are identified by identity."""
    gone = {id(record) for part, _ in unstorable for record in part.records}
    return [
        part._replace(records=[record for record in part.records if id(record) not in gone])
        for part in parts
    ]


def _add_closed(
    waiting: Sequence[WaitingFields], closed: Mapping[tuple[str, str], set[str]], now: datetime
) -> list[WaitingFields]:
    """Add newly closed candles to those that wait for a run, once a market and interval."""
    came: list[WaitingFields] = [
        {"market": market, "interval": interval, "tickers": [*tickers], "since": now}
        for (market, interval), tickers in closed.items()
    ]
    known: dict[tuple[str, str], WaitingFields] = {}
    for one in (*waiting, *came):
        before = known.get((one["market"], one["interval"]), one)
        known[one["market"], one["interval"]] = {
            **one,
            "tickers": sorted({*before["tickers"], *one["tickers"]}),
            "since": min(before["since"], one["since"]),
        }
    return list(known.values())
