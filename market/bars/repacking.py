"""Buckets that were stored as a binary a column become one binary each, as they are stored now.

Both are read, so this may be run again at any time, by two processes at once, beside whatever
stores bars, and be killed at any line.
"""

from collections.abc import Iterator

from pymongo import UpdateOne

from market.bars.buckets import pack_columns, read_columns
from market.bars.packing import BUCKET_FIELDS, COLUMNS
from records.database import Db
from records.market.documents import bars_in

AT_ONCE = 1_000


def repack_buckets(database: Db) -> int:
    """Pack the buckets that are not, and return how many.

    One that is torn stays as it is: its detection says so.
    """
    packed, writes = 0, []
    for write in _plan_writes(database):
        writes.append(write)
        if len(writes) == AT_ONCE:
            packed += bars_in(database).bulk_write(writes, ordered=False).modified_count
            writes = []
    if writes:
        packed += bars_in(database).bulk_write(writes, ordered=False).modified_count
    return packed


def _plan_writes(database: Db) -> Iterator[UpdateOne]:
    unpacked = {"columns": {"$exists": False}}
    for bucket in bars_in(database).find(unpacked, {**BUCKET_FIELDS, "sha256": 1}):
        try:
            columns = read_columns(bucket)
        except ValueError:
            continue
        yield UpdateOne(
            {"_id": bucket["_id"], "sha256": bucket["sha256"], **unpacked},
            {"$set": {"columns": pack_columns(columns)}, "$unset": dict.fromkeys(COLUMNS, "")},
        )
