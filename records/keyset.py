"""Keyset paging: a page begins after the last document of the page before, whatever documents were
added meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from records.database import Query

Position = tuple[Any, ...]
"""What a document has in the fields of an order."""

Item = TypeVar("Item", bound=Mapping[str, Any])


class Key(NamedTuple):
    """One field of an order, the type of its values, and its direction."""

    field: str
    type: type
    direction: int = ASCENDING


@dataclass(frozen=True, slots=True)
class Keyset:
    """An order of documents; its last key is unique, so that no two documents share a place."""

    keys: tuple[Key, ...]

    @property
    def sort(self) -> list[tuple[str, int]]:
        """Return the order as MongoDB takes it."""
        return [(key.field, key.direction) for key in self.keys]

    @property
    def types(self) -> tuple[type, ...]:
        """Return the types of a position's values."""
        return tuple(key.type for key in self.keys)

    def locate(self, document: Mapping[str, Any]) -> Position:
        """Return a document's place in the order."""
        return tuple(document[key.field] for key in self.keys)

    def build_query(self, after: Position | None) -> Query:
        """Return the query of the documents that follow a position, of all where it is None."""
        if after is None:
            return {}
        beyond: list[Query] = []
        tie: Query = {}
        for key, value in zip(self.keys, after, strict=True):
            beyond.append(
                {**tie, key.field: {"$lt" if key.direction == DESCENDING else "$gt": value}}
            )
            tie = {**tie, key.field: value}
        return {"$or": beyond}


BY_ID = Keyset((Key("_id", str),))


def find_page(
    collection: Collection[Item],
    query: Query,
    order: Keyset,
    *,
    after: Position | None,
    limit: int,
    fields: Sequence[str] | Query | None = None,
) -> list[Item]:
    """Return at most `limit` documents that match and that follow a position, in order."""
    following = order.build_query(after)
    found = collection.find({"$and": [query, following]} if following else query, fields)
    return list(found.sort(order.sort).limit(limit))


def fit_page(
    collection: Collection[Item],
    query: Query,
    order: Keyset,
    *,
    after: Position | None,
    limit: int,
    field: str,
    most: int,
) -> int:
    """Return how many documents of a page, at least one, have together at most `most` entries in
    the list `field`.

    An answer with 500 documents of ten thousand entries each would be a gigabyte.
    """
    following = order.build_query(after)
    stages: list[dict[str, Any]] = [
        {"$match": {"$and": [query, following]} if following else query},
        {"$sort": dict(order.sort)},
        {"$limit": limit},
        {"$project": {"_id": 0, "entries": {"$size": {"$ifNull": [f"${field}", []]}}}},
    ]
    total = fitting = 0
    for found in collection.aggregate(stages):
        total += found["entries"]
        if fitting and total > most:
            break
        fitting += 1
    return max(fitting, 1)
