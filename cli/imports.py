"""Showing an import on the command line: progress while it works, a table afterwards."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.common import echo, print_json, print_table
from core.words import EndStatus
from records.database import Db
from records.market.series import find_markets
from records.work.documents import RunOutcome, RunRecord
from records.work.requests import RunRequest, insert_done_run
from records.work.runs import LISTED_ERRORS, LISTED_TICKERS
from tasks.requests.runs import COMMAND_LINE

if TYPE_CHECKING:
    from market.imports.report import ImportReport, SeriesReport

SHOWN_SERIES = 40
COUNTS = ("read", "new", "changed", "unchanged", "rejected_rows")


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Callable[["SeriesReport", int], None]]:
    """Yield what an import calls after each series."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tickers"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        done = 0

        def advance(series: "SeriesReport", tickers: int) -> None:
            nonlocal done
            done += 1
            bar.update(
                task,
                description=f"importing {series.ticker}",
                completed=done,
                total=max(done, tickers),
            )

        yield advance


def finish_import(report: "ImportReport", *, as_json: bool) -> None:
    """Print what an import did; exit with 2 where a file could not be used,
    else with 1 where a ticker failed.
    """
    if as_json:
        print_json(report.to_dict())
    else:
        _print_table(report)
    if report.failures:
        raise click.exceptions.Exit(2)
    if report.failed:
        raise click.exceptions.Exit(1)


def note_import(database: Db, report: "ImportReport", started_at: datetime) -> None:
    """List an import among the runs, under the id that it is taken back by."""
    if report.import_id is None or report.dry_run:
        return
    now, failed = datetime.now(UTC), {s.ticker: s.error or "" for s in report.failed}
    failures = failed | report.failures
    done = len(report.series) - len(report.failed)
    status: EndStatus = "complete" if not failures else "partial" if done else "failed"
    tickers = tuple(dict.fromkeys(series.ticker for series in report.series))
    request = RunRequest(
        "import",
        "manual",
        tickers=tickers[:LISTED_TICKERS],
        interval=report.interval,
        options={"filename": report.source, "by": COMMAND_LINE},
    )
    outcome: RunOutcome = {
        "tickers_total": done + len(failures),
        "tickers_done": done,
        "tickers_failed": len(failures),
        "rows_loaded": report.total("read"),
        "rows_preprocessed": 0,
        "rows_processed": report.total("new") + report.total("changed"),
        "anomalies_found": 0,
        "new_anomalies": 0,
        "status": status,
        "error": next((f"{name}: {error}" for name, error in failures.items()), None),
        "errors": list(dict.fromkeys(failures.values()))[:LISTED_ERRORS],
        "completed_at": now,
        "duration_seconds": (now - started_at).total_seconds(),
    }
    imported = ((series.ticker, series.interval) for series in report.series)
    record: RunRecord = {"result": report.to_dict(), "markets": find_markets(database, imported)}
    insert_done_run(database, request, report.import_id, outcome, record, started_at=started_at)


def _print_table(report: "ImportReport") -> None:
    table = Table("ticker", *(name.removesuffix("_rows") for name in COUNTS), "remarks")
    # What needs a look comes first, where there are more series than are shown.
    noted = sorted(
        report.series, key=lambda series: not (series.error or series.rejected_rows or series.notes)
    )
    shown = report.series if len(report.series) <= SHOWN_SERIES else noted[:SHOWN_SERIES]
    for series in shown:
        table.add_row(
            series.ticker, *(f"{getattr(series, name):,}" for name in COUNTS), _remark(series)
        )
    print_table(table)
    if len(report.series) > len(shown):
        echo(
            f"... and {len(report.series) - len(shown)} more tickers without remarks: --json"
            " has all"
        )
    totals = ", ".join(f"{report.total(name):,} {name.removesuffix('_rows')}" for name in COUNTS)
    echo(f"{len(report.series):,} tickers: {totals}")
    if report.import_id and report.total("new") + report.total("changed"):
        echo(f"import {report.import_id}: `flask bars undo {report.import_id}` takes it back")
    if report.total("rejected_rows"):
        echo("rejected rows are kept: `flask bars rejected` lists them")
    if report.dry_run:
        echo("a dry run: nothing was stored")
    for file in report.files:
        for note in file.notes:
            echo(f"{file.name}: {note}")
        if file.skipped:
            echo(f"{file.name}: skipped, {file.skipped}")
        if file.error:
            echo(f"Error: {file.name}: {file.error}", err=True)


def _remark(series: "SeriesReport") -> str:
    if series.error:
        return f"failed: {series.error}"
    reasons = Counter(rejection.reason for rejection in series.rejected)
    remarks = [f"{count} {reason}" for reason, count in reasons.items()]
    if series.splits:
        remarks.append(f"{series.splits} split factors")
    return "; ".join(remarks + series.notes)
