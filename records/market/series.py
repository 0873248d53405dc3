"""Stored series: one document for each ticker and interval, which each transaction that writes the
bars writes too.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from operator import itemgetter
from typing import Any, cast

from pymongo import ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.cursor import Cursor

from core.errors import NotFound
from records.database import Db, Query, among, match
from records.keyset import BY_ID, Position, find_page
from records.market.change_counts import note_changes
from records.market.documents import (
    CoverageFields,
    FigureFields,
    MarketExtent,
    OddityFields,
    PanelSeries,
    QualitySeries,
    SeriesDocument,
    SeriesEnds,
    SeriesSize,
    SeriesState,
    SeriesSummary,
    SeriesTotal,
    series_in,
)

LAST_CHARACTER = "\U0010ffff"
_LISTS = {"counts": 0, "digests": 0, "figures": 0, "oddities": 0}
_FIGURED = {"figures": {"$exists": True}}
_FIGURES = {"figures": 1, "oddities": 1, "fingerprint": 1}
_PANEL = dict.fromkeys(PanelSeries.__annotations__, 1)
_QUALITY = dict.fromkeys(QualitySeries.__annotations__, 1)
_STATE = dict.fromkeys(SeriesState.__annotations__, 1)
_ENDS = dict.fromkeys(SeriesEnds.__annotations__, 1)
_BY_NAME = [("ticker", 1), ("interval", 1)]


def build_series_id(ticker: str, interval: str) -> str:
    """Return the `_id` of a series."""
    return f"{ticker}::{interval}"


SERIES_ID: Query = {"$concat": ["$ticker", "::", "$interval"]}
"""The expression that builds the same `_id` in a pipeline, from a document's ticker and interval.
"""


def find_series(
    database: Db,
    *,
    tickers: Sequence[str] | None = None,
    market: str | None = None,
    interval: str | None = None,
    session: ClientSession | None = None,
) -> list[SeriesDocument]:
    """Return the series that match, by ticker and interval."""
    query = _build_query(tickers, market, interval)
    return list(series_in(database).find(query, session=session).sort(_BY_NAME))


def find_sizes(
    database: Db,
    *,
    tickers: Sequence[str] | None,
    market: str | None = None,
    interval: str | None = None,
) -> list[SeriesSize]:
    """Return market and number of bars of the series that match, by ticker and interval."""
    query, fields = _build_query(tickers, market, interval), ("ticker", "market", "bars")
    found = cast("Cursor[SeriesSize]", series_in(database).find(query, fields, batch_size=10_000))
    # Sorted here: MongoDB would sort the whole documents.
    return sorted(found.to_list(), key=itemgetter("ticker", "_id"))


def find_ends(database: Db, tickers: Sequence[str], interval: str) -> list[SeriesEnds]:
    """Return the first and last bar of these tickers' series."""
    found = series_in(database).find(_name(tickers, interval), _ENDS)
    return [*cast("Cursor[SeriesEnds]", found)]


def list_markets(database: Db) -> list[str]:
    """Return the markets that have stored bars, in order."""
    return sorted(series_in(database).distinct("market"))


def find_markets(database: Db, series: Iterable[tuple[str, str]]) -> list[str]:
    """Return the markets of these series (ticker, interval) in order; series that are not stored
    are left out.
    """
    wanted = [build_series_id(ticker, interval) for ticker, interval in series]
    return sorted(series_in(database).distinct("market", {"_id": {"$in": wanted}}))


def find_quality_series(
    database: Db, *, market: str | None, interval: str | None, ticker: str | None
) -> list[QualitySeries]:
    """Return the fields from which the data quality of the series that match is computed."""
    query = _build_query([ticker] if ticker else None, market, interval)
    found = series_in(database).find(query, _QUALITY, batch_size=10_000)
    return [*cast("Cursor[QualitySeries]", found)]


def find_market_ends(database: Db, market: str, interval: str) -> list[SeriesEnds]:
    """Return the first and last bar of each series of a market and interval."""
    query = {"market": market, "interval": interval}
    found = series_in(database).find(query, _ENDS)
    return [*cast("Cursor[SeriesEnds]", found)]


def find_extents(database: Db) -> list[MarketExtent]:
    """Return the number of bars, the first and the last bar of each market and interval."""
    stages: list[Query] = [
        {
            "$group": {
                "_id": {"market": "$market", "interval": "$interval"},
                "bars": {"$sum": "$bars"},
                "first_bar": {"$min": "$first_bar"},
                "last_bar": {"$max": "$last_bar"},
            }
        },
        {"$set": {"market": "$_id.market", "interval": "$_id.interval"}},
        {"$sort": {"_id": 1}},
        {"$unset": "_id"},
    ]
    return list(database.series.aggregate(stages))


def find_panel_series(
    database: Db, tickers: Sequence[str], interval: str, session: ClientSession
) -> dict[str, PanelSeries]:
    """Return, by ticker, the fields of these tickers' series from which a panel is built, read in
    the session's snapshot.
    """
    query = _name(tickers, interval)
    found = series_in(database).find(query, _PANEL, batch_size=len(tickers) + 1, session=session)
    return {document["ticker"]: document for document in found.to_list()}


def find_market_panel_series(
    database: Db, market: str, interval: str, session: ClientSession
) -> dict[str, PanelSeries]:
    """Return, by ticker, the fields of all series of a market and interval from which a panel is
    built.
    """
    query = {"market": market, "interval": interval}
    found = series_in(database).find(query, _PANEL, batch_size=10_000, session=session)
    return {document["ticker"]: document for document in found}


def find_states(
    database: Db,
    *,
    tickers: Sequence[str] | None = None,
    interval: str | None = None,
) -> list[SeriesState]:
    """Return the last bar and the revision of the series that match."""
    query = _build_query(tickers, None, interval)
    found = series_in(database).find(query, _STATE, batch_size=10_000)
    return [*cast("Cursor[SeriesState]", found)]


def list_series(
    database: Db,
    *,
    tickers: Sequence[str] | None,
    contains: str | None,
    prefix: str,
    market: str | None,
    interval: str | None,
    after: Position | None,
    limit: int,
) -> list[SeriesSummary]:
    """Return series documents by `_id`, from the one after `after` on, without their fields by
    bucket.

    Their tickers contain `contains` and begin with `prefix`.
    """
    query = _build_listing(tickers, contains, market, interval)
    if prefix:
        # An `_id` begins with the ticker.
        query = {**query, "_id": {"$gte": prefix, "$lt": prefix + LAST_CHARACTER}}
    found = find_page(series_in(database), query, BY_ID, after=after, limit=limit, fields=_LISTS)
    return cast("list[SeriesSummary]", found)


def find_tickers(
    database: Db,
    interval: str | None,
    *,
    tickers: Sequence[str] | None = None,
    market: str | None = None,
) -> list[str]:
    """Return, in order, the tickers with stored bars of this interval (None: of any): all, those
    among `tickers`, or those of a market.
    """
    query = _build_query(tickers, market, interval)
    found = series_in(database).find(query, {"_id": 0, "ticker": 1})
    return sorted({document["ticker"] for document in found})


def find_one_series(
    database: Db, ticker: str, interval: str, session: ClientSession | None = None
) -> SeriesDocument | None:
    """Return one series' document, or None."""
    return series_in(database).find_one({"_id": build_series_id(ticker, interval)}, session=session)


def sum_up_series(database: Db, *, contains: str | None, market: str | None) -> SeriesTotal:
    """Return how many series there are whose tickers contain `contains`, and the sums of their bars
    and coverage.
    """
    counted = {
        "series": {"$sum": 1},
        "bars": {"$sum": "$bars"},
        "missing": {"$sum": "$coverage.missing"},
        "with_gaps": {"$sum": {"$cond": [{"$gt": ["$coverage.gap_count", 0]}, 1, 0]}},
        "no_trade": {"$sum": "$coverage.no_trade"},
    }
    steps: list[dict[str, Any]] = [
        {"$match": _build_listing(None, contains, market, None)},
        {"$group": {"_id": None} | counted},
        {"$unset": "_id"},
    ]
    totals: list[Any] = [*series_in(database).aggregate(steps)]
    return cast("SeriesTotal", totals[0] if totals else dict.fromkeys(counted, 0))


def get_series(database: Db, ticker: str, interval: str) -> SeriesDocument:
    """Return one series' document. Raises NotFound, which names similar stored series."""
    series = find_one_series(database, ticker, interval)
    if series is None:
        raise NotFound(
            f"no {interval} bars of {ticker} are stored; {describe_choices(database, ticker)}",
            reason="no_bars",
        )
    return series


def find_series_between(
    database: Db, market: str, start: datetime, end: datetime
) -> list[SeriesDocument]:
    """Return the series of a market that have bars both before `end` and at or after `start`."""
    reaches = {"first_bar": {"$lt": end}, "last_bar": {"$gte": start}}
    return list(series_in(database).find({"market": market, **reaches}))


def find_reaching(
    database: Db, market: str, interval: str, first: datetime, last: datetime
) -> list[str]:
    """Return the tickers of a market whose stored range of this interval overlaps that from `first`
    to `last`, both inclusive.
    """
    query = {
        "market": market,
        "interval": interval,
        "first_bar": {"$lte": last},
        "last_bar": {"$gte": first},
    }
    return [one["ticker"] for one in series_in(database).find(query, {"_id": 0, "ticker": 1})]


def count_reaching(
    database: Db, market: str, interval: str, bars: Collection[datetime]
) -> dict[datetime, int]:
    """Return, for each time in `bars`, how many tickers of a market have it between their first and
    last bar.
    """
    query = {"market": market, "interval": interval}
    ends = list(series_in(database).find(query, {"_id": 0, "first_bar": 1, "last_bar": 1}))
    firsts, lasts = (sorted(one[end] for one in ends) for end in ("first_bar", "last_bar"))
    return {bar: bisect_right(firsts, bar) - bisect_left(lasts, bar) for bar in bars}


def find_uncovered(database: Db) -> list[SeriesState]:
    """Return the series whose coverage or figures (what looks odd in their bars) were not computed,
    by market.
    """
    unknown = [{"coverage": {"$exists": False}}, {"figures": {"$exists": False}}]
    found = series_in(database).find({"$or": unknown}, _STATE, batch_size=10_000)
    return sorted(cast("Cursor[SeriesState]", found), key=itemgetter("market", "_id"))


def set_coverage(
    database: Db,
    series: SeriesDocument,
    coverage: CoverageFields,
    figures: dict[str, FigureFields],
    oddities: OddityFields,
    session: ClientSession,
) -> None:
    """Store a series' coverage, and what looks odd in its bars, inside the transaction that wrote
    its gaps.
    """
    changes = {"$set": {"coverage": coverage, "figures": figures, "oddities": oddities}}
    series_in(database).update_one({"_id": series["_id"]}, changes, session=session)


def find_figured(database: Db) -> Iterator[SeriesDocument]:
    """Yield the series that have figures (what looks odd in each bucket), with these, their sums
    (`oddities`) and the fingerprint only.
    """
    yield from series_in(database).find(_FIGURED, _FIGURES)


def find_unsummed(database: Db) -> Iterator[SeriesDocument]:
    """Yield the same fields of those series whose figures were not summed up, or were summed up for
    other bars.
    """
    other = {"$expr": {"$ne": ["$oddities.fingerprint", "$fingerprint"]}}
    yield from series_in(database).find({**_FIGURED, **other}, _FIGURES)


def add_oddities(database: Db, summed: Mapping[str, OddityFields]) -> int:
    """Store the sums of some series' figures, and return of how many series; a series that was
    written meanwhile keeps its own sums.
    """
    writes = [
        UpdateOne(
            {"_id": series_id, "fingerprint": oddities["fingerprint"]},
            {"$set": {"oddities": oddities}},
        )
        for series_id, oddities in summed.items()
    ]
    if not writes:
        return 0
    return series_in(database).bulk_write(writes, ordered=False).modified_count


def delete_series(database: Db, series: SeriesDocument, session: ClientSession) -> int:
    """Delete a series' document, unless its bars have changed since it was read;
    return how many were deleted.
    """
    same = {"_id": series["_id"], "fingerprint": series["fingerprint"]}
    note_changes(database, [series["interval"]], session)
    return series_in(database).delete_one(same, session=session).deleted_count


def set_timezone(database: Db, market: str, timezone: str, session: ClientSession) -> None:
    """Set the time zone of all series of a market."""
    changes = {"$set": {"timezone": timezone}}
    series_in(database).update_many({"market": market}, changes, session=session)


def replace_series(database: Db, series: SeriesDocument, session: ClientSession) -> None:
    """Store a series' document inside the transaction that wrote its bars."""
    replace_all_series(database, [series], session)


def replace_all_series(
    database: Db, series: Sequence[SeriesDocument], session: ClientSession
) -> None:
    """Store the documents of many series inside the transaction that wrote their bars."""
    writes = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in series]
    series_in(database).bulk_write(writes, ordered=False, session=session)
    note_changes(database, [one["interval"] for one in series], session)


def _build_listing(
    tickers: Sequence[str] | None, contains: str | None, market: str | None, interval: str | None
) -> Query:
    pattern = None if contains is None else re.escape(contains)
    named = {**(among(tickers) or {}), **match(**{"$regex": pattern})}
    return match(market=market, interval=interval, ticker=named or None)


def _build_query(tickers: Sequence[str] | None, market: str | None, interval: str | None) -> Query:
    if tickers is None or interval is None:
        return match(market=market, interval=interval, ticker=among(tickers))
    return {**match(market=market, interval=interval), **_name(tickers, interval)}


def _name(tickers: Iterable[str], interval: str) -> Query:
    return {"_id": {"$in": [build_series_id(ticker, interval) for ticker in tickers]}}


def describe_choices(database: Db, ticker: str) -> str:
    """Return a hint at stored series, so that a user sees a typing error as one."""
    intervals = [
        document["interval"]
        for document in series_in(database).find({"ticker": ticker}, {"interval": 1})
    ]
    if intervals:
        return f"stored intervals of this ticker: {', '.join(sorted(intervals))}"
    stored = sorted(series_in(database).distinct("ticker"))
    if not stored:
        return "nor are any others: `flask bars import FILE` or `flask bars demo` stores some"
    if alike := get_close_matches(ticker, stored, n=5, cutoff=0.5):
        return f"did you mean {', '.join(alike)}?"
    return f"{len(stored)} tickers have bars, for example {', '.join(stored[:5])}"
