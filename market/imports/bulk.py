"""Imports whole sources: files, uploads, the demo, Yahoo, and synthetic bars."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from core.errors import BadInput
from market.bars.arriving import Guard
from market.imports.importing import (
    Importer,
    OnSeries,
    Request,
    import_frame,
    import_settled,
    new_import_id,
)
from market.imports.names import find_owner
from market.imports.options import NO_OPTIONS, ReadingOptions
from market.imports.readers.documents import open_json
from market.imports.readers.process import Part, Reader, open_reader
from market.imports.readers.tables import build_table
from market.imports.readers.unpacking import unpack
from market.imports.report import FileReport, ImportReport, SeriesReport
from market.imports.settled import Settled
from market.imports.settling import settle_table
from market.imports.sources import demo, synthetic
from market.imports.sources.files import find_files, show_path
from market.imports.sources.yahoo import Yahoo
from market.intervals import AUTO, parse_interval
from market.markets import Market, load_markets
from market.spellings import is_same_spelling
from records.database import Db

# Synthetic bars are made for so many tickers at once, which bounds the memory.
BLOCK_TICKERS = 500


def import_files(
    database: Db,
    paths: Sequence[Path],
    request: Request,
    reader: Reader,
    *,
    options: ReadingOptions = NO_OPTIONS,
) -> ImportReport:
    """Import files and folders of files. A file without a ticker column holds the bars of the
    ticker that it is named after.

    The report has each file; a file that cannot be used does not stop the others. Raises BadInput
    where a path or the only file cannot be used; then nothing was written.
    """
    request = replace(request, import_id=request.import_id or new_import_id())
    report = ImportReport(
        ", ".join(map(show_path, paths)), request.interval, dry_run=request.dry_run
    )
    report.import_id = None if request.dry_run else request.import_id
    importer = Importer(database)
    found = [file for path in paths for file in find_files(path)]
    for number, file in enumerate(found, start=1):
        if file.skipped is not None or file.error is not None:
            name = show_path(file.path)
            report.files.append(FileReport(name, error=file.error, skipped=file.skipped))
            continue
        left = len(found) - number
        import_parts(
            importer,
            reader.read_file(file.path, options),
            replace(
                request,
                source=show_path(Path(file.path.name)),
                on_series=_count_files(request.on_series, before=importer.taken, left=left),
            ),
            report,
            folder=file.path.parent,
        )
    importer.store()
    _note_interval(report)
    _refuse_only_file(report)
    return report


def _count_files(on_series: OnSeries | None, *, before: int, left: int) -> OnSeries | None:
    """Return a callback for the series of one file. It tells `on_series` the total number of
    series: those of the files before, those of this file, and one for each file that is left.
    """
    if on_series is None:
        return None
    return lambda series, tickers: on_series(series, before + tickers + left)


def import_content(
    database: Db,
    content: bytes,
    filename: str,
    request: Request,
    *,
    options: ReadingOptions = NO_OPTIONS,
) -> ImportReport:
    """Import an uploaded file.

    Raises BadInput where nothing of it can be used; then nothing was written.
    """
    report = ImportReport(
        filename, request.interval, dry_run=request.dry_run, import_id=request.import_id
    )
    importer = Importer(database)
    with open_reader(on_wait=request.on_wait) as reader:
        import_parts(importer, reader.read_content(content, filename, options), request, report)
    importer.store()
    _note_interval(report)
    if not report.series:
        said = [f"{file.name}: {file.error or file.skipped}" for file in report.files]
        raise BadInput("; ".join(said[:3]) or f"{filename}: it holds no table")
    return report


def import_candles(
    database: Db,
    content: bytes,
    filename: str,
    request: Request,
    *,
    options: ReadingOptions = NO_OPTIONS,
) -> ImportReport:
    """Import candles whose shape the API has checked. They are few and bounded, so they are read in
    this process, not in a child process.
    """
    report = ImportReport(
        filename, request.interval, dry_run=request.dry_run, import_id=request.import_id
    )
    settled = settle_table(build_table(open_json(content), options), options)
    report.files.append(
        FileReport(filename, dict(settled.names), list(settled.aside), list(settled.notes))
    )
    report.series = import_settled(database, settled, request)
    _note_interval(report)
    return report


def import_parts(
    importer: Importer,
    parts: Iterable[Part],
    request: Request,
    report: ImportReport,
    *,
    folder: Path | None = None,
) -> None:
    """Import the tables of one file, and add the result of each to the report."""
    before = len(report.files)
    for part in parts:
        file = FileReport(
            show_path(folder / part.name) if folder else part.name,
            error=part.error,
            skipped=part.skipped,
        )
        report.files.append(file)
        if part.error is not None or part.skipped is not None:
            continue
        try:
            settled = unpack(part)
            request.tell()
            file.columns, file.aside = dict(settled.names), list(settled.aside[:100])
            file.notes += settled.notes
            owned = _name_owner(settled, request, part.name, file)
            importer.take(settled, owned, report.series)
        except BadInput as error:
            file.error = error.message
    files = report.files[before:]
    if files and all(file.skipped for file in files):
        # An archive in which no file can be read counts as a file that could not be used.
        files[0].error, files[0].skipped = f"{files[0].skipped}, and none beside it is", None


def _note_interval(report: ImportReport) -> None:
    """Add a note with the interval that was found from the bars, where all tables have the same."""
    told = {series.interval for series in report.series if series.interval != AUTO}
    if report.interval == AUTO and len(told) == 1:
        report.interval = told.pop()


def _name_owner(settled: Settled, request: Request, filename: str, file: FileReport) -> Request:
    """Return the request with the ticker that the file is named after, unless the request or the
    table names one.
    """
    if request.ticker is not None or settled.ticker is not None or "ticker" in settled.written:
        return request
    owner = find_owner(filename)
    if settled.title is not None and not is_same_spelling(settled.title, owner.ticker):
        raise BadInput(
            f"the file is named after {owner.ticker.upper()[:40]}, and its table is called"
            f" {settled.title}: say whose bars these are (a ticker such as {settled.title})"
        )
    if owner.note is not None:
        file.notes.append(owner.note)
    return replace(request, ticker=owner.ticker)


def _refuse_only_file(report: ImportReport) -> None:
    """Raise BadInput where the only file could not be used."""
    tried = [file for file in report.files if file.skipped is None]
    if len(report.files) == 1 and tried and tried[0].error is not None:
        raise BadInput(f"{tried[0].name}: {tried[0].error}")


def import_demo(database: Db, *, now: datetime, on_series: OnSeries | None = None) -> ImportReport:
    """Import the demo's real bars of five stocks and two indices."""
    return import_frame(
        database, demo.read_demo(), interval="1d", source="demo", now=now, on_series=on_series
    )


def import_yahoo(
    database: Db,
    yahoo: Yahoo,
    tickers: Sequence[str],
    *,
    period: str,
    interval: str,
    now: datetime,
    on_series: OnSeries | None = None,
    guard: Guard | None = None,
    import_id: str | None = None,
) -> ImportReport:
    """Import Yahoo's bars of some tickers; where Yahoo has no answer, the ticker's report
    says so.
    """
    report = ImportReport("yahoo", parse_interval(interval), import_id=import_id or new_import_id())
    markets = load_markets(database)
    known = {ticker: markets.get_of(ticker) for ticker in map(markets.spell, tickers)}
    for answer in yahoo.download(known, period=period, interval=report.interval, now=now):
        if answer.frame is None:
            series = SeriesReport(
                answer.ticker, report.interval, error=answer.error, is_empty=answer.is_empty
            )
        else:
            imported = import_frame(
                database,
                answer.frame,
                interval=report.interval,
                source="yahoo",
                now=now,
                ticker=answer.ticker,
                import_id=report.import_id,
                guard=guard,
            )
            series = imported.series[0]
        series.notes += answer.notes
        report.series.append(series)
        if on_series is not None:
            on_series(series, len(known))
    return report


def import_synthetic(
    database: Db,
    tickers: Sequence[str],
    market: Market,
    *,
    bars: int,
    seed: int,
    end: datetime,
    now: datetime,
) -> ImportReport:
    """Make `bars` synthetic daily bars of each ticker up to `end` and import them, marked as
    synthetic.
    """
    report = ImportReport("synthetic", "1d")
    for block, start in enumerate(range(0, len(tickers), BLOCK_TICKERS)):
        names = tickers[start : start + BLOCK_TICKERS]
        frame = synthetic.make_bars(
            names, market, bars=bars, end=end, seed=seed + block, interval="1d"
        )
        report.series += import_frame(
            database,
            frame,
            interval="1d",
            source=f"synthetic, seed {seed}",
            market=market,
            now=now,
            synthetic=True,
        ).series
    return report
