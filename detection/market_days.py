"""The second pass over a market's bars: what it did on each day, kept in step with its bars.

Each year's days are a function of the bars of that year and of the year before, of all series of
the market; only the years whose bars have changed are computed again, and where bars only came
behind the last day, only the days that they bring. The columns of a day are a
function of all days before it. So a bar's score is one of what is stored, whatever was loaded for
it and in whatever order it came; and a day that changed is known by its revision, as a bar is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Bools, Float64, Int64
from detection.features.market_move import (
    LONGEST_PAUSE,
    MarketDays,
    compute_medians,
    compute_ratios,
    compute_returns,
)
from market.bars.buckets import years_of
from market.bars.panel import BarPanel
from market.bars.sound import read_sound_panel
from market.bars.store import Wanted
from market.intervals import DAY_SECONDS, is_intraday
from records.database import Db
from records.market import market_days
from records.market.change_counts import count_changes
from records.market.documents import DaysChange, MarketDaysDocument, PanelSeries
from records.market.series import find_market_panel_series

# What is read at once, in bars; and how many changes are told apart.
PORTION_BARS = 400_000
MOST_DAYS_A_YEAR = 366
DAYS_AT_ONCE = 32
KEPT_CHANGES = 500

# Time, median return and count of each of some days.
Days = tuple[Int64, Float64, Int64]


def has_days(interval: str) -> bool:
    """Whether bars of an interval have days of their market: those of a day and longer."""
    return not is_intraday(interval)


def refresh_days(
    database: Db, market: str, interval: str, now: datetime, run_id: str | None = None
) -> None:
    """Bring a market's stored days up to its stored bars; nothing is written where they are.

    Where a series was written since, all of them are looked at, once a run and not once for each of
    its batches. Bars that come while it works change the days for the next run, which detects again
    what that moves.
    """
    if run_id is not None and market_days.were_checked(database, market, interval, run_id):
        return
    checked = [] if run_id is None else [run_id]
    while True:
        stored = market_days.find_days(database, market, interval)
        with database.client.start_session(snapshot=True) as session:
            changes_seen = count_changes(database, interval, session)
            if stored is not None and stored["changes_seen"] == changes_seen:
                return
            inputs = market_days.hash_inputs(database, market, interval, session)
            if stored is not None and stored["inputs"] == inputs:
                market_days.note_checked(database, stored, checked, changes_seen)
                return
            whole = market_days.find_whole_days(database, market, interval)
            document = _compute(
                database,
                market,
                interval,
                whole,
                session,
                inputs=inputs,
                changes_seen=changes_seen,
                checked_by=checked,
                now=now,
            )
        before = None if whole is None else whole["revision"]
        if market_days.replace_days(database, document, before):
            return


def read_days(database: Db, market: str, interval: str) -> MarketDays | None:
    """Return a market's days as they are stored, None where they never were computed."""
    stored = market_days.find_days(database, market, interval)
    return None if stored is None else unpack_days(stored)


def unpack_days(stored: MarketDaysDocument) -> MarketDays:
    """Return a market's days as arrays."""
    return MarketDays(
        market=stored["market"],
        times=np.frombuffer(stored["times"], "<i8"),
        moves=np.frombuffer(stored["moves"], "<f8"),
        counts=np.frombuffer(stored["counts"], "<i8"),
        ratios=np.frombuffer(stored["ratios"], "<f4"),
        revision=stored["revision"],
    )


def _compute(
    database: Db,
    market: str,
    interval: str,
    stored: MarketDaysDocument | None,
    session: ClientSession,
    *,
    inputs: str,
    changes_seen: int,
    checked_by: list[str],
    now: datetime,
) -> MarketDaysDocument:
    """Return a market's days as its bars in a session's snapshot have them, with what the caller
    has noted of these.
    """
    series = find_market_panel_series(database, market, interval, session)
    (times, moves, counts), years, is_sound = _renew(
        database, market, interval, stored, series, session
    )
    ratios = compute_ratios(moves)
    revision = stored["revision"] if stored else 0
    changes = list(stored["changes"]) if stored else []
    before = unpack_days(stored) if stored else None
    changed = _find_changed(before, MarketDays(market, times, moves, counts, ratios, revision))
    if changed is not None:
        revision += 1
        changes.append({"revision": revision, "first": changed[0], "last": changed[1]})
    return {
        "_id": market_days.build_days_id(market, interval),
        "market": market,
        "interval": interval,
        "revision": revision,
        "inputs": inputs,
        "changes_seen": changes_seen,
        "checked_by": checked_by,
        "ends": market_days.pack_ends(series) if is_sound else None,
        "years": years,
        "times": times.astype("<i8").tobytes(),
        "moves": moves.astype("<f8").tobytes(),
        "counts": counts.astype("<i8").tobytes(),
        "ratios": ratios.astype("<f4").tobytes(),
        "changes": _shorten(changes),
        "updated_at": now,
    }


def _renew(
    database: Db,
    market: str,
    interval: str,
    stored: MarketDaysDocument | None,
    series: Mapping[str, PanelSeries],
    session: ClientSession,
) -> tuple[Days, dict[str, str], bool]:
    """Return a market's days, by year a hash of the bars that they are of, and whether all of these
    are known to be sound.

    What is `stored` stands but for the years whose bars have changed; where bars only came behind
    it, the days that they bring are added.
    """
    before = unpack_days(stored) if stored else None
    ends = market_days.unpack_ends(stored) if stored else {}
    later = before and _find_later_days(database, interval, before, ends, series, session)
    if stored and before and later:
        # The hashes of their years are of fewer bars; without one a year is computed again with the
        # next correction, even one that takes these bars back.
        grown = {str(year) for year in years_of(later[0]).tolist()}
        years = {year: known for year, known in stored["years"].items() if year not in grown}
        return _join(before, np.ones(before.times.size, np.bool_), later), years, True
    years = market_days.hash_years(market_days.find_inputs(database, market, interval, session))
    # Of days that were stored without the ends of their series nothing is known for sure.
    known = stored["years"] if stored and "ends" in stored else {}
    stale = sorted(int(year) for year in years if known.get(year) != years[year])
    days, is_sound = _find_days(database, interval, series, stale, session)
    # Of years that are not computed again it is known where it was for all of them.
    is_sound &= bool(ends) or len(stale) == len(years)
    if before is not None:
        # What years that are gone had is gone, and what others had stands.
        own = years_of(before.times)
        stands = np.isin(own, [int(year) for year in years]) & ~np.isin(own, stale)
        days = _join(before, stands, days)
    return days, years, is_sound


def _find_later_days(
    database: Db,
    interval: str,
    before: MarketDays,
    ends: Mapping[str, tuple[int, int]],
    series: Mapping[str, PanelSeries],
    session: ClientSession,
) -> Days | None:
    """Return the days behind those computed `before`, None where anything else may have changed
    since: a series came or went, a bar was corrected, or came late.
    """
    if not ends or not before.times.size or ends.keys() != series.keys():
        return None
    grown: dict[str, Wanted] = {}
    for ticker, one in series.items():
        revision, last = ends[ticker]
        last_bar = one["last_bar"].timestamp()
        if one["revision"] != revision or last_bar < last:
            return None
        if last_bar > last:
            grown[ticker] = (last + 1, None)
    possible = {ticker: one for ticker, one in series.items() if _has_days_only(one)}
    if not grown.keys() <= possible.keys():
        return None
    since = int(before.times[-1]) + 1
    found = []
    for portion in _split(dict.fromkeys(grown, MOST_DAYS_A_YEAR)):
        wanted = {ticker: grown[ticker] for ticker in portion}
        panel = read_sound_panel(database, interval, possible, wanted, session, _reach_back)
        for s, ticker in enumerate(panel.tickers):
            own = panel.times[panel.series(s)]
            if own[own.searchsorted(ends[ticker][1], side="right")] < since:
                return None
        if not _is_sound(panel, portion):
            return None
        found.append(compute_returns(panel, since, int(panel.times.max(initial=since))))
    return _join_returns(found)


def _find_days(
    database: Db,
    interval: str,
    series: Mapping[str, PanelSeries],
    years: Sequence[int],
    session: ClientSession,
) -> tuple[Days, bool]:
    """Return the days of these `years`, and whether all bars that were read for them are sound.

    One year is held at a time: all of those of ten thousand tickers would be a gigabyte.
    """
    possible = {ticker: one for ticker, one in series.items() if _has_days_only(one)}
    is_sound = len(possible) == len(series)
    days = [_join_returns([])]
    for year in years:
        first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
        last = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()) - 1
        bars = {ticker: one["counts"].get(str(year), 0) for ticker, one in possible.items()}
        found = []
        for portion in _split({ticker: own for ticker, own in bars.items() if own}):
            wanted = dict.fromkeys(portion, (first, last))
            panel = read_sound_panel(database, interval, possible, wanted, session, _reach_back)
            is_sound &= _is_sound(panel, portion)
            found.append(compute_returns(panel, first, last))
        days.append(_join_returns(found))
    times, moves, counts = (np.concatenate(columns) for columns in zip(*days, strict=True))
    return (times, moves, counts), is_sound


def _join_returns(found: Sequence[tuple[Int64, Float64]]) -> Days:
    """Return time, median return and count of each day that there are returns of.

    A few days at a time: to sort all at once takes several times the memory that they do.
    """
    days = [compute_medians(np.empty(0, np.int64), np.empty(0))]
    filled = [times for times, _ in found if times.size]
    first = min((int(times.min()) for times in filled), default=0)
    last = max((int(times.max()) for times in filled), default=-1)
    for start in range(first, last + 1, DAYS_AT_ONCE * DAY_SECONDS):
        stop = start + DAYS_AT_ONCE * DAY_SECONDS
        inside = [(times >= start) & (times < stop) for times, _ in found]
        times, returns = (
            np.concatenate([own[i][which] for own, which in zip(found, inside, strict=True)])
            for i in (0, 1)
        )
        days.append(compute_medians(times, returns))
    times, moves, counts = (np.concatenate(columns) for columns in zip(*days, strict=True))
    return times, moves, counts


def _join(before: MarketDays, stands: Bools, days: Days) -> Days:
    """Return those days computed before that stand with others, in order."""
    kept = before.times[stands], before.moves[stands], before.counts[stands]
    order = np.concatenate((kept[0], days[0])).argsort(kind="stable")
    return (
        np.concatenate((kept[0], days[0]))[order],
        np.concatenate((kept[1], days[1]))[order],
        np.concatenate((kept[2], days[2]))[order],
    )


def _is_sound(panel: BarPanel, tickers: Sequence[str]) -> bool:
    """Whether a panel has bars of all these tickers, all of whose prices are numbers."""
    return len(panel.tickers) == len(tickers) and bool(np.isfinite(panel.close).all())


def _has_days_only(series: PanelSeries) -> bool:
    """Whether a series has no more bars than days. One that has is damaged, and could be so large
    that whoever reads it is killed: that must cost this series only.
    """
    return max(series["counts"].values(), default=0) <= MOST_DAYS_A_YEAR


def _reach_back(index: int, _interval: str) -> int:
    """Return the position of the first bar that a return needs;
    twice as many as it goes back, so that each is known to have traded.
    """
    return max(0, index - 2 * LONGEST_PAUSE)


def _split(bars: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield tickers, of each of which so many bars are read, in portions of about
    `PORTION_BARS`.
    """
    portion: list[str] = []
    total = 0
    for ticker, own in bars.items():
        portion.append(ticker)
        total += own
        if total > PORTION_BARS:
            yield portion
            portion, total = [], 0
    if portion:
        yield portion


def _find_changed(before: MarketDays | None, after: MarketDays) -> tuple[int, int] | None:
    """Return the first and last day on which a score would not be the same, None if none is."""
    if before is None or not before.times.size:
        return (int(after.times[0]), int(after.times[-1])) if after.times.size else None
    times = np.union1d(before.times, after.times)
    differs = before.look_up(times) != after.look_up(times)
    differs |= ~np.isin(times, before.times) | ~np.isin(times, after.times)
    changed = times[differs]
    return (int(changed[0]), int(changed[-1])) if changed.size else None


def _shorten(changes: list[DaysChange]) -> list[DaysChange]:
    """Return the changes with the oldest made one where there are more than are kept."""
    more = len(changes) - KEPT_CHANGES
    if more <= 0:
        return changes
    old = changes[: more + 1]
    first, last = min(c["first"] for c in old), max(c["last"] for c in old)
    return [{"revision": old[-1]["revision"], "first": first, "last": last}, *changes[more + 1 :]]
