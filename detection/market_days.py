"""The second pass over a market's bars: it keeps the stored market days in step with the bars.

The days of a year are a function of the bars of that year and of the year before, of all series of
the market. So only the years whose bars have changed are computed again; where all new bars lie
after the last stored day, only the new days are computed. A day's ratio is a function of the moves
of all days before it. So a bar's score depends on the stored bars alone, not on what was loaded
with it or in which order bars came. A changed day gets a new revision, as a changed bar does.
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

# How many bars are read at once.
PORTION_BARS = 400_000
MOST_DAYS_A_YEAR = 366
# The medians of so many days are computed at once.
DAYS_AT_ONCE = 32
# A document keeps so many entries of changed days; older ones are merged into one.
KEPT_CHANGES = 500

# Of n days the time, the median return and the number of returns, each of shape (n,).
Days = tuple[Int64, Float64, Int64]


def has_days(interval: str) -> bool:
    """Return whether market days exist for an interval: for daily and longer bars."""
    return not is_intraday(interval)


def refresh_days(
    database: Db, market: str, interval: str, now: datetime, run_id: str | None = None
) -> None:
    """Compute a market's stored days again where its stored bars have changed since.

    Nothing is computed where the days are up to date. That check reads all series of the market
    where any series was written since; it is made once a run, not once for each of its batches.
    Bars that arrive while this function works change the days for the next run, which scores the
    bars again whose days have moved.
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
            # In the snapshot, too: days of later bars than it has must not be replaced.
            whole = market_days.find_whole_days(database, market, interval, session)
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
    """Return a market's stored days, None where they were never computed."""
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
    """Return the document of a market's days, computed from its bars in the session's snapshot.

    `stored` is the document until now. `inputs`, `changes_seen` and `checked_by` are stored as they
    are given.
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
    """Return a market's days, a hash of the bars of each year, and whether all bars are known to
    be sound.

    The `stored` days are kept, but for the years whose bars have changed, which are computed again.
    Where all new bars lie after the last stored day, the new days are appended.
    """
    before = unpack_days(stored) if stored else None
    ends = market_days.unpack_ends(stored) if stored else {}
    later = before and _find_later_days(database, interval, before, ends, series, session)
    if stored and before and later:
        # The stored hashes of these years do not cover the new bars. A year without a hash is
        # computed again at the next correction, even at one that removes these bars.
        grown = {str(year) for year in years_of(later[0]).tolist()}
        years = {year: known for year, known in stored["years"].items() if year not in grown}
        return _join(before, np.ones(before.times.size, np.bool_), later), years, True
    years = market_days.hash_years(market_days.find_inputs(database, market, interval, session))
    # Days that were stored before documents had `ends` may be of unsound bars: compute all again.
    known = stored["years"] if stored and "ends" in stored else {}
    stale = sorted(int(year) for year in years if known.get(year) != years[year])
    days, is_sound = _find_days(database, interval, series, stale, session)
    # The years that are not computed again are known to be sound where `ends` were stored, which
    # are None where any bar was unsound.
    is_sound &= bool(ends) or len(stale) == len(years)
    if before is not None:
        # Days of years that have no bars any more are dropped, those of unchanged years kept.
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
    """Return the days after those computed `before`, None where an earlier day may have changed.

    It may have where a series was added or removed, where a bar was corrected, and where a new bar
    is not later than the last computed day.
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
    """Return the days of some `years`, and whether all bars that were read for them are sound.

    Only one year's bars are in memory at a time: all years of ten thousand tickers take a gigabyte.
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
    """Return time, median return and number of returns of each day on which there is a return.

    Works on `DAYS_AT_ONCE` days at a time: sorting all returns at once takes several times the
    memory of the returns.
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
    """Return the days marked in `stands`, of those computed `before`, with `days`, by time."""
    kept = before.times[stands], before.moves[stands], before.counts[stands]
    order = np.concatenate((kept[0], days[0])).argsort(kind="stable")
    return (
        np.concatenate((kept[0], days[0]))[order],
        np.concatenate((kept[1], days[1]))[order],
        np.concatenate((kept[2], days[2]))[order],
    )


def _is_sound(panel: BarPanel, tickers: Sequence[str]) -> bool:
    """Return whether a panel has bars of all `tickers`, and no close in it is NaN or infinite."""
    return len(panel.tickers) == len(tickers) and bool(np.isfinite(panel.close).all())


def _has_days_only(series: PanelSeries) -> bool:
    """Return whether a series has no more bars in any year than a year has days.

    A series with more is damaged, and reading it could take more memory than the process may have.
    It is left out, so that the damage does not stop the rest of its market.
    """
    return max(series["counts"].values(), default=0) <= MOST_DAYS_A_YEAR


def _reach_back(index: int, _interval: str) -> int:
    """Return the position of the first bar that the return at `index` needs.

    A return goes back at most `LONGEST_PAUSE` bars. As many again are loaded, as whether a bar has
    traded is told by the bars before it.
    """
    return max(0, index - 2 * LONGEST_PAUSE)


def _split(bars: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the tickers of `bars`, which has the number of bars of each, in portions of about
    `PORTION_BARS` bars.
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
    """Return the first and last day whose ratio differs between `before` and `after`, or which only
    one of them has; None where there is no such day.
    """
    if before is None or not before.times.size:
        return (int(after.times[0]), int(after.times[-1])) if after.times.size else None
    times = np.union1d(before.times, after.times)
    differs = before.look_up(times) != after.look_up(times)
    differs |= ~np.isin(times, before.times) | ~np.isin(times, after.times)
    changed = times[differs]
    return (int(changed[0]), int(changed[-1])) if changed.size else None


def _shorten(changes: list[DaysChange]) -> list[DaysChange]:
    """Return at most `KEPT_CHANGES` changes; the oldest are merged into one that spans them all."""
    more = len(changes) - KEPT_CHANGES
    if more <= 0:
        return changes
    old = changes[: more + 1]
    first, last = min(c["first"] for c in old), max(c["last"] for c in old)
    return [{"revision": old[-1]["revision"], "first": first, "last": last}, *changes[more + 1 :]]
