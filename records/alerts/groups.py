"""Groups: to which industry, sector and market each ticker belongs, as a user has imported it."""

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
    """Return an edge from a child to its parent, not yet written."""
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
"""The groups of the demo's tickers, which count while no others are stored."""


def find_groups(database: Db) -> list[GroupDocument]:
    """Return all edges in the order of their import; where none are stored, those of the demo."""
    return list(groups_in(database).find().sort("order", 1)) or list(SHIPPED)


def list_groups(database: Db, *, after: Position | None, limit: int) -> list[GroupDocument]:
    """Return stored edges by child and parent, from the one after `after` on."""
    return find_page(groups_in(database), {}, BY_ID, after=after, limit=limit)


def replace_groups(
    database: Db, rows: Sequence[GroupDocument], session: ClientSession | None = None
) -> None:
    """Replace all edges in one transaction; of edges with the same child and parent the last
    counts.
    """
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
