"""Session overrides: what an exchange announced of a day that its calendar does not know,
such as a day of mourning.

Detection and imports go by them from the next batch or import on.
"""

from datetime import date, datetime

from core.errors import BadInput, NotFound
from records.database import Db
from records.market.documents import OverrideDocument, overrides_in

# Calendars are asked for no other years.
FIRST_YEAR, MOST_YEARS_AHEAD = 1900, 5


def check_override_day(day: date, today: date) -> None:
    """Raise BadInput on a day of which an exchange can hardly have announced anything."""
    last = today.year + MOST_YEARS_AHEAD
    if not FIRST_YEAR <= day.year <= last:
        raise BadInput(
            f"{day} is none of the days that can be set, which are of the years {FIRST_YEAR} to"
            f" {last}: is its year right?"
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
) -> OverrideDocument:
    """Say when a market opens and closes on a day (ISO date); without times it stays shut.

    Returns what is stored. Raises BadInput on a day far away.
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
    overrides_in(database).replace_one({"_id": override["_id"]}, override, upsert=True)
    return override


def find_overrides(database: Db, market: str | None = None) -> list[OverrideDocument]:
    """Return the overrides of a market, or of all, by market and day."""
    return list(
        overrides_in(database).find({} if market is None else {"market": market}).sort("_id", 1)
    )


def remove_override(database: Db, market: str, day: str) -> None:
    """Go by the calendar again. Raises NotFound."""
    if overrides_in(database).delete_one({"_id": f"{market}::{day}"}).deleted_count == 0:
        known = ", ".join(o["day"] for o in find_overrides(database, market)[:10]) or "(none)"
        raise NotFound(f"nothing is set for {market} on {day}; overridden days are: {known}")
