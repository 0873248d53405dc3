"""The second pass over a market's bars: what it did on each day, kept in step with its bars.

Each year's days are a function of the bars of that year and of the year before, of all series of
the market; only the years whose bars have changed are computed again. The columns of a day are a
function of all days before it. So a bar's score is one of what is stored, whatever was loaded for
it and in whatever order it came; and a day that changed is known by its revision, as a bar is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Float64, Int64
from detection.features.feature_sets import MARKET_COLUMNS
from detection.features.market_move import (
    LONGEST_PAUSE,
    MarketDays,
    compute_columns,
    compute_medians,
    compute_returns,
)
from market.bars.buckets import years_of
from market.bars.store import read_sound_panel
from market.intervals import is_intraday
from records.database import Db
from records.market import market_days
from records.market.documents import DaysChange, MarketDaysDocument, PanelSeries
from records.market.series import find_market_panel_series

# What is read at once, in bars; and how many changes are told apart.
PORTION_BARS = 400_000
MOST_DAYS_A_YEAR = 366
KEPT_CHANGES = 500


def has_days(interval: str) -> bool:
    """Whether bars of an interval have days of their market: those of a day and longer."""
    return not is_intraday(interval)


def refresh_days(
    database: Db, market: str, interval: str, now: datetime, run_id: str | None = None
) -> None:
    """Bring a market's stored days up to its stored bars; nothing is written where they are.

    The bars of all series are looked at once a run, not once for each of its batches. Bars that
    come while it works change the days for the next run, which detects again what that moves.
    """
    if run_id is not None and market_days.were_checked(database, market, interval, run_id):
        return
    checked = [] if run_id is None else [run_id]
    while True:
        stored = market_days.find_days(database, market, interval)
        with database.client.start_session(snapshot=True) as session:
            inputs = market_days.hash_inputs(database, market, interval, session)
            if stored is not None and stored["inputs"] == inputs:
                market_days.note_checked(database, stored, checked)
                return
            document = _compute(database, market, interval, stored, session)
        document |= {"inputs": inputs, "checked_by": checked, "updated_at": now}
        before = None if stored is None else stored["revision"]
        if market_days.replace_days(database, document, before):
            return


def read_days(
    database: Db, market: str, interval: str, session: ClientSession | None = None
) -> MarketDays | None:
    """Return a market's days as they are stored, None where they never were computed."""
    stored = market_days.find_days(database, market, interval, session)
    return None if stored is None else unpack_days(stored)


def unpack_days(stored: MarketDaysDocument) -> MarketDays:
    """Return a market's days as arrays."""
    return MarketDays(
        market=stored["market"],
        times=np.frombuffer(stored["times"], "<i8"),
        moves=np.frombuffer(stored["moves"], "<f8"),
        counts=np.frombuffer(stored["counts"], "<i8"),
        columns=np.frombuffer(stored["columns"], "<f4").reshape(-1, len(MARKET_COLUMNS)),
        revision=stored["revision"],
    )


def _compute(
    database: Db,
    market: str,
    interval: str,
    stored: MarketDaysDocument | None,
    session: ClientSession,
) -> MarketDaysDocument:
    """Return a market's days as its bars in a session's snapshot have them;
    of which bars that is, the caller notes.
    """
    years = market_days.hash_years(market_days.find_inputs(database, market, interval, session))
    known = stored["years"] if stored else {}
    stale = sorted(int(year) for year in years if known.get(year) != years[year])
    before = unpack_days(stored) if stored else None
    days = _find_days(database, market, interval, stale, session)
    if before is not None:
        # What years that are gone had is gone, and what others had stands.
        own = years_of(before.times)
        stands = np.isin(own, [int(year) for year in years]) & ~np.isin(own, stale)
        kept = before.times[stands], before.moves[stands], before.counts[stands]
        order = np.concatenate((kept[0], days[0])).argsort(kind="stable")
        days = (
            np.concatenate((kept[0], days[0]))[order],
            np.concatenate((kept[1], days[1]))[order],
            np.concatenate((kept[2], days[2]))[order],
        )
    times, moves, counts = days
    columns = compute_columns(moves)
    revision = stored["revision"] if stored else 0
    changes = list(stored["changes"]) if stored else []
    changed = _find_changed(before, MarketDays(market, times, moves, counts, columns, revision))
    if changed is not None:
        revision += 1
        changes.append({"revision": revision, "first": changed[0], "last": changed[1]})
    return {
        "_id": market_days.build_days_id(market, interval),
        "market": market,
        "interval": interval,
        "revision": revision,
        "inputs": "",
        "checked_by": [],
        "years": years,
        "times": times.astype("<i8").tobytes(),
        "moves": moves.astype("<f8").tobytes(),
        "counts": counts.astype("<i8").tobytes(),
        "columns": columns.astype("<f4").tobytes(),
        "changes": _shorten(changes),
        "updated_at": datetime.now(UTC),
    }


def _find_days(
    database: Db, market: str, interval: str, years: Sequence[int], session: ClientSession
) -> tuple[Int64, Float64, Int64]:
    """Return time, median return and count of each day of these `years`.

    One year is held at a time: all of those of ten thousand tickers would be a gigabyte.
    """
    series = find_market_panel_series(database, market, interval, session)
    possible = {ticker: one for ticker, one in series.items() if _has_days_only(one)}
    days = [compute_medians(np.empty(0, np.int64), np.empty(0))]
    for year in years:
        first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
        last = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()) - 1
        times, returns = [np.empty(0, np.int64)], [np.empty(0)]
        for portion in _split(possible, year):
            wanted = dict.fromkeys(portion, (first, last))
            panel = read_sound_panel(database, interval, possible, wanted, session, _reach_back)
            found = compute_returns(panel, first, last)
            times.append(found[0])
            returns.append(found[1])
        days.append(compute_medians(np.concatenate(times), np.concatenate(returns)))
    found_days, moves, counts = (np.concatenate(columns) for columns in zip(*days, strict=True))
    return found_days, moves, counts


def _has_days_only(series: PanelSeries) -> bool:
    """Whether a series has no more bars than days. One that has is damaged, and could be so large
    that whoever reads it is killed: that must cost this series only.
    """
    return max(series["years"].values(), default=0) <= MOST_DAYS_A_YEAR


def _reach_back(index: int, _interval: str) -> int:
    """Return the position of the first bar that a return needs;
    twice as many as it goes back, so that each is known to have traded.
    """
    return max(0, index - 2 * LONGEST_PAUSE)


def _split(series: Mapping[str, PanelSeries], year: int) -> Iterator[list[str]]:
    """Yield the tickers that have bars of this year, in portions of about `PORTION_BARS`."""
    portion: list[str] = []
    bars = 0
    for ticker, document in series.items():
        own = document["years"].get(str(year), 0)
        if not own:
            continue
        portion.append(ticker)
        bars += own
        if bars > PORTION_BARS:
            yield portion
            portion, bars = [], 0
    if portion:
        yield portion


def _find_changed(before: MarketDays | None, after: MarketDays) -> tuple[int, int] | None:
    """Return the first and last day on which a score would not be the same, None if none is."""
    if before is None or not before.times.size:
        return (int(after.times[0]), int(after.times[-1])) if after.times.size else None
    times = np.union1d(before.times, after.times)
    differs = (before.look_up(times) != after.look_up(times)).any(axis=1)
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
