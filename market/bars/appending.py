"""Appending bars to many series at once: what comes behind the last bar of each, as a feed brings
it, in a few commands for all of them. What is stored is what `writing.py` would store.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from market.bars.buckets import (
    MOST_BUCKET_BARS,
    Columns,
    build_bucket,
    read_column,
    read_columns,
    split_spans,
)
from market.bars.changes import moment
from market.bars.coverage import find_session_start
from market.bars.figures import measure_figures
from market.bars.ledger import Later, count_no_trade, measure_later, plan_later
from market.bars.spans import build_bucket_id, name_span
from market.bars.writing import Arrival, Written, close_series, unmark_returned
from records.database import Db
from records.findings.anomalies import find_tickers_with_bars_gone
from records.market.documents import BucketDocument, GapDocument, SeriesDocument, bars_in
from records.market.gaps import GapWrite, find_reaching, write_gaps
from records.market.rejected import add_rejected
from records.market.series import find_series, replace_all_series

# Buckets are read and written whole: of 48 bytes a bar, some 50 MB of all together.
MOST_BARS_AT_ONCE = 1_000_000


@dataclass(slots=True)
class Append:
    """An arrival that only follows its series' last bar.

    Attributes:
        last_bar: the series' last one before.
        start: from when on the bars of that one's session start, UTC seconds.
        came: what comes, by span.
        held_spans: the spans that are stored of which bars are needed.
        later: what follows the last bar, for the ledger of gaps; None: nothing that it knows.
    """

    arrival: Arrival
    series: SeriesDocument
    last_bar: datetime
    start: int
    came: list[tuple[str, Columns]]
    held_spans: list[str]
    later: Later | None = field(default=None)

    @property
    def bars(self) -> int:
        """How many bars are read and written for it."""
        held = sum(self.series["counts"][span] for span in self.held_spans)
        return held + len(self.arrival.columns["times"])


def split_appends(
    database: Db, arrivals: Sequence[Arrival], session: ClientSession
) -> tuple[list[Append], list[Arrival], int]:
    """Return the arrivals that can be appended, each with its series, and the others: new series,
    splits, and what changes or lies before a bar that is stored; and how many bars are read and
    written for all of them.
    """
    known = {
        (one["ticker"], interval): one
        for interval in {arrival.interval for arrival in arrivals}
        for one in find_series(
            database,
            tickers=[arrival.ticker for arrival in arrivals if arrival.interval == interval],
            interval=interval,
            session=session,
        )
    }
    appends: list[Append] = []
    others: list[Arrival] = []
    bars = 0
    for arrival in arrivals:
        series = known.get((arrival.ticker, arrival.interval))
        append = None if series is None else _build(arrival, series)
        if append is None:
            others.append(arrival)
            bars += _count_between(arrival, series)
        else:
            appends.append(append)
            bars += append.bars
    return appends, others, bars


def _count_between(arrival: Arrival, series: SeriesDocument | None) -> int:
    """Return how many bars come, with those that are stored of the spans they fall between."""
    times = arrival.columns["times"]
    if series is None or not len(times):
        return len(times)
    first, last = (name_span(int(times[row]), arrival.interval) for row in (0, -1))
    held = sum(count for span, count in series["counts"].items() if first <= span <= last)
    return held + len(times)


def _build(arrival: Arrival, series: SeriesDocument) -> Append | None:
    """Return an arrival as one that can be appended; None where it cannot."""
    times, last_bar = arrival.columns["times"], series["last_bar"]
    follows = (
        len(times) > 0
        and not arrival.splits
        and arrival.import_id is None
        and not arrival.synthetic
        and not series["synthetic"]
        and series["market"] == arrival.market.code
        and "coverage" in series
        and "figures" in series
        and int(times[0]) > last_bar.timestamp()
    )
    if not follows:
        return None
    came = list(split_spans(arrival.columns, arrival.interval))
    held = series["counts"]
    if any(held.get(span, 0) + len(c["times"]) > MOST_BUCKET_BARS for span, c in came):
        return None
    start = find_session_start(int(last_bar.timestamp()), arrival.interval, arrival.known)
    since = name_span(start, arrival.interval)
    needed = sorted(span for span in held if span >= since)
    return Append(arrival, series, last_bar, start, came, needed)


def write_appends(
    database: Db, appends: Sequence[Append], session: ClientSession
) -> list[tuple[Arrival, Written]]:
    """Write them inside a transaction, and return what became of each."""
    if not appends:
        return []
    add_rejected(database, [row for one in appends for row in one.arrival.rejected], session)
    measured: dict[tuple[object, ...], Later | None] = {}
    for part in _split(appends):
        _write_bars(database, part, measured, session)
    _write_ledger(database, appends, session)
    replace_all_series(database, [one.series for one in appends], session)
    _unmark(database, appends, session)
    return [
        (one.arrival, Written(len(one.arrival.columns["times"]), revision=one.series["revision"]))
        for one in appends
    ]


def _split(appends: Sequence[Append]) -> Iterator[list[Append]]:
    """Yield them a few at a time where their buckets are large."""
    part: list[Append] = []
    bars = 0
    for one in appends:
        if part and bars + one.bars > MOST_BARS_AT_ONCE:
            yield part
            part, bars = [], 0
        part.append(one)
        bars += one.bars
    yield part


def _write_bars(
    database: Db,
    appends: Sequence[Append],
    measured: dict[tuple[object, ...], Later | None],
    session: ClientSession,
) -> None:
    """Write the buckets that bars come of, and bring the series in step with them."""
    ids = [
        build_bucket_id(one.arrival.ticker, one.arrival.interval, span)
        for one in appends
        for span in one.held_spans
    ]
    stored = {
        bucket["_id"]: bucket
        for bucket in bars_in(database).find({"_id": {"$in": ids}}, session=session)
    }
    writes: list[ReplaceOne[BucketDocument]] = []
    for one in appends:
        arrival, series = one.arrival, one.series
        own = [
            stored[build_bucket_id(arrival.ticker, arrival.interval, span)]
            for span in one.held_spans
        ]
        for span, came in one.came:
            before = next((bucket for bucket in own if bucket["span"] == span), None)
            columns = came if before is None else _join(before, came)
            bucket = build_bucket(arrival.ticker, arrival.interval, span, columns, arrival.now)
            writes.append(ReplaceOne({"_id": bucket["_id"]}, bucket, upsert=True))
            series["counts"][span] = bucket["count"]
            series["digests"][span] = bucket["sha256"]
            series["figures"][span] = measure_figures(columns)
        series["last_bar"] = moment(arrival.columns["times"][-1])
        close_series(series, series["splits"], arrival)
        one.later = _measure(one, own, measured)
    bars_in(database).bulk_write(writes, ordered=False, session=session)


def _join(before: BucketDocument, came: Columns) -> Columns:
    held = read_columns(before)
    return {name: np.concatenate((column, came[name])) for name, column in held.items()}


def _measure(
    one: Append,
    stored: Iterable[BucketDocument],
    measured: dict[tuple[object, ...], Later | None],
) -> Later | None:
    """Return what follows a series' last bar; most series of a market have bars of the same times,
    of which that is the same.
    """
    arrival = one.arrival
    held = [read_column(bucket, "times") for bucket in stored]
    times = np.concatenate((*held, arrival.columns["times"])).astype(np.int64)
    times = times[np.searchsorted(times, one.start) :]
    first = int(one.series["first_bar"].timestamp())
    # Where the session of the last bar began does not matter what is further back.
    place = (arrival.market.code, arrival.interval, one.last_bar, max(first, one.start))
    key = (*place, times.tobytes())
    if key not in measured:
        measured[key] = measure_later(
            times,
            arrival.interval,
            arrival.known,
            first=first,
            last=int(times[-1]),
            since=int(one.last_bar.timestamp()),
        )
    return measured[key]


def _write_ledger(database: Db, appends: Sequence[Append], session: ClientSession) -> None:
    """Write what changes in the gaps of the series, and note their coverage."""
    reaching = _find_reaching(database, appends, session)
    writes: list[GapWrite] = []
    for one in appends:
        series = one.series
        if one.later is not None:
            own = reaching.get((series["ticker"], series["interval"]), [])
            since = one.later.reaching_since
            counts, planned = plan_later(
                series, one.later, [gap for gap in own if gap["last"] >= since], one.arrival.now
            )
            writes += planned
            series["coverage"] = {**counts, "no_trade": 0}
        series["coverage"] = {**series["coverage"], "no_trade": count_no_trade(series)}
    write_gaps(database, writes, session)


def _find_reaching(
    database: Db, appends: Sequence[Append], session: ClientSession
) -> dict[tuple[str, str], list[GapDocument]]:
    """Return the gaps of the series that may change, and some more."""
    since: dict[str, datetime] = {}
    for one in appends:
        if one.later is not None:
            interval, at = one.series["interval"], one.later.reaching_since
            since[interval] = min(at, since.get(interval, at))
    found: dict[tuple[str, str], list[GapDocument]] = {}
    for interval, at in since.items():
        tickers = [one.series["ticker"] for one in appends if one.series["interval"] == interval]
        for gap in find_reaching(database, tickers, interval, at, session):
            found.setdefault((gap["ticker"], interval), []).append(gap)
    return found


def _unmark(database: Db, appends: Sequence[Append], session: ClientSession) -> None:
    """Forget of anomalies whose bars came again that these are gone."""
    arrivals = [one.arrival for one in appends]
    first = min(moment(arrival.columns["times"][0]) for arrival in arrivals)
    gone = find_tickers_with_bars_gone(database, [a.ticker for a in arrivals], first, session)
    for arrival in arrivals:
        if arrival.ticker in gone:
            times = arrival.columns["times"]
            unmark_returned(database, arrival.ticker, arrival.interval, times, session)
