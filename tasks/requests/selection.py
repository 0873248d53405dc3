"""A selection becomes the tickers with stored bars that a request is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from core.errors import BadInput, NotFound, NothingNamed
from records.database import Db
from records.market.series import find_tickers
from records.work.watchlists import get_watchlist

NAMED_MISSING = 10
# Each is compared with all tickers there are.
GUESSED = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """Exactly one of: tickers (normalised), a watchlist, or a market."""

    tickers: tuple[str, ...] = ()
    market: str | None = None
    watchlist: str | None = None

    def __post_init__(self) -> None:
        choices = (("tickers", self.tickers), ("watchlist", self.watchlist), ("market", self.market))
        named = [name for name, value in choices if value]
        if not named:
            raise NothingNamed("nothing is named: give a ticker, tickers, a watchlist, or a market")
        if len(named) > 1:
            raise BadInput(f"name one of {' and '.join(named)}, not both", reason="too_much_named")


def select_tickers(database: Db, selection: Selection, interval: str) -> tuple[str, ...]:
    """Return the tickers of a selection, each once, all with stored bars of the interval.

    Of a watchlist also those without bars are returned, each to fail by name. One query, whatever the number of
    tickers. Raises NotFound, which says what is missing and what looks like it.
    """
    if selection.watchlist:
        return tuple(get_watchlist(database, selection.watchlist)["tickers"])
    if selection.market:
        found = find_tickers(database, interval, market=selection.market)
        if not found:
            raise NotFound(
                f"market {selection.market} has no stored {interval} bars; import some: `flask bars import FILE`",
                reason="no_bars",
            )
        return tuple(found)
    wanted = tuple(dict.fromkeys(selection.tickers))
    stored = set(find_tickers(database, interval, tickers=wanted))
    missing = [ticker for ticker in wanted if ticker not in stored]
    if missing:
        raise _explain_missing(database, missing, interval)
    return wanted


def _explain_missing(database: Db, missing: Sequence[str], interval: str) -> NotFound:
    known = find_tickers(database, interval)
    alike = sorted({match for ticker in missing[:GUESSED] for match in get_close_matches(ticker, known, n=3)})
    named = ", ".join(missing[:NAMED_MISSING]) + (", ..." if len(missing) > NAMED_MISSING else "")
    advice = f"did you mean {', '.join(alike[:NAMED_MISSING])}?" if alike else "import them: `flask bars import FILE`"
    return NotFound(
        f"no {interval} bars are stored of {named}; {advice}", reason="no_bars", tickers=missing[:NAMED_MISSING]
    )
