"""`flask scan`: scores the bars that came since the last detection."""

from datetime import UTC, datetime

from cli.common import CommandGroup, exits_on_error, json_option, use_database
from cli.selecting import build_selection, takes_selection, watchlist_option
from cli.watching import follow
from core.settings import get_settings
from market.intervals import parse_interval
from tasks.process.broker import build_celery
from tasks.requests.detections import request_detection

group = CommandGroup("scan", help="Score the bars that came since the last detection.")


@group.command("run")
@takes_selection
@watchlist_option
@json_option
@exits_on_error
def run_scan(
    *,
    tickers: tuple[str, ...],
    market: str | None,
    watchlist: str | None,
    interval: str,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Score the bars that came or were corrected since each series' watermark."""
    interval = parse_interval(interval)
    with use_database() as database:
        run = request_detection(
            database,
            build_celery(get_settings()),
            build_selection(database, tickers, market, watchlist),
            interval=interval,
            now=datetime.now(UTC),
        )
        follow(database, run, wait=not no_wait, as_json=as_json)
