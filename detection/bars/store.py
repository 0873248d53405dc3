"""Reading stored bars: two queries bring the panel of any number of series."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import numpy as np

from detection.bars.buckets import COLUMNS, PRICES, Columns, build_bucket_id
from detection.bars.intervals import DAY_SECONDS, is_intraday
from detection.bars.markets import MARKETS
from detection.bars.panel import BarPanel, Float64, Int64
from detection.bars.sessions import local_days
from detection.bars.splits import list_adjustments
from detection.features.history import history_start
from detection.records.database import Db, Document
from detection.records.series import build_series_id

SERIES_FIELDS = ("ticker", "interval", "market", "bars", "years", "splits")


def load_panel(database: Db, interval: str, starts: Mapping[str, int | None]) -> BarPanel:
    """Load series from the history that their first wanted bar needs, to their end, adjusted for known splits.

    Args:
        database: where the bars are; both queries read one snapshot of it.
        interval: of all the series.
        starts: for each ticker the UTC seconds from which bars are wanted; None means all. Where no stored bar is as
            late as that, the history of the bar that would come next is loaded.

    Returns:
        The panel, tickers in the order of `starts`; those of which nothing is stored are left out.
    """
    with database.client.start_session(snapshot=True) as session:
        ids = [build_series_id(ticker, interval) for ticker in starts]
        found = {s["ticker"]: s for s in database.series.find({"_id": {"$in": ids}}, SERIES_FIELDS, session=session)}
        series = [found[ticker] for ticker in starts if ticker in found]
        years = [_list_years(s, starts[s["ticker"]]) for s in series]
        wanted = [
            build_bucket_id(s["ticker"], interval, year) for s, held in zip(series, years, strict=True) for year in held
        ]
        projection = dict.fromkeys(COLUMNS, 1)
        buckets = {b["_id"]: b for b in database.bars.find({"_id": {"$in": wanted}}, projection, session=session)}
    columns = {name: _join(name, [buckets[bucket_id][name] for bucket_id in wanted]) for name in COLUMNS}
    lengths = [sum(s["years"][year] for year in held) for s, held in zip(series, years, strict=True)]
    return _build_panel(interval, series, *_trim(columns, series, lengths, starts))


def _list_years(series: Document, start: int | None) -> list[str]:
    """Return the years whose buckets hold all bars from the history of the first wanted bar on.

    That bar's position is at least that of its year's first bar, so the history of the latter is enough for both.
    """
    years = sorted(series["years"])
    if start is None:
        return years
    ends = list(accumulate(series["years"][year] for year in years))
    year = datetime.fromtimestamp(start, UTC).year
    before = sum(series["years"][y] for y in years if int(y) < year)
    first = history_start(before, series["interval"])
    return [y for y, end in zip(years, ends, strict=True) if end > first]


def _join(name: str, binaries: Sequence[bytes]) -> Int64 | Float64:
    """Return one column of all buckets, end to end."""
    return np.frombuffer(bytearray().join(binaries), dtype="<i8" if name == "times" else "<f8")


def _trim(
    columns: Columns, series: Sequence[Document], lengths: Sequence[int], starts: Mapping[str, int | None]
) -> tuple[Columns, list[int], list[int]]:
    """Leave out the rows before each series' first bar needed.

    Returns the columns, the series' lengths, and the position of each series' first row in what is stored of it.
    """
    keep = np.ones(len(columns["times"]), np.bool_)
    kept, firsts = [], []
    row = 0
    for document, length in zip(series, lengths, strict=True):
        start = starts[document["ticker"]]
        loaded_from = first = document["bars"] - length
        if start is not None:
            index = loaded_from + int(np.searchsorted(columns["times"][row : row + length], start))
            first = history_start(index, document["interval"])
            keep[row : row + first - loaded_from] = False
        kept.append(length - (first - loaded_from))
        firsts.append(first)
        row += length
    if not keep.all():
        columns = {name: values[keep] for name, values in columns.items()}
    return columns, kept, firsts


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
