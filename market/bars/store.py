"""Reads stored bars: a panel of any number of series takes two queries."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Int64
from core.words import PRICES
from market.bars.buckets import VALUES, Columns
from market.bars.history import history_start
from market.bars.kernel import WORD, unpack_times, unpack_values, view_all
from market.bars.packing import BUCKET_FIELDS, get_packed
from market.bars.panel import BarPanel
from market.bars.spans import build_bucket_id, name_span
from market.bars.splits import list_adjustments
from market.intervals import DAY_SECONDS, INTERVALS, is_intraday
from market.sessions.calendar import local_seconds
from records.database import Db
from records.market.documents import PanelSeries, bars_in
from records.market.series import find_panel_series

# The first and the last wanted bar of a series, in UTC seconds; None for the first or last stored.
Wanted = tuple[int | None, int | None]
ALL_BARS: Wanted = (None, None)
# Takes the position of a bar in the stored series and the interval; returns the position of the
# first bar that is needed to compute the bar.
Reach = Callable[[int, str], int]
# Rows [start, stop).
Rows = tuple[int, int]


def load_panel(
    database: Db, interval: str, wanted: Mapping[str, Wanted], *, reach: Reach = history_start
) -> BarPanel:
    """Load series from the history of their first wanted bar to their last wanted bar, adjusted for
    known splits.

    Args:
        database: has the series and bars, which are read in one snapshot.
        interval: of all the series.
        wanted: for each ticker the first and last wanted bar (UTC seconds); None means the first or
            last stored bar. Where no stored bar is as late as the first wanted one, the history of
            the bar that would come next is loaded.
        reach: tells how far back the bars go that the first wanted bar needs.

    Returns:
        The panel, tickers in the order of `wanted`, without those that have no stored bars.
    """
    with database.client.start_session(snapshot=True) as session:
        series = find_panel_series(database, tuple(wanted), interval, session)
        return read_panel(database, interval, series, wanted, session, reach)


def read_panel(
    database: Db,
    interval: str,
    documents: Mapping[str, PanelSeries],
    wanted: Mapping[str, Wanted],
    session: ClientSession,
    reach: Reach,
) -> BarPanel:
    """Return the panel that `load_panel` returns, of series whose `documents` (by ticker) were read
    in the session's snapshot.
    """
    series = [documents[ticker] for ticker in wanted if ticker in documents]
    reach = cache(reach)  # Most series of a market have the same length.
    spans = [_list_spans(s, wanted[s["ticker"]], reach) for s in series]
    ids = [
        build_bucket_id(s["ticker"], interval, span)
        for s, held in zip(series, spans, strict=True)
        for span in held
    ]
    found = bars_in(database).find(
        {"_id": {"$in": ids}}, BUCKET_FIELDS, batch_size=len(ids) + 1, session=session
    )
    buckets = {bucket["_id"]: get_packed(bucket) for bucket in found.to_list()}
    counts = [s["counts"][span] for s, own in zip(series, spans, strict=True) for span in own]
    packed = PackedBuckets([buckets[bucket_id] for bucket_id in ids], counts)
    times = packed.unpack_times()
    firsts, kept = _find_rows(times, series, spans, wanted, reach)
    lengths = [stop - start for start, stop in kept]
    own_rows = np.repeat(
        np.reshape(np.array(kept, np.int64), (-1, 2)), [len(own) for own in spans], axis=0
    )
    columns = {"times": _keep(times, kept)} | packed.unpack_values(own_rows)
    return _build_panel(interval, series, columns, lengths, firsts)


def _list_spans(series: PanelSeries, wanted: Wanted, reach: Reach) -> list[str]:
    """Return the spans whose buckets hold all bars from the history of the first wanted bar to the
    last wanted bar.

    The first wanted bar's position is known only once its bucket is read. The history of the first
    bar of its span reaches back as far or further, and is loaded instead.
    """
    counts, interval = series["counts"], series["interval"]
    spans, later = sorted(counts), series["bars"]
    start, last = wanted
    if last is not None:
        last_span = name_span(last, interval)
        # At least one bar is loaded of every stored series.
        spans = [span for span in spans if span <= last_span] or spans[:1]
        later = sum(counts[span] for span in spans)
    if start is None:
        return spans
    # A plain loop over the few spans: building arrays for each of thousands of series would take
    # longer.
    first_span, before = name_span(start, interval), 0
    for span in spans:
        if span < first_span:
            before += counts[span]
    first = reach(before, interval)
    for position in range(len(spans) - 1, -1, -1):
        later -= counts[spans[position]]
        if later <= first:
            return spans[position:]
    return spans


class PackedBuckets:
    """The binaries of many buckets, end to end."""

    def __init__(self, binaries: Sequence[bytes], counts: Sequence[int]) -> None:
        """Take the binaries of buckets, and the number of bars that each should have.

        Raises ValueError where a binary is cut short.
        """
        sizes = np.fromiter(map(len, binaries), np.int64, len(binaries))
        if (sizes % WORD).any():
            raise ValueError("stored bars are torn: a bucket is cut short")
        self._views = view_all(b"".join(binaries))
        self._offsets = _add_up(sizes // WORD)
        self._rows = _add_up(np.array(counts, np.int64))

    def unpack_times(self) -> Int64:
        """Return the times of all buckets, end to end.

        Raises ValueError where a bucket has another number of bars than it should: it is damaged,
        and the bars after it would be taken for those of another series.
        """
        times = np.empty(self._rows[-1], np.int64)
        torn = unpack_times(self._views, self._offsets, self._rows, times)
        if torn >= 0:
            expected = self._rows[torn + 1] - self._rows[torn]
            raise ValueError(f"stored bars are torn: a bucket has not the {expected} it should")
        return times

    def unpack_values(self, kept: Int64) -> Columns:
        """Return the columns other than the times of some rows.

        `kept` (k, 2) has for each bucket the range [start, stop) of its series' rows to return,
        counted over the rows of all buckets.
        """
        own = np.clip(kept - self._rows[:-1, None], 0, np.diff(self._rows)[:, None])
        own.flags.writeable = False
        values = np.empty((len(VALUES), int((own[:, 1] - own[:, 0]).sum())))
        unpack_values(self._views, self._offsets, own, values)
        return dict(zip(VALUES, values, strict=True))


def _add_up(counts: Int64) -> Int64:
    """Return the offsets of parts of these sizes, shape (k + 1,), read-only as the kernels
    take it.
    """
    offsets = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    offsets.flags.writeable = False
    return offsets


def _keep(times: Int64, kept: Sequence[Rows]) -> Int64:
    """Return the times of the `kept` rows, without copying where all rows are kept, as mostly."""
    if sum(stop - start for start, stop in kept) == times.size:
        return times
    return np.concatenate([times[:0], *(times[start:stop] for start, stop in kept)])


def _find_rows(
    times: Int64,
    series: Sequence[PanelSeries],
    spans: Sequence[Sequence[str]],
    wanted: Mapping[str, Wanted],
    reach: Reach,
) -> tuple[list[int], list[Rows]]:
    """Return for each series the position of its first needed bar in the stored series, and the
    needed rows among the `times` of all buckets.
    """
    firsts: list[int] = []
    kept: list[Rows] = []
    seconds, row = times.data, 0
    for document, held in zip(series, spans, strict=True):
        loaded = sum(document["counts"][span] for span in held)
        start, last = wanted[document["ticker"]]
        first, skip, stop = document["bars"] - loaded, 0, loaded
        if last is not None:
            first -= sum(count for span, count in document["counts"].items() if span > held[-1])
        if start is not None:
            index = first + bisect_left(seconds, start, row, row + loaded) - row
            skip = max(0, min(reach(index, document["interval"]) - first, loaded - 1))
        if last is not None:
            stop = max(skip + 1, bisect_right(seconds, last, row, row + loaded) - row)
        firsts.append(first + skip)
        kept.append((row + skip, row + stop))
        row += loaded
    return firsts, kept


def _build_panel(
    interval: str,
    series: Sequence[PanelSeries],
    columns: Columns,
    lengths: list[int],
    firsts: list[int],
) -> BarPanel:
    offsets = np.array([0, *accumulate(lengths)], np.int64)
    rows = [slice(int(start), int(stop)) for start, stop in pairwise(offsets)]
    times = columns["times"]
    local, clocks = times, np.zeros_like(times)
    if is_intraday(interval):
        local = times.copy()
        for document, own in zip(series, rows, strict=True):
            local[own] = local_seconds(times[own], ZoneInfo(document["timezone"]))
        clocks = local % DAY_SECONDS // INTERVALS[interval]
    sessions = local // DAY_SECONDS
    for document, own in zip(series, rows, strict=True):
        if document["splits"]:
            days, factors = list_adjustments(document["splits"])
            factor = np.array(factors)[np.searchsorted(days, sessions[own], side="right")]
            for name in PRICES:
                columns[name][own] /= factor
            columns["volume"][own] *= factor
    return BarPanel(
        interval=interval,
        tickers=tuple(document["ticker"] for document in series),
        offsets=offsets,
        first_index=np.array(firsts, np.int64),
        sessions=sessions,
        clocks=clocks,
        **columns,
    )
