"""Market snapshots: how all tickers of a market moved at one bar."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import DESCENDING, ReplaceOne
from pymongo.client_session import ClientSession

from records.analytics.documents import MarketSnapshotDocument, market_snapshots_in
from records.analytics.overview import raise_version
from records.database import Db, Document, between, match
from records.market.documents import series_in


def build_market_snapshot_id(market: str, interval: str, time: datetime) -> str:
    """Return the `_id` of a market snapshot, such as US::1d::2013-03-01T00:00:00Z."""
    return f"{market}::{interval}::{time:%Y-%m-%dT%H:%M:%SZ}"


def write_market_snapshots(
    database: Db, documents: Sequence[MarketSnapshotDocument], session: ClientSession
) -> None:
    """Store market snapshots inside the transaction of their batch, in place of older ones."""
    if documents:
        writes = [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents]
        market_snapshots_in(database).bulk_write(writes, ordered=False, session=session)


def forget_beyond(database: Db, market: str, interval: str) -> None:
    """Delete the snapshots of a market that are later than the last bar of all its series."""
    own: Document = {"market": market, "interval": interval}
    last = series_in(database).find_one(own, {"last_bar": 1}, sort=[("last_bar", DESCENDING)])
    beyond = own if last is None else own | {"time": {"$gt": last["last_bar"]}}
    if market_snapshots_in(database).delete_many(beyond).deleted_count:
        raise_version(database, market, interval)


def find_market_snapshots(
    database: Db, market: str, interval: str, *, as_of: datetime | None = None, limit: int
) -> list[MarketSnapshotDocument]:
    """Return a market's snapshots, the newest first, at or before `as_of`."""
    query = match(market=market, interval=interval, time=between(None, as_of))
    return list(market_snapshots_in(database).find(query).sort("time", DESCENDING).limit(limit))
