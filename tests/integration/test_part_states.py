"""The times since which each part of the service has been in its state."""

from pymongo.read_concern import ReadConcern

from records.database import Db
from records.work.part_states import note_states, part_states_in


def test_the_check_that_finds_a_change_returns_the_time_that_it_stores(database: Db) -> None:
    noted = part_states_in(database).with_options(read_concern=ReadConcern("local"))
    for turn in range(100):
        since = note_states(database, {"Redis": "failed" if turn % 2 else "ok"})["Redis"]
        stored = noted.find_one({"_id": "Redis"})
        assert stored is not None
        assert since == stored["since"]
        assert note_states(database, {"Redis": stored["state"]})["Redis"] == since
