"""Who may ask for what: API keys with scopes,
and open access on loopback while no key has been made.
"""

from collections.abc import Callable, Collection
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask import Response, current_app, g, request
from flask_httpauth import HTTPTokenAuth, MultiAuth
from prometheus_client import Counter
from pymongo import timeout

from api.http.deadlines import ANSWER_SECONDS
from api.http.errors import build_problem
from api.http.state import get_database, get_settings, get_state
from core.errors import DatabaseUnfit, ScopeMissing
from core.hosts import is_loopback
from core.settings import Settings
from core.words import KeyScope
from records import keys
from records.database import Db

PUBLIC = frozenset(
    {"health.get_health", "probes.get_liveness", "probes.get_readiness", "openapi.spec"}
    | {"single_series.get_series_health", "root_single_series.get_series_health"}
    | {"pages.get_index", "pages.get_asset", "pages.get_docs", "pages.get_docs_asset"}
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_ACCESS_KEY = {"_id": None, "name": "open access", "scopes": ["admin"]}

WRONG_KEYS = Counter("tapewatch_wrong_keys", "Requests with a key that is not in force.")

bearer = HTTPTokenAuth("Bearer", realm="tapewatch")
api_key = HTTPTokenAuth("Bearer", realm="tapewatch", header="X-API-Key")
either = MultiAuth(bearer, api_key)

View = TypeVar("View", bound=Callable[..., Any])


def register_auth(app: APIFlask, origins: Collection[str]) -> None:
    """Require a key for every request except those to the endpoints in `PUBLIC`; accept requests
    from the other sites in `origins`.
    """
    for scheme in (bearer, api_key):
        scheme.verify_token(_find_key)
        scheme.get_user_roles(_get_scopes)
        scheme.error_handler(_refuse)
    app.before_request(partial(_refuse_foreign_origin, frozenset(origins)))
    app.before_request(_require_key)


def needs_scope(scope: str, *, of_tenant: bool | None = None) -> Callable[[View], View]:
    """Mark a view whose scope is not the one of its method (GET `read`, all others `enqueue`).

    A view that needs `admin` changes what all tenants share, so it accepts only keys of the default
    tenant, unless it is `of_tenant`. Other views accept keys of any tenant, unless they say
    otherwise.
    """

    def mark(view: View) -> View:
        view.scope = scope  # type: ignore[attr-defined]  # functools.wraps carries it to the outermost wrapper
        view.is_shared = scope == "admin" if of_tenant is None else not of_tenant  # type: ignore[attr-defined]  # as above
        return view

    return mark


def get_scope(app: APIFlask, endpoint: str, method: str) -> str:
    """Return the scope that a request to this endpoint needs: its own or, if it has none, that of
    its method.
    """
    default = "read" if method in SAFE_METHODS else "enqueue"
    scope: str = getattr(app.view_functions.get(endpoint), "scope", default)
    return scope


def get_client() -> str:
    """Return the client: the id of its key, or a word for open access."""
    return str(g.flask_httpauth_user["_id"] or "open")


def get_person() -> str:
    """Return the name of the request's key, which trails show."""
    return str(g.flask_httpauth_user["name"])


def get_key_id() -> str | None:
    """Return the id of the request's key; None for open access."""
    key_id: str | None = g.flask_httpauth_user["_id"]
    return key_id


def get_scopes() -> list[KeyScope]:
    """Return the scopes of the request's key."""
    scopes: list[KeyScope] = g.flask_httpauth_user["scopes"]
    return scopes


def has_scope(scope: str) -> bool:
    """Whether this request may do what needs a scope.

    A GET from another site's page may at most read: it may be a visitor's browser that loads a
    picture there, with the visitor's access to this API.
    """
    is_foreign = request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
    if is_foreign and request.method in SAFE_METHODS and scope != "read":
        return False
    return not {scope, "admin"}.isdisjoint(g.flask_httpauth_user["scopes"])


def require_scope(scope: str, deed: str, *, of_tenant: bool = False) -> None:
    """Raise ScopeMissing if the request's key lacks a scope that only some requests to its route
    need. `admin` also requires the default tenant, unless the action is `of_tenant`.
    """
    if not has_scope(scope) or (scope == "admin" and not of_tenant and _is_of_tenant()):
        raise ScopeMissing(
            f"{deed} needs a key with the scope {scope!r}, which this key does not have"
        )


def is_open(settings: Settings, database: Db) -> bool:
    """Whether access is open: the API listens on loopback and no key was ever made."""
    return is_loopback(settings.host) and not keys.has_keys(database)


def check_keys(settings: Settings, database: Db) -> None:
    """Raise DatabaseUnfit if the API listens to other machines and no key was ever made, because
    then nobody can use it.
    """
    if not is_loopback(settings.host) and not keys.has_keys(database):
        raise DatabaseUnfit(
            f"nobody gets in yet: HOST={settings.host} lets other machines ask, and no API key has"
            " been made. Make one with `flask keys create NAME --scope admin`.",
            reason="no_key",
        )


def _refuse_foreign_origin(allowed: frozenset[str]) -> Response | None:
    """Refuse a request that another site's page sends through a visitor's browser; our own page
    sends our own origin.
    """
    origin = request.headers.get("Origin")
    if request.method in SAFE_METHODS or origin is None or origin in allowed:
        return None
    if urlsplit(origin).netloc == request.host:
        return None
    return build_problem(
        403, f"requests from the origin {origin[:100]} are not taken", reason="foreign_origin"
    )


def _require_key() -> Any:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC or request.method == "OPTIONS":
        return None
    with timeout(ANSWER_SECONDS):
        return _check_key(endpoint)


def _check_key(endpoint: str) -> Any:
    has_key = "Authorization" in request.headers or "X-API-Key" in request.headers
    if not has_key and is_open(get_settings(), get_database()):
        return _admit_openly()
    scope = get_scope(current_app, endpoint, request.method)  # type: ignore[arg-type]  # a proxy of our APIFlask
    g.needed_scope = scope
    return either.login_required(role=[scope, "admin"])(partial(_refuse_tenant, endpoint))()


def _refuse_tenant(endpoint: str) -> Response | None:
    """Refuse a tenant's key for what all tenants share."""
    is_shared = getattr(current_app.view_functions.get(endpoint), "is_shared", False)
    if not is_shared or not _is_of_tenant():
        return None
    detail = "this is about what all tenants share, and needs a key of the default tenant"
    return build_problem(403, detail, reason="shared_by_tenants")


def _is_of_tenant() -> bool:
    return "tenant" in g.flask_httpauth_user


def _admit_openly() -> Response | None:
    """Accept a request without a key if it comes from this machine and was addressed to this
    machine.

    A page of another site can let its name resolve to 127.0.0.1 and so reach us from a visitor's
    browser (DNS rebinding); its requests still have that name in `Host`.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(host) or not is_loopback(request.remote_addr or ""):
        detail = (
            "access without a key is open to this machine under a loopback name only, not as"
            f" {host[:100]!r}"
        )
        return build_problem(403, detail, reason="host_not_allowed")
    g.flask_httpauth_user = OPEN_ACCESS_KEY
    return None


def _find_key(token: str) -> keys.KnownKey | None:
    is_read = g.needed_scope == "read"
    return get_state().keys.find(get_database(), token, is_read=is_read)


def _get_scopes(key: keys.KnownKey) -> list[KeyScope]:
    return key["scopes"]


def _refuse(status: int) -> Response:
    if status == HTTPStatus.FORBIDDEN:
        return build_problem(
            403, f"this key does not have the scope {g.needed_scope!r}", reason="scope_missing"
        )
    if "Authorization" in request.headers or "X-API-Key" in request.headers:
        WRONG_KEYS.inc()
    detail = (
        "this needs a key in force: `Authorization: Bearer KEY` or `X-API-Key: KEY`; `flask keys"
        " create` makes one"
    )
    return build_problem(401, detail, reason="key_missing")
