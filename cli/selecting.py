"""Saying on the command line what a detection is about."""

from collections.abc import Callable
from typing import TypeVar

import click

from cli.common import interval_option
from market.markets import load_markets
from records.database import Db
from tasks.requests.selection import Selection

Command = TypeVar("Command", bound=Callable[..., object])

OPTIONS = (
    click.argument("tickers", nargs=-1),
    click.option(
        "--market", help="All series of a market instead of named tickers: US, JP, CRYPTO, ..."
    ),
    interval_option,
    click.option("--no-wait", is_flag=True, help="Return at once; the run goes on."),
)
watchlist_option = click.option("--watchlist", help="The tickers of a watchlist instead.")


def takes_selection(command: Command) -> Command:
    """Give a command the arguments that say which series, and whether to wait for the run."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def build_selection(
    database: Db, tickers: tuple[str, ...], market: str | None, watchlist: str | None = None
) -> Selection:
    """Return what the caller named. Raises BadInput where that is nothing, or too much."""
    markets = load_markets(database)
    return Selection(
        tuple(markets.spell(t) for t in tickers),
        markets.choose(market).code if market else None,
        watchlist,
    )
