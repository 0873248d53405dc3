"""Shows an import on the command line: its progress, and a table afterwards."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.common import echo, print_json, print_table, says_if_stopped
from core.naming import count_of

if TYPE_CHECKING:
    from market.imports.report import ImportReport, SeriesReport

SHOWN_SERIES = 40
SHOWN_NOTES = 20
COUNTS = ("read", "new", "changed", "unchanged", "rejected_rows")


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Callable[["SeriesReport", int], None]]:
    """Yield a callback for an import to call after each series, which moves the progress bar."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tickers"),
        TimeRemainingColumn(),
    )
    stays = "what was stored by then stays; the same command goes on with the rest"
    with (
        says_if_stopped(stays),
        Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar,
    ):
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
    """Print what an import did; exit with 2 where a file could not be used, else with 1 where a
    ticker failed.
    """
    if as_json:
        print_json(report.to_dict())
    else:
        _print_table(report)
    if report.failures:
        raise click.exceptions.Exit(2)
    if report.failed:
        raise click.exceptions.Exit(1)


def _print_table(report: "ImportReport") -> None:
    table = Table("ticker", *(name.removesuffix("_rows") for name in COUNTS), "remarks")
    # Where not all series are shown, failed ones come first, then those of which most was rejected:
    # all may have a note, and a row or two that came twice.
    noted = sorted(
        report.series,
        key=lambda series: (not series.error, -series.rejected_rows, not series.notes),
    )
    shown = report.series if len(report.series) <= SHOWN_SERIES else noted[:SHOWN_SERIES]
    for series in shown:
        table.add_row(
            series.ticker, *(f"{getattr(series, name):,}" for name in COUNTS), _remark(series)
        )
    print_table(table)
    if len(report.series) > len(shown):
        none = "" if _remark(noted[SHOWN_SERIES]) else " without remarks"
        more = count_of(len(report.series) - len(shown), "more line")
        echo(f"... and {more}{none}: --json has all")
    totals = ", ".join(f"{report.total(name):,} {name.removesuffix('_rows')}" for name in COUNTS)
    # One that several files have, a month each, is in several lines.
    tickers = {series.ticker for series in report.series}
    echo(f"{count_of(len(tickers), 'ticker')}: {totals}")
    if report.import_id and report.total("new") + report.total("changed"):
        echo(f"import {report.import_id}: `flask bars undo {report.import_id}` undoes it")
    if report.total("rejected_rows"):
        echo("rejected rows are kept: `flask bars rejected` lists them")
    if report.dry_run:
        echo("a dry run: nothing was stored")
    _print_notes(report)
    for file in report.files:
        if file.skipped:
            echo(f"{file.name}: skipped, {file.skipped}")
        if file.error:
            echo(f"Error: {file.name}: {file.error}", err=True)


def _print_notes(report: "ImportReport") -> None:
    """Print once what the report says of several files, so that it does not hide their table."""
    named: dict[str, list[str]] = {}
    for file in report.files:
        for note in file.notes:
            named.setdefault(note, []).append(file.name)
    for note, (first, *others) in islice(named.items(), SHOWN_NOTES):
        more = f" and {count_of(len(others), 'more file')}" if others else ""
        echo(f"{first}{more}: {note}")
    if len(named) > SHOWN_NOTES:
        echo(f"... and {count_of(len(named) - SHOWN_NOTES, 'more note')}: --json has all")


def _remark(series: "SeriesReport") -> str:
    if series.error:
        return f"failed: {series.error}"
    reasons = Counter(rejection.reason for rejection in series.rejected)
    remarks = [f"{count} {reason}" for reason, count in reasons.items()]
    if series.splits:
        remarks.append(count_of(series.splits, "split factor"))
    return "; ".join(remarks + series.notes)
