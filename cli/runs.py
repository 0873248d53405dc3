"""`flask runs`: lists, watches, cancels and retries runs."""

from datetime import UTC, datetime
from typing import get_args

import click
from rich.table import Table

from cli.common import (
    CommandGroup,
    echo,
    exits_on_error,
    json_option,
    keep_listed,
    no_wait_option,
    print_json,
    print_table,
    use_database,
)
from cli.watching import find_waits, follow, print_outcome
from core.settings import get_settings
from core.words import Status, Task
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.work import endings, runs
from tasks.process.broker import build_celery
from tasks.requests.retries import request_retry

group = CommandGroup("runs", help="What was asked for, how far it is, how it ended.")


@group.command("list")
@click.option("--status", type=click.Choice(get_args(Status)))
@click.option("--task", type=click.Choice(get_args(Task)))
@click.option("--ticker")
@click.option("--watchlist", help="Only runs for this watchlist.")
@click.option("--market", help="Only runs about this market or its tickers.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@json_option
@exits_on_error
def list_runs(
    *,
    status: Status | None,
    task: Task | None,
    ticker: str | None,
    watchlist: str | None,
    market: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, the newest first, and why those wait that nobody works on."""
    wanted = normalize_ticker(ticker) if ticker else None
    with use_database() as database:
        query = runs.build_query(
            status=status,
            task=task,
            ticker=wanted,
            watchlist=watchlist,
            market=market and load_markets(database).choose(market).code,
        )
        found = runs.find_runs(database, query, limit=limit + 1)
        found = keep_listed(found, limit)
        waits = find_waits(database, found)
    if as_json:
        print_json([{**run, "waits": waits.get(run["_id"])} for run in found])
        return
    table = Table("run", "task", "status", "about", "requested", "seconds", "anomalies")
    for run in found:
        seconds, anomalies = run["duration_seconds"], run.get("anomalies_found")
        table.add_row(
            run["_id"],
            run["task"],
            run["status"],
            runs.describe_subject(run, run["ticker_count"]),
            f"{run['requested_at']:%Y-%m-%d %H:%M:%S}",
            "" if seconds is None else f"{seconds:.1f}",
            "" if anomalies is None else f"{anomalies:,}",
        )
    print_table(table)
    for run_id, wait in waits.items():
        echo(f"{run_id} waits: {wait['detail']}")


@group.command("show")
@click.argument("run_id")
@json_option
@exits_on_error
def show_run(*, run_id: str, as_json: bool) -> None:
    """Show one run: progress while it works, why it waits, outcome afterwards."""
    with use_database() as database:
        run = runs.get_run(database, run_id)
        wait = find_waits(database, [run]).get(run_id)
    if as_json:
        print_json({**run, "waits": wait})
        return
    print_outcome(run)
    if wait is not None:
        echo(f"it waits: {wait['detail']}")


@group.command("watch")
@click.argument("run_id")
@json_option
@exits_on_error
def watch(*, run_id: str, as_json: bool) -> None:
    """Follow a run to its end; exit code 1 unless it is complete."""
    with use_database() as database:
        follow(database, runs.get_run(database, run_id), wait=True, as_json=as_json)


@group.command("cancel")
@click.argument("run_id")
@json_option
@exits_on_error
def cancel_run(*, run_id: str, as_json: bool) -> None:
    """Ask a run to end; batches that workers have begun end at their next step."""
    with use_database() as database:
        run = endings.request_cancel(database, run_id, datetime.now(UTC))
    if as_json:
        print_json(run)
    else:
        print_outcome(run)


@group.command("retry")
@click.argument("run_id")
@no_wait_option
@json_option
@exits_on_error
def retry_run(*, run_id: str, no_wait: bool, as_json: bool) -> None:
    """Retry what a run left undone: its failed tickers or, where it is not about tickers, all."""
    with use_database() as database:
        run = request_retry(database, build_celery(get_settings()), run_id, now=datetime.now(UTC))
        follow(database, run, wait=not no_wait, as_json=as_json)
