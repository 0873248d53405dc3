"""How each part of the service is, and since when it is so, as whoever looks at them noted."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from pymongo import UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from records.database import Db


class PartStateDocument(TypedDict):
    """A part's state, and when it was first seen so."""

    _id: str
    state: str
    since: datetime


def part_states_in(database: Db) -> Collection[PartStateDocument]:
    """Return the collection of parts' states."""
    return database.part_states


def note_states(database: Db, states: Mapping[str, str]) -> dict[str, datetime]:
    """Note how each part is now; return since when it is seen to be so, by the server's clock."""
    # What one member has is enough, and read back from it: a majority has it a moment later.
    noting = part_states_in(database).with_options(
        write_concern=WriteConcern(w=1), read_concern=ReadConcern("local")
    )
    known = {one["_id"]: one for one in noting.find()}
    changed = [n for n in states if n not in known or known[n]["state"] != states[n]]
    if changed:
        # Of two who see it at once the first says since when.
        is_same = {"$eq": ["$state", "$$state"]}
        noting.bulk_write(
            [
                UpdateOne(
                    {"_id": name},
                    [
                        {
                            "$set": {
                                "since": {
                                    "$let": {
                                        "vars": {"state": states[name]},
                                        "in": {"$cond": [is_same, "$since", "$$NOW"]},
                                    }
                                },
                                "state": states[name],
                            }
                        }
                    ],
                    upsert=True,
                )
                for name in changed
            ],
            ordered=False,
        )
        known = {one["_id"]: one for one in noting.find()}
    return {name: known[name]["since"] for name in states if name in known}
