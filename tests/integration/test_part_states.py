"""Since when each part of the service is as it is."""

from pymongo.read_concern import ReadConcern

from records.database import Db
from records.work.part_states import note_states, part_states_in


def test_the_look_that_finds_a_change_tells_the_time_that_it_notes(database: Db) -> None:
    noted = part_states_in(database).with_options(read_concern=ReadConcern("local"))
    for turn in range(100):
        since = note_states(database, {"Redis": "failed" if turn % 2 else "ok"})["Redis"]
        stored = noted.find_one({"_id": "Redis"})
        assert stored is not None
        assert since == stored["since"]
        assert note_states(database, {"Redis": stored["state"]})["Redis"] == since
