"""Exports, from the command line: tables for other programs, and whether they are whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analytics.catalogue import METRICS
from cli.common import echo, exits_on_error, json_option, print_json, use_database
from market.exports.folders import verify_folder, write_folder
from market.exports.selecting import select_tickers
from market.exports.tables import PRICES, TABLES, Asked, Layout, TableName
from market.exports.writing import FORMATS, Format
from market.intervals import INTERVALS, parse_interval
from market.tickers import normalize_ticker
from records.database import Db

group = AppGroup("export", help="Bars, anomalies, metrics, trades and funding, as tables.")
Day = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@group.command("write")
@click.argument("table", type=click.Choice(TABLES))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="parquet", show_default=True)
@click.option("--ticker", "tickers", multiple=True, help="Of this one; may be repeated.")
@click.option("--market", help="Of all of a market: US, JP, CRYPTO, ...")
@click.option("--watchlist", help="Of those of a watchlist.")
@click.option("--interval", default="1d", show_default=True, help=" ".join(INTERVALS))
@click.option("--start", type=Day, help="First time, inclusive (UTC).")
@click.option("--end", type=Day, help="Last time, inclusive.")
@click.option("--column", "columns", multiple=True, help="Only this one; may be repeated.")
@click.option("--layout", type=click.Choice(["long", "wide"]), default="long", show_default=True)
@click.option(
    "--field", type=click.Choice(PRICES), default="close", show_default=True, help="Of wide bars."
)
@click.option("--adjusted", is_flag=True, help="Bars adjusted for splits, not as quoted.")
@json_option
@exits_on_error
def write_export(
    *,
    table: TableName,
    folder: Path,
    form: Format,
    interval: str,
    start: datetime | None,
    end: datetime | None,
    columns: tuple[str, ...],
    layout: Layout,
    field: str,
    adjusted: bool,
    as_json: bool,
    **selected: Any,
) -> None:
    """Write TABLE to a new FOLDER: parts of a million rows, and manifest.json with their SHA-256.

    Bars as quoted can be imported again, and are then the same to the last bit.
    """
    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with (
        use_database() as database,
        Progress(*shown, console=Console(stderr=True), disable=as_json, transient=True) as bar,
    ):
        checked = parse_interval(interval)
        asked = Asked(
            table,
            _select(database, table, checked, **selected),
            checked,
            start.replace(tzinfo=UTC) if start else None,
            end.replace(tzinfo=UTC) if end else None,
            adjusted,
            layout,
            field,
            tuple(metric.name for metric in METRICS),
        )
        task = bar.add_task("writing rows", total=None)
        manifest = write_folder(
            database,
            asked,
            form,
            folder,
            columns=columns,
            on_rows=lambda rows, most: bar.update(task, completed=rows, total=max(rows, most)),
            now=datetime.now(UTC),
        )
    if as_json:
        print_json(manifest)
        return
    parts = len(manifest["parts"])
    echo(f"{manifest['rows']:,} rows in {parts} {form} file{'s' * (parts != 1)} in {folder}")
    echo(f"`flask export verify {folder}` says whether they are whole")


def _select(
    database: Db,
    table: TableName,
    interval: str,
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
) -> tuple[str, ...]:
    named = tuple(map(normalize_ticker, tickers))
    return select_tickers(
        database, table, interval, tickers=named, market=market, watchlist=watchlist
    )


@group.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@exits_on_error
def verify_export(*, folder: Path, as_json: bool) -> None:
    """Say whether FOLDER is as it was exported; exit with 1 where it is not."""
    faults = verify_folder(folder)
    if as_json:
        print_json({"folder": str(folder), "faults": faults})
    for fault in [] if as_json else faults:
        echo(fault, err=True)
    if faults:
        raise click.exceptions.Exit(1)
    if not as_json:
        echo(f"{folder} is as it was exported")
