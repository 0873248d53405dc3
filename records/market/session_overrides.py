"""Session overrides: what an exchange announced of a day that its calendar does not know,
such as a day of mourning.

Detection and imports go by them from the next batch or import on.
"""

from datetime import datetime

from core.errors import NotFound
from records.database import Db
from records.market.documents import OverrideDocument, overrides_in


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

    Returns what is stored.
    """
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
