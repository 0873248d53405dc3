"""Periodic scans: each watchlist is scanned once a slot, however many look after it and however many were missed.

MongoDB has the schedules; beat only ticks. A slot's run is accepted under an idempotency key made of watchlist and
slot, so that two who tick at once accept one run. While a scan of a watchlist is open no other is added: the slots that
pass meanwhile, as those missed while nobody ticked, collapse into the latest.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import structlog

from market.markets import MARKETS
from market.sessions.calendar import list_closes
from market.sessions.overrides import find_sessions
from market.sessions.schedules import AFTER_CLOSE, find_cron_slots
from records.database import Db
from records.work import runs, watchlists
from records.work.documents import RunDocument, WatchlistDocument
from records.work.scan_switch import get_switch
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker
from tasks.requests.runs import Once, request_detection
from tasks.requests.selection import Selection

# No exchange stays shut for so long.
LONGEST_PAUSE = timedelta(days=40)

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
    """Accept the scan of the latest slot if that was not scanned yet, and note the next; None where there was none."""
    database, name = worker.database, watchlist["_id"]
    latest, following = find_slots(database, watchlist, now)
    if latest is None or latest <= watchlist["last_slot"]:
        watchlists.note_scan(database, watchlist, {"next_scan": following})
        return None
    if runs.has_open_scan(database, name):
        return None
    run = request_detection(
        database,
        worker.celery,
        Selection(watchlist=name),
        interval=watchlist["interval"],
        now=now,
        trigger="scheduler",
        once=Once(f"scan of {name} at {latest:%Y-%m-%dT%H:%M:%SZ}"),
    )
    watchlists.note_scan(database, watchlist, {"last_slot": latest, "next_scan": following})
    log.info("scan_accepted", watchlist=name, slot=latest.isoformat(), run_id=run["_id"])
    return run


def find_slots(database: Db, watchlist: WatchlistDocument, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return a watchlist's latest slot that is not after `now`, and the next; None where its calendar knows of none.

    After each closed bar means so many minutes after it as the bar may take to arrive.
    """
    market = MARKETS[watchlist["market"]]
    if watchlist["schedule"] != AFTER_CLOSE:
        return find_cron_slots(watchlist["schedule"], market.zone, now)
    delay = timedelta(minutes=watchlist["delay_minutes"])
    window = (int((now + side - delay).timestamp()) for side in (-LONGEST_PAUSE, LONGEST_PAUSE))
    closes = list_closes(find_sessions(database, market), watchlist["interval"], *window)
    position = int(np.searchsorted(closes, (now - delay).timestamp(), side="right"))
    around = (closes[max(position - 1, 0) : position], closes[position : position + 1])
    latest, following = ([datetime.fromtimestamp(int(close), UTC) + delay for close in side] for side in around)
    return next(iter(latest), None), next(iter(following), None)
