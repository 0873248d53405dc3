"""Writes incoming bars and splits of many series in one transaction.

The number of commands to MongoDB does not grow with the number of series.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

import numpy as np
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from core.arrays import Int64
from core.errors import SeriesError, TapewatchError, TooMuchAtOnce
from market.bars import changes
from market.bars.buckets import (
    Columns,
    build_bucket,
    join_buckets,
    pack_times,
    split_spans,
)
from market.bars.coverage import Held, measure_held
from market.bars.figures import measure_figures
from market.bars.fingerprint import fingerprint_series
from market.bars.ledger import (
    Later,
    count_no_trade,
    measure_later,
    plan_anew,
    plan_later,
    read_times,
)
from market.bars.merging import Merge, merge_bars
from market.bars.oddities import sum_up
from market.bars.opening import Arrival, Opened, open_all
from market.bars.overlaps import check_stored
from market.bars.readjustment import Readjustment, recognise
from market.bars.spans import build_bucket_id
from market.bars.splits import merge_splits
from market.intervals import DAY_SECONDS, is_intraday
from market.sessions.calendar import local_days
from records.analytics.overview import forget_metrics
from records.database import Db
from records.findings.anomalies import (
    find_bars_gone,
    find_tickers_with_bars_gone,
    mark_bars_gone,
    unmark_bars_gone,
)
from records.findings.watermarks import move_watermark_back
from records.market.bar_imports import add_imports, forget_imports
from records.market.documents import (
    BarImportDocument,
    BucketDocument,
    ChangeFields,
    GapDocument,
    RevisionDocument,
    SeriesDocument,
    SplitFields,
    bars_in,
)
from records.market.gaps import GapWrite, find_reaching, write_gaps
from records.market.rejected import add_rejected
from records.market.revisions import add_revisions
from records.market.series import build_series_id, replace_all_series


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing an arrival.

    Attributes:
        new, changed, unchanged: how many of its bars were new, changed a stored bar, or equalled
            it.
        splits: how many splits were added, changed or removed.
        revision: the series' revision afterwards; None where there is no such series.
        replaced: how many synthetic bars were replaced by real ones.
        notes: messages for the user.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    splits: int = 0
    revision: int | None = None
    replaced: int = 0
    notes: Sequence[str] = ()


@dataclass(slots=True)
class _Measured:
    """A cache of measured sessions: most series of a market have bars of the same times, and so the
    same measurements.
    """

    held: dict[tuple[object, ...], Held] = field(default_factory=dict)
    later: dict[tuple[object, ...], Later | None] = field(default_factory=dict)


def write_in(database: Db, arrival: Arrival, session: ClientSession) -> Written:
    """Merge the bars and splits of one arrival into its series, inside a transaction.

    Raises SeriesError, and BadInput where the bars are more than can be stored.
    """
    (outcome,) = write_all(database, [arrival], session)
    if isinstance(outcome, TapewatchError):
        raise outcome
    return outcome


def write_all(
    database: Db,
    arrivals: Sequence[Arrival],
    session: ClientSession,
    *,
    most_bars: int | None = None,
) -> list[Written | TapewatchError]:
    """Merge arrivals into their series, inside a transaction; no two arrivals may be of the same
    series.

    Returns, in order, the result of each arrival, or the error for which nothing of it was written.
    Raises TooMuchAtOnce where more than `most_bars` bars would be read and written.
    """
    opened = open_all(database, arrivals, session)
    sound = [one for one in opened if isinstance(one, Opened)]
    bars = sum(one.bars for one in sound)
    if most_bars is not None and bars > most_bars:
        raise TooMuchAtOnce(f"{bars:,} bars would be read and written at once")
    outcomes = _write_bars(database, sound, session)
    written = [one for one in sound if isinstance(outcomes[one.series["_id"]], Written)]
    add_rejected(database, [row for one in written for row in one.arrival.rejected], session)
    _write_series(database, [one for one in written if one.has_changed], session)
    return [outcomes[one.series["_id"]] if isinstance(one, Opened) else one for one in opened]


def _write_bars(
    database: Db, opened: Sequence[Opened], session: ClientSession
) -> dict[str, Written | TapewatchError]:
    """Write the changed buckets of some arrivals, and update their series' documents in memory;
    return by series id the result of each arrival, or its error.
    """
    ids = [
        build_bucket_id(one.arrival.ticker, one.arrival.interval, span)
        for one in opened
        for span in one.spans
    ]
    stored: dict[str, BucketDocument] = {}
    if ids:
        found = bars_in(database).find({"_id": {"$in": ids}}, session=session)
        stored = {bucket["_id"]: bucket for bucket in found}
    outcomes: dict[str, Written | TapewatchError] = {}
    writes: list[ReplaceOne[BucketDocument]] = []
    came: list[tuple[Opened, Int64]] = []
    for one in opened:
        try:
            outcomes[one.series["_id"]], buckets, times = _merge(one, _join(one, stored))
        except TapewatchError as error:
            outcomes[one.series["_id"]] = error
            continue
        if one.replaced is not None:
            _clear(database, one.arrival, one.replaced, session)
        writes += [ReplaceOne({"_id": bucket["_id"]}, bucket, upsert=True) for bucket in buckets]
        if len(one.came):
            came.append((one, times))
    if writes:
        bars_in(database).bulk_write(writes, ordered=False, session=session)
    measured = _Measured()
    for one, times in came:
        _measure(database, one, times, measured, session)
    return outcomes


def _join(one: Opened, stored: Mapping[str, BucketDocument]) -> Columns:
    """Return the stored bars of an arrival's spans. Raises SeriesError where a bucket is
    missing.
    """
    ticker, interval = one.arrival.ticker, one.arrival.interval
    found = {span: stored.get(build_bucket_id(ticker, interval, span)) for span in one.spans}
    if gone := [span for span, bucket in found.items() if bucket is None]:
        raise SeriesError(
            f"its stored {interval} bars of {gone[0]} are gone from the database, and nothing is"
            " stored beside them: `flask db check` says what else is; delete the series"
            f" (`flask bars delete {ticker}`) and import it again"
        )
    return join_buckets(bucket for bucket in found.values() if bucket is not None)


def _merge(one: Opened, stored: Columns) -> tuple[Written, list[BucketDocument], Int64]:
    """Merge an arrival into its series; `stored` are the series' bars of the arrival's spans.

    Returns:
        The result, the buckets to write, and the times of all bars of these spans.

    Raises SeriesError, and BadInput where a bucket cannot hold the bars; after either, the series'
    document must not be written.
    """
    arrival, series = one.arrival, one.series
    if not series["bars"] and not len(arrival.columns["times"]):
        return Written(), [], arrival.columns["times"]
    merge = merge_bars(stored, arrival.columns)
    times, came = merge.columns["times"], arrival.columns["times"][merge.new]
    if note := check_stored(times, came, arrival.interval, arrival.market.zone, arrival.known):
        one.notes.append(note)
    found = Readjustment()
    if merge.changed.any():
        found = recognise(
            stored,
            arrival.columns,
            merge,
            splits=series["splits"],
            given=arrival.splits,
            first_bar=series["first_bar"],
            days=_find_days(arrival),
        )
    splits, changed_days = merge_splits(series["splits"], {**found.taken_back, **arrival.splits})
    new, changed = int(merge.new.sum()), int(merge.changed.sum())
    buckets: list[BucketDocument] = []
    if new or changed or changed_days or one.replaced is not None:
        one.revisions += _list_changes(one, stored, merge, splits, changed_days)
        buckets = _build_buckets(one, merge)
        if buckets:
            ends = [changes.moment(times[position]) for position in (0, -1)]
            series["first_bar"] = min(ends[0], series["first_bar"] or ends[0])
            series["last_bar"] = max(ends[1], series["last_bar"] or ends[1])
        _close(series, splits, arrival)
        one.came = came
        one.has_changed = True
        series["revision"] += bool(one.revisions)
    written = Written(
        new,
        changed,
        len(arrival.columns["times"]) - new - changed,
        len(changed_days),
        series["revision"],
        one.replaced["bars"] if one.replaced is not None else 0,
        (*found.notes, *one.notes),
    )
    return written, buckets, times


def _list_changes(
    one: Opened,
    stored: Columns,
    merge: Merge,
    splits: list[SplitFields],
    changed_days: list[int],
) -> Iterator[ChangeFields]:
    """Yield the changes at or before a series' last bar until now: changed bars, late bars and
    changed splits.
    """
    series, columns = one.series, one.arrival.columns
    yield from changes.list_changed(stored, columns, merge)
    if one.last_bar is not None:
        yield from changes.list_late(columns, merge, one.last_bar)
        yield from changes.list_split(changed_days, series["splits"], splits, series["first_bar"])


def _find_days(arrival: Arrival) -> Int64:
    """Return the session of each bar of an arrival, in days since 1970."""
    times: Int64 = arrival.columns["times"]
    if is_intraday(arrival.interval):
        return local_days(times, arrival.market.zone)
    return times // DAY_SECONDS


def _build_buckets(one: Opened, merge: Merge) -> list[BucketDocument]:
    """Return the buckets that differ from the stored ones, and put their counts, digests and
    figures into the series' document.
    """
    arrival, series = one.arrival, one.series
    figures = series.setdefault("figures", {})
    buckets = []
    for span, values in split_spans(merge.columns, arrival.interval):
        bucket = build_bucket(arrival.ticker, arrival.interval, span, values, arrival.now)
        if series["digests"].get(span) != bucket["sha256"]:
            buckets.append(bucket)
            series["counts"][span] = bucket["count"]
            series["digests"][span] = bucket["sha256"]
            figures[span] = measure_figures(values)
    return buckets


def _close(series: SeriesDocument, splits: list[SplitFields], arrival: Arrival) -> None:
    """Update the fields of a series' document that follow from its buckets and splits."""
    series["counts"] = dict(sorted(series["counts"].items()))
    series["bars"] = sum(series["counts"].values())
    series["splits"] = splits
    series["fingerprint"] = fingerprint_series(series["digests"], splits)
    series["oddities"] = sum_up(series.get("figures", {}), series["fingerprint"])
    series["source"] = arrival.source
    series["updated_at"] = arrival.now


def _clear(
    database: Db, arrival: Arrival, replaced: SeriesDocument, session: ClientSession
) -> None:
    """Remove a series' synthetic bars, and what rests on them, as real bars replace them."""
    ticker, interval = arrival.ticker, arrival.interval
    bars_in(database).delete_many({"ticker": ticker, "interval": interval}, session=session)
    mark_bars_gone(database, ticker, interval, arrival.now, session)
    forget_metrics(database, ticker, interval, replaced["market"], session)
    # Undoing an import of the synthetic bars would remove the real bars of the same times.
    forget_imports(database, ticker, interval, session)


def _measure(
    database: Db,
    one: Opened,
    times: Int64,
    measured: _Measured,
    session: ClientSession,
) -> None:
    """Measure the sessions of an arrival's series, and keep the result in `one.held` or
    `one.later`.

    `times` are the times of all bars of the arrival's spans.
    """
    arrival, series, interval = one.arrival, one.series, one.arrival.interval
    first, last = (int(series[end].timestamp()) for end in ("first_bar", "last_bar"))
    place = (arrival.market.code, interval, first, last)
    if one.last_bar is None or one.came[0] <= one.last_bar.timestamp() or "coverage" not in series:
        if len(times) < series["bars"]:
            times = read_times(database, series, session)
        key = (*place, _digest(times))
        if key not in measured.held:
            held = measure_held(times, interval, arrival.known, first=first, last=last)
            measured.held[key] = held
        one.held = measured.held[key]
        return
    times = times[np.searchsorted(times, one.since) :]
    since = int(one.last_bar.timestamp())
    # The measurement begins with the last bar's session, so a series' earlier bars do not matter.
    key = (*place[:2], since, max(first, one.since), _digest(times))
    if key not in measured.later:
        measured.later[key] = measure_later(
            times, interval, arrival.known, first=first, last=last, since=since
        )
    one.later = measured.later[key]


def _digest(times: Int64) -> bytes:
    """Return a hash of times for a cache key: the times of hundreds of long series fill memory."""
    return sha256(np.ascontiguousarray(times).data).digest()


def _write_series(database: Db, opened: Sequence[Opened], session: ClientSession) -> None:
    """Write what follows from written buckets: gaps, series, revisions and imports."""
    if not opened:
        return
    _write_ledger(database, opened, session)
    replace_all_series(database, [one.series for one in opened], session)
    revisions = [revision for one in opened for revision in _number(one)]
    add_revisions(database, revisions, session)
    _unmark(database, [one for one in opened if len(one.came)], session)
    for one in opened:
        if one.replaced is not None:
            # The synthetic bars may have ended later than the real ones do.
            ticker, interval = one.arrival.ticker, one.arrival.interval
            move_watermark_back(database, ticker, interval, one.series["last_bar"], session)
    imports = [_describe_import(one) for one in opened if one.arrival.import_id is not None]
    add_imports(database, imports, session)


def _write_ledger(database: Db, opened: Sequence[Opened], session: ClientSession) -> None:
    """Write the changed gaps of some series, and put their coverage into their documents."""
    reaching = _find_gaps(database, opened, session)
    writes: list[GapWrite] = []
    for one in opened:
        series, now = one.series, one.arrival.now
        own = reaching.get(series["_id"], [])
        if one.held is not None:
            counts, planned = plan_anew(series, one.held, own, now)
        elif one.later is not None:
            own = [gap for gap in own if gap["last"] >= one.later.reaching_since]
            counts, planned = plan_later(series, one.later, own, now)
        elif "coverage" in series:
            counts, planned = series["coverage"], []
        else:
            continue
        series["coverage"] = {**counts, "no_trade": count_no_trade(series)}
        writes += planned
    write_gaps(database, writes, session)


def _find_gaps(
    database: Db, opened: Sequence[Opened], session: ClientSession
) -> dict[str, list[GapDocument]]:
    """Return by series id all gaps that may change, and some more."""
    found: dict[str, list[GapDocument]] = {}
    for interval in {one.arrival.interval for one in opened}:
        own = [one for one in opened if one.arrival.interval == interval]
        anew = [one.arrival.ticker for one in own if one.held is not None]
        since = {one.arrival.ticker: one.later.reaching_since for one in own if one.later}
        gaps = find_reaching(database, anew, interval, None, session) if anew else []
        if since:
            gaps += find_reaching(database, [*since], interval, min(since.values()), session)
        for gap in gaps:
            found.setdefault(build_series_id(gap["ticker"], interval), []).append(gap)
    return found


def _number(one: Opened) -> Iterator[RevisionDocument]:
    """Yield the revision documents of an arrival's changes, with the series and its new revision
    number.
    """
    series, arrival = one.series, one.arrival
    for position, change in enumerate(one.revisions):
        yield {
            "_id": f"{series['_id']}::{series['revision']}::{position}",
            "ticker": series["ticker"],
            "interval": series["interval"],
            "revision": series["revision"],
            "source": arrival.source,
            "at": arrival.now,
            **change,
        }


def _unmark(database: Db, opened: Sequence[Opened], session: ClientSession) -> None:
    """Remove the mark "bars gone" from anomalies whose bars were stored again."""
    if not opened:
        return
    first = min(changes.moment(one.came[0]) for one in opened)
    tickers = [one.arrival.ticker for one in opened]
    gone = find_tickers_with_bars_gone(database, tickers, first, session)
    for one in opened:
        if one.arrival.ticker in gone:
            ticker, interval, came = one.arrival.ticker, one.arrival.interval, one.came
            start, end = (changes.moment(came[row]) for row in (0, -1))
            found = find_bars_gone(database, ticker, interval, start, end, session)
            if found:
                unmark_bars_gone(database, found, set(came.tolist()), session)


def _describe_import(one: Opened) -> BarImportDocument:
    """Return the record of an import of one series, by which it can be undone."""
    arrival, series = one.arrival, one.series
    changed = sum(change["kind"] == "changed" for change in one.revisions)
    return {
        "_id": f"{arrival.import_id}::{series['_id']}::{uuid4().hex[:8]}",
        "import_id": str(arrival.import_id),
        "ticker": arrival.ticker,
        "interval": arrival.interval,
        "source": arrival.source,
        "at": arrival.now,
        "new": len(one.came),
        "changed": changed,
        "times": pack_times(one.came),
        "revision": series["revision"],
        "revised": bool(one.revisions),
    }
