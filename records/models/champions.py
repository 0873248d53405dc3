"""Champions: the model version that a market, a ticker or a watchlist uses for bars of one
interval.

Each scope and interval has one document, its pointer. Intervals are separate, as a model that
learned from days must not judge bars of five minutes.

Detection finds its model by the pointer's `version`, so one write of it changes the model for every
worker. `history` lists every move of the pointer, for rollback and to show which version was in use
when.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, cast

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from core.errors import BadInput
from core.words import ScopeKind
from records.database import Db, Query
from records.models.documents import ChampionAge, ModelDocument, PointerDocument, pointers_in
from records.questions import Question

# Stands in place of a market's code for a model that learned from all markets, and is used for each
# market without a champion of its own.
ALL_MARKETS = "ALL"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a champion or threshold is set for: a market, or a ticker or watchlist, which then does
    not use its market's.

    The market `ALL` is the scope of all markets.
    """

    kind: ScopeKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def name_pointer(self, interval: str) -> str:
        """Return the `_id` of the pointer: `champion::US::1d`, `champion::ticker::AAPL::5m`."""
        return _name_pointer(self.kind, self.name, interval)

    @classmethod
    def choose(
        cls, *, market: str | None = None, ticker: str | None = None, watchlist: str | None = None
    ) -> Self:
        """Return the one scope that is given.

        Raises BadInput where there is none, or more than one.
        """
        given: list[tuple[ScopeKind, str | None]] = [
            ("market", market),
            ("ticker", ticker),
            ("watchlist", watchlist),
        ]
        named = [(kind, name) for kind, name in given if name]
        if len(named) != 1:
            raise BadInput(
                "say whose champion is meant: exactly one of a market, a ticker or a watchlist"
            )
        return cls(*named[0])


@dataclass(frozen=True, slots=True)
class Champion:
    """The version in use, and its `sha256`."""

    version: str
    sha256: str


def find_pointer(
    database: Db, scope: Scope, interval: str, session: ClientSession | None = None
) -> PointerDocument | None:
    """Return the pointer of a scope and interval with its history, or None where there never was
    one.
    """
    return pointers_in(database).find_one({"_id": scope.name_pointer(interval)}, session=session)


def find_in_use(database: Db) -> list[tuple[str, Champion]]:
    """Return (`_id`, champion) of each pointer that names a version, by `_id`."""
    found = pointers_in(database).find({"version": {"$ne": None}}).sort("_id", 1)
    return [(pointer["_id"], champion) for pointer in found if (champion := _read(pointer))]


def find_users(database: Db, version: str, session: ClientSession) -> list[str]:
    """Return the `_id` of each pointer that names this version."""
    return [
        pointer["_id"]
        for pointer in pointers_in(database).find({"version": version}, {"_id": 1}, session=session)
    ]


def move_pointer(
    database: Db,
    scope: Scope,
    interval: str,
    record: ModelDocument | None,
    *,
    action: Literal["promoted", "rolled_back"],
    now: datetime,
    session: ClientSession,
) -> PointerDocument:
    """Point a scope to another version, or to none, in one write; return the pointer."""
    target = (
        {"version": record["_id"], "sha256": record["sha256"]}
        if record
        else {"version": None, "sha256": None}
    )
    changes = target | {"market": record["market"]} if record else target
    pointer = pointers_in(database).find_one_and_update(
        {"_id": scope.name_pointer(interval)},
        {
            "$set": (
                changes
                | {
                    "scope": scope.kind,
                    "name": scope.name,
                    "interval": interval,
                    "changed_at": now,
                }
            ),
            "$push": {"history": target | {"action": action, "at": now}},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    return cast("PointerDocument", pointer)  # An upsert always returns a document.


def find_champions(
    database: Db,
    market: str,
    interval: str,
    tickers: Iterable[str],
    *,
    watchlist: str | None = None,
) -> dict[str, Champion]:
    """Return the champion of each ticker of a market for bars of an interval, in one query.

    It is the ticker's own, else its watchlist's, else the market's, else that of all markets.
    Tickers for which there is none are left out.
    """
    ids = {ticker: _name_pointer("ticker", ticker, interval) for ticker in tickers}
    shared = [Scope("watchlist", watchlist).name_pointer(interval)] if watchlist else []
    shared += [Scope("market", name).name_pointer(interval) for name in (market, ALL_MARKETS)]
    query = {
        "_id": {"$in": [*ids.values(), *shared]},
        "market": {"$in": [market, ALL_MARKETS]},
        "version": {"$ne": None},
    }
    pointers = pointers_in(database).find(query, {"version": 1, "sha256": 1})
    found = {pointer["_id"]: champion for pointer in pointers if (champion := _read(pointer))}
    for_all = next((found[choice] for choice in shared if choice in found), None)
    champions = {ticker: found.get(own, for_all) for ticker, own in ids.items()}
    return {ticker: champion for ticker, champion in champions.items() if champion is not None}


def ask_in_use(
    database: Db, market: str, interval: str, ticker: str
) -> Question[tuple[Champion, int | None] | None]:
    """Ask for the champion of one ticker, as `find_champions` chooses it, with its warm-up in bars
    (None where the version is not stored); without watchlists.
    """
    order = _order_pointers(market, interval, ticker)
    stages: list[Query] = [
        {
            "$match": {
                "_id": {"$in": order},
                "market": {"$in": [market, ALL_MARKETS]},
                "version": {"$ne": None},
            }
        },
        {
            "$lookup": {
                "from": "models",
                "localField": "version",
                "foreignField": "_id",
                "pipeline": [{"$project": {"warm_up_bars": 1}}],
                "as": "model",
            }
        },
        {"$project": {"version": 1, "sha256": 1, "warm": {"$first": "$model.warm_up_bars"}}},
    ]

    def read(pointers: list[Any]) -> tuple[Champion, int | None] | None:
        found = {pointer["_id"]: pointer for pointer in pointers}
        first = next((found[choice] for choice in order if choice in found), None)
        return first and (Champion(first["version"], first["sha256"]), first.get("warm"))

    return Question(pointers_in(database), stages, read)


def find_bars_needed(database: Db) -> Callable[[str, str, str], int | None]:
    """Return a function of a series' (market, interval, ticker): how many bars its champion needs
    for a first score.

    The champion is chosen as by `ask_in_use`. None where there is none, or its version is not
    stored.
    """
    fields = {"version": 1, "market": 1}
    found = {one["_id"]: one for one in database.champions.find({"version": {"$ne": None}}, fields)}
    versions = {"_id": {"$in": list({one["version"] for one in found.values()})}}
    warm_ups = {
        one["_id"]: one.get("warm_up_bars")
        for one in database.models.find(versions, {"warm_up_bars": 1})
    }

    def choose(market: str, interval: str, ticker: str) -> int | None:
        for name in _order_pointers(market, interval, ticker):
            pointer = found.get(name)
            if pointer is not None and pointer["market"] in {market, ALL_MARKETS}:
                warm_up = warm_ups.get(pointer["version"])
                return None if warm_up is None else 1 + warm_up
        return None

    return choose


def find_market_ages(database: Db) -> list[ChampionAge]:
    """Return {market, interval, version, age_seconds} of each market's champions.

    As a drift's, the age counts from the start of the last bar that the version may have learned
    from.
    """
    stages: list[Query] = [
        {"$match": {"scope": "market", "version": {"$ne": None}}},
        {
            "$lookup": {
                "from": "models",
                "localField": "version",
                "foreignField": "_id",
                "as": "model",
            }
        },
        {"$set": {"learned_to": {"$first": "$model.window_end"}}},
        {"$set": {"age_seconds": {"$divide": [{"$subtract": ["$$NOW", "$learned_to"]}, 1_000]}}},
        {"$set": {"market": "$name"}},
        {"$project": {"_id": 0, "market": 1, "interval": 1, "version": 1, "age_seconds": 1}},
    ]
    return list(database.champions.aggregate(stages))


def find_champion(
    database: Db, scope: Scope, interval: str, session: ClientSession | None = None
) -> Champion | None:
    """Return the champion set for exactly this scope and interval, or None."""
    pointer = find_pointer(database, scope, interval, session)
    return None if pointer is None else _read(pointer)


def _name_pointer(kind: ScopeKind, name: str, interval: str) -> str:
    of_kind = "" if kind == "market" else f"{kind}::"
    return f"champion::{of_kind}{name}::{interval}"


def _order_pointers(market: str, interval: str, ticker: str) -> list[str]:
    """Return the `_id` of each pointer that a series may use, the first that there is counts."""
    shared = [_name_pointer("market", name, interval) for name in (market, ALL_MARKETS)]
    return [_name_pointer("ticker", ticker, interval), *shared]


def _read(pointer: PointerDocument) -> Champion | None:
    version, sha256 = pointer["version"], pointer["sha256"]
    return None if version is None or sha256 is None else Champion(version, sha256)


def find_versions(database: Db, scopes: Iterable[Scope]) -> dict[tuple[Scope, str], str]:
    """Return the version in use in each of these scopes for bars of each interval."""
    query = {
        "$or": [{"scope": scope.kind, "name": scope.name} for scope in scopes],
        "version": {"$ne": None},
    }
    found = pointers_in(database).find(query, {"history": 0})
    return {
        (Scope(pointer["scope"], pointer["name"]), pointer["interval"]): pointer["version"]
        for pointer in found
        if pointer["version"] is not None
    }
