"""Rate limits: how often a key may ask. CORS: from which other sites' pages."""

from time import time
from typing import Any

from apiflask import APIFlask
from flask import Response, current_app, g, request
from flask_cors import CORS
from flask_limiter import Limiter, RequestLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.http.auth import OPEN_ACCESS_KEY, get_client, get_scope
from api.http.errors import build_problem
from core.settings import Settings

# The longest time that a request waits for Redis; after it the process counts in memory, and checks
# now and then whether Redis is back.
REDIS_SECONDS = 0.25
EXPOSED = ["ETag", "Location", "Retry-After", "X-Request-ID"]
ALLOWED = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Last-Event-ID",
    "X-API-Key",
]


def register_limits(app: APIFlask, settings: Settings) -> None:
    """Count each key's requests in Redis, for all API processes together; while Redis is away, each
    process counts for itself.
    """
    # redis-py's own options; by flask-limiter's types they are text
    options: Any = {
        "socket_timeout": REDIS_SECONDS,
        "socket_connect_timeout": REDIS_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    limiter = Limiter(
        get_client,
        application_limits=[
            lambda: settings.rate_limit_reads if _is_read() else settings.rate_limit_writes
        ],
        storage_uri=settings.redis_url,
        storage_options=options,
        in_memory_fallback_enabled=True,
        # When Redis goes away, the first waiting request switches to counting in memory; the others
        # would get the error.
        swallow_errors=True,
        on_breach=_refuse,
    )
    limiter.request_filter(_is_unlimited)
    limiter.init_app(app)


def register_origins(app: APIFlask, settings: Settings) -> None:
    """Allow requests from pages of the sites in the settings."""
    origins = list_origins(settings)
    if origins:
        CORS(app, origins=origins, allow_headers=ALLOWED, expose_headers=EXPOSED, max_age=600)


def list_origins(settings: Settings) -> list[str]:
    """Return the allowed origins of other sites."""
    return [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]


def _refuse(broken: RequestLimit) -> Response:
    seconds = max(1, int(broken.reset_at - time()))  # rounded up
    kind = "reads" if _is_read() else "requests that are no reads"
    detail = (
        f"this key may send {broken.limit.amount} {kind} in {broken.limit.get_expiry()} s; try"
        f" again in {seconds} s"
    )
    return build_problem(429, detail, headers={"Retry-After": str(seconds)})


def _is_read() -> bool:
    """Whether the request only reads: decided by its scope, because a POST may only read."""
    return get_scope(current_app, request.endpoint or "", request.method) == "read"  # type: ignore[arg-type]


def _is_unlimited() -> bool:
    """Whether no key is counted: for a public page, or open access on this machine."""
    return g.get("flask_httpauth_user") in (None, OPEN_ACCESS_KEY)
