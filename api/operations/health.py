"""The health routes say whether the service is alive, ready, and well."""

from apiflask import APIBlueprint
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from api.http.auth import check_keys, is_open
from api.http.build import get_build
from api.http.openapi import API_VERSION
from api.http.state import get_database, get_settings, get_state
from api.schemas.health import Alive, Health, HealthStatus, ServerHealth
from core.errors import ServerUnreachable
from core.settings import Settings
from records.database import explain_unreachable, hide_credentials
from records.migrations import check_version
from records.work.documents import Heartbeat
from records.work.heartbeats import SCHEDULER, SWEEPER, find_heartbeats
from records.work.runs import find_oldest_waiting_seconds
from tasks.names import ALL_QUEUES

BEATS_MISSED = 4
LEAST_LATE_SECONDS = 60
REDIS_TIMEOUT_SECONDS = 1.0
PROBE = "tapewatch:probe"

health = APIBlueprint("health", __name__, tag="health")
probes = APIBlueprint("probes", __name__, tag="health")  # orchestrators look for these at the root


@health.get("/health")
@health.output(Health)
def get_health() -> Health:
    """How the service is, part by part."""
    settings = get_settings()
    mongodb, redis = ask_mongodb(), ask_redis(settings)
    workers = _ask_workers() if redis.ok else ServerHealth(ok=False, detail="Redis does not answer")
    sweeper = scheduler = ServerHealth(ok=False, detail="MongoDB does not answer")
    if mongodb.ok:
        beats = find_heartbeats(get_database(), [SWEEPER, SCHEDULER])
        sweeper = judge_beat(beats.get(SWEEPER), settings.sweep_seconds)
        scheduler = judge_beat(beats.get(SCHEDULER), settings.tick_seconds)
    return Health(
        status=_judge(mongodb, redis, workers, sweeper, scheduler),
        version=API_VERSION,
        build=get_build(),
        access=(
            "unknown" if not mongodb.ok else "open" if is_open(settings, get_database()) else "keys"
        ),
        mongodb=mongodb,
        redis=redis,
        workers=workers,
        sweeper=sweeper,
        scheduler=scheduler,
        flower_url=settings.flower_url or None,
        oldest_pending_seconds=find_oldest_waiting_seconds(get_database()) if mongodb.ok else None,
    )


@probes.get("/healthz")
@probes.output(Alive)
def get_liveness() -> Alive:
    """Whether this process answers at all; asks no other."""
    return Alive()


@probes.get("/readyz")
@probes.output(Alive)
def get_readiness() -> Alive:
    """Whether work can be accepted: MongoDB, at the version that this code needs, has it.

    Where other machines may ask, there is nobody to accept it from until a key has been made.

    Redis is not asked: the sweeper sends what it missed.
    """
    with explain_unreachable(get_settings()):
        check_version(get_database())
        check_keys(get_settings(), get_database())
    return Alive()


def ask_mongodb() -> ServerHealth:
    """Return whether MongoDB answers."""
    try:
        with explain_unreachable(get_settings()):
            get_database().command("ping")
    except (ServerUnreachable, PyMongoError) as error:
        return ServerHealth(ok=False, detail=str(error))
    return ServerHealth(ok=True)


def ask_redis(settings: Settings) -> ServerHealth:
    """Return whether Redis accepts messages, within a second: one without memory or disk space, or
    a replica, still answers.
    """
    timeouts = {
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
    }
    try:
        with Redis.from_url(settings.redis_url, **timeouts) as client:
            client.set(PROBE, "", px=1)
    except (RedisError, TypeError, ValueError) as error:  # the latter on options of the URL
        return ServerHealth(
            ok=False, detail=f"Redis at {hide_credentials(settings.redis_url)}: {error}"
        )
    return ServerHealth(ok=True)


def _ask_workers() -> ServerHealth:
    consumed = {queue for worker in get_state().workers.ask() for queue in worker.queues}
    missing = [queue for queue in ALL_QUEUES if queue not in consumed]
    return ServerHealth(
        ok=not missing, detail=f"nobody consumes {', '.join(missing)}" if missing else None
    )


def judge_beat(last: Heartbeat | None, period_seconds: int) -> ServerHealth:
    """Judge the time since beat last did something that it does at regular intervals."""
    if last is None:
        return ServerHealth(
            ok=False, detail="it has not run yet; are beat and the control worker running?"
        )
    age = last["age_seconds"]
    # The control worker may be busy with a sweep for a while.
    is_late = age > max(BEATS_MISSED * period_seconds, LEAST_LATE_SECONDS)
    detail = f"it ran last {age:.0f} s ago; are beat and the control worker running?"
    return ServerHealth(ok=not is_late, detail=detail if is_late else None)


def _judge(mongodb: ServerHealth, *others: ServerHealth) -> HealthStatus:
    if not mongodb.ok:
        return "unavailable"
    return "ok" if all(other.ok for other in others) else "degraded"
