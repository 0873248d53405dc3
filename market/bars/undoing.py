"""Undoes an import: the bars that it added are removed, and those that it changed get their values
from before again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import numpy as np
from pymongo import DeleteOne, ReplaceOne
from pymongo.client_session import ClientSession

from core.errors import Conflict, NotFound
from market.bars.buckets import (
    VALUES,
    Columns,
    build_bucket,
    join_buckets,
    split_spans,
    unpack_times,
)
from market.bars.changes import moment
from market.bars.deleting import build_removal, drop_series, note_bars
from market.bars.figures import measure_figures
from market.bars.fingerprint import fingerprint_series
from market.bars.ledger import measure_anew
from market.bars.oddities import sum_up
from market.bars.spans import build_bucket_id
from market.bars.splits import merge_splits
from market.intervals import day_of
from market.markets import load_markets
from market.sessions.overrides import find_sessions
from records.analytics.markets import forget_beyond
from records.analytics.overview import forget_metrics
from records.database import Db, in_transaction
from records.findings.anomalies import mark_bars_gone
from records.findings.watermarks import move_watermark_back
from records.indexes import IMPORTS_DAYS
from records.market import bar_imports
from records.market.documents import (
    BarImportDocument,
    BarValues,
    BucketDocument,
    RevisionDocument,
    SeriesDocument,
    SplitFields,
    bars_in,
)
from records.market.gaps import forget_gaps
from records.market.revisions import add_revisions, find_revision, find_touching, mark_undone
from records.market.series import find_one_series, replace_series

# The records of an import that was tried again are written some days apart, and expire some days
# apart, IMPORTS_DAYS after each was written. An import can be undone only while all of them exist.
UNDO_DAYS = IMPORTS_DAYS - 5


@dataclass(frozen=True, slots=True)
class Undone:
    """The result for one series: how many bars were removed, how many got their old values back,
    and how many are left.
    """

    ticker: str
    interval: str
    removed: int
    restored: int
    left: int


def undo_import(database: Db, import_id: str, now: datetime, *, by: str = "system") -> list[Undone]:
    """Undo an import. All its series are checked first; nothing is undone where one cannot be.
    The audit trail says who undid it.

    Raises NotFound where there is no such import or it was undone before, and Conflict where it is
    too old, where a later import has changed its bars, or where it replaced synthetic bars by real
    ones.
    """
    found = bar_imports.find_import(database, import_id)
    if not found:
        raise NotFound(
            f"there is no import {import_id!r} to undo; `flask bars imports` lists those of"
            f" the last {UNDO_DAYS} days"
        )
    first = min(part["at"] for part in found)
    if now - first > timedelta(days=UNDO_DAYS):
        raise Conflict(
            f"the import {import_id!r} is of {first:%Y-%m-%d}: after {UNDO_DAYS} days what it"
            " brought is forgotten, part by part, and none can be undone as a whole; delete its"
            " bars (`flask bars delete`), or import the right ones over them",
            reason="too_old",
        )
    touched: set[tuple[str, str]] = set()
    for part in found:
        # Changes by other files of the same import are no obstacle: they are undone first.
        own = [
            other["revision"]
            for other in found
            if (other["ticker"], other["interval"]) == (part["ticker"], part["interval"])
        ]
        series, _ = in_transaction(database, partial(_check, database, part, own))
        touched.add((series["market"], series["interval"]))
    undone = [in_transaction(database, partial(_undo, database, part, now, by)) for part in found]
    for market, interval in touched:
        forget_beyond(database, market, interval)
    return undone


def _undo(
    database: Db, part: BarImportDocument, now: datetime, by: str, session: ClientSession
) -> Undone:
    ticker, interval = part["ticker"], part["interval"]
    series, changes = _check(database, part, [], session)
    columns = _read(database, series, session)
    gone = np.isin(columns["times"], unpack_times(part["times"]))
    taken = columns["times"][gone]
    kept = {name: values[~gone] for name, values in columns.items()}
    restored = _restore(kept, changes)
    days = {day_of(c["session"]): _read_factor(c) for c in changes if c["kind"] == "split"}
    splits, _ = merge_splits(series["splits"], days)
    touched = [moment(t) for t in columns["times"][gone][:1]] + [
        change["first"] for change in changes
    ]
    if touched:
        removal = build_removal(series, "undone", min(touched), int(gone.sum()), now)
        _write(database, series, kept, splits, removal, session)
        mark_bars_gone(
            database,
            ticker,
            interval,
            now,
            session,
            times=[moment(t) for t in columns["times"][gone]],
        )
    if left := len(kept["times"]):
        forget_metrics(
            database,
            ticker,
            interval,
            series["market"],
            session,
            are_gone=lambda times: np.isin([int(t.timestamp()) for t in times], taken).tolist(),
        )
    bar_imports.forget_imports(database, ticker, interval, session, part["import_id"])
    if part["revised"]:
        mark_undone(database, ticker, interval, part["revision"], session)
    undone = Undone(ticker, interval, int(gone.sum()), restored, left)
    told = {"undone": part["import_id"], "removed": undone.removed, "restored": restored}
    note_bars(database, "change", series, told, by=by, at=now, session=session)
    return undone


def _read_factor(change: RevisionDocument) -> float:
    return float(cast("float", change["old"]))


def _check(
    database: Db, part: BarImportDocument, own_revisions: Sequence[int], session: ClientSession
) -> tuple[SeriesDocument, list[RevisionDocument]]:
    """Return the series of a part of an import, and the changes that the part made.

    Raises NotFound where the series is gone, and Conflict where a later change prevents that the
    part is undone.
    """
    ticker, interval = part["ticker"], part["interval"]
    series = find_one_series(database, ticker, interval, session)
    if series is None:
        raise NotFound(f"{ticker} has no {interval} bars any more")
    changes = (
        find_revision(database, ticker, interval, part["revision"], session)
        if part["revised"]
        else []
    )
    if any(change["kind"] == "replaced" for change in changes):
        raise Conflict(
            f"the synthetic {interval} bars of {ticker} that this import replaced are gone: delete"
            " its bars"
        )
    brought = unpack_times(part["times"])
    changed = [change["first"] for change in changes if change["kind"] == "changed"]
    told = [change["session"] for change in changes if change["kind"] == "split"]
    found = find_touching(database, ticker, interval, part["revision"], session)
    later = [
        one
        for one in found
        if one["revision"] not in own_revisions
        and (
            one["session"] in told
            if one["kind"] == "split"
            else one["first"] in changed or bool(np.isin(int(one["first"].timestamp()), brought))
        )
    ]
    if later:
        revisions = [one["revision"] for one in later]
        ids = bar_imports.find_revisers(database, ticker, interval, revisions, session)
        advice = f"undo {', '.join(ids)} first" if ids else "it cannot be undone any more"
        raise Conflict(
            f"{later[-1]['source']} has changed {interval} bars or splits of {ticker} that this"
            f" import brought, and nothing was undone; {advice}",
            reason="changed_since",
        )
    return series, changes


def _read(database: Db, series: SeriesDocument, session: ClientSession) -> Columns:
    query = {"ticker": series["ticker"], "interval": series["interval"]}
    return join_buckets(bars_in(database).find(query, session=session).sort("span", 1))


def _restore(columns: Columns, changes: list[RevisionDocument]) -> int:
    """Put the old values of changed bars back; return how many bars they were."""
    restored = 0
    for change in changes:
        if change["kind"] == "changed":
            row = int(np.searchsorted(columns["times"], int(change["first"].timestamp())))
            old = cast("BarValues", change["old"])
            for name in VALUES:
                columns[name][row] = old[name]
            restored += 1
    return restored


def _write(
    database: Db,
    series: SeriesDocument,
    columns: Columns,
    splits: list[SplitFields],
    removal: RevisionDocument,
    session: ClientSession,
) -> None:
    """Store the bars that are left, and move the watermark back so that detection scores again what
    the removal touched.
    """
    ticker, interval, now = series["ticker"], series["interval"], removal["at"]
    if not len(columns["times"]):
        drop_series(database, series, session)
        forget_gaps(database, ticker, interval, session)
        add_revisions(database, [removal], session)
        return
    buckets = [
        build_bucket(ticker, interval, span, values, now)
        for span, values in split_spans(columns, interval)
    ]
    left = {bucket["span"]: bucket for bucket in buckets}
    writes: list[ReplaceOne[BucketDocument] | DeleteOne] = [
        ReplaceOne({"_id": bucket["_id"]}, bucket)
        for span, bucket in left.items()
        if series["digests"][span] != bucket["sha256"]
    ]
    writes += [
        DeleteOne({"_id": build_bucket_id(ticker, interval, span)})
        for span in series["counts"].keys() - left.keys()
    ]
    if writes:
        bars_in(database).bulk_write(writes, ordered=False, session=session)
    market = load_markets(database).choose(series["market"])
    digests = {span: bucket["sha256"] for span, bucket in left.items()}
    fingerprint = fingerprint_series(digests, splits)
    figures = {span: measure_figures(values) for span, values in split_spans(columns, interval)}
    changed: SeriesDocument = {
        **series,
        "counts": {span: bucket["count"] for span, bucket in left.items()},
        "digests": digests,
        "figures": figures,
        "oddities": sum_up(figures, fingerprint),
        "bars": len(columns["times"]),
        "first_bar": moment(columns["times"][0]),
        "last_bar": moment(columns["times"][-1]),
        "splits": splits,
        "fingerprint": fingerprint,
        "revision": removal["revision"],
        "updated_at": now,
    }
    changed["coverage"] = measure_anew(
        database,
        changed,
        find_sessions(database, market),
        columns["times"],
        now,
        session,
    )
    replace_series(database, changed, session)
    add_revisions(database, [removal], session)
    move_watermark_back(database, ticker, interval, changed["last_bar"], session)
