"""A selection becomes the tickers with stored bars that a request is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from core.errors import BadInput, NotFound, NothingNamed
from market.markets import load_markets
from records.database import Db
from records.market.series import find_sizes, find_tickers
from records.work.watchlists import get_watchlist

NAMED_MISSING = 10
# Each is compared with all stored tickers.
GUESSED = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """Exactly one of: tickers (normalised), a watchlist, or a market."""

    tickers: tuple[str, ...] = ()
    market: str | None = None
    watchlist: str | None = None

    def __post_init__(self) -> None:
        choices = (
            ("tickers", self.tickers),
            ("watchlist", self.watchlist),
            ("market", self.market),
        )
        named = [name for name, value in choices if value]
        if not named:
            raise NothingNamed("nothing is named: give a ticker, tickers, a watchlist, or a market")
        if len(named) > 1:
            raise BadInput(f"name one of {' and '.join(named)}, not both", reason="too_much_named")


def select_tickers(
    database: Db, selection: Selection, interval: str, only_markets: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the tickers of a selection that have stored bars of the interval, each once, and those
    that have none.

    Only a watchlist may contain tickers without bars; they are left out and named. With
    `only_markets`, a watchlist's tickers of these markets only. It is one query, whatever the
    number of tickers. Raises NotFound, which names what is missing and similar names.
    """
    if selection.watchlist:
        return _select_of_watchlist(database, selection.watchlist, interval, only_markets)
    if selection.market:
        found = find_tickers(database, interval, market=selection.market)
        if not found:
            load_markets(database).choose(selection.market)
            raise NotFound(
                f"market {selection.market} has no stored {interval} bars; import some: `flask bars"
                " import FILE`",
                reason="no_bars",
            )
        return tuple(found), []
    wanted = tuple(dict.fromkeys(selection.tickers))
    stored = set(find_tickers(database, interval, tickers=wanted))
    missing = [ticker for ticker in wanted if ticker not in stored]
    if missing:
        raise _explain_missing(database, missing, interval)
    return wanted, []


def _select_of_watchlist(
    database: Db, name: str, interval: str, only_markets: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    tickers = get_watchlist(database, name)["tickers"]
    series = find_sizes(database, tickers=tickers, interval=interval)
    markets = {document["ticker"]: document["market"] for document in series}
    missing = [ticker for ticker in tickers if ticker not in markets]
    if not markets:
        return tuple(tickers), []  # the run says of each what it lacks
    wanted = (ticker for ticker in tickers if ticker in markets)
    return tuple(t for t in wanted if only_markets is None or markets[t] in only_markets), missing


def _explain_missing(database: Db, missing: Sequence[str], interval: str) -> NotFound:
    known = find_tickers(database, interval)
    alike = sorted(
        {match for ticker in missing[:GUESSED] for match in get_close_matches(ticker, known, n=3)}
    )
    named = ", ".join(missing[:NAMED_MISSING]) + (", ..." if len(missing) > NAMED_MISSING else "")
    advice = (
        f"did you mean {', '.join(alike[:NAMED_MISSING])}?"
        if alike
        else "import them: `flask bars import FILE`"
    )
    return NotFound(
        f"no {interval} bars are stored of {named}; {advice}",
        reason="no_bars",
        tickers=missing[:NAMED_MISSING],
    )
