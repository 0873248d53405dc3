"""The options by which commands select series."""

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
    """Return the caller's selection.

    Raises BadInput where none or more than one of tickers, market and watchlist is named, and on an
    invalid ticker or unknown market.
    """
    markets = load_markets(database)
    return Selection(
        tuple(markets.spell(t) for t in tickers),
        markets.choose(market).code if market else None,
        watchlist,
    )
