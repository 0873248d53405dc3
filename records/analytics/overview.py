"""The overview: of each series what people sort and filter by, as of its latest snapshot.

One small document a series, kept in step by the transaction that writes the snapshot.
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
"""What an overview may be sorted by, and the field that holds it."""


_STATE = ("as_of", "bars_revision", "set")


class Place(NamedTuple):
    """Where a page of the overview ended: the value it is sorted by, None where there is none."""

    value: float | str | None
    ticker: str


def build_overview_document(
    snapshot: SnapshotDocument, market: str, grade: float | None
) -> OverviewDocument:
    """Return what the overview shows of a snapshot; `grade` is that of the bar's anomaly."""
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
    """Store what the overview shows of series inside the transaction of their batch."""
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
    """Return overview documents in order, from the one after a place on.

    What has no value comes last, whichever the order.
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
    """Return the present regime of a series; None where its metrics were not computed."""
    found = overview_in(database).find_one(
        {"_id": build_series_id(ticker, interval)}, {"regime": 1}
    )
    return found.get("regime") if found else None


def get_version(database: Db, market: str, interval: str) -> int:
    """Return how often anything the overview shows of a market has changed; no clock is asked."""
    found = versions_in(database).find_one({"_id": f"{market}::{interval}"})
    return int(found["version"]) if found is not None else 0


def raise_version(
    database: Db, market: str, interval: str, session: ClientSession | None = None
) -> None:
    """Say that what the overview shows of a market changes with the transaction, or has changed."""
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
    """Return the tickers of a market, or of some, with the greatest mean notional of 20 bars.

    Indices are not traded.
    """
    query = _select(interval, market=market, tickers=tickers)
    stocks = {"$and": [query, {"ticker": {"$not": {"$regex": r"^\^"}}}]}
    order = [("notional", DESCENDING), ("ticker", ASCENDING)]
    found = overview_in(database).find(stocks, {"ticker": 1}).sort(order)
    return [document["ticker"] for document in found.limit(limit)]


def find_states(database: Db) -> list[OverviewState]:
    """Return of every row of the overview what a slot looks at."""
    fields = dict.fromkeys(OverviewState.__annotations__, 1)
    found = overview_in(database).find({}, fields, batch_size=10_000)
    return [*cast("Iterable[OverviewState]", found)]


def find_due(
    database: Db, definitions: str, shown: Iterable[OverviewState]
) -> dict[tuple[str, str], list[str]]:
    """Return the tickers to compute, by market and interval.

    Those whose last bar, revision of bars or `definitions` is not what the overview was made of,
    nor what is known not to be usable.
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
    """Note which series cannot be used, and forget it of those, by id, that were computed."""
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
    """Remove what was computed of a series whose bars are gone, or as of those that are, in the
    transaction that takes them.

    Market snapshots stay: they say what the market did then; `forget_beyond` removes those at bars
    that nobody has any more.
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
    """Return the grades of the anomalies of one bar of each ticker, where there is one."""
    if not bars:
        return {}
    # By time alone: of a thousand tickers the last bars are of few moments, and a list of their
    # names takes longer to plan than to answer.
    query = {
        "Datetime": {"$in": sorted(set(bars.values()))},
        "interval": interval,
        "status": NEW,
    }
    found = anomalies_in(database).find(query, ("Ticker", "Datetime", "grade"), session=session)
    return {a["Ticker"]: a["grade"] for a in found if bars.get(a["Ticker"]) == a["Datetime"]}


def refresh_grades(database: Db, shown: Iterable[OverviewState]) -> int:
    """Take over grades of anomalies that were found, or that fell, after the overview was made.

    Returns how many documents changed.
    """
    by_interval: dict[str, dict[str, OverviewState]] = {}
    for row in shown:
        by_interval.setdefault(row["interval"], {})[row["ticker"]] = row
    changed = 0
    for interval, rows in by_interval.items():
        grades = find_grades(database, interval, {t: row["as_of"] for t, row in rows.items()})
        moved = [row for t, row in rows.items() if row["anomaly_grade"] != grades.get(t)]
        if moved:
            changed += _write_grades(database, moved, grades)
            for market in sorted({row["market"] for row in moved}):
                raise_version(database, market, interval)
    return changed


def _write_grades(database: Db, moved: Iterable[OverviewState], grades: Mapping[str, float]) -> int:
    writes = [
        UpdateOne(
            {"_id": row["_id"], "as_of": row["as_of"]},
            {"$set": {"anomaly_grade": grades.get(row["ticker"])}},
        )
        for row in moved
    ]
    return overview_in(database).bulk_write(writes, ordered=False).modified_count


def _select(interval: str, *, market: str | None, tickers: Sequence[str] | None) -> Query:
    return match(interval=interval, market=market, ticker=among(tickers))


def find_all(database: Db) -> Iterator[OverviewDocument]:
    """Yield every row, of all markets and intervals, by id."""
    yield from overview_in(database).find().sort("_id", 1)
