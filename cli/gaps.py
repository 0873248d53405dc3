"""`flask gaps`: lists, fills and explains the bars that series lack."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.common import (
    CommandFailed,
    CommandGroup,
    echo,
    exits_on_error,
    interval_option,
    json_option,
    keep_listed,
    market_option,
    print_json,
    print_table,
    use_database,
)
from cli.watching import follow
from core.errors import BadInput
from core.settings import get_settings
from core.words import GapReason, GapState
from market.imports.folders import resolve_folder
from market.intervals import INTERVALS, parse_interval
from market.markets import load_markets
from market.tickers import normalize_ticker
from records.database import Db
from records.market.documents import GapDocument
from records.market.gaps import LACKING, accept_gaps, find_gaps, forget_strays
from records.market.series import find_series
from tasks.process.broker import build_celery
from tasks.requests.gaps import choose_gaps, choose_source, request_fill

group = CommandGroup("gaps", help="Bars that series lack: list them, fill them, explain them.")


@group.command("list")
@click.option("--ticker")
@market_option
@click.option("--interval", help=" ".join(INTERVALS))
@click.option(
    "--state",
    type=click.Choice(get_args(GapState)),
    help="By default all gaps that somebody should fill or explain.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@exits_on_error
def list_gaps(
    *,
    ticker: str | None,
    market: str | None,
    interval: str | None,
    state: GapState | None,
    limit: int,
    as_json: bool,
) -> None:
    """List gaps, the newest sessions first."""
    with use_database() as database:
        found = find_gaps(
            database,
            tickers=[normalize_ticker(ticker)] if ticker else None,
            market=_choose_market(database, market),
            interval=parse_interval(interval) if interval else None,
            states=[state] if state else LACKING,
            limit=limit + 1,
        )
    found = keep_listed(found, limit)
    if as_json:
        print_json(found)
        return
    _print(found)
    if not found:
        echo("no gaps are known of these series")


@group.command("fill")
@click.argument("tickers", nargs=-1)
@market_option
@interval_option
@click.option("--gap", "ids", multiple=True, help="Only these, as `flask gaps list` names them.")
@click.option(
    "--source",
    type=click.Choice(["yahoo", "folder"]),
    help="By default the source of the watchlists with these tickers.",
)
@click.option("--folder", help="With --source folder: its name below the watched folder.")
@click.option("--no-wait", is_flag=True, help="Return when the run is accepted.")
@json_option
@exits_on_error
def fill(
    *,
    tickers: tuple[str, ...],
    market: str | None,
    interval: str,
    ids: tuple[str, ...],
    source: str | None,
    folder: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Ask a source for the bars that TICKERS, or all series of a market, lack."""
    if not tickers and not market and not ids:
        raise BadInput("say what is to be filled: TICKERS, --market or --gap")
    settings, now = get_settings(), datetime.now(UTC)
    if folder is not None:
        resolve_folder(settings.watched_folder, folder)
    with use_database() as database:
        found = choose_gaps(
            database,
            ids=ids or None,
            tickers=[normalize_ticker(ticker) for ticker in tickers] or None,
            market=_choose_market(database, market),
            interval=parse_interval(interval),
        )
        chosen = choose_source(database, found, source, folder)
        run = request_fill(database, build_celery(settings), found, chosen, now=now)
        try:
            follow(database, run, wait=not no_wait, as_json=as_json)
        finally:
            if not no_wait and not as_json:
                _print(find_gaps(database, ids=[gap["_id"] for gap in found]))


@group.command("accept")
@click.argument("ids", nargs=-1, required=True, metavar="GAP...")
@click.option(
    "--reason",
    type=click.Choice(get_args(GapReason)),
    required=True,
    help="Why the bars are missing.",
)
@json_option
@exits_on_error
def accept(*, ids: tuple[str, ...], reason: GapReason, as_json: bool) -> None:
    """Give the reason of gaps, which are expected then: no source is asked for their bars."""
    with use_database() as database:
        accept_gaps(database, list(dict.fromkeys(ids)), reason)
        found = find_gaps(database, ids=ids)
    if as_json:
        print_json(found)
        return
    _print(found)


@group.command("measure")
@click.argument("tickers", nargs=-1)
@market_option
@exits_on_error
def measure(*, tickers: tuple[str, ...], market: str | None) -> None:
    """Count again the bars that TICKERS, or all series, lack by the sessions of their markets."""
    from market.bars.ledger import measure_series  # noqa: PLC0415 - loads the numeric stack

    with use_database() as database:
        found = find_series(
            database,
            tickers=[normalize_ticker(ticker) for ticker in tickers] or None,
            market=_choose_market(database, market),
        )
        shown = track(found, "measuring", transient=True, console=Console(stderr=True))
        torn = measure_series(database, shown, datetime.now(UTC))
        forget_strays(database)
    echo(f"what {len(found) - len(torn):,} series lack was counted anew")
    if torn:
        raise CommandFailed("\n".join(torn))


def _choose_market(database: Db, market: str | None) -> str | None:
    return load_markets(database).choose(market).code if market else None


def _print(found: Sequence[GapDocument]) -> None:
    table = Table("gap", "to", "sessions", "bars", "state", "reason", "tries", "next try")
    for gap in found:
        table.add_row(
            gap["_id"],
            f"{gap['last']:%Y-%m-%d}",
            f"{gap['sessions']:,}",
            f"{gap['bars_held']:,} of {gap['bars_expected']:,}",
            gap["state"],
            gap["reason"] or "",
            str(gap["attempts"]),
            f"{gap['next_try']:%Y-%m-%d %H:%M}" if gap["next_try"] else "",
        )
    if found:
        print_table(table)
