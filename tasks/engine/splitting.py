"""Ways to split a run into batches: documents that are not yet written."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.settings import Settings
from market.intervals import INTERVALS
from market.markets import get_market_of
from records.findings.verifications import find_selected_tickers
from records.findings.watermarks import find_detected_since
from records.market.documents import SeriesSize
from records.market.series import find_sizes
from records.work.batches import build_batch
from records.work.documents import BatchDocument, RunDocument

if TYPE_CHECKING:
    from tasks.process.worker import Worker

# A run of few tickers is still shared by the workers, and its progress still moves.
LEAST_BATCHES = 8
# A scan does so little for each ticker that what a batch costs in itself would weigh.
SCAN_FACTOR = 10
# A series that was detected no longer ago than so many bars take is short work: it does not count in a batch's bars.
RECENT_BARS = 500


def keep_whole(_worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return the one batch of a run that is not about single tickers."""
    return [build_batch(run["_id"], "00000", [], run["market"], now)]


def split_backfill(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return a backfill's batches. Raises BadInput where its market has no bars."""
    tickers, series = _find_series(worker, run)
    at_most = min(worker.settings.batch_tickers, ceil(len(tickers) / LEAST_BATCHES))
    return _build_batches(worker, run, tickers, _count_bars(series), at_most, now)


def split_incremental(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return an incremental run's batches. Raises BadInput where its market has no bars."""
    tickers, series = _find_series(worker, run)
    since = now - RECENT_BARS * timedelta(seconds=INTERVALS[run["interval"]])
    recent = find_detected_since(worker.database, [s["_id"] for s in series], since)
    bars = _count_bars(s for s in series if s["_id"] not in recent)
    return _build_batches(worker, run, tickers, bars, worker.settings.batch_tickers * SCAN_FACTOR, now)


def split_verification(worker: "Worker", run: RunDocument, now: datetime) -> list[BatchDocument]:
    """Return a verification's batches. Raises BadInput where no stored anomaly was asked about."""
    tickers = find_selected_tickers(worker.database, run["options"])
    if not tickers:
        raise BadInput(f"there is no anomaly to verify for {run['options']}", reason="no_anomalies")
    series = find_sizes(worker.database, tickers=tickers)
    return _build_batches(worker, run, tickers, _count_bars(series), worker.settings.batch_tickers, now)


def _find_series(worker: "Worker", run: RunDocument) -> tuple[list[str], list[SeriesSize]]:
    """Return the tickers of a run and what is known of their series. Raises BadInput where there are none."""
    named = run["tickers"] or None
    series = find_sizes(worker.database, tickers=named, market=run["market"], interval=run["interval"])
    tickers = run["tickers"] or [s["ticker"] for s in series]
    if not tickers:
        raise BadInput(
            f"market {run['market']} has no {run['interval']} bars; import some first (`flask bars import FILE`)",
            reason="no_bars",
        )
    return tickers, series


def _count_bars(series: Iterable[SeriesSize]) -> Mapping[str, int]:
    return Counter({s["ticker"]: s["bars"] for s in series})


def _build_batches(
    worker: "Worker", run: RunDocument, tickers: Sequence[str], bars: Mapping[str, int], at_most: int, now: datetime
) -> list[BatchDocument]:
    groups = _group(tickers, bars, at_most, worker.settings)
    return [
        build_batch(run["_id"], f"{number:05d}", group, market, now) for number, (market, group) in enumerate(groups)
    ]


def _group(
    tickers: Sequence[str], bars: Mapping[str, int], at_most: int, settings: Settings
) -> Iterator[tuple[str, list[str]]]:
    """Yield (market, tickers) of at most so many tickers and, but for a single long series, so many bars."""
    by_market: dict[str, list[str]] = {}
    for ticker in tickers:
        by_market.setdefault(get_market_of(ticker).code, []).append(ticker)
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
