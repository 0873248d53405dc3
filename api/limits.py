"""How often a key may ask, and from which other sites' pages."""

from apiflask import APIFlask
from flask import g, request
from flask_cors import CORS
from flask_limiter import Limiter

from api.auth import OPEN_ACCESS_KEY, SAFE_METHODS, get_client
from detection.settings import Settings

EXPOSED = ["ETag", "Location", "Retry-After", "X-Request-ID"]
ALLOWED = ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "X-API-Key"]


def register_limits(app: APIFlask, settings: Settings) -> None:
    """Count each key's requests; counts are this process' own, so that no other server can hold up an answer."""
    limiter = Limiter(
        get_client,
        application_limits=[
            lambda: settings.rate_limit_reads if request.method in SAFE_METHODS else settings.rate_limit_writes
        ],
        storage_uri="memory://",
        headers_enabled=True,
    )
    limiter.request_filter(_is_unlimited)
    limiter.init_app(app)


def register_origins(app: APIFlask, settings: Settings) -> None:
    """Let the pages of the sites in the settings ask."""
    origins = list_origins(settings)
    if origins:
        CORS(app, origins=origins, allow_headers=ALLOWED, expose_headers=EXPOSED, max_age=600)


def list_origins(settings: Settings) -> list[str]:
    """Return the origins of other sites that may ask."""
    return [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]


def _is_unlimited() -> bool:
    """Whether there is no key to count: a public page, or open access on this machine."""
    return g.get("flask_httpauth_user") in (None, OPEN_ACCESS_KEY)
