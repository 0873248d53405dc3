"""Which bus the settings name."""

from core.settings import Settings
from feed.bus import Bus
from feed.redis_bus import RedisBus


def open_bus(settings: Settings) -> Bus:
    """Return the bus that the settings name; nothing is connected yet.

    That is Redis, or NATS where FEED_URL begins with `nats://`.
    """
    if settings.feed_url.startswith("nats://"):
        from feed.nats_bus import NatsBus  # noqa: PLC0415 - an extra

        return NatsBus(settings.feed_url, settings.server_timeout_seconds)
    return RedisBus(settings.feed_url or settings.redis_url, settings.server_timeout_seconds)
