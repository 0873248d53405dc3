"""Periodic scans: each watchlist is scanned once a slot, however many beats tick and however many
slots were missed.

MongoDB has the schedules; beat only ticks. A slot's run is accepted under an idempotency key made
of watchlist and slot, so that two that tick at once accept one run. While a scan of a watchlist is
open no other is added. Slots that pass meanwhile, or while nothing ticked, become one scan of the
latest.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import structlog

from market.markets import Market, load_markets
from market.sessions.calendar import list_closes
from market.sessions.overrides import find_sessions
from market.sessions.schedules import AFTER_CLOSE, find_cron_slots
from records.database import Db
from records.work import runs, watchlists
from records.work.documents import FetchFields, RunDocument, WatchlistDocument
from records.work.requests import Once
from records.work.scan_switch import get_switch
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker
from tasks.requests.detections import PeriodicScan, request_detection
from tasks.requests.imports import request_fetch
from tasks.requests.selection import Selection

# No exchange stays closed for longer.
LONGEST_PAUSE = timedelta(days=40)
# A scan waits no longer than this for the fetch of its bars.
LONGEST_FETCH = timedelta(minutes=10)
FETCHED = ("yahoo", "folder")

log = structlog.get_logger()


def scan_due(worker: Worker, now: datetime) -> list[str]:
    """Accept a scan of each watchlist that is due, and return the ids of the runs."""
    database = worker.database
    if not get_switch(database)["enabled"]:
        return []
    run_ids = []
    for watchlist in watchlists.find_due(database, now):
        with going_on("scan_failed", watchlist["_id"]):
            run = _scan(worker, watchlist, now)
            if run is not None:
                run_ids.append(run["_id"])
    return run_ids


def _scan(worker: Worker, watchlist: WatchlistDocument, now: datetime) -> RunDocument | None:
    """Accept the scan of the latest slot if it was not scanned yet, and store the next slot; None
    where there is no slot.

    In a watchlist of several markets, only the tickers of markets that had a slot since the last
    scan are scanned.
    """
    database, name = worker.database, watchlist["_id"]
    slots = find_slots(database, watchlist, now)
    following = min((slot for _, slot in slots.values() if slot is not None), default=None)
    # The clock was set back: slots that were scanned by the wrong clock must not block a scan.
    is_ahead = watchlist["last_slot"] > now + watchlists.CLOCKS_DIFFER
    if is_ahead:
        runs.forget_keys_after(database, name, now)
    latest = {
        market: slot
        for market, (slot, _) in slots.items()
        if slot is not None and (slot > watchlist["last_slot"] or is_ahead)
    }
    if not latest:
        watchlists.note_scan(database, watchlist, {"next_scan": following})
        return None
    if runs.has_open_scan(database, name):
        return None
    slot = max(latest.values())
    if not _has_fetched(worker, watchlist, slot, now):
        return None
    run = request_detection(
        database,
        worker.celery,
        Selection(watchlist=name),
        interval=watchlist["interval"],
        now=now,
        trigger="scheduler",
        scan=PeriodicScan(
            None if len(latest) == len(slots) else tuple(latest),
            watchlist["fetch_run_id"] if watchlist["fetch_slot"] == slot else None,
        ),
        once=Once(f"scan of {name} at {slot:%Y-%m-%dT%H:%M:%SZ}"),
    )
    watchlists.note_scan(database, watchlist, {"last_slot": slot, "next_scan": following})
    log.info("scan_accepted", watchlist=name, slot=slot.isoformat(), run_id=run["_id"])
    return run


def _has_fetched(
    worker: Worker, watchlist: WatchlistDocument, slot: datetime, now: datetime
) -> bool:
    """Whether the bars of a slot have been fetched or need not be waited for any longer; starts the
    fetch where there is none yet.

    The scan starts when the fetch has ended, however it ended, and names the tickers without a bar
    of the session.
    """
    if watchlist.get("source", "none") not in FETCHED:
        return True
    if watchlist["fetch_slot"] == slot:
        run = runs.find_bare_run(worker.database, str(watchlist["fetch_run_id"]))
        waited_out = now - (watchlist["fetch_asked_at"] or now) > LONGEST_FETCH
        return run is None or run["status"] not in runs.OPEN_STATUSES or waited_out
    once = Once(f"fetch of {watchlist['_id']} at {slot:%Y-%m-%dT%H:%M:%SZ}")
    run = request_fetch(worker.database, worker.celery, watchlist, now=now, once=once)
    noted: FetchFields = {"fetch_slot": slot, "fetch_run_id": run["_id"], "fetch_asked_at": now}
    watchlists.note_scan(worker.database, watchlist, noted)
    log.info("fetch_accepted", watchlist=watchlist["_id"], slot=slot.isoformat(), run_id=run["_id"])
    return False


Slots = tuple[datetime | None, datetime | None]


def find_slots(database: Db, watchlist: WatchlistDocument, now: datetime) -> dict[str, Slots]:
    """Return for each market of a watchlist its latest slot that is not after `now`, and the next.

    Either is None where the market's calendar has none. A watchlist without a cron expression is
    due after each closed bar plus the minutes that the bar may take to arrive. A cron expression is
    in the time zone of the first market and applies to all markets.
    """
    markets = load_markets(database)
    known = [markets.choose(code) for code in watchlist["markets"]]
    if watchlist["schedule"] != AFTER_CLOSE:
        slots = find_cron_slots(watchlist["schedule"], known[0].zone, now)
        return {market.code: slots for market in known}
    return {market.code: _find_closes(database, watchlist, market, now) for market in known}


def _find_closes(
    database: Db, watchlist: WatchlistDocument, market: Market, now: datetime
) -> Slots:
    delay = timedelta(minutes=watchlist["delay_minutes"])
    window = (int((now + side - delay).timestamp()) for side in (-LONGEST_PAUSE, LONGEST_PAUSE))
    closes = list_closes(find_sessions(database, market), watchlist["interval"], *window)
    position = int(np.searchsorted(closes, (now - delay).timestamp(), side="right"))
    around = (closes[max(position - 1, 0) : position], closes[position : position + 1])
    latest, following = (
        [datetime.fromtimestamp(int(close), UTC) + delay for close in side] for side in around
    )
    return next(iter(latest), None), next(iter(following), None)
