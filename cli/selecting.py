"""Saying on the command line what a detection is about."""

import click

from cli.common import interval_option, no_wait_option, takes_options
from market.markets import load_markets
from records.database import Db
from tasks.requests.selection import Selection

takes_selection = takes_options(
    click.argument("tickers", nargs=-1),
    click.option(
        "--market", help="All series of a market instead of named tickers: US, JP, CRYPTO, ..."
    ),
    interval_option,
    no_wait_option,
)
watchlist_option = click.option("--watchlist", help="The tickers of a watchlist instead.")


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
