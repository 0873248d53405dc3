"""The coverage that is stored with each series,
kept in step with its bars and with its exchange's sessions.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from pymongo.client_session import ClientSession

from core.arrays import Int64
from market.bars.buckets import build_bucket_id, read_column
from market.bars.coverage import add_coverage, measure_coverage
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
    new: Int64,
    *,
    last_bar: datetime | None,
    session: ClientSession,
) -> CoverageFields:
    """Return the coverage of a series that was written with bars at `new` times,
    its last being `last_bar` before.

    What only follows that bar is added to what is known, so that a bar a minute doesn't read years
    of minutes. `known` are the sessions of its market.
    """
    interval = series["interval"]
    if last_bar is None:
        return measure_coverage(new, market, interval, known)
    if "coverage" in series and new[0] > last_bar.timestamp():
        return add_coverage(
            series["coverage"], measure_coverage(new, market, interval, known, after=last_bar)
        )
    return measure_coverage(read_times(database, series, session), market, interval, known)


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
        set_coverage(
            database,
            series,
            measure_coverage(read_times(database, series), market, series["interval"], known),
        )
    return len(found)


def refresh_market(database: Db, market: Market) -> None:
    """Measure all series of a market anew: its calendar has changed."""
    known = find_sessions(database, market)
    note_sessions(database, market, known, datetime.now(UTC), again=True)
    for series in find_series(database, market=market.code):
        coverage = measure_coverage(read_times(database, series), market, series["interval"], known)
        set_coverage(database, series, coverage)


def read_times(database: Db, series: SeriesDocument, session: ClientSession | None = None) -> Int64:
    """Return when the bars of a series start, UTC seconds, ascending."""
    ids = [build_bucket_id(series["ticker"], series["interval"], year) for year in series["years"]]
    buckets = (
        bars_in(database).find({"_id": {"$in": ids}}, {"times": 1}, session=session).sort("year", 1)
    )
    return np.concatenate([read_column(bucket, "times").astype(np.int64) for bucket in buckets])
