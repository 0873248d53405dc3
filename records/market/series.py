"""The series that are stored: one document a ticker and interval, kept in step with its bars."""

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches

from pymongo.client_session import ClientSession

from core.errors import NotFound
from records.database import Db, Document
from records.keyset import BY_ID, Position, find_page

_LISTS = {"years": 0, "digests": 0, "coverage.gaps": 0}


def build_series_id(ticker: str, interval: str) -> str:
    """Return the `_id` of a series."""
    return f"{ticker}::{interval}"


def find_series(
    database: Db,
    *,
    tickers: Sequence[str] | None = None,
    market: str | None = None,
    interval: str | None = None,
    fields: Sequence[str] | None = None,
) -> list[Document]:
    """Return the series documents that match, or only `fields` of them, by ticker and interval."""
    query: Document = {name: value for name, value in (("market", market), ("interval", interval)) if value is not None}
    if tickers is not None and interval is not None:
        query["_id"] = {"$in": [build_series_id(ticker, interval) for ticker in tickers]}
    elif tickers is not None:
        query["ticker"] = {"$in": list(tickers)}
    return list(database.series.find(query, fields).sort([("ticker", 1), ("interval", 1)]))


def find_series_of(
    database: Db, tickers: Sequence[str], interval: str, fields: Sequence[str], session: ClientSession
) -> dict[str, Document]:
    """Return `fields` of these tickers' series by ticker, as they are in a session's snapshot."""
    query = {"_id": {"$in": [build_series_id(ticker, interval) for ticker in tickers]}}
    found = database.series.find(query, ("ticker", *fields), batch_size=len(tickers) + 1, session=session)
    return {document["ticker"]: document for document in found}


def list_series(
    database: Db,
    *,
    ticker: str | None = None,
    market: str | None = None,
    interval: str | None = None,
    after: Position | None = None,
    limit: int,
) -> list[Document]:
    """Return series documents by `_id`, from the one after `after` on, without what they list by year and by gap."""
    equal = {"ticker": ticker, "market": market, "interval": interval}
    query = {name: value for name, value in equal.items() if value is not None}
    return find_page(database.series, query, BY_ID, after=after, limit=limit, fields=_LISTS)


def find_tickers(
    database: Db, interval: str, *, tickers: Sequence[str] | None = None, market: str | None = None
) -> list[str]:
    """Return which tickers have stored bars of this interval, of those named or of a market, in order."""
    query: Document = {"interval": interval}
    if tickers is not None:
        query = {"_id": {"$in": [build_series_id(ticker, interval) for ticker in tickers]}}
    if market is not None:
        query["market"] = market
    return sorted(document["ticker"] for document in database.series.find(query, {"_id": 0, "ticker": 1}))


def find_one_series(database: Db, ticker: str, interval: str, session: ClientSession | None = None) -> Document | None:
    """Return one series' document, or None."""
    return database.series.find_one({"_id": build_series_id(ticker, interval)}, session=session)


def get_series(database: Db, ticker: str, interval: str) -> Document:
    """Return one series' document. Raises NotFound, naming what is stored that looks alike."""
    series = find_one_series(database, ticker, interval)
    if series is None:
        raise NotFound(
            f"no {interval} bars of {ticker} are stored; {_describe_choices(database, ticker)}", reason="no_bars"
        )
    return series


def find_series_between(database: Db, market: str, start: datetime, end: datetime) -> list[Document]:
    """Return the series of a market that have bars both before `end` and at or after `start`."""
    reaches = {"first_bar": {"$lt": end}, "last_bar": {"$gte": start}}
    return list(database.series.find({"market": market, **reaches}))


def set_coverage(database: Db, series: Document, coverage: Document) -> None:
    """Note a series' coverage, unless its bars have changed since its document was read."""
    same = {"_id": series["_id"], "fingerprint": series["fingerprint"]}
    database.series.update_one(same, {"$set": {"coverage": coverage}})


def replace_series(database: Db, series: Document, session: ClientSession) -> None:
    """Store a series' document inside the transaction that wrote its bars."""
    database.series.replace_one({"_id": series["_id"]}, series, upsert=True, session=session)


def _describe_choices(database: Db, ticker: str) -> str:
    """Say what else there is, so that a typing error is seen as one."""
    intervals = [document["interval"] for document in database.series.find({"ticker": ticker}, {"interval": 1})]
    if intervals:
        return f"of this ticker there is {', '.join(sorted(intervals))}"
    stored = sorted(database.series.distinct("ticker"))
    if not stored:
        return "nothing is: `flask bars import FILE` or `flask bars demo` brings some"
    shown = get_close_matches(ticker, stored, n=5, cutoff=0.5) or stored[:5]
    return f"of {len(stored)} tickers there are, for example, {', '.join(shown)}"
