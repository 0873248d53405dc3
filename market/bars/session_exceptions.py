"""Session exceptions: days on which an exchange does not keep to its calendar.

Setting or removing one updates everything that depends on the day's session.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time

from pymongo.client_session import ClientSession

from core.errors import BadInput
from market.bars.ledger import refresh_ledger
from market.markets import Market
from records.alerts.trail import add_entries, build_note, compare
from records.database import Db, in_transaction
from records.market import session_overrides
from records.market.documents import OverrideDocument
from records.work.watchlists import forget_next_scans

# A day without an exception, as the audit trail tells it.
BY_CALENDAR: Mapping[str, str] = {"hours": "as the calendar says", "note": ""}


def set_exception(
    database: Db,
    market: Market,
    day: date,
    hours: tuple[time, time] | None,
    *,
    note: str,
    now: datetime,
    by: str = "system",
    on_series: Callable[[], None] = lambda: None,
) -> None:
    """Set when a market opens and closes on a day, in its own time; without hours it is closed. The
    audit trail says who did.

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

    def change(session: ClientSession) -> OverrideDocument | None:
        return session_overrides.set_override(
            database,
            market.code,
            day.isoformat(),
            opens=opens,
            closes=closes,
            note=note,
            now=now,
            session=session,
        )

    told = {"hours": _tell_hours(market, opens, closes), "note": note}
    _change_noted(database, market, day, change, told, by=by, at=now)
    follow_exception(database, market, day, on_series)


def remove_exception(
    database: Db,
    market: Market,
    day: date,
    *,
    now: datetime,
    by: str = "system",
    on_series: Callable[[], None] = lambda: None,
) -> None:
    """Remove an exception, so that the exchange's calendar counts again; the audit trail says who
    did. Raises NotFound where none is set.
    """

    def change(session: ClientSession) -> OverrideDocument:
        return session_overrides.remove_override(database, market.code, day.isoformat(), session)

    _change_noted(database, market, day, change, BY_CALENDAR, by=by, at=now)
    follow_exception(database, market, day, on_series)


def _change_noted(
    database: Db,
    market: Market,
    day: date,
    change: Callable[[ClientSession], OverrideDocument | None],
    after: Mapping[str, str],
    *,
    by: str,
    at: datetime,
) -> None:
    """Make a change, which returns what was set before, and write into the audit trail what it
    changes on the day, if anything.
    """

    def write(session: ClientSession) -> None:
        before, held = change(session), BY_CALENDAR
        if before is not None:
            hours = _tell_hours(market, before["opens"], before["closes"])
            held = {"hours": hours, "note": before["note"]}
        if details := compare(held, after):
            subject = f"session {day} of {market.code}"
            entry = build_note("change", subject, by=by, at=at, details=details)
            add_entries(database, [entry], session)

    in_transaction(database, write)


def _tell_hours(market: Market, opens: datetime | None, closes: datetime | None) -> str:
    if opens is None or closes is None:
        return "shut"
    return f"{opens.astimezone(market.zone):%H:%M} to {closes.astimezone(market.zone):%H:%M}"


def follow_exception(
    database: Db, market: Market, day: date, on_series: Callable[[], None]
) -> None:
    """Update what depends on a day's session; doing it again changes nothing."""
    forget_next_scans(database, market.code)
    refresh_ledger(database, market, day, on_series)
