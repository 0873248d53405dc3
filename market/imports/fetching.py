"""Fetches bars from a watchlist's source, before its tickers are scanned and to fill gaps."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep, time

from core.errors import BadInput
from market.bars.arriving import Guard
from market.imports.bulk import import_parts, import_yahoo
from market.imports.importing import Importer, OnSeries, Request, new_import_id
from market.imports.readers.process import open_reader
from market.imports.report import FileReport, ImportReport
from market.imports.sources.files import Found, find_files, show_path
from market.imports.sources.yahoo import Yahoo
from market.intervals import DAY_SECONDS
from records.database import Db
from records.market.series import find_ends
from records.market.watched_files import find_seen, note_seen

# A few more days than are missing are fetched, to get a vendor's recent corrections.
OVERLAP_DAYS = 5
# How many days back Yahoo has bars of an interval.
YAHOO_DAYS = {"1m": 7, "5m": 59, "15m": 59, "30m": 59, "1h": 729}
# A file that was not written to for QUIET_SECONDS is complete. For all files of a folder together
# that are still written to, the wait is at most MOST_WRITE_SECONDS: a live feed never stops.
QUIET_SECONDS = 2.0
MOST_WRITE_SECONDS = 60.0
YEAR_DAYS = 365
FIRST_DAYS = 5 * YEAR_DAYS


def fetch_from_yahoo(
    database: Db,
    yahoo: Yahoo,
    tickers: Sequence[str],
    *,
    interval: str,
    now: datetime,
    on_series: OnSeries,
    guard: Guard | None = None,
) -> ImportReport:
    """Import Yahoo's bars of some tickers since their last stored bars; the last five years of a
    ticker without bars.
    """
    ends = {end["ticker"]: end["last_bar"] for end in find_ends(database, tickers, interval)}
    # The tickers with bars have one period, as those are asked for together.
    first, new = min(ends.values(), default=now), now - timedelta(days=FIRST_DAYS - OVERLAP_DAYS)
    since = {ticker: first if ticker in ends else new for ticker in tickers}
    return fill_from_yahoo(
        database, yahoo, since, interval=interval, now=now, on_series=on_series, guard=guard
    )


def fill_from_yahoo(
    database: Db,
    yahoo: Yahoo,
    since: Mapping[str, datetime],
    *,
    interval: str,
    now: datetime,
    on_series: OnSeries,
    guard: Guard | None = None,
) -> ImportReport:
    """Import Yahoo's bars of each ticker since its session in `since`."""
    periods: dict[str, list[str]] = {}
    for ticker, first in sorted(since.items()):
        days = _count_days(first, now)
        days = min(days, YAHOO_DAYS[interval]) if interval in YAHOO_DAYS else days
        # Tickers with nearly the same period are asked for together.
        period = f"{days}d" if days <= YEAR_DAYS else f"{-(-days // YEAR_DAYS)}y"
        periods.setdefault(period, []).append(ticker)
    report = ImportReport("yahoo", interval, import_id=new_import_id())
    for period, names in periods.items():
        part = import_yahoo(
            database,
            yahoo,
            names,
            period=period,
            interval=interval,
            now=now,
            on_series=on_series,
            guard=guard,
            import_id=report.import_id,
        )
        report.series += part.series
    return report


def reaches(source: str, interval: str, last: datetime, now: datetime) -> bool:
    """Return whether a source's bars go back as far as the session `last`."""
    days = YAHOO_DAYS.get(interval) if source == "yahoo" else None
    return days is None or now - last <= timedelta(days=days)


def fetch_from_folder(
    database: Db,
    folder: Path,
    *,
    interval: str,
    now: datetime,
    on_series: OnSeries,
    on_wait: Callable[[], None] | None = None,
    guard: Guard | None = None,
    again: bool = False,
) -> ImportReport:
    """Import the files of a folder that are new or have changed since the last look; with `again`,
    all files.

    Small files are stored together. A file is remembered once its bars are stored, and a file that
    cannot be used does not stop the others. An empty folder gives an empty report. Raises BadInput
    where there is no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder {str(folder)!r} to watch")
    files = {show_path(file.path): file for file in _list(folder)}
    seen = find_seen(database, list(files))
    report = ImportReport(show_path(folder), interval)
    importer, taken = Importer(database), dict[str, str]()
    patience = MOST_WRITE_SECONDS
    with open_reader(on_wait=on_wait) as reader:
        for name, file in files.items():
            state = file.error or _describe(file.path)
            if state is None or (seen.get(name) == state and not again):
                continue
            if file.error is not None:
                report.files.append(FileReport(name, error=file.error))
            else:
                began = monotonic()
                state = _await_writer(file.path, state, patience, on_wait)
                patience -= monotonic() - began
                own = new_import_id()  # The import of each file can be undone by itself.
                source = show_path(Path(file.path.name))
                request = Request(
                    interval, source, now, import_id=own, on_series=on_series, guard=guard
                )
                parts = reader.read_file(file.path)
                import_parts(importer, parts, request, report, folder=file.path.parent)
            # A file that cannot be used is reported once, and read again when it changes.
            taken[name] = state
            if not importer.has_waiting:
                note_seen(database, taken, now)
                taken.clear()
    importer.store()
    note_seen(database, taken, now)
    return report


def list_came(report: ImportReport, tickers: Sequence[str]) -> dict[str, list[str]]:
    """Return which of some tickers had new or changed bars in an import, and which had none."""
    came = {series.ticker for series in report.series if series.new or series.changed}
    return {
        "came": [t for t in tickers if t in came],
        "not_came": [t for t in tickers if t not in came],
    }


def _count_days(last_bar: datetime, now: datetime) -> int:
    return int((now - last_bar).total_seconds() // DAY_SECONDS) + OVERLAP_DAYS


def _list(folder: Path) -> list[Found]:
    try:
        return [file for file in find_files(folder) if file.skipped is None]
    except BadInput:
        return []


def _describe(file: Path) -> str | None:
    """Return a file's size and times, by which a change of it is noticed; None where it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return None
    # st_ctime_ns also changes with the file's permissions, and where an older file replaces it.
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _await_writer(
    file: Path, state: str, patience: float, on_wait: Callable[[], None] | None
) -> str:
    """Wait while a file is written to, at most `patience` seconds; return its state then, as
    `_describe` does.

    In a file that is half written, a price or a volume of the last row may be cut.
    """
    deadline = monotonic() + patience
    while _was_just_written(file) and monotonic() < deadline:
        sleep(QUIET_SECONDS / 2)
        if on_wait is not None:
            on_wait()
    return _describe(file) or state


def _was_just_written(file: Path) -> bool:
    try:
        return abs(time() - file.stat().st_mtime) < QUIET_SECONDS
    except OSError:
        return False
