"""Groups: which ticker is of which industry, sector and market, as somebody said."""

from collections.abc import Sequence

from pymongo.client_session import ClientSession

from core.words import GroupType
from records.alerts.documents import GroupDocument, groups_in
from records.database import Db, in_transaction
from records.keyset import BY_ID, Position, find_page

TECHNOLOGY = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def build_group(
    child: str, child_type: GroupType, parent: str, parent_type: GroupType, source: str
) -> GroupDocument:
    """Return an edge, not yet written."""
    return {
        "_id": f"{child}::{parent}",
        "child": child,
        "child_type": child_type,
        "parent": parent,
        "parent_type": parent_type,
        "source": source,
    }


SHIPPED: tuple[GroupDocument, ...] = (
    *(build_group(t, "ticker", "Technology", "sector", "demo") for t in TECHNOLOGY),
    build_group("Technology", "sector", "US", "market", "demo"),
    *(build_group(t, "index", "US", "market", "demo") for t in ("^GSPC", "^IXIC")),
)
"""What is known of the demo's tickers while nobody said anything else."""


def find_groups(database: Db) -> list[GroupDocument]:
    """Return all edges in the order of their import; those of the demo where there are none."""
    return list(groups_in(database).find().sort("order", 1)) or list(SHIPPED)


def list_groups(database: Db, *, after: Position | None, limit: int) -> list[GroupDocument]:
    """Return stored edges by child and parent, from the one after `after` on."""
    return find_page(groups_in(database), {}, BY_ID, after=after, limit=limit)


def replace_groups(
    database: Db, rows: Sequence[GroupDocument], session: ClientSession | None = None
) -> None:
    """Put these edges in the place of all others, at once; the last of two alike counts."""
    numbered: dict[str, GroupDocument] = {}
    for order, row in enumerate(rows):
        numbered[row["_id"]] = {**row, "order": order}

    def write(session: ClientSession) -> None:
        groups_in(database).delete_many({}, session=session)
        if numbered:
            groups_in(database).insert_many(list(numbered.values()), session=session)

    if session is None:
        in_transaction(database, write)
    else:
        write(session)
