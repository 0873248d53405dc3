"""Session overrides: sessions that an exchange announced and its calendar does not know, such as
the closing on a day of mourning.

Detection and imports use them from the next batch or import on.
"""

from datetime import date, datetime

from pymongo.client_session import ClientSession

from core.errors import BadInput, NotFound
from records.database import Db
from records.market.documents import OverrideDocument, overrides_in

# Overrides can be set from FIRST_YEAR to MOST_YEARS_AHEAD after this year: calendars are not read
# for other years.
FIRST_YEAR, MOST_YEARS_AHEAD = 1900, 5


def check_override_day(day: date, today: date) -> None:
    """Raise BadInput where a day lies before FIRST_YEAR or more than MOST_YEARS_AHEAD ahead."""
    last = today.year + MOST_YEARS_AHEAD
    if not FIRST_YEAR <= day.year <= last:
        raise BadInput(
            f"sessions cannot be set for {day}, only for days from {FIRST_YEAR} to {last}: is its"
            " year right?"
        )


def set_override(
    database: Db,
    market: str,
    day: str,
    *,
    opens: datetime | None,
    closes: datetime | None,
    note: str,
    now: datetime,
    session: ClientSession | None = None,
) -> OverrideDocument | None:
    """Set when a market opens and closes on a day (ISO date); without times it is closed. Return
    what was set before.

    Raises as `check_override_day`.
    """
    check_override_day(date.fromisoformat(day), now.date())
    override: OverrideDocument = {
        "_id": f"{market}::{day}",
        "market": market,
        "day": day,
        "opens": opens,
        "closes": closes,
        "note": note,
        "changed_at": now,
    }
    before: OverrideDocument | None = overrides_in(database).find_one_and_replace(
        {"_id": override["_id"]}, override, upsert=True, session=session
    )
    return before


def find_overrides(database: Db, market: str | None = None) -> list[OverrideDocument]:
    """Return the overrides of a market, or of all, by market and day."""
    return list(
        overrides_in(database).find({} if market is None else {"market": market}).sort("_id", 1)
    )


def remove_override(
    database: Db, market: str, day: str, session: ClientSession
) -> OverrideDocument:
    """Delete an override, so that the calendar counts again, and return it. Raises NotFound."""
    key = {"_id": f"{market}::{day}"}
    before: OverrideDocument | None = overrides_in(database).find_one_and_delete(
        key, session=session
    )
    if before is None:
        known = ", ".join(o["day"] for o in find_overrides(database, market)[:10]) or "(none)"
        raise NotFound(f"nothing is set for {market} on {day}; overridden days are: {known}")
    return before
