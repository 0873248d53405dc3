"""The overview: the values by which people sort and filter series, as of the latest snapshots.

Each series has one small document (a row), written by the transaction that writes its snapshot.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from pymongo import ASCENDING, DESCENDING, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession

from records.analytics.documents import (
    FailureDocument,
    OverviewDocument,
    OverviewState,
    SnapshotDocument,
    failures_in,
    overview_in,
    snapshots_in,
    versions_in,
)
from records.database import Db, Document, Query, among, match, put_documents
from records.findings.anomalies import NEW
from records.findings.documents import anomalies_in
from records.market.series import build_series_id
from records.market.series import find_states as find_series_states

SORTS: dict[str, str] = {
    "ticker": "ticker",
    "volatility": "annualized_volatility",
    "volume": "volume_spike_ratio",
    "trend": "rate_of_change",
    "regime": "regime",
    "grade": "anomaly_grade",
}
"""The words for what an overview may be sorted by, with the field of each."""


_STATE = ("as_of", "bars_revision", "set")


class Place(NamedTuple):
    """Where a page of the overview ended: ticker and value (None: no value) of its last row."""

    value: float | str | None
    ticker: str


def build_overview_document(
    snapshot: SnapshotDocument, market: str, grade: float | None
) -> OverviewDocument:
    """Return the overview row of a snapshot; `grade` is that of the bar's anomaly, if any."""
    values = snapshot["values"]
    crossover, regime = values["crossover_signal"], values["regime"]
    return {
        "_id": build_series_id(snapshot["ticker"], snapshot["interval"]),
        "ticker": snapshot["ticker"],
        "interval": snapshot["interval"],
        "market": market,
        "close": snapshot["close"],
        "return_1": snapshot["return_1"],
        "notional": snapshot["notional"],
        "annualized_volatility": values["annualized_volatility"],
        "volume_spike_ratio": values["volume_spike_ratio"],
        "rate_of_change": values["rate_of_change"],
        "crossover": crossover and crossover["state"],
        "crossed": bool(crossover and crossover["crossed"]),
        "regime": regime and regime["regime"],
        "confidence": regime and regime["confidence"],
        "anomaly_grade": grade,
        "as_of": snapshot["time"],
        "bars_revision": snapshot["bars_revision"],
        "set": snapshot["set"],
        "computed_at": snapshot["computed_at"],
        "snapshot_id": snapshot["_id"],
    }


def write_overview(
    database: Db, documents: Sequence[OverviewDocument], session: ClientSession
) -> None:
    """Store overview rows inside the transaction of their batch."""
    put_documents(overview_in(database), documents, session)


def find_overview(
    database: Db,
    interval: str,
    *,
    market: str | None,
    tickers: Sequence[str] | None = None,
    regime: str | None = None,
    prefix: str = "",
    sort_by: str,
    descending: bool,
    after: Place | None = None,
    limit: int,
) -> list[OverviewDocument]:
    """Return overview rows in the order `sort_by`, from the row after the place `after` on.

    Rows without a value come last in either direction.
    """
    field = SORTS[sort_by]
    query = {**_select(interval, market=market, tickers=tickers), **match(regime=regime)}
    if prefix:
        query["$and"] = [{"ticker": {"$regex": f"^{re.escape(prefix)}"}}]
    beyond, way = ("$lt", DESCENDING) if descending else ("$gt", ASCENDING)
    if field == "ticker":
        following = {} if after is None else {"ticker": {beyond: after.ticker}}
        found = overview_in(database).find({"$and": [query, following]})
        return list(found.sort("ticker", way).limit(limit))
    documents: list[OverviewDocument] = []
    if after is None or after.value is not None:
        known = query | {field: {"$ne": None}}
        if after is not None:
            tie = {field: after.value, "ticker": {"$gt": after.ticker}}
            known["$or"] = [{field: {beyond: after.value}}, {"$and": [query, tie]}]
        found = overview_in(database).find(known)
        documents += found.sort([(field, way), ("ticker", ASCENDING)]).limit(limit)
    if len(documents) < limit:
        unknown: Document = {"$and": [query, {field: None}]}
        if after is not None and after.value is None:
            unknown["$and"].append({"ticker": {"$gt": after.ticker}})
        found = overview_in(database).find(unknown).sort("ticker", ASCENDING)
        documents += found.limit(limit - len(documents))
    return documents


def find_regime(database: Db, ticker: str, interval: str) -> str | None:
    """Return the regime that the overview shows for a series; None where it has none."""
    found = overview_in(database).find_one(
        {"_id": build_series_id(ticker, interval)}, {"regime": 1}
    )
    return found.get("regime") if found else None


def get_version(database: Db, market: str, interval: str) -> int:
    """Return the version of a market's overview, which each change raises: no clock is needed."""
    found = versions_in(database).find_one({"_id": f"{market}::{interval}"})
    return int(found["version"]) if found is not None else 0


def raise_version(
    database: Db, market: str, interval: str, session: ClientSession | None = None
) -> None:
    """Raise the version of a market's overview: in the transaction of a change, or after it."""
    versions_in(database).update_one(
        {"_id": f"{market}::{interval}"}, {"$inc": {"version": 1}}, upsert=True, session=session
    )


def find_most_traded(
    database: Db,
    interval: str,
    limit: int,
    *,
    market: str | None = None,
    tickers: Sequence[str] | None = None,
) -> list[str]:
    """Return the tickers, of a market or among `tickers`, with the largest mean notional over 20
    bars.

    Indices are left out, as they are not traded.
    """
    query = _select(interval, market=market, tickers=tickers)
    stocks = {"$and": [query, {"ticker": {"$not": {"$regex": r"^\^"}}}]}
    order = [("notional", DESCENDING), ("ticker", ASCENDING)]
    found = overview_in(database).find(stocks, {"ticker": 1}).sort(order)
    return [document["ticker"] for document in found.limit(limit)]


def find_states(database: Db) -> list[OverviewState]:
    """Return of every row of the overview the fields that a slot of analytics compares."""
    fields = dict.fromkeys(OverviewState.__annotations__, 1)
    found = overview_in(database).find({}, fields, batch_size=10_000)
    return [*cast("Iterable[OverviewState]", found)]


def find_due(
    database: Db, definitions: str, shown: Iterable[OverviewState]
) -> dict[tuple[str, str], list[str]]:
    """Return the tickers to compute, by market and interval.

    A series is due unless a row in `shown` or a stored failure has its last bar, its revision of
    bars and `definitions`.
    """
    known = {_get_state(row) for row in shown}
    known |= {_get_state(d) for d in failures_in(database).find({}, _STATE)}
    due: dict[tuple[str, str], list[str]] = {}
    for series in find_series_states(database):
        if (series["_id"], series["last_bar"], series["revision"], definitions) not in known:
            due.setdefault((series["market"], series["interval"]), []).append(series["ticker"])
    return {group: sorted(tickers) for group, tickers in sorted(due.items())}


def _get_state(document: OverviewState | FailureDocument) -> tuple[str, datetime, int, str]:
    return document["_id"], document["as_of"], document["bars_revision"], document["set"]


def note_failures(
    database: Db,
    failures: Sequence[FailureDocument],
    computed: Sequence[str],
    session: ClientSession,
) -> None:
    """Store the series whose bars cannot be used, and delete the failures of those (by `_id`) that
    were computed.
    """
    if failures:
        writes = [ReplaceOne({"_id": failure["_id"]}, failure, upsert=True) for failure in failures]
        failures_in(database).bulk_write(writes, ordered=False, session=session)
    if computed:
        failures_in(database).delete_many({"_id": {"$in": list(computed)}}, session=session)


def forget_metrics(
    database: Db,
    ticker: str,
    interval: str,
    market: str,
    session: ClientSession,
    *,
    are_gone: Callable[[Sequence[datetime]], Sequence[bool]] | None = None,
) -> None:
    """Delete the metrics of a series whose bars are gone, in the transaction that deletes the bars:
    all metrics or, with `are_gone`, those as of times for which it returns True.

    Market snapshots stay, as they tell how the market moved then; `forget_beyond` deletes those
    after the last bar of all series.
    """
    series_id = build_series_id(ticker, interval)
    of: Document = {"ticker": ticker, "interval": interval}
    own: Document = {"_id": series_id}
    if are_gone is not None:
        times = [
            each["time"] for each in snapshots_in(database).find(of, {"time": 1}, session=session)
        ]
        gone = [time for time, is_gone in zip(times, are_gone(times), strict=True) if is_gone]
        of["time"] = {"$in": gone}
        own["as_of"] = {"$in": gone}
    shown = overview_in(database).delete_one(own, session=session).deleted_count
    failures_in(database).delete_one({"_id": series_id}, session=session)
    snapshots_in(database).delete_many(of, session=session)
    if shown:
        raise_version(database, market, interval, session)


def find_grades(
    database: Db, interval: str, bars: Mapping[str, datetime], session: ClientSession | None = None
) -> dict[str, float]:
    """Return the grade of the anomaly on each ticker's bar in `bars`; tickers without an anomaly
    there are left out.
    """
    if not bars:
        return {}
    # The query does not name the tickers: the last bars of a thousand tickers have few different
    # times, and a query with so many names takes longer to plan than to answer.
    query = {
        "Datetime": {"$in": sorted(set(bars.values()))},
        "interval": interval,
        "status": NEW,
    }
    found = anomalies_in(database).find(query, ("Ticker", "Datetime", "grade"), session=session)
    return {a["Ticker"]: a["grade"] for a in found if bars.get(a["Ticker"]) == a["Datetime"]}


def refresh_grades(database: Db, shown: Iterable[OverviewState]) -> None:
    """Update the grades of rows whose anomalies were found or superseded after the row was made."""
    by_interval: dict[str, dict[str, OverviewState]] = {}
    for row in shown:
        by_interval.setdefault(row["interval"], {})[row["ticker"]] = row
    for interval, rows in by_interval.items():
        grades = find_grades(database, interval, {t: row["as_of"] for t, row in rows.items()})
        moved = [row for t, row in rows.items() if row["anomaly_grade"] != grades.get(t)]
        if moved:
            _write_grades(database, moved, grades)
            for market in sorted({row["market"] for row in moved}):
                raise_version(database, market, interval)


def _write_grades(
    database: Db, moved: Iterable[OverviewState], grades: Mapping[str, float]
) -> None:
    writes = [
        UpdateOne(
            {"_id": row["_id"], "as_of": row["as_of"]},
            {"$set": {"anomaly_grade": grades.get(row["ticker"])}},
        )
        for row in moved
    ]
    overview_in(database).bulk_write(writes, ordered=False)


def _select(interval: str, *, market: str | None, tickers: Sequence[str] | None) -> Query:
    return match(interval=interval, market=market, ticker=among(tickers))


def find_all(database: Db) -> Iterator[OverviewDocument]:
    """Yield every row, of all markets and intervals, by `_id`."""
    yield from overview_in(database).find().sort("_id", 1)
