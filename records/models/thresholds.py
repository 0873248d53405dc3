"""Thresholds set for a market, a watchlist or a ticker, in place of the one a model was trained with."""

from collections.abc import Iterable
from datetime import datetime

from records.database import Db, Document
from records.models.champions import Scope


def set_threshold(database: Db, scope: Scope, kind: str, value: float, now: datetime) -> None:
    """Set what passes in a scope: by `contamination`, by `grade` or as a `score`; the next detection uses it."""
    policy = {"scope": scope.kind, "name": scope.name, "kind": kind, "value": value, "changed_at": now}
    database.thresholds.replace_one({"_id": _build_id(scope)}, policy, upsert=True)


def clear_threshold(database: Db, scope: Scope) -> bool:
    """Go back to the wider scope's threshold, at last the model's own; False where none was set."""
    return database.thresholds.delete_one({"_id": _build_id(scope)}).deleted_count == 1


def find_threshold(database: Db, scope: Scope) -> Document | None:
    """Return what is set for exactly this scope, or None."""
    return database.thresholds.find_one({"_id": _build_id(scope)})


def find_thresholds(
    database: Db, market: str, tickers: Iterable[str], *, watchlist: str | None = None
) -> dict[str, Document]:
    """Return what is set for each ticker, in one query: its own, else its watchlist's, else its market's.

    Tickers for which nothing is set are left out.
    """
    own = {ticker: _build_id(Scope("ticker", ticker)) for ticker in tickers}
    shared = [_build_id(Scope("watchlist", watchlist))] if watchlist else []
    shared.append(_build_id(Scope("market", market)))
    found = {d["_id"]: d for d in database.thresholds.find({"_id": {"$in": [*own.values(), *shared]}})}
    choices = {t: next((found[i] for i in (own_id, *shared) if i in found), None) for t, own_id in own.items()}
    return {ticker: choice for ticker, choice in choices.items() if choice is not None}


def _build_id(scope: Scope) -> str:
    return f"threshold::{scope.kind}::{scope.name}"
