"""Repacks buckets of an earlier version, which had a binary for each column, into one binary each.

Both forms can be read. So this may be run again at any time, by two processes at once, beside
processes that store bars, and it may be killed at any point.
"""

from collections.abc import Iterator

from pymongo import UpdateOne

from market.bars.buckets import pack_columns, read_columns
from market.bars.packing import BUCKET_FIELDS, COLUMNS
from records.database import Db
from records.market.documents import bars_in

AT_ONCE = 1_000


def repack_buckets(database: Db) -> int:
    """Repack the buckets of the earlier form, and return how many.

    A damaged bucket stays as it is; the detection of its series reports it.
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
