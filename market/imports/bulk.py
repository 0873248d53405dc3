"""Importing whole sources: files, uploads, the demo, Yahoo, and made-up bars."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pandas as pd

from core.errors import BadInput
from market.imports.columns import is_ticker_column
from market.imports.importing import OnSeries, import_frame
from market.imports.report import ImportReport, SeriesReport
from market.imports.sources import demo, synthetic
from market.imports.sources.files import find_files, name_ticker, read_content, read_file
from market.imports.sources.yahoo import Yahoo
from market.intervals import parse_interval
from market.markets import Market
from records.database import Db
from records.market.uploads import open_upload

# Tickers of made-up bars that are made at once: bounds the memory.
BLOCK_TICKERS = 500


def import_files(
    database: Db,
    paths: Sequence[Path],
    *,
    interval: str,
    now: datetime,
    ticker: str | None = None,
    market: Market | None = None,
    on_series: OnSeries | None = None,
) -> ImportReport:
    """Import files and folders of them; a file without a ticker column holds the bars of the ticker it is named after.

    Of several files, one that cannot be used is named in the report's `failures` and leaves the rest alone. Raises
    BadInput where a path or the only file cannot be used; then nothing was written.
    """
    files = [file for path in paths for file in find_files(path)]
    report = ImportReport(", ".join(str(path) for path in paths), parse_interval(interval))
    for file in files:
        try:
            with _naming(str(file)):
                frame = read_file(file)
                imported = import_frame(
                    database,
                    frame,
                    interval=interval,
                    source=file.name,
                    now=now,
                    ticker=ticker or _find_owner(frame, file.name),
                    market=market,
                    on_series=on_series,
                )
            report.series += imported.series
        except BadInput as error:
            if len(files) == 1:
                raise
            report.failures[str(file)] = error.message
    return report


def import_upload(
    database: Db,
    upload_id: str,
    *,
    interval: str,
    now: datetime,
    ticker: str | None = None,
    on_series: OnSeries | None = None,
) -> ImportReport:
    """Import what was pushed over the API; its name's ending says its kind. Raises BadInput, and NotFound if gone."""
    with open_upload(database, upload_id) as upload:
        filename, content = str(upload.filename), upload.read()
    with _naming(filename):
        frame = read_content(content, filename)
        return import_frame(
            database,
            frame,
            interval=interval,
            source=filename,
            now=now,
            ticker=ticker or _find_owner(frame, filename),
            on_series=on_series,
        )


def import_demo(database: Db, *, now: datetime, on_series: OnSeries | None = None) -> ImportReport:
    """Import the demo's real bars of five stocks and two indices."""
    return import_frame(database, demo.read_demo(), interval="1d", source="demo", now=now, on_series=on_series)


def import_yahoo(
    database: Db,
    yahoo: Yahoo,
    tickers: Sequence[str],
    *,
    period: str,
    interval: str,
    now: datetime,
    on_series: OnSeries | None = None,
) -> ImportReport:
    """Import what Yahoo has of these tickers; what it does not answer is said in the ticker's report."""
    report = ImportReport("yahoo", parse_interval(interval))
    for answer in yahoo.download(tickers, period=period, interval=report.interval, now=now):
        if answer.frame is None:
            series = SeriesReport(answer.ticker, report.interval, error=answer.error)
        else:
            imported = import_frame(
                database, answer.frame, interval=report.interval, source="yahoo", now=now, ticker=answer.ticker
            )
            series = imported.series[0]
        series.notes += answer.notes
        report.series.append(series)
        if on_series is not None:
            on_series(series, len(tickers))
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
    interval: str = "1d",
) -> ImportReport:
    """Make up `bars` bars of each ticker up to `end` and import them, labelled as made up."""
    report = ImportReport("synthetic", parse_interval(interval))
    for block, start in enumerate(range(0, len(tickers), BLOCK_TICKERS)):
        names = tickers[start : start + BLOCK_TICKERS]
        frame = synthetic.make_bars(names, market, bars=bars, end=end, seed=seed + block, interval=interval)
        report.series += import_frame(
            database, frame, interval=interval, source=f"synthetic, seed {seed}", now=now, synthetic=True
        ).series
    return report


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Say in an error which source it is about."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{source}: {error.message}") from error


def _find_owner(frame: pd.DataFrame, filename: str) -> str | None:
    """Return the ticker a file is named after, unless its table says whose bars it holds."""
    columns = [*frame.columns, *frame.index.names]
    return None if any(is_ticker_column(column) for column in columns) else name_ticker(filename)
