"""Splitting a run into batches."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from core.errors import BadInput, TapewatchError, Transient
from core.settings import Settings
from market.intervals import INTERVALS
from market.markets import get_market_of
from records.database import Document
from records.findings.verifications import build_selection
from records.findings.watermarks import find_detected_since
from records.market.series import find_series
from records.work import batches, runs
from tasks.engine.accept import publish_batches
from tasks.engine.execution import Result, execute_batch
from tasks.process.worker import Worker

# A run of few tickers is still shared by the workers, and its progress still moves.
LEAST_BATCHES = 8
# A scan does so little for each ticker that what a batch costs in itself would weigh.
SCAN_FACTOR = 10
# A series that was detected no longer ago than so many bars take is short work: it does not count in a batch's bars.
RECENT_BARS = 500


def start(worker: Worker, run_id: str) -> Result:
    """Split a queued run and send its batches; do the work at once where there is only one.

    A second delivery finds the run taken, or no longer queued, and does nothing. Where splitting fails for a reason
    that may pass, the lease runs out and the sweeper sends the run again.
    """
    settings = worker.settings
    run = runs.claim_run(
        worker.database, run_id, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts
    )
    if run is None:
        return None
    now = datetime.now(UTC)
    try:
        plan = plan_batches(worker, run, now)
    except Transient:
        raise
    except TapewatchError as error:
        runs.fail_run(worker.database, run_id, error.message, now)
        return {"detection_run_id": run_id, "reason": error.reason, "error": error.message}
    if not runs.start_run(worker.database, run_id, plan, now):
        return None
    if len(plan) == 1:
        return execute_batch(worker, plan[0]["_id"])
    publish_batches(
        worker.database, worker.celery, run["task"], {batch["_id"]: len(batch["tickers"]) for batch in plan}
    )
    return {"detection_run_id": run_id, "batches": len(plan)}


def plan_batches(worker: Worker, run: Document, now: datetime) -> list[Document]:
    """Return the batches of a run, not yet written. Raises BadInput where there is nothing to do."""
    if run["task"] in {"train", "import"}:
        return [batches.build_batch(run["_id"], "00000", [], run["market"], now)]
    tickers, series = _find_subjects(worker, run)
    at_most = worker.settings.batch_tickers
    if run["task"] == "incremental":
        at_most *= SCAN_FACTOR
    if run["task"] == "backfill":
        at_most = min(at_most, ceil(len(tickers) / LEAST_BATCHES))
    recent: set[str] = set()
    if run["task"] == "incremental":
        since = now - RECENT_BARS * timedelta(seconds=INTERVALS[run["interval"]])
        recent = find_detected_since(worker.database, [s["_id"] for s in series], since)
    bars = Counter({s["ticker"]: int(s["bars"]) for s in series if s["_id"] not in recent})
    groups = _group(tickers, bars, at_most, worker.settings)
    return [
        batches.build_batch(run["_id"], f"{number:05d}", group, market, now)
        for number, (market, group) in enumerate(groups)
    ]


def _find_subjects(worker: Worker, run: Document) -> tuple[list[str], list[Document]]:
    """Return the tickers of a run and what is known of their series. Raises BadInput where there are none."""
    if run["task"] == "verify":
        tickers = sorted(worker.database.anomalies.distinct("Ticker", build_selection(run["options"])))
        if not tickers:
            raise BadInput(f"there is no anomaly to verify for {run['options']}", reason="no_anomalies")
        return tickers, find_series(worker.database, tickers=tickers, fields=("ticker", "bars"))
    named = run["tickers"] or None
    series = find_series(
        worker.database, tickers=named, market=run["market"], interval=run["interval"], fields=("ticker", "bars")
    )
    tickers = run["tickers"] or [s["ticker"] for s in series]
    if not tickers:
        raise BadInput(
            f"market {run['market']} has no {run['interval']} bars; import some first (`flask bars import FILE`)",
            reason="no_bars",
        )
    return tickers, series


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
