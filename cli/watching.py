"""Watches a run on the command line, and prints how it ended."""

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic, sleep

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from alerts.raising import raises
from cli.common import echo, print_json, print_table, says_if_stopped
from core.naming import count_of
from core.settings import get_settings
from records.database import Db
from records.work.documents import RunDocument, ShownRun
from records.work.runs import OPEN_STATUSES, get_run
from tasks.process.broker import build_celery
from tasks.process.census import WorkerCensus
from tasks.requests.waiting import Wait, explain_wait, wait_for_alerts

POLL_SECONDS = 0.2
ASK_SECONDS = 2.0  # A command asks at most so often why a run waits.
SHOWN_FAILURES = 20
SHOWN_WARNINGS = 10


def follow(database: Db, run: RunDocument, *, wait: bool, as_json: bool) -> None:
    """With `wait`, watch an accepted run to its end, print its outcome, and exit with 1 unless it
    is complete; otherwise print that it is accepted.
    """
    if not wait:
        if as_json:
            print_json(run)
        else:
            say_accepted(run)
        return
    ended = watch_run(database, run["_id"], quiet=as_json)
    if raises(ended) and ended["progress"]["new_anomalies"]:
        wait_for_alerts(database, run["_id"])
        ended = get_run(database, run["_id"])  # with the warnings of raising
    if as_json:
        print_json(ended)
    else:
        print_outcome(ended)
    if ended["status"] != "complete":
        raise click.exceptions.Exit(1)


def say_accepted(run: RunDocument) -> None:
    """Print that a run is accepted, and how to watch it."""
    echo(f"run {run['_id']} accepted; watch it with `flask runs watch {run['_id']}`")


def watch_run(database: Db, run_id: str, *, quiet: bool) -> ShownRun:
    """Show a run's progress until it ends, and why it waits where it does; return the ended run.

    Ctrl-C ends only the watching, not the run, and a message says so. Raises NotFound.
    """
    settings = get_settings()
    census = WorkerCensus(build_celery(settings))
    told, asked_at = None, monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[batches]}"),
        TimeRemainingColumn(),
    )
    goes_on = (
        f"the run goes on; `flask runs watch {run_id}` follows it, `flask runs cancel {run_id}`"
        " ends it"
    )
    with (
        says_if_stopped(goes_on),
        Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar,
    ):
        run = get_run(database, run_id)
        task = bar.add_task(run["task"], batches="")
        while True:
            progress = run["progress"]
            bar.update(
                task,
                description=f"{run['task']} {run['status']}",
                completed=progress["percent"],
                batches=f"{progress['batches_done']}/{progress['batches_total']} batches",
            )
            if run["status"] not in OPEN_STATUSES:
                return run
            if not quiet and monotonic() - asked_at > ASK_SECONDS:
                wait = explain_wait(database, run, census, settings, datetime.now(UTC))
                asked_at = monotonic()
                if wait is not None and wait["reason"] != told:
                    bar.console.print(f"It waits: {wait['detail']}.", markup=False, highlight=False)
                told = wait and wait["reason"]
            sleep(POLL_SECONDS)
            run = get_run(database, run_id)


def find_waits(database: Db, found: Sequence[RunDocument]) -> dict[str, Wait]:
    """Return by run why nobody works on it, without runs that do not wait; workers are asked once
    for all runs.
    """
    settings, now = get_settings(), datetime.now(UTC)
    census = WorkerCensus(build_celery(settings))
    waits = {run["_id"]: explain_wait(database, run, census, settings, now) for run in found}
    return {run_id: wait for run_id, wait in waits.items() if wait is not None}


def print_outcome(run: ShownRun) -> None:
    """Print the outcome of a run, with its warnings and the tickers that failed."""
    progress = run["progress"]
    seconds = run["duration_seconds"]
    took = "" if seconds is None else f" in {seconds:.1f} s"
    echo(f"run {run['_id']}: {run['task']} {run['status']}{took}")
    echo(
        f"{progress['tickers_done']:,} of {count_of(progress['tickers_total'], 'ticker')},"
        f" {count_of(progress['rows_processed'], 'bar')} scored,"
        f" {count_of(progress['anomalies_found'], 'anomaly', 'anomalies')},"
        f" {progress['new_anomalies']:,} of them new"
    )
    if run["task"] == "fill" and run.get("result"):
        result = run["result"]
        filled = count_of(len(result["filled"]), "gap")
        echo(f"{filled} filled, {len(result['lacking']):,} still without bars")
    if reasons := run.get("reasons"):
        counts = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        echo("reasons: " + ", ".join(f"{count} {reason}" for reason, count in counts))
    for market in (run.get("result") or {}).get("overview", []):
        said = "; ".join(market["words"]) or "nothing out of the ordinary"
        echo(f"market {market['market']} at {market['time']:%Y-%m-%d %H:%M} UTC: {said}")
    stale = run["options"].get("stale")
    if stale:
        named = ", ".join(stale["named"][:5]) + (", ..." if stale["tickers"] > 5 else "")
        echo(f"no bar of the last session came of {count_of(stale['tickers'], 'ticker')}: {named}")
    left = run["options"].get("not_looked_at")
    if left:
        echo(
            f"not scored: bars of {count_of(left['tickers'], 'ticker')} from"
            f" {left['first']:%Y-%m-%d} to {left['before']:%Y-%m-%d}, before the {run['period']}"
            " that were asked for; --period max scores all"
        )
    warnings = run.get("warnings") or []
    for warning in warnings[:SHOWN_WARNINGS]:
        echo(f"warning: {warning}")
    if len(warnings) > SHOWN_WARNINGS:
        more = len(warnings) - SHOWN_WARNINGS
        echo(f"... and {more} more warnings: `flask runs show {run['_id']} --json`")
    if run["error"]:
        echo(f"error: {run['error']}")
    failures = run["failures"]
    if failures:
        table = Table("ticker", "reason", "error")
        for failure in failures[:SHOWN_FAILURES]:
            table.add_row(failure["ticker"], failure["reason"], failure["error"])
        print_table(table)
    if len(failures) > SHOWN_FAILURES:
        echo(
            f"... and {len(failures) - SHOWN_FAILURES} more: `flask runs show {run['_id']} --json`"
        )
