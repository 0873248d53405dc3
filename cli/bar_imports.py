"""`flask bars`, the commands that import bars."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.common import OneValueCommand, exits_on_error, interval_option, json_option, use_database
from cli.imports import finish_import, show_progress
from market.imports.noting import note_import
from market.imports.options import LABELS, build_options
from market.imports.readers.process import open_reader
from market.intervals import INTERVALS, parse_import_interval, parse_interval, parse_period
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.migrations import prepare_database


@click.command("import", cls=OneValueCommand)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--interval", default="1d", show_default=True, help=f"{' '.join(INTERVALS)}, or auto."
)
@click.option(
    "--ticker",
    help="The ticker of a table without a ticker column; of other tables, the only one to import.",
)
@click.option(
    "--market",
    help="The market of all tickers (US, JP, CRYPTO, ...); by default their suffixes tell it.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help="Which column is which: close=PX_LAST, close=5; volume= where none is.",
)
@click.option("--decimal", help="The decimal mark where the numbers leave it open: point or comma.")
@click.option("--thousands", help="The mark of thousands: comma, point, space, apostrophe or none.")
@click.option(
    "--timezone", help="Zone of times without one (UTC, Europe/Athens); else the exchange's."
)
@click.option(
    "--day-first/--month-first", default=None, help="What 03/04/2024 is, where no row settles it."
)
@click.option(
    "--labels",
    type=click.Choice(list(LABELS)),
    help="What the time of an intraday bar is: its start (by default) or its end.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, and store nothing.")
@json_option
@exits_on_error
def import_bars(
    *,
    paths: tuple[Path, ...],
    interval: str,
    ticker: str | None,
    market: str | None,
    dry_run: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Import CSV, Excel, Parquet and JSON files, .zip files or folders of them; importing a file
    again changes nothing.

    Columns are matched by their usual names in any case and several languages: a time (time, date,
    timestamp), open, high, low, close, and optionally volume, ticker (or symbol) and split (new
    shares for each old one, on the first session they trade). Others are named with --column.
    Without a ticker column a file is one ticker, named like the file. Times without a zone are the
    exchange's. A file that can be read in two ways is refused, with the option that settles it.
    """
    checked = parse_import_interval(interval)
    options = build_options(**reading)
    with (
        open_reader() as reader,
        use_database() as database,
        show_progress(quiet=as_json) as on_series,
    ):
        reader.warm_up()  # The reader's process loads its modules while this one does.
        from market.imports.bulk import import_files  # noqa: PLC0415 - loads the numeric stack
        from market.imports.importing import Request  # noqa: PLC0415 - the same
        from market.imports.sources.files import show_path  # noqa: PLC0415 - the same

        prepare_database(database, datetime.now(UTC))
        now, source = datetime.now(UTC), ", ".join(map(show_path, paths))
        markets = load_markets(database)
        of_market = markets.choose(market) if market else None
        wanted = ticker
        if wanted:
            wanted = markets.complete(wanted, of_market) if of_market else markets.spell(wanted)
        request = Request(
            checked, source, now, wanted, of_market, dry_run=dry_run, on_series=on_series
        )
        report = import_files(database, paths, request, reader, options=options)
        note_import(database, report, now)
    finish_import(report, as_json=as_json)


@click.command("demo", cls=OneValueCommand)
@json_option
@exits_on_error
def import_demo_bars(*, as_json: bool) -> None:
    """Import the demo's real daily bars: five stocks 2000-2013 and two indices 1999-2018."""
    from market.imports.bulk import import_demo  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database, show_progress(quiet=as_json) as on_series:
        prepare_database(database, datetime.now(UTC))
        now = datetime.now(UTC)
        report = import_demo(database, now=now, on_series=on_series)
        note_import(database, report, now)
    finish_import(report, as_json=as_json)


@click.command("yahoo", cls=OneValueCommand)
@click.argument("tickers", nargs=-1, required=True)
@click.option("--period", default="5y", show_default=True, help="30d, 6mo, 5y or max")
@interval_option
@json_option
@exits_on_error
def import_yahoo_bars(
    *, tickers: tuple[str, ...], period: str, interval: str, as_json: bool
) -> None:
    """Import bars from Yahoo, by the optional package yfinance."""
    from market.imports.bulk import import_yahoo  # noqa: PLC0415 - loads the numeric stack
    from market.imports.sources.yahoo import Yahoo, build_fetch  # noqa: PLC0415 - the same

    wanted = list(dict.fromkeys(normalize_ticker(ticker) for ticker in tickers))
    checked, back = parse_interval(interval), parse_period(period).text
    yahoo = Yahoo(build_fetch())
    with use_database() as database, show_progress(quiet=as_json) as on_series:
        prepare_database(database, datetime.now(UTC))
        now = datetime.now(UTC)
        report = import_yahoo(
            database, yahoo, wanted, period=back, interval=checked, now=now, on_series=on_series
        )
        note_import(database, report, now)
    finish_import(report, as_json=as_json)
