"""What one transaction writes where bars or splits come in for a series."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from core.arrays import Int64
from core.errors import SeriesError
from market.bars import changes
from market.bars.buckets import (
    Columns,
    build_bucket,
    empty_columns,
    join_buckets,
    pack_times,
    split_spans,
)
from market.bars.figures import measure_figures
from market.bars.fingerprint import fingerprint_series
from market.bars.ledger import count_no_trade, keep_in_step
from market.bars.merging import Merge, merge_bars
from market.bars.readjustment import recognise
from market.bars.spans import build_bucket_id, name_span
from market.bars.splits import merge_splits
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import Market
from market.sessions.calendar import Sessions, local_days
from market.spellings import list_alike
from records.analytics.overview import forget_metrics
from records.database import Db
from records.findings.anomalies import find_bars_gone, mark_bars_gone, unmark_bars_gone
from records.findings.watermarks import move_watermark_back
from records.market.bar_imports import add_import, forget_imports
from records.market.documents import (
    BarImportDocument,
    ChangeFields,
    RejectedDocument,
    RevisionDocument,
    SeriesDocument,
    SplitFields,
    bars_in,
)
from records.market.rejected import add_rejected
from records.market.revisions import add_revisions, find_last_revision
from records.market.series import build_series_id, find_ends, find_one_series, replace_series


@dataclass(frozen=True, slots=True)
class Arrival:
    """What comes in for one series: bars ascending by time, split factors by session day,
    rejected rows.

    `known` are the sessions of its market; `import_id` names the import to take back, where it is
    one.
    """

    ticker: str
    market: Market
    interval: str
    source: str
    now: datetime
    known: Sessions
    columns: Columns = field(default_factory=empty_columns)
    splits: Mapping[int, float] = field(default_factory=dict)
    rejected: Sequence[RejectedDocument] = ()
    synthetic: bool = False
    import_id: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an arrival, and the series' revision afterwards (None
    where there is no such series).

    `replaced` is how many synthetic bars gave way to real ones.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    splits: int = 0
    revision: int | None = None
    replaced: int = 0
    notes: Sequence[str] = ()


def write_in(database: Db, arrival: Arrival, session: ClientSession) -> Written:
    """Merge bars and splits into their series, inside a transaction. Raises SeriesError."""
    add_rejected(database, arrival.rejected, session)
    series, revisions = _open_series(database, arrival, session)
    if not series["bars"] and not len(arrival.columns["times"]):
        return Written()
    stored = _read_stored(database, series, arrival.columns, session)
    merge = merge_bars(stored, arrival.columns)
    alike = [] if series["bars"] else _tell_alike(database, arrival)
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
    replaced = sum(document["bars"] for document in revisions)
    if new or changed or changed_days or replaced:
        last_bar = series["last_bar"]
        revisions += _list_changes(arrival, series, stored, merge, splits, changed_days)
        _write_buckets(database, series, merge.columns, arrival.now, session)
        close_series(series, splits, arrival)
        came = arrival.columns["times"][merge.new]
        if new:
            follows = last_bar is not None and came[0] > last_bar.timestamp()
            series["coverage"] = keep_in_step(
                database,
                series,
                arrival.known,
                merge.columns["times"],
                last_bar=last_bar if follows else None,
                now=arrival.now,
                session=session,
            )
        elif changed and "coverage" in series:
            series["coverage"] = {**series["coverage"], "no_trade": count_no_trade(series)}
        series["revision"] += bool(revisions)
        replace_series(database, series, session)
        add_revisions(database, _number(revisions, series, arrival), session)
        if new:
            unmark_returned(database, arrival.ticker, arrival.interval, came, session)
        if replaced:
            # What was made up may have gone on for longer.
            move_watermark_back(
                database, arrival.ticker, arrival.interval, series["last_bar"], session
            )
        if arrival.import_id is not None:
            add_import(
                database, _describe_import(arrival, series, merge, revised=bool(revisions)), session
            )
    unchanged = len(arrival.columns["times"]) - new - changed
    return Written(
        new,
        changed,
        unchanged,
        len(changed_days),
        series["revision"],
        replaced,
        (*found.notes, *alike),
    )


def _list_changes(
    arrival: Arrival,
    series: SeriesDocument,
    stored: Columns,
    merge: Merge,
    splits: list[SplitFields],
    changed_days: list[int],
) -> list[ChangeFields]:
    """Return what is revised of a series as it was: bars, bars that came late, and splits."""
    found = [*changes.list_changed(stored, arrival.columns, merge)]
    if series["first_bar"] is not None:
        found += changes.list_late(arrival.columns, merge, series["last_bar"])
        found += changes.list_split(changed_days, series["splits"], splits, series["first_bar"])
    return found


def unmark_returned(
    database: Db, ticker: str, interval: str, came: Int64, session: ClientSession
) -> None:
    """Forget of anomalies that their bars are gone, where these came again; `came` ascends."""
    first, last = (changes.moment(came[row]) for row in (0, -1))
    gone = find_bars_gone(database, ticker, interval, first, last, session)
    if gone:
        unmark_bars_gone(database, gone, set(came.tolist()), session)


def _find_days(arrival: Arrival) -> Int64:
    """Return the session of each bar that comes, in days since 1970."""
    times: Int64 = arrival.columns["times"]
    if is_intraday(arrival.interval):
        return local_days(times, arrival.market.zone)
    return times // DAY_SECONDS


def _tell_alike(database: Db, arrival: Arrival) -> list[str]:
    """Return what to say of a new series where one is stored already whose name differs in its
    marks alone: BRK.B beside BRK-B.
    """
    ends = find_ends(database, list_alike(arrival.ticker), arrival.interval)
    named = [end["_id"].partition("::")[0] for end in ends if end["market"] == arrival.market.code]
    return [
        f"{other} is stored too, and spelled alike: where both are one ticker, delete these bars"
        f" and import them as {other}"
        for other in sorted(named)
    ]


def _open_series(
    database: Db, arrival: Arrival, session: ClientSession
) -> tuple[SeriesDocument, list[ChangeFields]]:
    """Return the series to merge into, an empty one where there is none,
    and what making room for it changed.
    """
    series = find_one_series(database, arrival.ticker, arrival.interval, session)
    if series is not None and series["market"] != arrival.market.code:
        raise SeriesError(
            f"{arrival.ticker} has {arrival.interval} bars of market {series['market']}, and these"
            f" are of {arrival.market.code}: delete them first (`flask bars delete"
            f" {arrival.ticker}`), or name it otherwise"
        )
    if series is not None and series["synthetic"] == arrival.synthetic:
        return series, []
    if series is not None and arrival.synthetic:
        raise SeriesError(
            f"{arrival.ticker} has real {arrival.interval} bars: synthetic ones are not mixed with"
            " them"
        )
    empty: SeriesDocument = {
        "_id": build_series_id(arrival.ticker, arrival.interval),
        "ticker": arrival.ticker,
        "interval": arrival.interval,
        "market": arrival.market.code,
        "timezone": arrival.market.timezone,
        # Its first bars give it these, a few lines on.
        "first_bar": None,  # type: ignore[typeddict-item]
        "last_bar": None,  # type: ignore[typeddict-item]
        "bars": 0,
        "counts": {},
        "digests": {},
        "figures": {},
        "splits": [],
        "revision": find_last_revision(database, arrival.ticker, arrival.interval, session),
        "synthetic": arrival.synthetic,
        "fingerprint": "",
        "source": arrival.source,
        "updated_at": arrival.now,
    }
    if series is None or not len(arrival.columns["times"]):
        return series or empty, []
    bars_in(database).delete_many(
        {"ticker": arrival.ticker, "interval": arrival.interval}, session=session
    )
    mark_bars_gone(database, arrival.ticker, arrival.interval, arrival.now, session)
    forget_metrics(database, arrival.ticker, arrival.interval, series["market"], session)
    # Taking one of these back would take the real bars of the same times.
    forget_imports(database, arrival.ticker, arrival.interval, session)
    replaced: ChangeFields = {
        "kind": "replaced",
        "first": min(series["first_bar"], changes.moment(arrival.columns["times"][0])),
        "last": series["last_bar"],
        "bars": series["bars"],
    }
    empty["revision"] = series["revision"]
    return empty, [replaced]


def _read_stored(
    database: Db, series: SeriesDocument, incoming: Columns, session: ClientSession
) -> Columns:
    """Return the stored bars of the spans that the incoming ones fall into."""
    if not len(incoming["times"]):
        return empty_columns()
    ticker, interval = series["ticker"], series["interval"]
    first, last = (name_span(int(incoming["times"][row]), interval) for row in (0, -1))
    spans = [span for span in sorted(series["counts"]) if first <= span <= last]
    ids = [build_bucket_id(ticker, interval, span) for span in spans]
    buckets = (
        list(bars_in(database).find({"_id": {"$in": ids}}, session=session).sort("span", 1))
        if ids
        else []
    )
    return join_buckets(buckets)


def _write_buckets(
    database: Db, series: SeriesDocument, columns: Columns, now: datetime, session: ClientSession
) -> None:
    """Store the buckets that differ from what is stored,
    and note their counts and digests in the series.
    """
    writes = []
    figures = series.setdefault("figures", {})
    for span, values in split_spans(columns, series["interval"]):
        bucket = build_bucket(series["ticker"], series["interval"], span, values, now)
        if series["digests"].get(span) != bucket["sha256"]:
            writes.append(ReplaceOne({"_id": bucket["_id"]}, bucket, upsert=True))
            series["counts"][span] = bucket["count"]
            series["digests"][span] = bucket["sha256"]
            figures[span] = measure_figures(values)
    if writes:
        bars_in(database).bulk_write(writes, ordered=False, session=session)
        ends = [changes.moment(columns["times"][position]) for position in (0, -1)]
        series["first_bar"] = min(ends[0], series["first_bar"] or ends[0])
        series["last_bar"] = max(ends[1], series["last_bar"] or ends[1])


def close_series(series: SeriesDocument, splits: list[SplitFields], arrival: Arrival) -> None:
    """Bring the document of a series in step with its buckets and splits."""
    series["counts"] = dict(sorted(series["counts"].items()))
    series["bars"] = sum(series["counts"].values())
    series["splits"] = splits
    series["fingerprint"] = fingerprint_series(series["digests"], splits)
    series["source"] = arrival.source
    series["updated_at"] = arrival.now


def _describe_import(
    arrival: Arrival, series: SeriesDocument, merge: Merge, *, revised: bool
) -> BarImportDocument:
    """Return what an import brought of a series, as is needed to take it back."""
    return {
        "_id": f"{arrival.import_id}::{series['_id']}::{uuid4().hex[:8]}",
        "import_id": str(arrival.import_id),
        "ticker": arrival.ticker,
        "interval": arrival.interval,
        "source": arrival.source,
        "at": arrival.now,
        "new": int(merge.new.sum()),
        "changed": int(merge.changed.sum()),
        "times": pack_times(arrival.columns["times"][merge.new]),
        "revision": series["revision"],
        "revised": revised,
    }


def _number(
    revisions: Iterable[ChangeFields], series: SeriesDocument, arrival: Arrival
) -> list[RevisionDocument]:
    """Complete revision documents with the series,
    its new revision number and where the change came from.
    """
    return [
        {
            "_id": f"{series['_id']}::{series['revision']}::{position}",
            "ticker": series["ticker"],
            "interval": series["interval"],
            "revision": series["revision"],
            "source": arrival.source,
            "at": arrival.now,
            **change,
        }
        for position, change in enumerate(revisions)
    ]
