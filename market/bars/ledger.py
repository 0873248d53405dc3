"""Keeps the ledger of gaps, and the coverage that is stored with each series, in step with the
series' bars and its exchange's sessions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
from pymongo import DeleteOne, ReplaceOne
from pymongo.client_session import ClientSession

from core.arrays import Int64
from market.bars.buckets import read_column, read_columns
from market.bars.coverage import Held, measure_held, split_stretches
from market.bars.figures import measure_figures
from market.bars.oddities import sum_up
from market.bars.packing import BUCKET_FIELDS
from market.bars.spans import build_bucket_id
from market.intervals import day_of, session_of
from market.markets import Market, load_markets
from market.sessions.calendar import Sessions
from market.sessions.noting import note_sessions
from market.sessions.overrides import find_sessions
from records.database import Db, in_transaction
from records.market.documents import (
    CoverageCounts,
    CoverageFields,
    FigureFields,
    GapDocument,
    GapFields,
    SeriesDocument,
    SeriesState,
    bars_in,
)
from records.market.gaps import (
    DUE,
    GapWrite,
    build_gap_id,
    choose_state,
    find_reaching,
    write_gaps,
)
from records.market.series import (
    find_one_series,
    find_series,
    find_series_between,
    set_coverage,
)
from records.work.watchlists import forget_next_scans


@dataclass(frozen=True, slots=True)
class Later:
    """The sessions from a series' last bar on, before and after new bars came.

    Attributes:
        before: the session of that last bar, as it was before.
        after: this session and those after it, as they are now.
        day_before: the session before them, in days since 1970.
        past, sums: the counts of `before` and of `after`; many series share them.
    """

    before: Held
    after: Held
    day_before: int
    past: CoverageCounts
    sums: CoverageCounts

    @property
    def reaching_since(self) -> datetime:
        """Return the earliest last session of a gap that new bars may change."""
        return session_of(self.day_before)


def measure_later(
    times: Int64, interval: str, known: Sessions, *, first: int, last: int, since: int
) -> Later | None:
    """Return the sessions from the bar at `since` on; None where that bar lies after all known
    sessions.

    Args:
        times: of all bars from the session of that bar on, UTC seconds, ascending.
        interval: of the bars.
        known: the sessions of their market.
        first: the start of the series' first bar.
        last: the start of its last bar, with the new ones.
        since: the start of its last bar before the new ones came.
    """
    after = measure_held(times, interval, known, first=first, last=last, since=since)
    if not len(after.days):
        return None
    times = times[times <= since]
    before = measure_held(times, interval, known, first=first, last=since, since=since)
    day_before = int(known.days[max(0, np.searchsorted(known.days, after.days[0]) - 1)])
    return Later(before, after, day_before, before.count(), after.count())


def count_no_trade(series: SeriesDocument) -> int:
    """Return how many bars of a series did not trade, by the figures of its buckets."""
    return sum(span["no_trade"] for span in series.get("figures", {}).values())


def measure_anew(
    database: Db,
    series: SeriesDocument,
    known: Sessions,
    times: Int64,
    now: datetime,
    session: ClientSession,
) -> CoverageFields:
    """Compute and write a series' gaps from the times of all of its bars; return its coverage."""
    first, last = (int(series[end].timestamp()) for end in ("first_bar", "last_bar"))
    held = measure_held(times, series["interval"], known, first=first, last=last)
    gaps = find_reaching(database, [series["ticker"]], series["interval"], None, session)
    counts, writes = plan_anew(series, held, gaps, now)
    write_gaps(database, writes, session)
    return {**counts, "no_trade": count_no_trade(series)}


def refresh_ledger(
    database: Db, market: Market, day: date, on_series: Callable[[], None] = lambda: None
) -> int:
    """Measure again the series of a market that have bars on both sides of a day whose session has
    changed; return how many. `on_series` is called before each.
    """
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    a_day = timedelta(days=1)
    found = find_series_between(database, market.code, midnight - a_day, midnight + a_day)
    _refresh(database, market, found, on_series)
    return len(found)


def refresh_market(database: Db, market: Market) -> None:
    """Measure all series of a market again, and have its next scans found, after its calendar has
    changed.
    """
    forget_next_scans(database, market.code)
    _refresh(database, market, find_series(database, market=market.code))


def measure_series(
    database: Db, found: Iterable[SeriesDocument | SeriesState], now: datetime
) -> list[str]:
    """Measure series again, each in its own transaction, and note the sessions of their markets;
    return a message for each series that cannot be read.
    """
    markets = load_markets(database)

    @cache
    def sessions_of(code: str) -> Sessions:
        known = find_sessions(database, markets.choose(code))
        note_sessions(database, markets.choose(code), known, now)
        return known

    torn = []
    for series in found:
        known = sessions_of(series["market"])
        try:
            _measure_one(database, series, known, now)
        except (ValueError, LookupError) as error:
            torn.append(
                f"the stored {series['interval']} bars of {series['ticker']} cannot be read"
                f" ({error}); import them again"
            )
    return torn


def read_times(database: Db, series: SeriesDocument, session: ClientSession | None = None) -> Int64:
    """Return the start of each bar of a series, UTC seconds, ascending."""
    ticker, interval = series["ticker"], series["interval"]
    ids = [build_bucket_id(ticker, interval, span) for span in series["counts"]]
    buckets = (
        bars_in(database)
        .find({"_id": {"$in": ids}}, BUCKET_FIELDS, session=session)
        .sort("span", 1)
    )
    return np.concatenate([read_column(bucket, "times").astype(np.int64) for bucket in buckets])


def _refresh(
    database: Db,
    market: Market,
    found: Sequence[SeriesDocument],
    on_series: Callable[[], None] = lambda: None,
) -> None:
    """Measure series again by the sessions as they are now.

    An import that writes a series meanwhile measures it by the sessions that were known at the
    import's start.
    """
    now = datetime.now(UTC)
    known = find_sessions(database, market)
    note_sessions(database, market, known, now, again=True)
    for series in found:
        on_series()
        _measure_one(database, series, known, now)


def _measure_one(
    database: Db, found: SeriesDocument | SeriesState, known: Sessions, now: datetime
) -> None:
    def write(session: ClientSession) -> None:
        series = find_one_series(database, found["ticker"], found["interval"], session)
        if series is not None:
            figures = series.get("figures") or _measure_figures(database, series, session)
            series["figures"] = figures
            times = read_times(database, series, session)
            coverage = measure_anew(database, series, known, times, now, session)
            oddities = sum_up(figures, series["fingerprint"])
            set_coverage(database, series, coverage, figures, oddities, session)

    in_transaction(database, write)


def _measure_figures(
    database: Db, series: SeriesDocument, session: ClientSession
) -> dict[str, FigureFields]:
    query = {"ticker": series["ticker"], "interval": series["interval"]}
    return {
        bucket["span"]: measure_figures(read_columns(bucket))
        for bucket in bars_in(database).find(query, session=session)
    }


def plan_anew(
    series: SeriesDocument, held: Held, gaps: Sequence[GapDocument], now: datetime
) -> tuple[CoverageCounts, list[GapWrite]]:
    """Return the counts of a series' coverage, and the writes to its gaps.

    `held` are all sessions of the series, `gaps` all its stored gaps.
    """
    writes: list[GapWrite] = []
    free = held.lacking
    unfilled = 0
    for gap in gaps:
        start, end = np.searchsorted(held.days, (day_of(gap["first"]), day_of(gap["last"]) + 1))
        if start == end:  # The gap's days are no sessions any more, or the series' ends moved.
            writes.append(DeleteOne({"_id": gap["_id"]}))
            continue
        free[start:end] = False
        changed = _settle(gap, _describe(held, np.arange(start, end)), now)
        unfilled += changed["state"] != "filled"
        if changed != gap:
            writes.append(_put(changed))
    found = [_build(series, _describe(held, rows), now) for rows in split_stretches(free)]
    return {**held.count(), "gap_count": unfilled + len(found)}, [*writes, *map(_put, found)]


def plan_later(
    series: SeriesDocument, later: Later, reaching: Sequence[GapDocument], now: datetime
) -> tuple[CoverageCounts, list[GapWrite]]:
    """Return the counts of a series' coverage after bars came behind its last bar, and the writes
    to its gaps.

    `reaching` are the stored gaps that reach to `later.day_before` or beyond, ascending.
    """
    coverage, before, after, day_before = (
        series["coverage"],
        later.before,
        later.after,
        later.day_before,
    )
    sums, past = later.sums, later.past
    free, count = after.lacking, coverage["gap_count"]
    latest = reaching[-1] if reaching else None
    if latest is not None and len(before.days) and day_of(latest["last"]) == before.days[0]:
        free[0] = False
        counts: GapFields = {
            **_take_counts(latest),
            "bars_expected": latest["bars_expected"] + _grow(before.expected, after.expected),
            "bars_held": latest["bars_held"] + _grow(before.held, after.held),
        }
        was, latest = latest, _settle(latest, counts, now)
        count += (latest["state"] != "filled") - (was["state"] != "filled")
    stretches = split_stretches(free)
    if latest is not None and stretches:
        beside = day_before if stretches[0][0] == 0 else int(after.days[stretches[0][0] - 1])
        if day_of(latest["last"]) == beside and not latest["attempts"] and latest["state"] in DUE:
            latest = _extend(latest, _describe(after, stretches.pop(0)))
    found = [_build(series, _describe(after, rows), now) for rows in stretches]
    changed = [latest] if latest is not None and latest != reaching[-1] else []
    counted: CoverageCounts = {
        "sessions": coverage["sessions"] + sums["sessions"] - past["sessions"],
        "missing": coverage["missing"] + sums["missing"] - past["missing"],
        "gap_count": count + len(found),
        "bars_expected": coverage["bars_expected"] + sums["bars_expected"] - past["bars_expected"],
        "bars_held": coverage["bars_held"] + sums["bars_held"] - past["bars_held"],
    }
    return counted, [_put(gap) for gap in (*changed, *found)]


def _grow(before: Int64, after: Int64) -> int:
    """Return by how much the count of the first session grew, shapes (s,)."""
    return int(after[0] - before[0])


def _take_counts(gap: GapDocument) -> GapFields:
    return {
        "first": gap["first"],
        "last": gap["last"],
        "sessions": gap["sessions"],
        "bars_expected": gap["bars_expected"],
        "bars_held": gap["bars_held"],
        "empty": gap["empty"],
    }


def _describe(held: Held, rows: Int64) -> GapFields:
    """Return the fields of a gap from the neighbouring sessions at the positions `rows` of
    `held`.
    """
    days = held.days[rows]
    return {
        "first": session_of(days[0]),
        "last": session_of(days[-1]),
        "sessions": len(rows),
        "bars_expected": int(held.expected[rows].sum()),
        "bars_held": int(held.held[rows].sum()),
        "empty": days[held.held[rows] == 0].tolist(),
    }


def _extend(gap: GapDocument, later: GapFields) -> GapDocument:
    """Return a gap, which nobody has tried to fill, extended by the sessions after it."""
    longer: GapDocument = {
        **gap,
        "last": later["last"],
        "sessions": gap["sessions"] + later["sessions"],
        "bars_expected": gap["bars_expected"] + later["bars_expected"],
        "bars_held": gap["bars_held"] + later["bars_held"],
        "empty": gap["empty"] + later["empty"],
    }
    return {**longer, "state": choose_state(longer)}


def _settle(gap: GapDocument, counts: GapFields, now: datetime) -> GapDocument:
    """Return a gap with new counts, in the state that follows from these and its state before."""
    changed: GapDocument = {**gap, **counts}
    state = choose_state(counts)
    if state == "filled":
        filled_at = gap["filled_at"] or now
        return {**changed, "state": state, "reason": None, "next_try": None, "filled_at": filled_at}
    came = counts["bars_held"] > gap["bars_held"]
    if gap["state"] == "filled" or (gap["state"] == "error" and came):
        # Its bars were removed again, or some came although its fill had failed: it is due again.
        fresh: GapDocument = {**changed, "attempts": 0, "reason": None, "filled_at": None}
        return {**fresh, "state": state, "next_try": now}
    return {**changed, "state": state} if gap["state"] in DUE else changed


def _build(series: SeriesDocument, counts: GapFields, now: datetime) -> GapDocument:
    """Return the document of a new gap."""
    return {
        **counts,
        "_id": build_gap_id(series["ticker"], series["interval"], counts["first"]),
        "ticker": series["ticker"],
        "interval": series["interval"],
        "market": series["market"],
        "state": choose_state(counts),
        "reason": None,
        "attempts": 0,
        "next_try": now,
        "tried_at": None,
        "source": None,
        "run_id": None,
        "found_at": now,
        "filled_at": None,
    }


def _put(gap: GapDocument) -> GapWrite:
    return ReplaceOne({"_id": gap["_id"]}, gap, upsert=True)
