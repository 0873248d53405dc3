"""Fetching bars from a watchlist's source: of its tickers before they are scanned,
and of sessions that lack some.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep, time

from core.errors import BadInput
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

# A little more than is missing, so that what a vendor corrected lately comes too.
OVERLAP_DAYS = 5
# So far back Yahoo has bars of an interval.
YAHOO_DAYS = {"1m": 7, "5m": 59, "15m": 59, "30m": 59, "1h": 729}
# A file that nobody has written to for so long is whole; those of a folder that are written on, as
# a live feed does it for good, are together not waited for longer than the second.
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
) -> ImportReport:
    """Import what Yahoo has of these tickers since their last bars; of one without bars,
    of five years.
    """
    ends = {end["ticker"]: end["last_bar"] for end in find_ends(database, tickers, interval)}
    known = [ticker for ticker in tickers if ticker in ends]
    report = ImportReport("yahoo", interval)
    for names, days in (
        (known, _count_days(min(ends.values(), default=now), now)),
        ([ticker for ticker in tickers if ticker not in ends], FIRST_DAYS),
    ):
        if names:
            period = f"{min(days, YAHOO_DAYS.get(interval, days))}d"
            part = import_yahoo(
                database,
                yahoo,
                names,
                period=period,
                interval=interval,
                now=now,
                on_series=on_series,
            )
            report.series += part.series
            report.import_id = report.import_id or part.import_id
    return report


def fill_from_yahoo(
    database: Db,
    yahoo: Yahoo,
    since: Mapping[str, datetime],
    *,
    interval: str,
    now: datetime,
    on_series: OnSeries,
) -> ImportReport:
    """Import what Yahoo has of tickers, of each since the session that `since` says."""
    periods: dict[str, list[str]] = {}
    for ticker, first in sorted(since.items()):
        days = _count_days(first, now)
        days = min(days, YAHOO_DAYS[interval]) if interval in YAHOO_DAYS else days
        # Those that are asked nearly as far back are asked at once.
        period = f"{days}d" if days <= YEAR_DAYS else f"{-(-days // YEAR_DAYS)}y"
        periods.setdefault(period, []).append(ticker)
    report = ImportReport("yahoo", interval)
    for period, names in periods.items():
        part = import_yahoo(
            database, yahoo, names, period=period, interval=interval, now=now, on_series=on_series
        )
        report.series += part.series
        report.import_id = report.import_id or part.import_id
    return report


def reaches(source: str, interval: str, last: datetime, now: datetime) -> bool:
    """Whether a source has bars as old as those of a session."""
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
    again: bool = False,
) -> ImportReport:
    """Import the files of a folder that came or changed since they were looked at last;
    `again`: all of them. Small ones are stored together; each counts as looked at once its bars are
    stored, and one that cannot be used leaves the others alone.

    Raises BadInput where there is no such folder; one without files brings nothing.
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
                own = new_import_id()  # each file can be taken back by itself
                source = show_path(Path(file.path.name))
                request = Request(interval, source, now, import_id=own, on_series=on_series)
                parts = reader.read_file(file.path)
                import_parts(importer, parts, request, report, folder=file.path.parent)
            # One that cannot be used is named once, and looked at again when it changes.
            taken[name] = state
            if not importer.has_waiting:
                note_seen(database, taken, now)
                taken.clear()
    importer.store()
    note_seen(database, taken, now)
    return report


def list_came(report: ImportReport, tickers: Sequence[str]) -> dict[str, list[str]]:
    """Return which tickers had bars that are new or changed, and which had none."""
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
    """Return how a file looks; None where it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return None
    # The last is another also where a file may be read at last, or was replaced by an older one.
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _await_writer(
    file: Path, state: str, patience: float, on_wait: Callable[[], None] | None
) -> str:
    """Wait while somebody writes a file, for so many seconds at most, and return how it looks then:
    of the last row of one that is half written a price or a volume may be cut.
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
