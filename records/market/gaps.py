"""The ledger of gaps: what each series lacks between its first bar and its last.

A gap is a stretch of neighbouring sessions each of which lacked bars when it was found. It keeps
its stretch: as bars come it becomes `partial`, then `filled`. The transaction that writes bars also
updates the ledger (`market/bars/ledger.py`). The other functions here store attempts to fill a gap,
and the reason for its state.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pymongo import DESCENDING, DeleteOne, ReplaceOne
from pymongo.client_session import ClientSession

from core.errors import NotFound
from core.words import GapReason, GapState
from records.database import Db, Query, among, between, in_transaction, match
from records.keyset import Key, Keyset, Position, find_page
from records.market.documents import GapDocument, GapFields, gaps_in, series_in
from records.market.series import SERIES_ID

NEWEST_FIRST = Keyset((Key("first", datetime, DESCENDING), Key("_id", str, DESCENDING)))
LACKING: tuple[GapState, ...] = ("open", "filling", "partial", "error")
"""The states of gaps that somebody should fill or explain."""
FREE: tuple[GapState, ...] = ("open", "partial", "error")
"""The states of gaps that somebody may ask a source for: nobody is at work on them."""
DUE: tuple[GapState, ...] = ("open", "partial")
"""The states of gaps that a source may be asked for by itself."""
WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
"""How long a source is left alone after each time that it did not fill a gap; then never again."""

GapWrite = ReplaceOne[GapDocument] | DeleteOne


def build_gap_id(ticker: str, interval: str, first: datetime) -> str:
    """Return the `_id` of the gap of a series that begins with a session."""
    return f"{ticker}::{interval}::{first:%Y-%m-%d}"


def choose_state(gap: GapFields) -> GapState:
    """Return the state of a gap that no run is filling, by its bars."""
    if gap["bars_held"] >= gap["bars_expected"]:
        return "filled"
    return "partial" if gap["bars_held"] else "open"


def find_gaps(
    database: Db,
    *,
    ids: Sequence[str] | None = None,
    tickers: Sequence[str] | None = None,
    market: str | None = None,
    interval: str | None = None,
    states: Sequence[GapState] | None = None,
    after: Position | None = None,
    limit: int = 0,
) -> list[GapDocument]:
    """Return gaps in the order NEWEST_FIRST, from the one after `after` on;
    all that match where `limit` is 0.
    """
    query = _build_query(ids=ids, tickers=tickers, market=market, interval=interval, states=states)
    return find_page(gaps_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def find_reaching(
    database: Db,
    tickers: Sequence[str],
    interval: str,
    since: datetime | None,
    session: ClientSession,
) -> list[GapDocument]:
    """Return the gaps of some series, the filled ones too, that reach to a session or beyond (None:
    all), ascending by their last.
    """
    query = match(ticker=among(tickers), interval=interval, last=between(since, None))
    return list(gaps_in(database).find(query, session=session).sort("last", 1))


def find_lacking(database: Db, ticker: str, interval: str, limit: int) -> list[GapDocument]:
    """Return the latest gaps of a series that are not filled, ascending."""
    query = {"ticker": ticker, "interval": interval, "state": {"$ne": "filled"}}
    return list(gaps_in(database).find(query).sort("last", -1).limit(limit))[::-1]


def find_empty_days(
    database: Db, market: str, interval: str, first: datetime, last: datetime
) -> list[GapDocument]:
    """Return the gaps of all series of a market that have sessions without a bar
    from `first` to `last`; of each only its ticker and these sessions.
    """
    query = {
        "market": market,
        "interval": interval,
        "last": {"$gte": first},
        "first": {"$lte": last},
    }
    return list(gaps_in(database).find(query, {"ticker": 1, "empty": 1}))


def find_due(
    database: Db, tickers: Sequence[str], interval: str, market: str, now: datetime, limit: int
) -> list[GapDocument]:
    """Return the gaps of these tickers for which a source may be asked now,
    those that have waited longest first.
    """
    # No gap waits longer than that: a clock was ahead when its next try was stored.
    wrong = now + 2 * WAITS[-1]
    query = {
        "state": {"$in": list(DUE)},
        "$or": [{"next_try": {"$lte": now}}, {"next_try": {"$gt": wrong}}],
        "interval": interval,
        "market": market,
        "ticker": {"$in": list(tickers)},
    }
    return list(gaps_in(database).find(query).sort([("next_try", 1), ("_id", 1)]).limit(limit))


def count_tried(database: Db, market: str, since: datetime, until: datetime) -> int:
    """Return for how many gaps of a market a source was asked in some time."""
    tried = {"market": market, "tried_at": {"$gte": since, "$lte": until}}
    return gaps_in(database).count_documents(tried)


def count_lacking(database: Db, tickers: Sequence[str] | None) -> dict[str, dict[str, int]]:
    """Return by series the number of gaps to fill (`open`), and the number of bars that gaps in the
    state `expected` lack (`expected`).
    """
    query = _build_query(tickers=tickers, states=(*LACKING, "expected"))
    is_expected = {"$eq": ["$state", "expected"]}
    lacks = {"$subtract": ["$bars_expected", "$bars_held"]}
    sums = {
        "_id": SERIES_ID,
        "open": {"$sum": {"$cond": [is_expected, 0, 1]}},
        "expected": {"$sum": {"$cond": [is_expected, lacks, 0]}},
    }
    found = database.gaps.aggregate([{"$match": query}, {"$group": sums}])
    return {each["_id"]: {"open": each["open"], "expected": each["expected"]} for each in found}


def count_gaps(database: Db, session: ClientSession) -> dict[str, dict[str, int]]:
    """Return by series how many gaps are not filled (`gap_count`),
    and how many sessions (`missing`) and bars (`lacking`) they are short of.
    """
    sums = {
        "_id": SERIES_ID,
        "gap_count": {"$sum": 1},
        "missing": {"$sum": {"$size": "$empty"}},
        "lacking": {"$sum": {"$subtract": ["$bars_expected", "$bars_held"]}},
    }
    unfilled = {"$match": {"state": {"$ne": "filled"}}}
    found = database.gaps.aggregate([unfilled, {"$group": sums}], session=session)
    return {each.pop("_id"): each for each in found}


def forget_strays(database: Db) -> None:
    """Delete the gaps of series that are not stored."""

    def write(session: ClientSession) -> None:
        stored = {s["_id"] for s in series_in(database).find({}, {"_id": 1}, session=session)}
        for series_id in count_gaps(database, session).keys() - stored:
            ticker, _, interval = series_id.partition("::")
            forget_gaps(database, ticker, interval, session)

    in_transaction(database, write)


def write_gaps(database: Db, writes: Sequence[GapWrite], session: ClientSession | None) -> None:
    """Write gaps inside the transaction that wrote the bars."""
    if writes:
        gaps_in(database).bulk_write(list(writes), ordered=False, session=session)


def replace_gaps(
    database: Db, gaps: Sequence[GapDocument], session: ClientSession | None = None
) -> None:
    """Store a new state of existing gaps."""
    write_gaps(database, [ReplaceOne({"_id": gap["_id"]}, gap) for gap in gaps], session)


def forget_gaps(database: Db, ticker: str, interval: str, session: ClientSession) -> None:
    """Delete the gaps of a series whose bars are gone."""
    gaps_in(database).delete_many({"ticker": ticker, "interval": interval}, session=session)


def rename_gaps(
    database: Db, ticker: str, interval: str, name: str, session: ClientSession
) -> None:
    """Move the gaps of a series to a new name."""
    found = find_reaching(database, [ticker], interval, None, session)
    forget_gaps(database, ticker, interval, session)
    if found:
        moved = [
            gap | {"_id": build_gap_id(name, interval, gap["first"]), "ticker": name}
            for gap in found
        ]
        gaps_in(database).insert_many(moved, session=session)


def accept_gaps(database: Db, ids: Sequence[str], reason: GapReason) -> list[GapDocument]:
    """Accept gaps as `expected` for a reason, and return them as they were.

    Raises NotFound, which names the missing ones, where a gap does not exist; then none is
    accepted.
    """
    found = find_gaps(database, ids=ids)
    missing = sorted(set(ids) - {gap["_id"] for gap in found})
    if missing:
        raise NotFound(
            f"there is no gap {', '.join(missing[:5])}; `flask gaps list` has those there are"
        )
    lacking = {"_id": {"$in": list(ids)}, "state": {"$ne": "filled"}}
    changes = {"state": "expected", "reason": reason, "next_try": None}
    gaps_in(database).update_many(lacking, {"$set": changes})
    return found


def mark_filling(
    database: Db, ids: Iterable[str], *, run_id: str, source: str, now: datetime
) -> None:
    """Mark gaps as `filling` by a run, where no other run is filling them."""
    free = {"_id": {"$in": list(ids)}, "state": {"$in": list(FREE)}}
    changes = {"state": "filling", "run_id": run_id, "source": source, "tried_at": now}
    gaps_in(database).update_many(free, {"$set": changes, "$inc": {"attempts": 1}})


def find_filling(
    database: Db, run_id: str, session: ClientSession | None = None
) -> list[GapDocument]:
    """Return the gaps that a run is filling."""
    return list(gaps_in(database).find({"state": "filling", "run_id": run_id}, session=session))


def list_filling_runs(database: Db) -> list[str]:
    """Return the ids of the runs that gaps name as filling them."""
    return [str(run_id) for run_id in gaps_in(database).distinct("run_id", {"state": "filling"})]


def note_attempt(
    gap: GapDocument, now: datetime, *, reason: GapReason | None = None, is_last: bool = False
) -> GapDocument:
    """Return a gap after a source was asked for it: filled, to be asked for again, or given up.

    `is_last` says that asking again would be of no use.
    """
    attempts, state = gap["attempts"], choose_state(gap)
    tried: GapDocument = {**gap, "state": state, "next_try": None}
    if state == "filled":
        return {**tried, "reason": None, "filled_at": now}
    tried["reason"] = reason or gap["reason"]
    if is_last or attempts > len(WAITS):
        return {**tried, "state": "error"}
    return {**tried, "next_try": now + WAITS[attempts - 1]}


def _build_query(
    *,
    ids: Sequence[str] | None = None,
    tickers: Sequence[str] | None,
    market: str | None = None,
    interval: str | None = None,
    states: Sequence[GapState] | None,
) -> Query:
    return match(
        _id=among(ids),
        ticker=among(tickers),
        state=among(states),
        market=market,
        interval=interval,
    )
