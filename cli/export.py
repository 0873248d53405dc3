"""`flask export`: writes tables for other programs, and checks that they are complete."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analytics.catalogue import METRICS
from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    no_wait_option,
    print_json,
    takes_options,
    use_database,
)
from cli.watching import follow, watch_run
from core.errors import BadInput
from core.naming import count_of
from core.settings import get_settings
from market.exports.folders import explains_disk, verify_folder, write_folder
from market.exports.opening import open_table
from market.exports.selecting import select_tickers
from market.exports.tables import DAYS, FIELDS, MANIFEST, TABLES, Asked, Layout, Table, TableName
from market.exports.writing import FORMATS, Format
from market.intervals import INTERVALS, parse_interval
from market.tickers import normalize_ticker
from records.database import Db
from records.work.export_files import find_export_files, open_export_file
from tasks.process.broker import build_celery
from tasks.requests.exports import request_export

group = CommandGroup(
    "export", help="Bars, anomalies, scores, features, alerts and more, as tables."
)
Day = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
takes_asked = takes_options(
    click.option(
        "--format", "form", type=click.Choice(FORMATS), default="parquet", show_default=True
    ),
    click.option("--ticker", "tickers", multiple=True, help="Only this ticker; may be repeated."),
    click.option("--market", help="All tickers of a market: US, JP, CRYPTO, ..."),
    click.option("--watchlist", help="All tickers of a watchlist; of alerts, its own."),
    click.option(
        "--interval",
        help=f"{' '.join(INTERVALS)}; by default all of anomalies and alerts, else {DAYS}.",
    ),
    click.option("--start", type=Day, help="First time, inclusive (UTC)."),
    click.option("--end", type=Day, help="Last time, inclusive."),
    click.option("--column", "columns", multiple=True, help="Only this column; may be repeated."),
    click.option(
        "--layout", type=click.Choice(["long", "wide"]), default="long", show_default=True
    ),
    click.option(
        "--field",
        type=click.Choice(FIELDS),
        default="close",
        show_default=True,
        help="The field that a wide table of bars has.",
    ),
    click.option("--adjusted", is_flag=True, help="Bars adjusted for splits, not as quoted."),
    click.option(
        "--run",
        "run_id",
        help="Scores of this run; by default of each ticker's latest run that kept some.",
    ),
)


def _ask(
    database: Db,
    table: TableName,
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
    interval: str | None,
    start: datetime | None,
    end: datetime | None,
    layout: Layout,
    field: str,
    adjusted: bool,
    run_id: str | None,
) -> Asked:
    checked = parse_interval(interval) if interval else None
    named = tuple(map(normalize_ticker, tickers))
    return Asked(
        table,
        select_tickers(database, table, checked, tickers=named, market=market, watchlist=watchlist),
        checked,
        start.replace(tzinfo=UTC) if start else None,
        end.replace(tzinfo=UTC) if end else None,
        adjusted,
        layout,
        field,
        tuple(metric.name for metric in METRICS) if table == "analytics" else (),
        run_id,
        watchlist=watchlist,
    )


def _open(database: Db, asked: Asked) -> Table:
    if asked.table != "features":
        return open_table(database, asked)
    from detection.feature_table import open_features  # noqa: PLC0415 - loads the numeric stack
    from detection.models.manager import ModelManager  # noqa: PLC0415 - the same

    return open_features(database, ModelManager(database), asked)


@group.command("write")
@click.argument("table", type=click.Choice(TABLES))
@click.argument("folder", type=click.Path(path_type=Path))
@takes_asked
@click.option("--check", is_flag=True, help="Read the written files again, and check them.")
@json_option
@exits_on_error
def write_export(
    *,
    table: TableName,
    folder: Path,
    form: Format,
    columns: tuple[str, ...],
    check: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Write TABLE to a new FOLDER: parts of a million rows, and manifest.json with their SHA-256.

    Bars as quoted can be imported again, without any loss.
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
        explains_disk(folder),
    ):
        task = bar.add_task("writing rows", total=None)
        manifest = write_folder(
            database,
            _ask(database, table, **asked),
            form,
            folder,
            columns=columns,
            opener=_open,
            on_rows=lambda rows, most: bar.update(task, completed=rows, total=max(rows, most)),
            now=datetime.now(UTC),
        )
    if as_json:
        print_json(manifest)
    else:
        rows = count_of(manifest["rows"], "row")
        echo(f"{rows} in {count_of(len(manifest['parts']), f'{form} file')} in {folder}")
    if check:
        _report(folder, quiet=as_json)
    elif not as_json:
        echo(f"`flask export verify {folder}` checks that they are complete")


@group.command("start")
@click.argument("table", type=click.Choice(TABLES))
@takes_asked
@no_wait_option
@json_option
@exits_on_error
def start_export(
    *,
    table: TableName,
    form: Format,
    columns: tuple[str, ...],
    no_wait: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Let a worker write TABLE; `flask export fetch` downloads its files, kept for a week."""
    with use_database() as database:
        run = request_export(
            database,
            build_celery(get_settings()),
            _ask(database, table, **asked),
            form,
            columns,
            now=datetime.now(UTC),
        )
        if no_wait:
            follow(database, run, wait=False, as_json=as_json)
            return
        ended = watch_run(database, run["_id"], quiet=as_json)
    if as_json:
        print_json(ended)
    elif ended["status"] == "complete":
        echo(f"{count_of(ended['result']['rows'], 'row')} written by run {run['_id']}")
        echo(f"`flask export fetch {run['_id']} FOLDER` downloads its files")
    else:
        echo(f"run {run['_id']} is {ended['status']}: {ended['error']}", err=True)
    if ended["status"] != "complete":
        raise click.exceptions.Exit(1)


@group.command("fetch")
@click.argument("run_id")
@click.argument("folder", type=click.Path(path_type=Path))
@exits_on_error
def fetch_export(*, run_id: str, folder: Path) -> None:
    """Download the files of the export RUN_ID to a new FOLDER, and check them."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not empty; name a new folder")
    with use_database() as database, explains_disk(folder):
        run, files = find_export_files(database, run_id)
        if MANIFEST not in files:
            raise BadInput(f"run {run_id} is {run['status']}: it has written no export")
        folder.mkdir(parents=True, exist_ok=True)
        for name, kept in files.items():
            with open_export_file(database, kept["id"]) as source, (folder / name).open("wb") as to:
                while chunk := source.readchunk():
                    to.write(chunk)
    _report(folder)


@group.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@exits_on_error
def verify_export(*, folder: Path, as_json: bool) -> None:
    """Say whether FOLDER is as it was exported; exit with 1 where it is not."""
    if as_json:
        print_json({"folder": str(folder), "faults": verify_folder(folder)})
    _report(folder, quiet=as_json)


def _report(folder: Path, *, quiet: bool = False) -> None:
    faults = verify_folder(folder)
    for fault in [] if quiet else faults:
        echo(fault, err=True)
    if faults:
        raise click.exceptions.Exit(1)
    if not quiet:
        echo(f"{folder} is as it was exported")
