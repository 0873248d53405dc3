"""The settings object: read once from the environment, and passed as an argument
everywhere else.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import BadInput, explain_forbidden
from core.words import Retrain

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]
RATE = r"^[1-9][0-9]{0,9}/(second|minute|hour|day)$"
_URL_OR_NONE = r"^(https?://\S+)?$"
_ORIGIN = r"(null|[a-z][a-z0-9+.-]*://[^\s/?#,]+)"
STATE_DIR = Path(".tapewatch")


def _check_redis_url(url: str) -> str:
    """Return the URL. Raises ValueError on one whose password has characters that end it: Redis'
    own error, at each use, would show a part of the password.
    """
    if url.startswith(("redis://", "rediss://")):
        try:
            parts = urlsplit(url)
            _ = parts.port
            # Of a password that begins with digits, these are the port.
            rest = f"{parts.path}{parts.query.partition('=')[0]}{parts.fragment}"
            is_whole = "@" not in rest
        except ValueError:
            is_whole = False
        if not is_whole:
            raise ValueError(
                "its host or port cannot be read; in a password, characters such as / ? # must be"
                " escaped, as urllib.parse.quote_plus does it"
            )
    return url


RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]


class Settings(BaseSettings):
    """What a process needs to know of its surroundings;
    each field is an environment variable of the same name.

    While `make up` or `make demo` serves, `.tapewatch/servers.env` names its embedded servers and
    has what else the command line must have alike, so that it need not be told.
    """

    model_config = SettingsConfigDict(
        env_file=STATE_DIR / "servers.env", extra="ignore", frozen=True
    )

    mongo_url: str = Field(
        "mongodb://127.0.0.1:27017/?replicaSet=tapewatch", description="MongoDB replica set"
    )
    mongo_database: str = Field(
        "tapewatch", pattern=r'^[^/\\. "$*<>:|?]{1,63}$', description="its name in MongoDB"
    )
    tenant: str = Field(
        "", description="whose alerts, rules and watchlists the command line is about"
    )
    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0", description="broker; also counts how often keys ask"
    )
    host: str = Field("127.0.0.1", min_length=1, description="address the API listens on")
    port: int = Field(5000, ge=1, le=65535)
    flower_port: int = Field(5555, ge=1, le=65535)
    url_prefix: str = Field("/py", pattern=r"^(/[a-z0-9_-]+)*$")
    log_level: LogLevel = Field("info", description="the least that is logged")
    artefact_keys: str = Field(
        "",
        repr=False,
        description=(
            "what models are signed with, the first new ones; empty: .tapewatch/artefact.keys"
        ),
    )
    flower_url: str = Field(
        "", pattern=_URL_OR_NONE, description="where browsers find Flower, for a link"
    )
    cors_origins: str = Field(
        "",
        pattern=rf"^\s*(\*|({_ORIGIN}\s*(,\s*|$))*)\s*$",
        description="origins of other sites' pages that may ask, with commas between them",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$",
        description="where people reach the dashboard, for the links in messages; empty: no links",
    )
    rate_limit_reads: str = Field(
        "6000/minute", pattern=RATE, description="requests that only read, by API key"
    )
    rate_limit_writes: str = Field(
        "600/minute", pattern=RATE, description="all other requests, by API key"
    )
    private_channels: bool = Field(
        default=False,
        description="whether notifications may go to this host and to private networks",
    )
    line_login_channel_id: str = Field(
        "", pattern=r"^[0-9]*$", description="of a LINE Login channel; empty: nobody logs in"
    )
    line_login_channel_secret: str = Field("", repr=False, description="its secret")
    line_channel_token: str = Field(
        "",
        repr=False,
        description="access token of the same provider's Messaging API channel, which sends",
    )
    line_api_url: str = Field(
        "https://api.line.me", pattern=r"^https?://[^\s/?#]+$", description="where LINE's API is"
    )
    batch_tickers: int = Field(250, ge=1, le=1000, description="most tickers in one Celery message")
    batch_bars: int = Field(
        400_000, ge=1_000, le=100_000_000, description="most bars in one Celery message"
    )
    # After the lease, a sweep and half a minute of work, the batches of a lost host are done again
    # within 90 s.
    lease_seconds: int = Field(
        45, ge=2, le=3_600, description="how long a worker may hold a batch before it must renew"
    )
    # After two attempts a batch is split; its other tickers need at least one more.
    max_attempts: int = Field(
        5, ge=3, le=100, description="claims of a ticker's batches before it is given up"
    )
    heavy_at_once: int = Field(
        1,
        ge=1,
        le=1_000,
        description="trainings and other heavy batches at work at once, of all workers",
    )
    sweep_seconds: int = Field(15, ge=1, le=3_600, description="period of the sweeper")
    tick_seconds: int = Field(
        5, ge=1, le=3_600, description="how often the scheduler looks for watchlists that are due"
    )
    analytics_seconds: int = Field(
        900, ge=5, le=86_400, description="how often metrics of what has new bars are computed"
    )
    retrain: Annotated[Retrain, BeforeValidator(str.lower)] = Field(
        "train",
        description=(
            "what follows where a champion has drifted: a proposal, a challenger that is trained,"
            " or one that is put in use where it passes all gates; off: nobody watches"
        ),
    )
    trades_days: int = Field(7, ge=1, le=3_650, description="how long trades are kept")
    depth_hours: int = Field(24, ge=1, le=87_600, description="how long depth is kept")
    feed_url: RedisUrl = Field(
        "",
        pattern=r"^((redis|rediss|nats)://\S+)?$",
        repr=False,
        description="what carries the feed: redis:// or nats://; empty: the broker",
    )
    feed_streams: str = Field(
        "",
        max_length=4_000,
        description="streams of cryptofeed that the feed stores too, with commas between them",
    )
    watched_folder: str = Field(
        "", description="whose subfolders may be a watchlist's source of bars; empty: none"
    )
    otel_exporter_otlp_endpoint: str = Field(
        "", pattern=_URL_OR_NONE, description="where traces are sent; empty: nowhere"
    )
    min_training_data_points: int = Field(
        3, ge=2, le=1_000_000, description="fewest points that a series is fitted to"
    )
    server_timeout_seconds: float = Field(
        4.0, gt=0, le=300, description="how long an unreachable server is waited for"
    )

    def list_feed_streams(self) -> tuple[str, ...]:
        """Return the streams of others that the feed stores, each once."""
        return tuple(dict.fromkeys(filter(None, map(str.strip, self.feed_streams.split(",")))))


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return this process's settings.

    Raises BadInput, which names the variables that cannot be used.
    """
    return read_settings()


def read_settings(*, env_file: Path | None = STATE_DIR / "servers.env") -> Settings:
    """Return the settings of the environment, and of a file.

    Raises BadInput, which names what cannot be used.
    """
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
        raise BadInput(f"the settings cannot be used: {faults}") from error
    except OSError as error:
        raise BadInput(explain_forbidden(error)) from error
