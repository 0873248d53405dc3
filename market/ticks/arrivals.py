"""Checks incoming trades, depth and funding, and stores them in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self, cast, get_args

from pymongo.client_session import ClientSession

from core.errors import BadInput
from core.settings import Settings
from core.words import TickKind
from market.tickers import normalize_ticker
from market.ticks.checks import Checked, check_record
from market.ticks.fields import Unfit, normalize_venue, to_microseconds
from records.database import Db, in_transaction
from records.ticks.chunks import Trade
from records.ticks.depth import Snapshot, write_depth
from records.ticks.documents import FundingFields, RejectedRecordDocument
from records.ticks.funding import write_funding
from records.ticks.rejected import add_rejected_records, build_rejected_record
from records.ticks.trades import Series, Stored, write_trades
from records.work.counters import RECORDS, RECORDS_REJECTED, add_counts

KINDS: tuple[TickKind, ...] = get_args(TickKind)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long trades and depth are kept; funding is never deleted."""

    trades: timedelta
    depth: timedelta

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Return the retention that the settings say."""
        return cls(timedelta(days=settings.trades_days), timedelta(hours=settings.depth_hours))


@dataclass(slots=True)
class Ticks:
    """Checked records of any number of tickers and venues, and those that were rejected."""

    trades: defaultdict[Series, list[Trade]] = field(default_factory=lambda: defaultdict(list))
    depth: list[tuple[str, str, Snapshot]] = field(default_factory=list)
    funding: list[tuple[str, str, FundingFields]] = field(default_factory=list)
    rejected: list[RejectedRecordDocument] = field(default_factory=list)

    def add(self, kind: TickKind, ticker: str, venue: str, checked: Checked) -> None:
        """Add a checked record."""
        if kind == "trades":
            self.trades[ticker, venue].append(cast("Trade", checked))
        elif kind == "depth":
            self.depth.append((ticker, venue, cast("Snapshot", checked)))
        else:
            self.funding.append((ticker, venue, cast("FundingFields", checked)))

    def check(
        self,
        kind: TickKind,
        ticker: str,
        venue: str,
        records: Sequence[Any],
        *,
        source: str,
        now: datetime,
    ) -> None:
        """Check records as they were sent and add them, an unfit one to `rejected`."""
        at = to_microseconds(now)
        for row, record in enumerate(records, 1):
            try:
                self.add(kind, ticker, venue, check_record(kind, record, at))
            except Unfit as unfit:
                self.rejected.append(
                    build_rejected_record(
                        kind,
                        ticker,
                        venue,
                        row=row,
                        reason=unfit.reason,
                        content=record,
                        source=source,
                        now=now,
                    )
                )

    def write(
        self, database: Db, retention: Retention, now: datetime, session: ClientSession
    ) -> dict[TickKind, Stored]:
        """Store all records inside a transaction; return the counts of each kind."""
        add_rejected_records(database, self.rejected, session)
        return {
            "trades": write_trades(
                database, self.trades, expires_at=now + retention.trades, session=session
            ),
            "depth": write_depth(
                database, self.depth, expires_at=now + retention.depth, session=session
            ),
            "funding": write_funding(database, self.funding, session=session),
        }


@dataclass(frozen=True, slots=True)
class TickReport:
    """How many records were new, changed a stored one, were stored already, or were rejected.

    Attributes:
        rejected: {row, reason} of the first 1,000 rejected records.
    """

    kind: TickKind
    ticker: str
    venue: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected_rows: int
    rejected: list[dict[str, Any]]


def store_records(
    database: Db,
    kind: TickKind,
    ticker: str,
    venue: str,
    records: Sequence[Any],
    *,
    source: str,
    retention: Retention,
    now: datetime,
) -> TickReport:
    """Check records of one ticker and venue, store them in one transaction, and return a report.

    All records are rejected where `ticker` or `venue` is not valid.
    """
    ticks = Ticks()
    try:
        ticker, venue = normalize_ticker(ticker), normalize_venue(venue)
    except BadInput:
        ticks.rejected = [
            build_rejected_record(
                kind,
                "",
                "",
                row=row,
                reason="bad_ticker",
                content={"ticker": ticker, "venue": venue, "record": record},
                source=source,
                now=now,
            )
            for row, record in enumerate(records, 1)
        ]
    else:
        ticks.check(kind, ticker, venue, records, source=source, now=now)
    stored = in_transaction(
        database, lambda session: ticks.write(database, retention, now, session)
    )[kind]
    reasons = Counter(one["reason"] for one in ticks.rejected)
    add_counts(database, {RECORDS: {kind: stored.new + stored.changed}, RECORDS_REJECTED: reasons})
    return TickReport(
        kind,
        ticker,
        venue,
        len(records),
        *stored,
        len(ticks.rejected),
        [{"row": one["row"], "reason": one["reason"]} for one in ticks.rejected[:1_000]],
    )
