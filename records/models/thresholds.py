"""Thresholds that are set for a market, a watchlist or a ticker, in place of the one that a model
was trained with.

A policy is {kind, value}, its kind `contamination`, `grade` or `score`. A watchlist's policy is a
field of the watchlist; a change of it raises the watchlist's version, as any other change does.
"""

from collections.abc import Iterable
from datetime import datetime

from pymongo.client_session import ClientSession

from core.errors import NotFound
from core.words import ScopeKind, ThresholdKind
from records.database import Db
from records.models.champions import ALL_MARKETS, Scope
from records.models.documents import PolicyFields, ThresholdDocument, thresholds_in
from records.tenancy import of_tenant, split_name


def set_threshold(
    database: Db,
    scope: Scope,
    kind: ThresholdKind,
    value: float,
    now: datetime,
    session: ClientSession | None = None,
) -> None:
    """Set the threshold of a scope, which the next detection uses.

    Raises NotFound where the scope is a watchlist that does not exist.
    """
    policy: PolicyFields = {"kind": kind, "value": value}
    if scope.kind == "watchlist":
        _change_watchlist(database, scope.name, policy, now, session)
        return
    document: ThresholdDocument = {
        **policy,
        "_id": _build_id(scope),
        "scope": scope.kind,
        "name": scope.name,
        "changed_at": now,
    }
    thresholds_in(database).replace_one(
        {"_id": document["_id"]}, document, upsert=True, session=session
    )


def clear_threshold(
    database: Db, scope: Scope, now: datetime, session: ClientSession | None = None
) -> None:
    """Remove the threshold of a scope, so that the wider scope's counts, at last the model's own.

    Raises as `set_threshold`.
    """
    if scope.kind == "watchlist":
        _change_watchlist(database, scope.name, None, now, session)
    else:
        thresholds_in(database).delete_one({"_id": _build_id(scope)}, session=session)


def find_threshold(database: Db, scope: Scope) -> PolicyFields | None:
    """Return the policy that is set for exactly this scope, or None."""
    if scope.kind == "watchlist":
        return _find_of_watchlist(database, scope.name)
    return thresholds_in(database).find_one({"_id": _build_id(scope)})


def compare_thresholds(
    database: Db, scope: Scope, after: PolicyFields | None
) -> dict[str, PolicyFields | None]:
    """Return the policy of a scope before and after a change, for the audit trail."""
    found = find_threshold(database, scope)
    before: PolicyFields | None = found and {"kind": found["kind"], "value": found["value"]}
    return {"before": before, "after": after}


def find_thresholds(
    database: Db, market: str, tickers: Iterable[str], *, watchlist: str | None = None
) -> dict[str, PolicyFields]:
    """Return the policy of each ticker: its own, else its watchlist's, else its market's,
    else that of all markets.

    A watchlist of another tenant than that of `database` is named as `records.tenancy.qualify`
    names it. Tickers without a policy are left out. It takes two queries at the most, whatever the
    number of tickers.
    """
    own = {ticker: _name_policy("ticker", ticker) for ticker in tickers}
    of_market, of_all = (_name_policy("market", name) for name in (market, ALL_MARKETS))
    found: dict[str, PolicyFields] = {
        d["_id"]: d
        for d in thresholds_in(database).find({"_id": {"$in": [*own.values(), of_market, of_all]}})
    }
    shared = _find_of_watchlist(database, watchlist) if watchlist else None
    shared = shared or found.get(of_market) or found.get(of_all)
    choices = {ticker: found.get(own_id, shared) for ticker, own_id in own.items()}
    return {ticker: choice for ticker, choice in choices.items() if choice is not None}


def _find_of_watchlist(database: Db, name: str) -> PolicyFields | None:
    tenant, own_name = split_name(name)
    own = database if tenant is None else of_tenant(database, tenant)
    watchlist = own.watchlists.find_one({"_id": own_name}, {"threshold": 1}) or {}
    policy: PolicyFields | None = watchlist.get("threshold")
    return policy


def _change_watchlist(
    database: Db,
    name: str,
    policy: PolicyFields | None,
    now: datetime,
    session: ClientSession | None,
) -> None:
    changes = {"$set": {"threshold": policy, "updated_at": now}, "$inc": {"version": 1}}
    done = database.watchlists.update_one({"_id": name}, changes, session=session)
    if done.matched_count == 0:
        raise NotFound(f"there is no watchlist {name!r}, so its threshold cannot be set")


def _build_id(scope: Scope) -> str:
    return _name_policy(scope.kind, scope.name)


def _name_policy(kind: ScopeKind, name: str) -> str:
    return f"threshold::{kind}::{name}"
