"""Periodic analytics: once a slot, metrics of all series with new bars are requested, however many
beats tick.

A slot is a period of ANALYTICS_SECONDS. A slot's run of a market and interval is accepted under an
idempotency key made of the three, so that two that tick at once accept one run. Slots that pass
while nothing ticks become the latest one: what is due follows from the bars, not from the clock.
"""

from datetime import UTC, datetime

import structlog

from analytics.metric import SET
from records.analytics import overview
from records.work import runs
from records.work.slots import is_taken, take_slot
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker
from tasks.requests.analytics import request_due_analytics

WORK = "analytics"

log = structlog.get_logger()


def accept_due(worker: Worker, now: datetime) -> list[str]:
    """Accept a run for each market and interval that has new bars; return the runs' ids.

    Does nothing if the present slot was already handled. Also copies the grades of anomalies that
    were found since into the overview.
    """
    database, period = worker.database, worker.settings.analytics_seconds
    slot = int(now.timestamp()) // period * period
    if is_taken(database, WORK, slot, step=period):
        return []
    begun = f"{datetime.fromtimestamp(slot, UTC):%Y-%m-%dT%H:%M:%SZ}"
    accepted = []
    shown = overview.find_states(database)
    for (market, interval), tickers in overview.find_due(database, SET, shown).items():
        with going_on("analytics_failed", f"{market} {interval}"):
            if runs.has_open_analytics(database, market, interval):
                continue
            run = request_due_analytics(
                database,
                worker.celery,
                tickers,
                market=market,
                interval=interval,
                slot=begun,
                now=now,
            )
            accepted.append(run["_id"])
    overview.refresh_grades(database, shown)
    take_slot(database, WORK, slot, step=period)
    if accepted:
        log.info("analytics_accepted", slot=begun, runs=len(accepted))
    return accepted
