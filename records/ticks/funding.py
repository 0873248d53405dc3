"""Funding rates: one document for each ticker, venue and time. They are never deleted."""

from collections.abc import Iterator, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReplaceOne
from pymongo.client_session import ClientSession

from records.database import Db, among, between, match
from records.keyset import Key, Keyset, Position, find_page
from records.ticks.documents import FundingDocument, FundingFields, funding_in
from records.ticks.trades import Stored

OLDEST_FIRST = Keyset((Key("time", int, ASCENDING), Key("_id", str, ASCENDING)))
NEWEST_FIRST = Keyset((Key("time", int, DESCENDING), Key("_id", str, DESCENDING)))


def write_funding(
    database: Db, arrived: Sequence[tuple[str, str, FundingFields]], *, session: ClientSession
) -> Stored:
    """Store rates, given as (ticker, venue, fields), inside a transaction; a rate with other values
    replaces the stored one of the same time.
    """
    documents: dict[str, FundingDocument] = {}
    for ticker, venue, fields in arrived:
        name = f"{ticker}::{venue}::{fields['time']}"
        documents[name] = {"_id": name, "ticker": ticker, "venue": venue, **fields}
    if not documents:
        return Stored()
    known = funding_in(database).find({"_id": {"$in": list(documents)}}, session=session)
    stored: dict[str, FundingDocument] = {found["_id"]: found for found in known}
    changed = {name: d for name, d in documents.items() if stored.get(name) != d}
    writes: list[Any] = [ReplaceOne({"_id": name}, d, upsert=True) for name, d in changed.items()]
    if writes:
        funding_in(database).bulk_write(writes, ordered=False, session=session)
    new = len(changed.keys() - stored.keys())
    return Stored(new, len(changed) - new, len(arrived) - len(changed))


def find_funding(
    database: Db,
    ticker: str,
    venue: str,
    *,
    start: int | None,
    end: int | None,
    after: Position | None,
    limit: int,
    descending: bool,
) -> list[FundingDocument]:
    """Return rates from `start` to `end` (microseconds, both inclusive), in order of time."""
    order = NEWEST_FIRST if descending else OLDEST_FIRST
    query = match(ticker=ticker, venue=venue, time=between(start, end))
    return find_page(funding_in(database), query, order, after=after, limit=limit)


def find_venues(database: Db, ticker: str) -> list[str]:
    """Return the venues with rates of a ticker, in order."""
    return sorted(funding_in(database).distinct("venue", {"ticker": ticker}))


def iterate_funding(
    database: Db, tickers: Sequence[str], *, start: int | None, end: int | None
) -> tuple[int, Iterator[FundingDocument]]:
    """Return how many rates some tickers have, and an iterator over them in the order of ticker,
    venue and time.
    """
    query = match(ticker=among(tickers), time=between(start, end))
    found = funding_in(database).find(query).sort([("ticker", 1), ("venue", 1), ("time", 1)])
    return funding_in(database).count_documents(query), iter(found)


def find_tickers(database: Db) -> list[str]:
    """Return the tickers that have rates, in order."""
    return sorted(funding_in(database).distinct("ticker"))
