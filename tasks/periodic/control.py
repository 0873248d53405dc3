"""Control tasks keep the service going: the sweep, the tick, and the notifier that it calls."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

from celery import shared_task

from records.database import Db, get_server_time
from records.tenancy import each_tenant
from records.work import batches
from records.work.heartbeats import NOTIFIER, SCHEDULER, SWEEPER, beat, find_heartbeats, give_turn
from tasks import names
from tasks.engine import sweeper
from tasks.engine.telling import ask_notifier
from tasks.periodic import notifications
from tasks.periodic.analytics import accept_due
from tasks.periodic.gaps import fill_due
from tasks.periodic.model_watch import watch_models
from tasks.periodic.notifications import has_work
from tasks.process.broker import BROKER_ERRORS, hold_redis
from tasks.process.worker import get_worker

# Tasks that run every few seconds send no events: in Flower they were nine rows in ten and hid the
# rows of runs. Heartbeats show that they go on.
_quiet_task = partial(shared_task, send_events=False)
# A repetition within this share of its period is a message that was sent long before.
BACKLOG_SHARE = 5


def _was_just_done(database: Db, name: str, period_seconds: int) -> bool:
    """Whether this message is one of a backlog. After an hour without a control worker a thousand
    wait, and notifications wait behind them.
    """
    last = find_heartbeats(database, [name]).get(name)
    return last is not None and 0 <= last["age_seconds"] < period_seconds / BACKLOG_SHARE


@_quiet_task(name=names.SWEEP)
def sweep() -> dict[str, int]:
    """Recover work that lost its message or its worker: see tasks/engine/sweeper.py."""
    worker = get_worker()
    if _was_just_done(worker.database, SWEEPER, worker.settings.sweep_seconds):
        return {}
    done = sweeper.sweep(worker)
    with suppress(*BROKER_ERRORS):  # of which the sweeper has told
        hold_redis(worker.celery, worker.database, worker.settings)
    beat(worker.database, SWEEPER)
    return done


@_quiet_task(name=names.TICK)
def tick() -> list[str]:
    """Accept the scans, metrics, fills and checks of models that are due (scans.py, analytics.py,
    gaps.py, model_watch.py), and start the notifier if there is something to send.

    A batch whose lease has run out is recovered here too, so that it need not wait for the next
    sweep.
    """
    worker = get_worker()
    if _was_just_done(worker.database, SCHEDULER, worker.settings.tick_seconds):
        return []
    if batches.has_expired(worker.database):
        sweeper.sweep(worker)
    from tasks.periodic.scans import (  # noqa: PLC0415 - the calendars load slowly, and a sweep must not wait for them
        scan_due,
    )

    now = get_server_time(worker.database)
    scans = [
        run_id
        for own in each_tenant(worker.database)
        for run_id in scan_due(replace(worker, database=own), now)
    ]
    accepted = [*scans, *accept_due(worker, now), *fill_due(worker, now)]
    accepted += watch_models(worker, now)
    if has_work(worker.database):
        ask_notifier(worker)
    beat(worker.database, SCHEDULER)
    return accepted


@shared_task(name=names.NOTIFY)
def notify(_: str) -> dict[str, int]:
    """Send notifications. It has a task of its own, so that slow channels do not delay the
    sweeper.
    """
    worker = get_worker()
    done = notifications.notify(worker)
    give_turn(worker.database, NOTIFIER)
    if done["unfinished"]:  # behind what waits for a process meanwhile
        ask_notifier(worker)
    return done
