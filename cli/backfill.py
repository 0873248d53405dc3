"""`flask backfill`: scores histories."""

from datetime import UTC, datetime

import click

from cli.common import CommandGroup, echo, exits_on_error, json_option, print_json, use_database
from cli.selecting import build_selection, takes_selection, watchlist_option
from cli.watching import follow
from core.errors import NotFound
from core.settings import get_settings
from market.intervals import parse_interval, parse_period
from market.tickers import normalize_ticker
from records.work import latest_runs
from tasks.process.broker import build_celery
from tasks.requests.detections import Backfill, request_detection

group = CommandGroup(
    "backfill", help="Detect histories: the last five years, or all with --period max."
)


@group.command("run")
@takes_selection
@watchlist_option
@click.option(
    "--period",
    default="5y",
    show_default=True,
    help="How far back from the last bar: 30d, 6mo, 5y, max.",
)
@click.option("--force", is_flag=True, help="Cancel a backfill of these series that is in the way.")
@click.option(
    "--walk-forward",
    is_flag=True,
    help=(
        "Score each stretch with the latest model whose window ended before it, not with the"
        " champion."
    ),
)
@click.option(
    "--keep-scores", is_flag=True, help="Keep the score of every bar: `flask export write scores`."
)
@click.option("--raise-alerts", is_flag=True, help="Raise alerts for anomalies that are new.")
@json_option
@exits_on_error
def run_backfill(
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
    interval: str,
    period: str,
    force: bool,
    walk_forward: bool,
    keep_scores: bool,
    raise_alerts: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Score the histories of TICKERS with the champion model of their market."""
    period, interval = parse_period(period).text, parse_interval(interval)
    with use_database() as database:
        run = request_detection(
            database,
            build_celery(get_settings()),
            build_selection(database, tickers, market, watchlist),
            interval=interval,
            period=period,
            backfill=Backfill(
                force=force,
                walk_forward=walk_forward,
                keep_scores=keep_scores,
                raise_alerts=raise_alerts,
            ),
            now=datetime.now(UTC),
        )
        follow(database, run, wait=not no_wait, as_json=as_json)


@group.command("status")
@click.argument("ticker")
@click.option("--interval", default="1d", show_default=True)
@json_option
@exits_on_error
def show_status(*, ticker: str, interval: str, as_json: bool) -> None:
    """Say how the latest backfill of TICKER went."""
    ticker, interval = normalize_ticker(ticker), parse_interval(interval)
    with use_database() as database:
        found = latest_runs.find_latest(database, ticker, interval, "backfill")
    if found is None:
        raise NotFound(
            f"there was no {interval} backfill of {ticker} in the last 30 days; "
            f"start one: `flask backfill run {ticker}`"
        )
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name not in {"_id", "anomaly_ids"} and value not in (None, [], ""):
            echo(f"{name:>20}  {value}")
