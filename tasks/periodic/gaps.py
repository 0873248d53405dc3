"""Filling gaps automatically: the missing bars are requested from the source of the watchlist.

A source is asked for at most GAPS_AN_HOUR gaps of a market in an hour, and for the same gap less
and less often (`records/market/gaps.py`), until the gap is given up. A gap that no watchlist with a
source holds stays open until somebody fills it.
"""

from dataclasses import replace
from datetime import UTC, datetime

import structlog

from records.database import Db
from records.market import gaps
from records.tenancy import each_tenant
from records.work import runs
from records.work.documents import WatchlistDocument
from records.work.requests import Once
from records.work.scan_switch import get_switch
from records.work.slots import take_slot
from records.work.watchlists import find_fetching
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker
from tasks.requests.gaps import GapSource, request_fill

GAPS_AN_HOUR = 100
SLOT_SECONDS = 600

log = structlog.get_logger()


def fill_due(worker: Worker, now: datetime) -> list[str]:
    """Accept a run for the due gaps of each watchlist and market; return the runs' ids.

    Does nothing if the present ten minutes were already handled.
    """
    database = worker.database
    if not take_slot(database, "gap_fills", int(now.timestamp()) // SLOT_SECONDS):
        return []
    release_gaps(database, now)
    if not get_switch(database)["enabled"]:
        return []
    accepted = []
    for own in each_tenant(database):
        for watchlist in find_fetching(own):
            for market in watchlist["markets"]:
                with going_on("fill_failed", watchlist["_id"]):
                    run_id = _fill(replace(worker, database=own), watchlist, market, now)
                    if run_id is not None:
                        accepted.append(run_id)
    return accepted


def release_gaps(database: Db, now: datetime) -> None:
    """Count runs that ended without a result for their gaps as failed attempts."""
    for run_id in gaps.list_filling_runs(database):
        run = runs.find_bare_run(database, run_id)
        if run is None or run["status"] not in runs.OPEN_STATUSES:
            left = gaps.find_filling(database, run_id)
            gaps.replace_gaps(database, [gaps.note_attempt(gap, now) for gap in left])


def _fill(worker: Worker, watchlist: WatchlistDocument, market: str, now: datetime) -> str | None:
    database, hour = worker.database, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    left = GAPS_AN_HOUR - gaps.count_tried(database, market, hour, now)
    if left <= 0:
        return None
    tickers, interval = watchlist["tickers"], watchlist["interval"]
    due = gaps.find_due(database, tickers, interval, market, now, left)
    if not due:
        return None
    run = request_fill(
        database,
        worker.celery,
        due,
        GapSource(watchlist["source"], watchlist["folder"]),
        now=now,
        trigger="scheduler",
        once=Once(f"fill of {watchlist['_id']} {market} at {now:%Y-%m-%dT%H:%M:%SZ}"),
    )
    log.info("fill_accepted", watchlist=watchlist["_id"], gaps=len(due), run_id=run["_id"])
    return run["_id"]
