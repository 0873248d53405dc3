"""Snapshots: all metrics of one series at one bar.

`_id` is ticker, interval and bar time, so that computing a bar again replaces its document.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import cast

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.errors import NotFound
from records.analytics.documents import SnapshotDocument, SnapshotLineage, snapshots_in
from records.database import Db, among, between, match, put_documents
from records.market.series import get_series


def build_snapshot_id(ticker: str, interval: str, time: datetime) -> str:
    """Return the `_id` of a snapshot, such as AAPL::1d::2013-03-01T00:00:00Z."""
    return f"{ticker}::{interval}::{time:%Y-%m-%dT%H:%M:%SZ}"


def write_snapshots(
    database: Db, documents: Sequence[SnapshotDocument], session: ClientSession
) -> None:
    """Store snapshots inside the transaction of their batch, in place of those of the same bars."""
    put_documents(snapshots_in(database), documents, session)


def find_snapshots(
    database: Db,
    ticker: str,
    interval: str,
    *,
    as_of: datetime | None = None,
    start: datetime | None = None,
    before: datetime | None = None,
    limit: int = 1,
    fields: Sequence[str] | None = None,
) -> list[SnapshotDocument]:
    """Return snapshots of a series, the newest first: at or before `as_of`, from `start` on.

    `before` is the bar time with which the previous page ended.
    """
    time = match(**{"$lte": as_of, "$gte": start, "$lt": before})
    query = match(ticker=ticker, interval=interval, time=time or None)
    found = snapshots_in(database).find(query, fields).sort("time", DESCENDING)
    return list(found.limit(limit))


def iterate_snapshots(
    database: Db,
    *,
    tickers: Sequence[str],
    interval: str,
    start: datetime | None,
    end: datetime | None,
) -> tuple[int, Iterator[SnapshotDocument]]:
    """Return how many snapshots some tickers have, and an iterator over them by ticker and time."""
    query = match(ticker=among(tickers), interval=interval, time=between(start, end))
    found = snapshots_in(database).find(query).sort([("ticker", 1), ("time", 1)])
    return snapshots_in(database).count_documents(query), iter(found)


def name_fields(names: Sequence[str]) -> list[str]:
    """Return the paths of the fields with the values of these metrics, or why they are missing."""
    return [f"{part}.{name}" for part in ("values", "missing") for name in names]


def find_latest(
    database: Db,
    tickers: Sequence[str],
    interval: str,
    names: Sequence[str],
    as_of: datetime | None,
) -> list[SnapshotDocument]:
    """Return the latest snapshot of each ticker, at or before `as_of`, with these metrics only.

    They are in the order of `tickers`; tickers without a snapshot are left out.
    """
    fields = dict.fromkeys(("ticker", "time", *name_fields(names)), 1)
    found: dict[str, SnapshotDocument] = {}
    for ticker in tickers:
        query = match(ticker=ticker, interval=interval, time=between(None, as_of))
        document = snapshots_in(database).find_one(query, fields, sort=[("time", DESCENDING)])
        if document is not None:
            found[ticker] = document
    return list(found.values())


def get_snapshot(
    database: Db, ticker: str, interval: str, as_of: datetime | None = None
) -> SnapshotDocument:
    """Return the latest snapshot of a series, at or before `as_of`.

    Raises NotFound, which says whether bars are missing or the metrics were not computed yet.
    """
    found = find_snapshots(database, ticker, interval, as_of=as_of)
    if found:
        return found[0]
    raise explain_absent(database, ticker, interval, as_of)


def explain_absent(database: Db, ticker: str, interval: str, as_of: datetime | None) -> NotFound:
    """Return an error that says why a series has no snapshot.

    Raises NotFound itself where the series has no bars at all.
    """
    series = get_series(database, ticker, interval)
    if as_of is not None and as_of < series["first_bar"]:
        return NotFound(
            f"{ticker} has no {interval} bar at or before {as_of:%Y-%m-%dT%H:%M:%SZ}; "
            f"its first bar is of {series['first_bar']:%Y-%m-%dT%H:%M:%SZ}",
            reason="no_bars",
        )
    return NotFound(
        f"no metrics of {ticker} {interval} were computed yet"
        + (f" at or before {as_of:%Y-%m-%dT%H:%M:%SZ}" if as_of else "")
        + "; the next tick computes those of the last bar, and `flask analytics run --bars N`"
        " those of the last N",
        reason="not_computed",
    )


def find_lineage(database: Db, snapshot_id: str) -> SnapshotLineage | None:
    """Return from which bars a snapshot was computed; None where the snapshot does not exist."""
    fields = dict.fromkeys(SnapshotLineage.__required_keys__, 1)
    return cast("SnapshotLineage | None", snapshots_in(database).find_one(snapshot_id, fields))
