"""Ways to split a run into batches: documents that are not yet written."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.settings import Settings
from market.intervals import DAY_SECONDS, INTERVALS
from records.findings.verifications import find_selected_tickers
from records.findings.watermarks import find_detected_since
from records.market.documents import SeriesSize
from records.market.series import find_sizes
from records.market.uploads import find_upload_size
from records.work.batches import build_batch
from records.work.documents import BatchDocument, RunDocument

if TYPE_CHECKING:
    from tasks.process.worker import Worker

# So small that even a run of few tickers is shared by the workers and shows progress.
LEAST_BATCHES = 4
# A scan does so little work a ticker that the fixed cost of many batches would show.
SCAN_FACTOR = 4
# A series that was detected at most this many bars ago is little work: it does not count in a
# batch's bars.
RECENT_BARS = 500
# A market is computed as a whole where possible, because data about the whole market are read once
# a batch.
ANALYTICS_TICKERS = 1_000
ANALYTICS_BARS = 1_000_000
# Documents of some 4 KB each, written in one transaction.
ANALYTICS_SNAPSHOTS = 5_000
SEASON_BARS = 756
# The import of a file larger than this may take long: some 20,000 of its bars are stored a second.
HEAVY_UPLOAD_BYTES = 8 * 2**20
HEAVY_EXPORT_ROWS = 1_000_000
# The 90 days over which the season of shorter bars is computed, and about how long a stock exchange
# is open a day.
SEASON_SESSIONS, SESSION_SECONDS = 64, 23_400


def keep_whole(_worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the one batch of a run that is not about single tickers."""
    return [build_batch(run["_id"], "00000", [], run["market"], now)]


def split_import(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the one batch of an import, heavy where what was sent is large."""
    size = find_upload_size(worker.database, run["options"]["upload_id"])
    heavy = size > HEAVY_UPLOAD_BYTES
    return [build_batch(run["_id"], "00000", [], run["market"], now, heavy=heavy)]


def split_export(_worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the one batch of an export, heavy where it has many rows."""
    heavy = run["options"]["most_rows"] > HEAVY_EXPORT_ROWS
    return [build_batch(run["_id"], "00000", [], run["market"], now, heavy=heavy)]


def split_correction(_worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the one batch of a correction; that of a session is heavy, as all series of its
    market may be measured anew.
    """
    heavy = "session" in run["options"]
    return [build_batch(run["_id"], "00000", [], run["market"], now, heavy=heavy)]


def split_backfill(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return a backfill's batches. Raises BadInput where its market has no bars."""
    tickers, series = _find_series(worker, run)
    at_most = min(worker.settings.batch_tickers, ceil(len(tickers) / LEAST_BATCHES))
    return _build_batches(
        worker, run, tickers, series, bars=_count_bars(series), at_most=at_most, now=now
    )


def split_incremental(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return an incremental run's batches. Raises BadInput where its market has no bars."""
    tickers, series = _find_series(worker, run)
    since = now - RECENT_BARS * timedelta(seconds=INTERVALS[run["interval"]])
    recent = find_detected_since(worker.database, [s["_id"] for s in series], since)
    bars = _count_bars(s for s in series if s["_id"] not in recent)
    at_most = worker.settings.batch_tickers * SCAN_FACTOR
    return _build_batches(worker, run, tickers, series, bars=bars, at_most=at_most, now=now)


def split_verification(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return a verification's batches. Raises BadInput where no stored anomaly was asked about."""
    tickers = find_selected_tickers(worker.database, run["options"])
    if not tickers:
        raise BadInput(f"there is no anomaly to verify for {run['options']}", reason="no_anomalies")
    series = find_sizes(worker.database, tickers=tickers)
    at_most = worker.settings.batch_tickers
    return _build_batches(
        worker, run, tickers, series, bars=_count_bars(series), at_most=at_most, now=now
    )


def split_analytics(_worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the batches of a market's tickers whose metrics are to be computed."""
    tickers = run["tickers"]
    bars = run["options"]["bars"]
    by_bars = ANALYTICS_BARS // count_season_bars(run["interval"], bars)
    size = max(1, min(ANALYTICS_TICKERS, by_bars, ANALYTICS_SNAPSHOTS // bars))
    return [
        build_batch(
            run["_id"], f"{start // size:05d}", tickers[start : start + size], run["market"], now
        )
        for start in range(0, len(tickers), size)
    ]


def _find_series(worker: "Worker", run: RunDocument) -> tuple[list[str], list[SeriesSize]]:
    """Return the tickers of a run and what is known of their series.

    Raises BadInput where there are none.
    """
    named = run["tickers"] or None
    series = find_sizes(
        worker.database, tickers=named, market=run["market"], interval=run["interval"]
    )
    tickers = run["tickers"] or [s["ticker"] for s in series]
    if not tickers:
        raise BadInput(
            f"market {run['market']} has no {run['interval']} bars; import some first (`flask bars"
            " import FILE`)",
            reason="no_bars",
        )
    return tickers, series


def _count_bars(series: Iterable[SeriesSize]) -> Mapping[str, int]:
    return Counter({s["ticker"]: s["bars"] for s in series})


def count_season_bars(interval: str, bars: int) -> int:
    """Return about how many bars of a series metrics of its last `bars` bars are computed from."""
    length = INTERVALS[interval]
    return bars + (
        SEASON_BARS if length >= DAY_SECONDS else SEASON_SESSIONS * SESSION_SECONDS // length
    )


def _build_batches(
    worker: "Worker",
    run: RunDocument,
    tickers: Sequence[str],
    series: Sequence[SeriesSize],
    *,
    bars: Mapping[str, int],
    at_most: int,
    now: datetime,
) -> list[BatchDocument]:
    markets = {s["ticker"]: str(s["market"]) for s in series}
    # A ticker without bars is of no market yet; it fails by name in whichever batch it is.
    other = next(iter(markets.values()), run["market"])
    groups = _group(
        {ticker: markets.get(ticker, other) for ticker in tickers}, bars, at_most, worker.settings
    )
    return [
        build_batch(run["_id"], f"{number:05d}", group, market, now)
        for number, (market, group) in enumerate(groups)
    ]


def _group(
    markets: Mapping[str, str | None], bars: Mapping[str, int], at_most: int, settings: Settings
) -> Iterator[tuple[str | None, list[str]]]:
    """Yield (market, tickers) of at most so many tickers and, but for a single long series,
    so many bars.

    `markets` says of each ticker of which it is.
    """
    by_market: dict[str | None, list[str]] = {}
    for ticker, market in markets.items():
        by_market.setdefault(market, []).append(ticker)
    for market, members in by_market.items():
        group: list[str] = []
        weight = 0
        for ticker in members:
            if group and (len(group) == at_most or weight + bars[ticker] > settings.batch_bars):
                yield market, group
                group, weight = [], 0
            group.append(ticker)
            weight += bars[ticker]
        yield market, group
