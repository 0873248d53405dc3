"""Reading stored bars: two queries bring the panel of any number of series."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Float64, Int64
from market.bars.buckets import COLUMNS, PRICES, Columns, build_bucket_id
from market.bars.history import history_start
from market.bars.panel import BarPanel
from market.bars.splits import list_adjustments
from market.intervals import DAY_SECONDS, is_intraday
from market.markets import MARKETS
from market.sessions.calendar import local_days
from records.database import Db, Document
from records.market.series import find_series_of

SERIES_FIELDS = ("interval", "market", "bars", "years", "splits")
"""What of a series' document `read_panel` needs."""


def load_panel(database: Db, interval: str, starts: Mapping[str, int | None]) -> BarPanel:
    """Load series from the history that their first wanted bar needs, to their end, adjusted for known splits.

    Args:
        database: where the bars are; series and bars are read in one snapshot of it.
        interval: of all the series.
        starts: for each ticker the UTC seconds from which bars are wanted; None means all. Where no stored bar is as
            late as that, the history of the bar that would come next is loaded.

    Returns:
        The panel, tickers in the order of `starts`; those of which nothing is stored are left out.
    """
    with database.client.start_session(snapshot=True) as session:
        series = find_series_of(database, tuple(starts), interval, SERIES_FIELDS, session)
        return read_panel(database, interval, series, starts, session)


def read_panel(
    database: Db,
    interval: str,
    documents: Mapping[str, Document],
    starts: Mapping[str, int | None],
    session: ClientSession,
) -> BarPanel:
    """Return the same of series whose documents were read, by ticker, in the same session's snapshot."""
    series = [documents[ticker] for ticker in starts if ticker in documents]
    years = [_list_years(s, starts[s["ticker"]]) for s in series]
    wanted = [build_bucket_id(s["ticker"], interval, y) for s, held in zip(series, years, strict=True) for y in held]
    found = database.bars.find(
        {"_id": {"$in": wanted}}, dict.fromkeys(COLUMNS, 1), batch_size=len(wanted) + 1, session=session
    )
    buckets = {bucket["_id"]: bucket for bucket in found}
    held = [buckets[bucket_id] for bucket_id in wanted]
    firsts, lengths, skips = _find_rows(_join("times", held), series, years, starts)
    columns = {name: _join(name, held, skips) for name in COLUMNS}
    return _build_panel(interval, series, columns, lengths, firsts)


def _list_years(series: Document, start: int | None) -> list[str]:
    """Return the years whose buckets hold all bars from the history of the first wanted bar on.

    That bar's position is at least that of its year's first bar, so the history of the latter is enough for both.
    """
    counts: dict[str, int] = series["years"]
    years = sorted(counts)
    if start is None:
        return years
    # A loop over few years, for each of thousands of series: what is made for it would take longer than the loop.
    first_year, before, later = str(datetime.fromtimestamp(start, UTC).year), 0, series["bars"]
    for year in years:
        if year < first_year:
            before += counts[year]
    first = history_start(before, series["interval"])
    for position in range(len(years) - 1, -1, -1):
        later -= counts[years[position]]
        if later <= first:
            return years[position:]
    return years


def _join(name: str, buckets: Sequence[Document], skips: Sequence[int] | None = None) -> Int64 | Float64:
    """Return one column of all buckets, end to end, without the rows of each that are to be skipped."""
    binaries: Iterable[bytes | memoryview] = (bucket[name] for bucket in buckets)
    if skips is not None:
        binaries = (memoryview(b)[8 * skip :] if skip else b for b, skip in zip(binaries, skips, strict=True))
    return np.frombuffer(bytearray().join(binaries), dtype="<i8" if name == "times" else "<f8")


def _find_rows(
    times: Int64 | Float64, series: Sequence[Document], years: Sequence[Sequence[str]], starts: Mapping[str, int | None]
) -> tuple[list[int], list[int], list[int]]:
    """Return what is needed of the buckets whose `times` these are.

    Returns the position of each series' first row in what is stored of it, how many rows follow from there on, and how
    many of each bucket come before.
    """
    firsts, lengths, skips = [], [], []
    seconds, row = times.data, 0
    for document, held in zip(series, years, strict=True):
        counts = [document["years"][year] for year in held]
        loaded = sum(counts)
        start, first = starts[document["ticker"]], document["bars"] - loaded
        skip = 0
        if start is not None:
            index = first + bisect_left(seconds, start, row, row + loaded) - row
            skip = history_start(index, document["interval"]) - first
        row += loaded
        firsts.append(first + skip)
        lengths.append(loaded - skip)
        for count in counts:
            skips.append(min(skip, count))
            skip -= skips[-1]
    return firsts, lengths, skips


def _build_panel(
    interval: str, series: Sequence[Document], columns: Columns, lengths: list[int], firsts: list[int]
) -> BarPanel:
    offsets = np.array([0, *accumulate(lengths)], np.int64)
    rows = [slice(int(start), int(stop)) for start, stop in pairwise(offsets)]
    times = columns["times"]
    sessions = times // DAY_SECONDS
    if is_intraday(interval):
        for document, own in zip(series, rows, strict=True):
            sessions[own] = local_days(times[own], MARKETS[document["market"]].zone)
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
        **columns,
    )
