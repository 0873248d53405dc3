"""Importing bars: check, merge, store, and report ticker by ticker."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial

import pandas as pd
from pymongo.errors import DocumentTooLarge

from core.errors import TapewatchError
from market.bars.writing import Arrival, write_arrival
from market.imports.report import ImportReport, SeriesReport
from market.imports.rows import TickerRows, read_rows
from market.intervals import parse_interval
from market.markets import Market, get_market_of
from market.sessions.calendar import Sessions
from market.sessions.overrides import find_sessions
from records.database import Db
from records.market.rejected import build_rejected
from records.work.counters import IMPORTED, REJECTED, add_counts

OnSeries = Callable[[SeriesReport, int], None]


def import_frame(
    database: Db,
    frame: pd.DataFrame,
    *,
    interval: str,
    source: str,
    now: datetime,
    ticker: str | None = None,
    market: Market | None = None,
    synthetic: bool = False,
    on_series: OnSeries | None = None,
) -> ImportReport:
    """Import a table of bars with any usual column names; importing it again changes nothing.

    Each ticker is one transaction, and one that fails leaves the rest alone: its report says why.

    Args:
        database: where the bars go.
        frame: the table; see `market.imports.columns` for its columns.
        interval: of the bars.
        source: where they come from, for the records.
        now: the moment of import; bars that close later are rejected.
        ticker: whose the bars are where the table does not say; otherwise the only ticker to take.
        market: whose suffix tickers without one get.
        synthetic: whether the bars are made up.
        on_series: called after each ticker with its report and how many tickers there are.

    Raises BadInput where the table as a whole cannot be used; then nothing was written.
    """
    report = ImportReport(source, parse_interval(interval))
    # Asked for once a market, not once a ticker.
    sessions_of = cache(partial(find_sessions, database))
    tickers = read_rows(frame, interval=report.interval, ticker=ticker, market=market, now=now, sessions_of=sessions_of)
    for rows in tickers:
        series = _import_rows(database, rows, sessions_of, report.interval, source, now, synthetic=synthetic)
        report.series.append(series)
        if on_series is not None:
            on_series(series, len(tickers))
    rejected = Counter(rejection.reason for series in report.series for rejection in series.rejected)
    counts = {name: report.total(name) for name in ("new", "changed", "unchanged")}
    add_counts(database, {IMPORTED: counts, REJECTED: rejected})
    return report


def _import_rows(
    database: Db,
    rows: TickerRows,
    sessions_of: Callable[[Market], Sessions],
    interval: str,
    source: str,
    now: datetime,
    *,
    synthetic: bool,
) -> SeriesReport:
    report = SeriesReport(rows.ticker, interval, read=rows.read, notes=list(rows.notes), error=rows.error)
    if rows.error is not None:
        return report
    rejected = [
        build_rejected(
            rows.ticker, interval, row=r.row, time=r.time, reason=r.reason, values=r.values, source=source, now=now
        )
        for r in rows.rejected
    ]
    known = sessions_of(get_market_of(rows.ticker))
    arrival = Arrival(rows.ticker, interval, source, now, known, rows.columns, rows.splits, rejected, synthetic)
    try:
        written = write_arrival(database, arrival)
    except TapewatchError as error:
        report.error = error.message
        return report
    except DocumentTooLarge as error:
        report.error = f"a year of its {interval} bars does not fit into one document: {error}"
        return report
    report.rejected = rows.rejected
    report.rejected_rows = rows.read - len(rows.columns["times"])
    report.new, report.changed, report.unchanged = written.new, written.changed, written.unchanged
    report.splits, report.revision = written.splits, written.revision
    if written.replaced:
        report.notes.append(f"{written.replaced} synthetic bars gave way to these")
    return report
