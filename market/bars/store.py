"""Reading stored bars: two queries bring the panel of any number of series."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Int64
from market.bars.buckets import PRICES, VALUES, Columns
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

# First and last bar that are wanted of a series, in UTC seconds; None for the first or last one
# stored.
Wanted = tuple[int | None, int | None]
ALL_BARS: Wanted = (None, None)
# From the position of a bar and the interval to the position of the first bar needed to compute it.
Reach = Callable[[int, str], int]
# From the first to before the second.
Rows = tuple[int, int]


def load_panel(
    database: Db, interval: str, wanted: Mapping[str, Wanted], *, reach: Reach = history_start
) -> BarPanel:
    """Load series from the history that their first wanted bar needs to their last one,
    adjusted for known splits.

    Args:
        database: where the bars are; series and bars are read in one snapshot of it.
        interval: of all the series.
        wanted: for each ticker the first and last bar that are wanted (UTC seconds); None means the
            first or last one stored. Where no stored bar is as late as the first, the history of
            the bar that would come next is loaded.
        reach: from which position on bars are needed to compute the one at a position.

    Returns:
        The panel, tickers in the order of `wanted`; those of which nothing is stored are left out.
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
    """Return the panel of series whose documents were read, by ticker, in the session's snapshot;
    `load_panel` says of what.

    `reach` says how far back the bars go that the first wanted one needs; by default what a feature
    does.
    """
    series = [documents[ticker] for ticker in wanted if ticker in documents]
    reach = cache(reach)  # the series of a market are mostly as long as each other
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
    """Return the spans whose buckets hold all bars from the history
    of the first wanted bar to the last one.

    The first bar's position is at least that of its span's first bar, so the history of the latter
    is enough for both.
    """
    counts, interval = series["counts"], series["interval"]
    spans, later = sorted(counts), series["bars"]
    start, last = wanted
    if last is not None:
        last_span = name_span(last, interval)
        # At least one bar is loaded of every series that is stored.
        spans = [span for span in spans if span <= last_span] or spans[:1]
        later = sum(counts[span] for span in spans)
    if start is None:
        return spans
    # A loop over few spans, for each of thousands of series: what is made for it would take longer
    # than the loop.
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
        """Take the binaries of buckets which are to have so many bars.

        Raises ValueError where one is torn.
        """
        sizes = np.fromiter(map(len, binaries), np.int64, len(binaries))
        if (sizes % WORD).any():
            raise ValueError("stored bars are torn: a bucket is cut short")
        self._views = view_all(b"".join(binaries))
        self._offsets = _add_up(sizes // WORD)
        self._rows = _add_up(np.array(counts, np.int64))

    def unpack_times(self) -> Int64:
        """Return the times of all of them.

        Raises ValueError where a bucket has not so many: it is torn, and what comes after it would
        be taken for another series' bars.
        """
        times = np.empty(self._rows[-1], np.int64)
        torn = unpack_times(self._views, self._offsets, self._rows, times)
        if torn >= 0:
            expected = self._rows[torn + 1] - self._rows[torn]
            raise ValueError(f"stored bars are torn: a bucket has not the {expected} it should")
        return times

    def unpack_values(self, kept: Int64) -> Columns:
        """Return the other columns of the rows that are kept, of all of those that it is given
        for each bucket (k, 2).
        """
        own = np.clip(kept - self._rows[:-1, None], 0, np.diff(self._rows)[:, None])
        own.flags.writeable = False
        values = np.empty((len(VALUES), int((own[:, 1] - own[:, 0]).sum())))
        unpack_values(self._views, self._offsets, own, values)
        return dict(zip(VALUES, values, strict=True))


def _add_up(counts: Int64) -> Int64:
    """Return where each of so many begins, and where the last ends, as the kernels take it."""
    offsets = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    offsets.flags.writeable = False
    return offsets


def _keep(times: Int64, kept: Sequence[Rows]) -> Int64:
    """Return the rows that are kept: mostly all of them, or nearly so."""
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
    """Return what is needed of the buckets whose `times` these are: the position of each series'
    first row in what is stored of it, and which rows of the buckets are its.
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
