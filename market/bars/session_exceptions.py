"""Session exceptions: days on which an exchange does not keep to its calendar.

Setting or removing one updates everything that depends on the day's session.
"""

from collections.abc import Callable
from datetime import date, datetime, time

from core.errors import BadInput
from market.bars.ledger import refresh_ledger
from market.markets import Market
from records.database import Db
from records.market import session_overrides
from records.work.watchlists import forget_next_scans


def set_exception(
    database: Db,
    market: Market,
    day: date,
    hours: tuple[time, time] | None,
    *,
    note: str,
    now: datetime,
    on_series: Callable[[], None] = lambda: None,
) -> None:
    """Set when a market opens and closes on a day, in its own time; without hours it is closed.

    `on_series` is called before each series that is measured again.

    Raises BadInput where it would close before it opens.
    """
    if hours is not None and hours[0] >= hours[1]:
        raise BadInput(
            f"{market.code} cannot open at {hours[0]:%H:%M} and close at {hours[1]:%H:%M}"
        )
    opens, closes = (
        (datetime.combine(day, each, market.zone) for each in hours) if hours else (None, None)
    )
    session_overrides.set_override(
        database, market.code, day.isoformat(), opens=opens, closes=closes, note=note, now=now
    )
    _follow(database, market, day, on_series)


def remove_exception(
    database: Db, market: Market, day: date, on_series: Callable[[], None] = lambda: None
) -> None:
    """Remove an exception, so that the exchange's calendar counts again. Raises NotFound where none
    is set.
    """
    session_overrides.remove_override(database, market.code, day.isoformat())
    _follow(database, market, day, on_series)


def _follow(database: Db, market: Market, day: date, on_series: Callable[[], None]) -> None:
    forget_next_scans(database, market.code)
    refresh_ledger(database, market, day, on_series)
