"""The parts of the service: each one's state, since when, and what to do."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apiflask import APIBlueprint
from pymongo import timeout
from pymongo.errors import PyMongoError

from api.http.deadlines import ANSWER_SECONDS
from api.http.state import get_database, get_markets, get_now, get_settings, get_state
from api.operations.health import ask_mongodb, ask_redis, judge_beat
from api.schemas.health import Part, Parts, PartState, ServerHealth
from core.memory import GIBIBYTE
from core.naming import count_of
from records.alerts.alerts import ACTIVE_STATES, build_query, find_alerts
from records.alerts.deliveries import find_last_deliveries
from records.alerts.notification_rules import find_rules
from records.database import FEW_BYTES, LEAST_BYTES, Db, find_free_bytes
from records.market.gaps import count_lacking
from records.market.markets import count_series
from records.market.session_days import find_session_days
from records.ticks.positions import find_positions
from records.work.heartbeats import SCHEDULER, SWEEPER, find_heartbeats
from records.work.part_states import note_states
from records.work.runs import find_oldest_waiting_seconds
from tasks.names import ALL_QUEUES

parts = APIBlueprint("parts", __name__, tag="health")

MOST_STOPPED = 20
MOST_RULES = 100
LATE_SECONDS = 900
FEED_SECONDS = 60
CALENDAR_DAYS = 180
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Look:
    """The state of one part; `since` where the part itself knows since when."""

    name: str
    state: PartState
    found: str
    todo: str = ""
    since: datetime | None = None


@parts.get("/health/parts")
@parts.output(Parts)
def get_parts() -> Parts:
    """Say of each part of the service how it is, since when, and what to do.

    `since` is when it began, where the service has a time of that: a heartbeat, the oldest run
    that waits, a delivery. Of all else it is when a look first found it so, which `is_first_seen`
    says.
    """
    database = get_database()
    mongodb = ask_mongodb()
    looks = list(_look_at_servers(mongodb))
    if mongodb.ok:
        with timeout(ANSWER_SECONDS):
            looks += [
                _look_at_room(database),
                *_look_at_work(database),
                *_look_at_data(database),
            ]
            since = _note(database, looks)
            # For a tenant's own parts nothing is stored: `since` is what the part itself knows, or
            # nothing.
            looks += [*_look_at_channels(database), *_look_at_stopped(database)]
    else:
        since = {}
    return Parts(
        parts=[
            Part(
                name=look.name,
                state=look.state,
                found=look.found,
                todo=look.todo or None,
                since=look.since or since.get(look.name),
                is_first_seen=look.since is None and look.name in since,
            )
            for look in looks
        ]
    )


def _note(database: Db, looks: list[Look]) -> dict[str, datetime]:
    """Return since when each part is in its state; nothing where that cannot be stored, as on a
    full disk.
    """
    with suppress(PyMongoError):
        return note_states(database, {look.name: look.state for look in looks})
    return {}


def _look_at_room(database: Db) -> Look:
    free = find_free_bytes(database)
    if free is None:
        return Look("Disk of MongoDB", "ok", "MongoDB does not say how much is free")
    if free >= FEW_BYTES:
        return Look("Disk of MongoDB", "ok", "it has room")
    state: PartState = "failed" if free < LEAST_BYTES else "warning"
    todo = "make room; MongoDB ends where it has none, and goes on by itself once there is some"
    return Look("Disk of MongoDB", state, f"{free / GIBIBYTE:,.1f} GiB are free", todo)


def _look_at_servers(mongodb: ServerHealth) -> Iterator[Look]:
    if mongodb.ok:
        yield Look("MongoDB", "ok", "it answers")
    else:
        todo = "start it, or correct MONGO_URL; nothing can be accepted until then"
        yield Look("MongoDB", "failed", mongodb.detail or "it does not answer", todo)
    redis = ask_redis(get_settings())
    if redis.ok:
        yield Look("Redis", "ok", "it answers")
    else:
        todo = (
            "start it, give it memory and room on its disk, or correct REDIS_URL; work is accepted"
            " and waits"
        )
        yield Look("Redis", "failed", redis.detail or "it does not answer", todo)
    workers = get_state().workers.ask() if redis.ok else []
    for queue in ALL_QUEUES:
        of_queue = [worker for worker in workers if queue in worker.queues]
        processes = sum(len(worker.pids) for worker in of_queue)
        if of_queue:
            found = f"{len(of_queue)} answering, with {processes} process{'es' * (processes != 1)}"
            yield Look(f"Workers of {queue}", "ok", found)
        else:
            todo = f"start a worker with --queues {queue}, or wake the one that is frozen"
            yield Look(f"Workers of {queue}", "failed", "none answers", todo)


def _look_at_work(database: Db) -> Iterator[Look]:
    settings = get_settings()
    periods = {SWEEPER: settings.sweep_seconds, SCHEDULER: settings.tick_seconds}
    does = {SWEEPER: "sends again what was lost", SCHEDULER: "scans watchlists that are due"}
    beats = find_heartbeats(database, [*periods])
    for name, period in periods.items():
        last = beats.get(name)
        beat = judge_beat(last, period)
        title = f"Beat, {name}"
        if beat.ok:
            yield Look(title, "ok", f"it {does[name]}")
        else:
            todo = "start beat and the worker of the queue control; of beat one is enough"
            found = beat.detail or "it has not run"
            yield Look(title, "failed", found, todo, last["at"] if last else None)
    waiting = find_oldest_waiting_seconds(database) or 0.0
    if waiting > LATE_SECONDS:
        since = get_now() - timedelta(seconds=waiting)
        todo = "look at the runs that are queued: each says why it waits"
        yield Look("Waiting work", "warning", "a run or batch waits for long", todo, since)
    else:
        yield Look("Waiting work", "ok", "nothing waits for long")


def _look_at_channels(database: Db) -> Iterator[Look]:
    rules = find_rules(database, after=None, limit=MOST_RULES)
    if not rules:
        yield Look("Notifications", "unused", "no rule says who is told")
    last = find_last_deliveries(database, [rule["_id"] for rule in rules])
    for rule in rules:
        name, delivery = f"Notifications, {rule['_id']}", last.get(rule["_id"])
        if not rule["enabled"]:
            yield Look(name, "unused", "it is switched off")
        elif delivery is None:
            yield Look(name, "ok", "nothing was to be told yet")
        elif delivery["state"] == "sent":
            sent = delivery["sent_at"] or delivery["created_at"]
            yield Look(name, "ok", f"the channel took a message on {sent:%Y-%m-%d at %H:%M} UTC")
        elif delivery["error"]:
            state: PartState = "failed" if delivery["state"] == "failed" else "warning"
            todo = "mend the channel, or set the rule again; then send a test"
            yield Look(name, state, delivery["error"], todo, delivery["created_at"])
        else:
            yield Look(name, "ok", "a message is being sent")


def _look_at_data(database: Db) -> Iterator[Look]:
    now = get_now()
    streams = find_positions(database)
    if not streams:
        yield Look("Feed", "unused", "nothing ever came by it")
    for stream in streams:
        name, seen = f"Feed, {stream['_id']}", stream["seen_at"]
        if seen is None or (now - seen).total_seconds() > FEED_SECONDS:
            todo = "start the process `feed`; a producer's messages wait meanwhile"
            yield Look(name, "failed", "nobody looks at its messages", todo, seen)
        elif stream["lag_seconds"] > FEED_SECONDS:
            found = f"{count_of(stream['lag_entries'], 'message')} to store"
            todo = "see whether MongoDB is slow; the feed stores one part after the other"
            yield Look(name, "warning", found, todo, now - timedelta(seconds=stream["lag_seconds"]))
        else:
            yield Look(name, "ok", "what came is stored")
    yield from _look_at_calendars(database, now)
    lacking = {series: each["open"] for series, each in count_lacking(database, None).items()}
    gaps, short = sum(lacking.values()), sum(count > 0 for count in lacking.values())
    if gaps:
        todo = "look at the page of data: ask a source for the bars, or say that there are none"
        yield Look("Gaps", "warning", f"{count_of(gaps, 'gap')} in {short:,} series", todo)
    else:
        yield Look("Gaps", "ok", "no series lacks bars that are not known to lack")


def _look_at_calendars(database: Db, now: datetime) -> Iterator[Look]:
    markets = get_markets()
    for code, noted in sorted(find_session_days(database).items()):
        if code not in markets or not noted["days"] or not count_series(database, code):
            continue
        last = EPOCH + timedelta(days=noted["days"][-1])
        found = f"sessions known to {last:%Y-%m-%d}"
        if last < now + timedelta(days=CALENDAR_DAYS):
            todo = "update Tapewatch; until then single days are set where an anomaly is seen"
            yield Look(f"Calendar {code}", "warning", found, todo)
        else:
            yield Look(f"Calendar {code}", "ok", found)


def _look_at_stopped(database: Db) -> Iterator[Look]:
    query = build_query(states=ACTIVE_STATES, entity_type="feed")
    stopped = find_alerts(database, query, limit=MOST_STOPPED)
    for alert in stopped:
        name = f"Bars of {alert['watchlist']}"
        todo = "see whether its source still brings bars, then scan the watchlist"
        yield Look(name, "failed", "; ".join(alert["reasons"]), todo, alert["bar_time"])
    if not stopped:
        yield Look("Bars of watchlists", "ok", "no scan lacked bars of the last session")
