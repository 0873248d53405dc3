"""Adds the bars, tickers, anomalies and latencies of a detection to the counters."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import structlog

from detection.pipeline.job import Job, Outcome, TickerResult
from market.markets import load_markets
from market.sessions.calendar import find_closes
from market.sessions.overrides import find_sessions
from records.database import Db
from records.findings.anomalies import parse_anomaly_id
from records.work import counters

log = structlog.get_logger()


def add_detection(
    database: Db,
    job: Job,
    outcomes: Sequence[Outcome],
    results: Sequence[TickerResult],
    now: datetime,
) -> None:
    """Add a committed batch to the counters.

    Never raises: an error is logged.
    """
    try:
        counters.add_counts(database, count_detection(database, job, outcomes, results, now))
    except Exception as error:
        # The batch is committed: it must not fail because it could not be counted.
        log.warning("not_counted", run_id=job.run_id, exc_info=error)


def count_detection(
    database: Db,
    job: Job,
    outcomes: Sequence[Outcome],
    results: Sequence[TickerResult],
    now: datetime,
) -> dict[str, counters.Counts]:
    """Return what a committed batch adds to the counters: bars, tickers and anomalies by trigger,
    and the latencies of its new anomalies.

    Latencies are counted of anomalies that the scheduler's scans find in bars later than the
    watermark. An anomaly of a series that was never detected, of a corrected bar or of a backfill
    could not have been found when its bar closed. A latency runs from the close of the bar to the
    commit, and so includes the time until the bar was stored.
    """
    detected = {
        "bars": sum(result["rows_processed"] for result in results),
        "tickers": sum(outcome.status == "complete" for outcome in outcomes),
        "anomalies": sum(result["new_anomalies"] for result in results),
    }
    counts: dict[str, counters.Counts] = {f"{counters.DETECTED}::{job.trigger}": detected}
    news = _list_news(outcomes, results) if job.trigger == "scheduler" else []
    if news:
        market = load_markets(database)[job.market]
        times = np.array([time.timestamp() for time in news], np.int64)
        _, closes = find_closes(times, market, job.interval, find_sessions(database, market))
        counts[counters.LATENCY] = counters.count_latencies(
            now.timestamp() - float(close) for close in closes
        )
    return counts


def _list_news(outcomes: Sequence[Outcome], results: Sequence[TickerResult]) -> list[datetime]:
    """Return the times of the anomalies that are later than their series' watermark."""
    return [
        time
        for outcome, result in zip(outcomes, results, strict=True)
        if outcome.watermark
        for _, time in map(parse_anomaly_id, result["anomaly_ids"])
        if time > outcome.watermark
    ]
