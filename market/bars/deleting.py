"""Deletes and renames series.

Anomalies of deleted bars stay, marked as "bars gone".

Plain Python, as the web process uses this module, too.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from core.errors import BadInput, Conflict, NotFound
from core.words import AlertEvent, RevisionKind
from market.bars.reading import iterate_bars
from market.bars.spans import build_bucket_id
from market.markets import load_markets
from records.alerts.trail import add_entries, build_note
from records.analytics.markets import forget_beyond
from records.analytics.overview import forget_metrics
from records.database import Db, in_transaction
from records.findings.anomalies import find_bars_gone, mark_bars_gone, unmark_bars_gone
from records.findings.watermarks import forget_watermark
from records.market import bar_imports
from records.market.documents import RevisionDocument, SeriesDocument, bars_in
from records.market.gaps import forget_gaps, rename_gaps
from records.market.markets import set_ticker_markets
from records.market.revisions import add_revisions, find_last_revisions
from records.market.series import (
    build_series_id,
    delete_series,
    find_one_series,
    find_series,
    get_series,
    replace_series,
)


def delete_bars(
    database: Db, ticker: str, interval: str | None, now: datetime, *, by: str = "system"
) -> list[SeriesDocument]:
    """Delete the series of a ticker, or that of one interval; return their documents as they were.

    Anomalies, models and runs stay; the audit trail says who deleted what. Raises NotFound.
    """
    found = find_series(database, tickers=[ticker], interval=interval)
    if not found:
        get_series(database, ticker, interval or "1d")

    def write(session: ClientSession) -> None:
        for series in found:
            _remove(database, series, "deleted", now, session)
            note_bars(database, "remove", series, {}, by=by, at=now, session=session)

    in_transaction(database, write)
    for series in found:
        forget_beyond(database, series["market"], series["interval"])
    return found


def rename_bars(
    database: Db,
    ticker: str,
    name: str,
    interval: str | None,
    now: datetime,
    *,
    by: str = "system",
) -> list[SeriesDocument]:
    """Rename the series of a ticker, or that of one interval; return their documents as they were.

    Anomalies stay under the old name, marked as "bars gone" until bars of that name are stored
    again; the series of the new name are yet to be detected. Raises NotFound, Conflict where bars
    of the new name are stored, and BadInput where the new name is a ticker of another market.
    """
    found = find_series(database, tickers=[ticker], interval=interval)
    if not found:
        get_series(database, ticker, interval or "1d")
    if name == ticker:
        raise BadInput(f"{ticker} has this name already")
    _check_name(database, found, name)

    def write(session: ClientSession) -> None:
        for series in found:
            _refuse_stored(database, series, name, session)
            _move(database, series, name, now, session)
            told = {"ticker": {"before": ticker, "after": name}}
            note_bars(database, "change", series, told, by=by, at=now, session=session)

    copies: list[tuple[str, str]] = []
    try:
        for series in found:
            copies += _copy_buckets(database, series, name)
        in_transaction(database, write)
    except BaseException as error:
        for bucket_id, sha256 in copies:
            bars_in(database).delete_one({"_id": bucket_id, "sha256": sha256})
        if isinstance(error, DuplicateKeyError):
            raise Conflict(f"bars of {name} came meanwhile; look again") from error
        raise
    set_ticker_markets(database, _list_told(database, found, name), now)
    return found


def note_bars(
    database: Db,
    step: AlertEvent,
    series: SeriesDocument,
    details: Mapping[str, object],
    *,
    by: str,
    at: datetime,
    session: ClientSession,
) -> None:
    """Write into the audit trail, inside the transaction, who changed bars of a series, and how
    many it had.
    """
    subject = f"{series['interval']} bars of {series['ticker']}"
    told = {"bars": series["bars"], **details}
    add_entries(database, [build_note(step, subject, by=by, at=at, details=told)], session)


def _refuse_stored(database: Db, series: SeriesDocument, name: str, session: ClientSession) -> None:
    if find_one_series(database, name, series["interval"], session) is not None:
        raise Conflict(
            f"there are {series['interval']} bars of {name}: delete them first (`flask bars delete"
            f" {name}`)"
        )


def _copy_buckets(database: Db, series: SeriesDocument, name: str) -> list[tuple[str, str]]:
    """Copy a series' buckets to another name; return the ids and hashes of the copies.

    Nobody reads the copies before a series of that name is stored. They are not written in the
    transaction that renames the series, as MongoDB's cache may not hold many years of 1m bars.
    """
    interval = series["interval"]

    def clear(session: ClientSession) -> None:
        _refuse_stored(database, series, name, session)
        # A process that was killed while it copied may have left some copies.
        bars_in(database).delete_many({"ticker": name, "interval": interval}, session=session)

    in_transaction(database, clear)
    copies = []
    for bucket in bars_in(database).find({"ticker": series["ticker"], "interval": interval}):
        copy = {**bucket, "_id": build_bucket_id(name, interval, bucket["span"]), "ticker": name}
        bars_in(database).insert_one(copy)  # type: ignore[arg-type]
        copies.append((str(copy["_id"]), bucket["sha256"]))
    return copies


def _check_name(database: Db, found: Sequence[SeriesDocument], name: str) -> None:
    of = load_markets(database).find_of(name)
    for series in found:
        if of is not None and of.code != series["market"]:
            raise BadInput(
                f"{name} is a ticker of market {of.code}, and these bars went by the sessions of"
                f" {series['market']}: import them again as {name}, and delete these"
            )


def _list_told(database: Db, found: Sequence[SeriesDocument], name: str) -> dict[str, str]:
    return {} if load_markets(database).find_of(name) is not None else {name: found[0]["market"]}


def _remove(
    database: Db, series: SeriesDocument, kind: RevisionKind, now: datetime, session: ClientSession
) -> None:
    ticker, interval = series["ticker"], series["interval"]
    drop_series(database, series, session)
    mark_bars_gone(database, ticker, interval, now, session)
    if kind == "deleted":
        bar_imports.forget_imports(database, ticker, interval, session)
        forget_gaps(database, ticker, interval, session)
    add_revisions(
        database, [build_removal(series, kind, series["first_bar"], series["bars"], now)], session
    )


def drop_series(database: Db, series: SeriesDocument, session: ClientSession) -> None:
    """Delete a series with its bars, its watermark and its metrics.

    Raises NotFound where its bars have changed since `series` was read.
    """
    ticker, interval = series["ticker"], series["interval"]
    if delete_series(database, series, session) == 0:
        raise NotFound(
            f"the {interval} bars of {ticker} were changed or deleted meanwhile; look again"
        )
    bars_in(database).delete_many({"ticker": ticker, "interval": interval}, session=session)
    forget_watermark(database, ticker, interval, session)
    forget_metrics(database, ticker, interval, series["market"], session)


def _move(
    database: Db, series: SeriesDocument, name: str, now: datetime, session: ClientSession
) -> None:
    interval = series["interval"]
    _remove(database, series, "renamed", now, session)
    bar_imports.rename_imports(database, series["ticker"], interval, name, session)
    rename_gaps(database, series["ticker"], interval, name, session)
    last = find_last_revisions(database, [name], interval, session)
    revision = max(series["revision"], last.get(name, 0))
    own: SeriesDocument = {
        **series,
        "_id": build_series_id(name, interval),
        "ticker": name,
        "revision": revision,
        "updated_at": now,
    }
    replace_series(database, own, session)
    _unmark_returned(database, own, session)


def _unmark_returned(database: Db, series: SeriesDocument, session: ClientSession) -> None:
    """Remove the mark "bars gone" from anomalies of a series' new name whose bars it has: the
    series had that name before.
    """
    name, interval = series["ticker"], series["interval"]
    first, last = series["first_bar"], series["last_bar"]
    gone = find_bars_gone(database, name, interval, first, last, session)
    if gone:
        bars = iterate_bars(database, series, start=None, end=None, adjusted=False)
        unmark_bars_gone(database, gone, {bar.time for bar in bars}, session)


def build_removal(
    series: SeriesDocument, kind: RevisionKind, first: datetime, bars: int, now: datetime
) -> RevisionDocument:
    """Return the revision, with the series' next number, that says that `bars` bars from `first` on
    are gone.
    """
    revision = series["revision"] + 1
    return {
        "_id": f"{series['_id']}::{revision}::0",
        "ticker": series["ticker"],
        "interval": series["interval"],
        "revision": revision,
        "source": series["source"],
        "at": now,
        "kind": kind,
        "first": first,
        "last": series["last_bar"],
        "bars": bars,
    }
