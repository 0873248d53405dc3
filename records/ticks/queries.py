"""Queries by time, which depth and funding have alike."""

from records.database import Query


def build_time_query(start: int | None, end: int | None, **others: object) -> Query:
    """Return the query of what lies from `start` to `end` (microseconds, both inclusive) and has
    these other fields.
    """
    bounds = {name: at for name, at in (("$gte", start), ("$lte", end)) if at is not None}
    return {**others, **({"time": bounds} if bounds else {})}
