"""The registry of versions in use: promotion, rollback and retirement.

A promotion is one write of the champion's pointer; workers read the pointer at each batch. Retiring
and promoting the same version exclude each other, because both write that version's document.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import structlog
from pymongo.client_session import ClientSession

from core.errors import BadInput, Conflict, ModelIntegrity, NoModel
from detection.models.plan import ThresholdPolicy
from detection.models.plausibility import check_plausible, check_threshold
from detection.models.sealed import read_champion
from market.markets import load_markets
from records.database import Db, in_transaction
from records.market.series import find_sizes, get_series
from records.models import champions, models, thresholds
from records.models.champions import ALL_MARKETS, Champion, Scope
from records.models.documents import ModelDocument, ModelRecord, MoveFields, PointerDocument
from records.work.counters import PROMOTIONS_REFUSED, add_counts
from records.work.documents import WatchlistFields
from records.work.watchlists import get_watchlist

log = structlog.get_logger()

Written = TypeVar("Written")


def get_champion(database: Db, market: str, interval: str) -> Champion:
    """Return a market's champion for bars of an interval, or that of all markets.

    Raises NoModel, with the command that trains one.
    """
    for name in (market, ALL_MARKETS):
        champion = champions.find_champion(database, Scope("market", name), interval)
        if champion is not None:
            return champion
    raise explain_no_model(market, interval)


def explain_no_model(market: str, interval: str) -> NoModel:
    """Return the error for a market without a champion for bars of this interval."""
    return NoModel(
        f"market {market} has no champion model for {interval} bars; train one with "
        f"`flask models train --market {market} --interval {interval}`, "
        f"one of all markets with `--market {ALL_MARKETS}`, "
        "or promote a version that is there (`flask models list`, `flask models promote VERSION`)"
    )


def promote(
    database: Db,
    version: str,
    now: datetime,
    *,
    scope: Scope | None = None,
    session: ClientSession | None = None,
) -> PointerDocument:
    """Make a version the champion of a scope (None: of its own market), and return the pointer.

    Promoting the champion again changes nothing.

    Raises:
        NotFound: there is no such version, watchlist, or ticker with stored bars.
        Conflict: the version is retired, flags nothing or far too much
            (`implausible_threshold`), or cannot be opened (`model_integrity` or another reason).
        BadInput: the scope is of another market.
    """
    record = models.get_model_record(database, version)
    scope = scope or Scope("market", record["market"])
    _check_scope(database, record, scope)
    pointer = champions.find_pointer(database, scope, record["interval"], session)
    is_in_use = pointer is not None and pointer["version"] == version
    if record["retired_at"] is None and not is_in_use:
        check_promotable(database, record, scope)
    return _within(
        database, session, lambda active: promote_within(database, record, scope, now, active)
    )


def promote_within(
    database: Db, record: ModelDocument, scope: Scope, now: datetime, session: ClientSession
) -> PointerDocument:
    """Promote inside the caller's transaction; the caller has checked that the version can be
    opened.

    Raises Conflict as `promote` does.
    """
    pointer = champions.find_pointer(database, scope, record["interval"], session)
    if pointer is not None and pointer["version"] == record["_id"]:
        return pointer
    try:
        check_plausible(record)
    except Conflict as error:
        log.warning("promotion_refused", model=record["_id"], scope=str(scope), error=error.message)
        add_counts(database, {PROMOTIONS_REFUSED: {record["market"]: 1}})
        raise
    if not models.mark_used(database, record["_id"], now, session):
        raise Conflict(
            f"{record['_id']} is retired and cannot be promoted; train a new version with "
            f"`flask models train --market {record['market']}`",
            reason="model_retired",
        )
    return champions.move_pointer(
        database, scope, record["interval"], record, action="promoted", now=now, session=session
    )


def check_promotable(database: Db, record: ModelDocument, scope: Scope) -> None:
    """Raise Conflict where a version cannot be opened, or where it flags nothing or far too much
    with the threshold that is set for the scope.
    """
    check_opens(database, record)
    for market in _find_markets(database, scope):
        order = (scope, Scope("market", market), Scope("market", ALL_MARKETS))
        policies = ((each, thresholds.find_threshold(database, each)) for each in order)
        set_for, found = next(((each, set_) for each, set_ in policies if set_), (scope, None))
        if found is None or found["kind"] != "score":
            continue
        policy = ThresholdPolicy(found["kind"], found["value"])
        take_back = f"`flask models threshold --{set_for.kind} {set_for.name} --reset`"
        advice = f"Take back first what was set for {set_for}: {take_back}"
        check_threshold(record, policy.value, policy, market, advice=advice)


def check_opens(database: Db, record: ModelDocument) -> None:
    """Raise Conflict where a version cannot be opened, so that every detection with it
    would fail.
    """
    try:
        read_champion(database, Champion(record["_id"], record["sha256"]))
    except (NoModel, ModelIntegrity) as error:
        raise Conflict(
            f"{record['_id']} was not put in use, and nothing was changed: {error.message}. After"
            f" `flask models retire {record['_id']}` a rollback passes over it",
            reason=error.reason,
        ) from error


def rollback(
    database: Db, scope: Scope, interval: str, now: datetime, session: ClientSession | None = None
) -> PointerDocument:
    """Make the previous version the champion of a scope for bars of an interval again, and return
    the pointer.

    Retired versions are skipped. A ticker or watchlist without a previous version goes back to its
    market's champion.

    Raises:
        Conflict: the scope has no champion, the market had none before, or the previous one cannot
            be opened.
    """
    return _within(
        database, session, lambda active: _roll_back(database, scope, interval, now, active)
    )


def set_threshold(
    database: Db,
    scope: Scope,
    policy: ThresholdPolicy,
    now: datetime,
    session: ClientSession | None = None,
) -> None:
    """Set the threshold policy of a scope in place of its champion's own threshold; the next
    detection uses it.

    Raises as `check_policy`, and NotFound where there is no such watchlist.
    """
    check_policy(database, scope, policy)
    thresholds.set_threshold(database, scope, policy.kind, policy.value, now, session)


def check_policy(
    database: Db, scope: Scope, policy: ThresholdPolicy, watchlist: WatchlistFields | None = None
) -> None:
    """Check a threshold policy for a scope; `watchlist` is a watchlist that is not stored yet.

    Raises Conflict where a champion that would use it, given as a score, flags nothing or far too
    much, and NotFound where the scope's ticker has no stored bars.
    """
    if scope.kind == "ticker":
        _check_stored(database, scope.name, "1d")
    if scope.kind == "watchlist" and watchlist is None:
        watchlist = get_watchlist(database, scope.name)
    if policy.kind != "score":
        return
    advice = "Ask for a share of the bars, as contamination 0.01 does"
    for version, market in _find_judges(database, scope, watchlist):
        record = models.get_model_record(database, version)
        check_threshold(record, policy.value, policy, market, advice=advice)


def retire(
    database: Db, version: str, now: datetime, session: ClientSession | None = None
) -> ModelRecord:
    """Take a version out of use for good and return its record. Its artefact is kept for
    verifications.

    Raises:
        NotFound: there is no such version.
        Conflict: it is the champion of a scope.
    """
    models.get_model_record(database, version)

    def write(active: ClientSession) -> None:
        users = champions.find_users(database, version, active)
        if users:
            raise Conflict(
                f"{version} is in use ({', '.join(users)}) and cannot be retired; promote another"
                " version first",
                reason="model_in_use",
            )
        models.mark_retired(database, version, now, active)

    _within(database, session, write)
    return models.get_model_record(database, version)


def _within(
    database: Db, session: ClientSession | None, write: Callable[[ClientSession], Written]
) -> Written:
    """Call `write` in the caller's transaction, or in a new one where `session` is None."""
    return in_transaction(database, write) if session is None else write(session)


def _roll_back(
    database: Db, scope: Scope, interval: str, now: datetime, session: ClientSession
) -> PointerDocument:
    pointer = champions.find_pointer(database, scope, interval, session)
    if pointer is None or pointer["version"] is None:
        raise Conflict(
            f"{scope} has no champion for {interval} bars, so there is nothing to roll back",
            reason="no_champion",
        )
    for version in reversed(_list_before(pointer["history"])):
        if models.mark_used(database, version, now, session):
            record = models.get_model_record(database, version)
            check_opens(database, record)
            return champions.move_pointer(
                database, scope, interval, record, action="rolled_back", now=now, session=session
            )
    if scope.kind == "market":
        raise Conflict(
            f"{scope} has had no champion for {interval} bars before {pointer['version']} that is"
            " not retired; promote a version by name",
            reason="nothing_to_roll_back",
        )
    return champions.move_pointer(
        database, scope, interval, None, action="rolled_back", now=now, session=session
    )


def _list_before(history: list[MoveFields]) -> list[str]:
    """Return the versions before the present one. The history is read as a stack: a promotion puts
    a version on top, a rollback removes the top.
    """
    standing: list[str] = []
    for move in history:
        if move["action"] == "promoted" and move["version"] is not None:
            standing.append(move["version"])
        else:
            while standing and standing[-1] != move["version"]:
                standing.pop()
    return standing[:-1]


def _check_scope(database: Db, record: ModelDocument, scope: Scope) -> None:
    """Raise NotFound where the scope does not exist, and BadInput where it is of another market."""
    if (
        scope.kind == "watchlist"
        and (of := get_watchlist(database, scope.name)["interval"]) != record["interval"]
    ):
        raise BadInput(
            f"{record['_id']} is a model of {record['interval']} bars, and {scope} is of {of}"
        )
    markets = _find_markets(database, scope)
    if markets and record["market"] not in (*markets, ALL_MARKETS):
        named = ", ".join(sorted(set(markets)))
        raise BadInput(
            f"{record['_id']} is a model of market {record['market']}, and {scope} is of {named}"
        )
    if scope.kind == "ticker":
        _check_stored(database, scope.name, record["interval"])


def _check_stored(database: Db, ticker: str, interval: str) -> None:
    """Raise NotFound, which names similar tickers, where a ticker has no stored bars."""
    if not find_sizes(database, tickers=[ticker]):
        get_series(database, ticker, interval)


def _find_judges(
    database: Db, scope: Scope, watchlist: WatchlistFields | None
) -> list[tuple[str, str]]:
    """Return each version that scores bars of a scope, with the market of the bars: for each
    interval the scope's own champion, or else that of the wider scope.
    """
    every = Scope("market", ALL_MARKETS)
    intervals = {watchlist["interval"]} if watchlist else None
    if scope.kind == "ticker":
        stored = find_sizes(database, tickers=[scope.name])
        intervals = {str(series["_id"]).rpartition("::")[2] for series in stored}
    markets = set(_find_markets(database, scope) if watchlist is None else watchlist["markets"])
    if scope == every:
        codes = [Scope("market", code) for code in load_markets(database)]
        markets |= {s.name for s in codes if not thresholds.find_threshold(database, s)}
    orders = {market: (scope, Scope("market", market), every) for market in sorted(markets) or [""]}
    found = champions.find_versions(database, {s for order in orders.values() for s in order})
    return [
        (next(found[s, interval] for s in order if (s, interval) in found), market)
        for market, order in orders.items()
        for interval in sorted({interval for s, interval in found if s in order})
        if intervals is None or interval in intervals
    ]


def _find_markets(database: Db, scope: Scope) -> list[str]:
    if scope.kind == "watchlist":
        return list(get_watchlist(database, scope.name)["markets"])
    if scope.kind == "market":
        return [scope.name]
    stored = [series["market"] for series in find_sizes(database, tickers=[scope.name])]
    looks = load_markets(database).find_of(scope.name)
    return stored or ([looks.code] if looks else [])
