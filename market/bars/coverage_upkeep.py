"""The coverage that is stored with each series,
kept in step with its bars and with its exchange's sessions.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Int64
from market.bars.buckets import COLUMNS, Columns, build_bucket_id, read_column
from market.bars.coverage import add_coverage, measure_coverage
from market.bars.no_trade import count_no_trade
from market.markets import Market
from market.sessions.calendar import Sessions
from market.sessions.noting import note_sessions
from market.sessions.overrides import find_sessions
from records.database import Db
from records.market.documents import CoverageFields, SeriesDocument, bars_in
from records.market.series import find_series, find_series_between, set_coverage


def find_coverage(
    database: Db,
    series: SeriesDocument,
    market: Market,
    known: Sessions,
    new: Columns,
    *,
    last_bar: datetime | None,
    session: ClientSession,
) -> CoverageFields:
    """Return the coverage of a series that was written with `new` bars,
    its last being `last_bar` before.

    What only follows that bar is added to what is known, so that a bar a minute doesn't read years
    of minutes. Without new bars some were corrected. `known` are the sessions of its market.
    """
    interval, times = series["interval"], new["times"]
    if last_bar is None:
        return measure_coverage(times, market, interval, known, no_trade=count_no_trade(new))
    if "coverage" in series and len(times) and times[0] > last_bar.timestamp():
        before = read_bars(database, series, session, year=str(last_bar.year))
        row = int(np.searchsorted(before["times"], int(last_bar.timestamp()), side="right"))
        idle = count_no_trade(new, {name: column[:row] for name, column in before.items()})
        later = measure_coverage(times, market, interval, known, no_trade=idle, after=last_bar)
        return add_coverage(series["coverage"], later)
    bars = read_bars(database, series, session)
    return measure_coverage(bars["times"], market, interval, known, no_trade=count_no_trade(bars))


def refresh_coverage(database: Db, market: Market, day: date) -> int:
    """Measure anew the series of a market that reach over a day whose session has changed;
    return how many.

    A series that an import writes meanwhile is left to that import, which goes by the sessions it
    found at its start.
    """
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    a_day = timedelta(days=1)
    known = find_sessions(database, market)
    note_sessions(database, market, known, datetime.now(UTC), again=True)
    found = find_series_between(database, market.code, midnight - a_day, midnight + a_day)
    for series in found:
        _refresh(database, series, market, known)
    return len(found)


def refresh_market(database: Db, market: Market) -> None:
    """Measure all series of a market anew: its calendar has changed."""
    known = find_sessions(database, market)
    note_sessions(database, market, known, datetime.now(UTC), again=True)
    for series in find_series(database, market=market.code):
        _refresh(database, series, market, known)


def _refresh(database: Db, series: SeriesDocument, market: Market, known: Sessions) -> None:
    bars = read_bars(database, series)
    idle, interval = count_no_trade(bars), series["interval"]
    coverage = measure_coverage(bars["times"], market, interval, known, no_trade=idle)
    set_coverage(database, series, coverage)


def read_bars(
    database: Db,
    series: SeriesDocument,
    session: ClientSession | None = None,
    *,
    year: str | None = None,
) -> Columns:
    """Return the stored columns of a series, or of one year of it, as they are stored."""
    years = series["years"] if year is None else (year,)
    ids = [build_bucket_id(series["ticker"], series["interval"], one) for one in years]
    found = bars_in(database).find({"_id": {"$in": ids}}, session=session).sort("year", 1)
    buckets = list(found)
    return {
        name: np.concatenate([read_column(bucket, name) for bucket in buckets]) for name in COLUMNS
    }


def read_times(database: Db, series: SeriesDocument) -> Int64:
    """Return when the bars of a series start, UTC seconds, ascending."""
    times: Int64 = read_bars(database, series)["times"].astype(np.int64)
    return times
