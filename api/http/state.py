"""The application's state: its settings, this process's connection to MongoDB, and the Celery
client.
"""

from contextvars import Context
from datetime import UTC, datetime
from threading import Lock
from time import perf_counter

from celery import Celery
from flask import Flask, current_app, g, has_request_context

from api.http.known_keys import KnownKeys
from api.http.latencies import LatencyWriter
from core.moments import as_utc
from core.settings import Settings
from detection.models.single_series import SeriesModels
from market.markets import Markets, load_markets
from records.database import Db, open_database
from records.migrations import prepare_database
from records.tenancy import of_tenant
from records.work.latencies import LatencyKind
from tasks.process.census import WorkerCensus

EXTENSION = "tapewatch"


class State:
    """Connections are made at first use, because the server may fork after creating the
    application.
    """

    def __init__(self, settings: Settings, celery: Celery) -> None:
        self.settings = settings
        self.celery = celery
        self.workers = WorkerCensus(celery)
        self.keys = KnownKeys()
        self.latencies = LatencyWriter()
        self.series_models = SeriesModels()
        self._lock = Lock()
        self._database: Db | None = None
        self._of_tenants: dict[str | None, Db] = {}
        self._has_indexes = False

    @property
    def database(self) -> Db:
        """The service's database as the tenant of the request's key sees it; the whole database
        while no key is known, as for looking up a key or for the service's health.
        """
        user = g.get("flask_httpauth_user") if has_request_context() else None
        whole = self.whole_database
        if not user:
            return whole
        tenant = user.get("tenant")
        if tenant not in self._of_tenants:
            self._of_tenants[tenant] = of_tenant(whole, tenant)
        return self._of_tenants[tenant]

    @property
    def whole_database(self) -> Db:
        """The service's database, over the one client of this process."""
        with self._lock:
            if self._database is None:
                self._database = open_database(self.settings)
        # An idempotency key depends on its unique index. The check is not under the lock: while
        # MongoDB is away, one request after the other would wait for it.
        if not self._has_indexes:
            # Building an index may take longer than a request, whose deadline would interrupt it
            # each time.
            Context().run(prepare_database, self._database, get_now())
            self._has_indexes = True
        return self._database

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._database is not None:
                self._database.client.close()
                self._database = None
                self._of_tenants = {}


def add_state(app: Flask, state: State) -> None:
    """Give the app its state."""
    app.extensions[EXTENSION] = state


def get_state(app: Flask | None = None) -> State:
    """Return the state of an app, or of the one that is answering."""
    state: State = (app or current_app).extensions[EXTENSION]
    return state


def get_settings() -> Settings:
    """Return the settings of the app that is answering."""
    return get_state().settings


def get_database() -> Db:
    """Return the database of the answering application, as the tenant of the request sees it."""
    return get_state().database


def get_markets() -> Markets:
    """Return the known markets, read once a request."""
    if "markets" not in g:
        g.markets = load_markets(get_database())
    markets: Markets = g.markets
    return markets


def check_market(code: str | None) -> str | None:
    """Return a market's code as it is stored; None means any market.

    Raises BadInput on one that is not known.
    """
    return None if code is None else get_markets().choose(code).code


def get_now() -> datetime:
    """Return the time at which a request is answered, in the milliseconds that MongoDB keeps."""
    return as_utc(datetime.now(UTC))


def count_latency(kind: LatencyKind) -> None:
    """Record how long the current request has taken, among the last ones of its kind."""
    get_state().latencies.add(get_database(), kind, perf_counter() - g.started)
