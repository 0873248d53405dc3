"""Bars that were stored with one binary for each column: they can be read, and an upgrade packs
them.
"""

import struct
import subprocess
from typing import Any

import pytest

from market.bars.buckets import COLUMNS, read_columns
from market.bars.reading import read_bars
from market.bars.repacking import repack_buckets
from market.bars.store import ALL_BARS, load_panel
from records.database import Db
from tests.conftest import ROOT
from tests.integration.detecting import make_bars, store
from tests.integration.test_migrations import UPGRADE

BARS = 600


@pytest.fixture
def unpacked(database: Db) -> Db:
    """Two series; the first one's buckets are as they were stored before a bucket had one
    binary.
    """
    for ticker in ("OLD", "NEW"):
        store(database, ticker, make_bars(BARS))
    for bucket in database.bars.find({"ticker": "OLD"}):
        wide = {
            name: struct.pack(f"<{bucket['count']}{'q' if name == 'times' else 'd'}", *column)
            for name, column in read_columns(bucket).items()  # type: ignore[arg-type]
        }
        database.bars.update_one({"_id": bucket["_id"]}, {"$set": wide, "$unset": {"columns": ""}})
    return database


def read_all(database: Db, ticker: str) -> list[Any]:
    return list(read_bars(database, ticker, "1d", start=None, end=None, limit=BARS))


def test_unpacked_bars_are_read_like_others(unpacked: Db) -> None:
    panel = load_panel(unpacked, "1d", {"OLD": ALL_BARS, "NEW": ALL_BARS})
    old, new = panel.series(0), panel.series(1)
    for name in COLUMNS:
        column = getattr(panel, name)
        assert column[old].tolist() == column[new].tolist()
    assert len(read_all(unpacked, "OLD")) == BARS
    assert read_all(unpacked, "OLD") == read_all(unpacked, "NEW")


def test_an_upgrade_packs_unpacked_bars(unpacked: Db, environment: dict[str, str]) -> None:
    before = {one["_id"]: one for one in unpacked.bars.find()}
    count = sum(one["ticker"] == "OLD" for one in before.values())
    torn = {**next(iter(before.values())), "_id": "TORN::1d::2001", "ticker": "TORN"}
    torn |= {name: bytes(8) for name in COLUMNS} | {"close": bytes(5)}
    torn.pop("columns", None)
    lost = {name: value for name, value in torn.items() if name != "open"} | {
        "_id": "LOST",
        "span": "2",
    }
    unpacked.bars.insert_many([torn, lost])
    done = subprocess.run(
        UPGRADE, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert f"{count} buckets of bars were packed" in done.stdout
    for bucket in unpacked.bars.find({"ticker": {"$ne": "TORN"}}):
        assert not bucket.keys() & set(COLUMNS)
        twin = unpacked.bars.find_one({"ticker": "NEW", "span": bucket["span"]})
        assert bucket["columns"] == twin["columns"]
        assert bucket["sha256"] == before[bucket["_id"]]["sha256"] == twin["sha256"]
    assert unpacked.bars.find_one({"_id": torn["_id"]}) == torn
    assert unpacked.bars.find_one({"_id": lost["_id"]}) == lost
    assert repack_buckets(unpacked) == 0


def test_appending_to_unpacked_bars_packs_them(unpacked: Db) -> None:
    store(unpacked, "OLD", make_bars(BARS + 1))
    assert len(read_all(unpacked, "OLD")) == BARS
    last = unpacked.bars.find_one({"ticker": "OLD"}, sort=[("span", -1)])
    assert "columns" in last
    assert not last.keys() & set(COLUMNS)
