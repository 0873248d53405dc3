"""The state of each part of the service, and since when it has been in it, as the checks saw it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from pymongo import UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from records.database import Db


class PartStateDocument(TypedDict):
    """A part's state, and when it was first seen in it."""

    _id: str
    state: str
    since: datetime


def part_states_in(database: Db) -> Collection[PartStateDocument]:
    """Return the collection of parts' states."""
    return database.part_states


def note_states(database: Db, states: Mapping[str, str]) -> dict[str, datetime]:
    """Store the state of each part; return since when each has been seen in it, by the server's
    clock.
    """
    # Writing to and reading from one member is enough: a majority has it a moment later.
    noting = part_states_in(database).with_options(
        write_concern=WriteConcern(w=1), read_concern=ReadConcern("local")
    )
    known = {one["_id"]: one for one in noting.find()}
    changed = [n for n in states if n not in known or known[n]["state"] != states[n]]
    if changed:
        # Where two processes see a change at once, the first one sets `since`.
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
