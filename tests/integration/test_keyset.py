"""The pages of an order, one after another, have each document exactly once."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from pymongo import DESCENDING

from records.database import Db
from records.keyset import BY_ID, Key, Keyset, find_page

START = datetime(2024, 1, 1, tzinfo=UTC)
# Each pair of the first two keys occurs several times, so most pages end within a tie.
DOCUMENTS = [
    {"_id": f"{n % 7}-{n}", "at": START + timedelta(days=day), "row": row}
    for n, (day, row, _) in enumerate(product(range(3), range(3), range(4)))
]
NEWEST = Keyset((Key("at", datetime, DESCENDING), Key("row", int), Key("_id", str, DESCENDING)))


def sort_newest(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_id = sorted(documents, key=lambda d: d["_id"], reverse=True)
    return sorted(by_id, key=lambda d: (-d["at"].timestamp(), d["row"]))


@pytest.fixture
def stored(database: Db) -> Db:
    database["paged"].insert_many([dict(document) for document in DOCUMENTS])
    return database


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 35, 36, 100])
def test_pages_together_are_the_whole_order(stored: Db, limit: int) -> None:
    read: list[dict[str, Any]] = []
    after = None
    while page := find_page(stored["paged"], {}, NEWEST, after=after, limit=limit):
        assert len(page) == min(limit, len(DOCUMENTS) - len(read))
        read += page
        after = NEWEST.locate(page[-1])
    assert read == sort_newest(DOCUMENTS)


def test_a_page_has_only_matching_documents_and_the_requested_fields(stored: Db) -> None:
    wanted = sort_newest([document for document in DOCUMENTS if document["row"] == 1])
    query = {"$or": [{"row": 1}, {"row": 99}]}
    first = find_page(stored["paged"], query, NEWEST, after=None, limit=4, fields=["at", "row"])
    rest = find_page(
        stored["paged"], query, NEWEST, after=NEWEST.locate(first[-1]), limit=100, fields=["row"]
    )
    assert first == wanted[:4]
    assert rest == [{"_id": document["_id"], "row": 1} for document in wanted[4:]]


def test_a_document_added_before_the_position_changes_no_later_page(stored: Db) -> None:
    first = find_page(stored["paged"], {}, BY_ID, after=None, limit=10)
    rest = find_page(stored["paged"], {}, BY_ID, after=BY_ID.locate(first[-1]), limit=100)
    stored["paged"].insert_one({"_id": "", "at": START, "row": 0})
    assert find_page(stored["paged"], {}, BY_ID, after=BY_ID.locate(first[-1]), limit=100) == rest
    assert [document["_id"] for document in first + rest] == sorted(
        document["_id"] for document in DOCUMENTS
    )


def test_a_position_of_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        NEWEST.build_query(("x",))
