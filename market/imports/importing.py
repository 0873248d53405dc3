"""Imports bars: checks, merges and stores them, and reports on each ticker."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from uuid import uuid4

import pandas as pd

from core.errors import BadInput, TapewatchError
from market.bars.arriving import Guard, write_arrivals
from market.bars.writing import Written
from market.imports.arrivals import build_arrival
from market.imports.parting import count_tickers, part_by_interval
from market.imports.report import ImportReport, SeriesReport
from market.imports.rows import TickerNotThere, TickerRows, read_rows
from market.imports.settled import Settled
from market.imports.settling import settle_frame
from market.intervals import INTERVALS, parse_import_interval
from market.markets import Market, Markets, load_markets
from market.sessions.calendar import Sessions
from market.sessions.noting import note_sessions
from market.sessions.overrides import find_sessions
from records.database import Db
from records.market.markets import set_ticker_markets
from records.work.counters import IMPORTED, REJECTED, add_counts

# An error quotes so many characters of a row.
SHOWN = 80
# Tables are collected up to so many tickers or rows, and then stored together.
MOST_TICKERS, MOST_ROWS = 100, 50_000

OnSeries = Callable[[SeriesReport, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of an import.

    Attributes:
        interval: of the bars; `auto`: find it from the distance between them.
        source: where they come from, for the records.
        now: the time of the import; bars that close later are rejected.
        ticker: the ticker of a table without a ticker column; of another table, the only ticker to
            import.
        market: the market of all tickers; None: the market that each ticker's spelling tells.
        synthetic: whether the bars are synthetic.
        dry_run: whether nothing is stored.
        import_id: the id by which it can be undone; None: it cannot be.
        on_series: called after each ticker with its report and the number of tickers.
        on_wait: called about twice a second while an uploaded file is read, and between the steps
            that follow.
        guard: called first by each transaction that writes bars.
    """

    interval: str
    source: str
    now: datetime
    ticker: str | None = None
    market: Market | None = None
    synthetic: bool = False
    dry_run: bool = False
    import_id: str | None = None
    on_series: OnSeries | None = None
    on_wait: Callable[[], None] | None = None
    guard: Guard | None = None

    def tell(self) -> None:
        """Call `on_wait`; an exception that it raises ends the import."""
        if self.on_wait is not None:
            self.on_wait()


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
    import_id: str | None = None,
    on_series: OnSeries | None = None,
    guard: Guard | None = None,
) -> ImportReport:
    """Import a data frame of bars with any usual column names; importing it again changes nothing.

    The arguments are those of `Request`. Raises BadInput where the table as a whole cannot be used;
    then nothing was written.
    """
    report = ImportReport(
        source, parse_import_interval(interval), import_id=import_id or new_import_id()
    )
    request = Request(
        report.interval,
        source,
        now,
        ticker,
        market,
        synthetic,
        import_id=report.import_id,
        on_series=on_series,
        guard=guard,
    )
    report.series = import_settled(database, settle_frame(frame), request)
    if report.series:
        report.interval = report.series[0].interval
    return report


def new_import_id() -> str:
    """Return an id for an import that has no run."""
    return uuid4().hex[:12]


def import_settled(database: Db, settled: Settled, request: Request) -> list[SeriesReport]:
    """Import a table whose numbers and times were read; return a report of each ticker.

    A ticker that fails does not stop the others; its report says why. Raises BadInput where the
    table as a whole cannot be used; then nothing was written.
    """
    reports: list[SeriesReport] = []
    importer = Importer(database)
    importer.take(settled, request, reports)
    importer.store()
    return reports


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that waits to be stored: its tickers with their intervals, and the list for their
    reports.
    """

    tickers: list[tuple[str, TickerRows]]
    request: Request
    reports: list[SeriesReport]


class Importer:
    """Imports tables one after another. Small tables are collected and stored together, which is
    fast for a folder of thousands of files. Markets and sessions are read once for all of them.
    """

    def __init__(self, database: Db) -> None:
        self._database = database
        self._markets: Markets
        self._sessions_of: Callable[[Market], Sessions]
        self._noted: set[str] = set()
        self._waiting: list[_Table] = []
        self.taken = 0
        """How many tickers the tables had that were taken, whether they are stored or wait."""

    @property
    def has_waiting(self) -> bool:
        """Return whether a taken table is not stored yet."""
        return bool(self._waiting)

    def take(self, settled: Settled, request: Request, reports: list[SeriesReport]) -> None:
        """Take a table; once it is stored, a report of each ticker is added to `reports`.

        Raises BadInput where the table as a whole cannot be used; then nothing of it is written.
        """
        if not self._waiting:
            self._markets = load_markets(self._database)
            # The sessions of a market are read once, not once a ticker.
            self._sessions_of = cache(partial(find_sessions, self._database))
        tickers = _read_tickers(settled, request, self._markets, self._sessions_of)
        told = {} if request.dry_run else _find_told(tickers, self._markets)
        if told:
            # The next table may have these tickers without naming their market, and may come before
            # this table is stored.
            set_ticker_markets(self._database, told, request.now)
            self._markets = load_markets(self._database)
        self.taken += len(tickers)
        self._waiting.append(_Table(tickers, request, reports))
        request.tell()
        waiting = [rows for table in self._waiting for _, rows in table.tickers]
        if len(waiting) >= MOST_TICKERS or sum(rows.read for rows in waiting) >= MOST_ROWS:
            self.store()

    def store(self) -> None:
        """Store the collected tables."""
        tables, self._waiting = self._waiting, []
        for table in tables:
            if not table.request.dry_run:
                self._note(table)
        arrivals = (
            build_arrival(
                rows,
                rows.market,
                interval=interval,
                source=table.request.source,
                now=table.request.now,
                known=self._sessions_of(rows.market),
                synthetic=table.request.synthetic,
                import_id=table.request.import_id,
            )
            for table in tables
            for interval, rows in table.tickers
            if rows.error is None and rows.market is not None
        )
        dry_run = any(table.request.dry_run for table in tables)
        guard = next((table.request.guard for table in tables), None)
        outcomes = write_arrivals(self._database, arrivals, dry_run=dry_run, guard=guard)
        stored: list[SeriesReport] = []
        for table in tables:
            for interval, rows in table.tickers:
                is_sound = rows.error is None and rows.market is not None
                report = _report(rows, interval, next(outcomes) if is_sound else None)
                stored.append(report)
                table.reports.append(report)
                if table.request.on_series is not None:
                    table.request.on_series(report, len(table.tickers))
        if stored and not dry_run:
            rejected = Counter(one.reason for report in stored for one in report.rejected)
            counts = {
                name: sum(getattr(report, name) for report in stored)
                for name in ("new", "changed", "unchanged")
            }
            add_counts(self._database, {IMPORTED: counts, REJECTED: rejected})

    def _note(self, table: _Table) -> None:
        """Store the sessions of a table's markets."""
        for market in dict.fromkeys(rows.market for _, rows in table.tickers):
            if market is not None and market.code not in self._noted:
                self._noted.add(market.code)
                known = self._sessions_of(market)
                note_sessions(self._database, market, known, table.request.now)


def _read_tickers(
    settled: Settled,
    request: Request,
    markets: Markets,
    sessions_of: Callable[[Market], Sessions],
) -> list[tuple[str, TickerRows]]:
    """Return the checked rows of each interval and ticker. Raises BadInput."""
    found: list[tuple[str, TickerRows]] = []
    absent: TickerNotThere | None = None
    for interval, part in part_by_interval(settled, request.interval).items():
        if interval not in INTERVALS:
            error = f"{interval!r} is no interval that is known: {', '.join(INTERVALS)}"
            named = count_tickers(part, request.ticker or settled.ticker)
            found += [
                (interval, TickerRows(name, rows, error=error))
                for name, rows in named.items()
                if request.ticker in {None, name.strip().upper()}
            ]
            continue
        try:
            rows = read_rows(
                part,
                interval=interval,
                ticker=request.ticker,
                market=request.market,
                markets=markets,
                now=request.now,
                sessions_of=sessions_of,
            )
        except TickerNotThere as error:
            absent = error
        else:
            found += [(interval, one) for one in rows]
    if not found:
        raise absent or BadInput(f"none of its rows of {request.ticker} is of a known interval")
    return found


def _report(
    rows: TickerRows, interval: str, outcome: Written | TapewatchError | None
) -> SeriesReport:
    """Return the report of a ticker's rows; `outcome` is None where none of them was written."""
    report = SeriesReport(
        rows.ticker, interval, read=rows.read, notes=list(rows.notes), error=rows.error
    )
    if outcome is None:
        return report
    if isinstance(outcome, TapewatchError):
        report.error = outcome.message
        return report
    report.rejected = rows.rejected
    report.rejected_rows = rows.read - len(rows.columns["times"])
    report.new, report.changed, report.unchanged = outcome.new, outcome.changed, outcome.unchanged
    report.splits, report.revision = outcome.splits, outcome.revision
    report.notes += outcome.notes
    if outcome.replaced:
        report.notes.append(f"{outcome.replaced} synthetic bars gave way to these")
    if rows.read and report.rejected_rows == rows.read:
        reasons = Counter(rejection.reason for rejection in rows.rejected)
        counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        first = rows.rejected[0]
        cells = " ".join(value for value in (first.time, *first.values.values()) if value)
        report.error = (
            f"none of its {rows.read:,} rows could be used: {counted}; row {first.row:,} is"
            f" {cells[:SHOWN]!r}"
        )
    return report


def _find_told(tickers: Sequence[tuple[str, TickerRows]], markets: Markets) -> dict[str, str]:
    """Return by ticker the market that the request named, for tickers whose spelling does not tell
    it.
    """
    return {
        rows.ticker: rows.market.code
        for _, rows in tickers
        if rows.error is None
        and rows.market is not None
        and markets.find_of(rows.ticker) != rows.market
    }
