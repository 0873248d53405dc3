"""Loading panels: which bars are loaded, in how many queries, and that they are the stored ones."""

import hashlib
import random
import struct
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymongo import MongoClient, monitoring

from core.settings import Settings
from market.bars import buckets, sound
from market.bars.fingerprint import PanelFingerprints
from market.bars.history import HISTORY_BARS, find_start
from market.bars.sound import load_sound_closes
from market.bars.store import ALL_BARS, load_panel
from market.imports.bulk import import_synthetic
from market.imports.importing import import_frame
from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED
from records.database import Db
from tests.integration.conftest import Once
from tests.integration.stored import tear_bars

END = datetime(2024, 12, 31, 23, tzinfo=UTC)
NOW = datetime(2026, 1, 5, tzinfo=UTC)
TICKERS = ["A", "B", "C.T"]


@pytest.fixture
def frames(database: Db, once: Once) -> dict[str, pd.DataFrame]:
    """Three series of 900, 500 and 300 daily bars."""
    frames = {
        ticker: make_bars([ticker], SHIPPED[market], bars=bars, end=END, seed=bars)
        for ticker, bars, market in zip(TICKERS, (900, 500, 300), ("US", "US", "JP"), strict=True)
    }

    def make() -> None:
        for frame in frames.values():
            import_frame(
                database, frame, interval="1d", source="synthetic", now=NOW, synthetic=True
            )

    once(make)
    return frames


def seconds(frame: pd.DataFrame) -> Any:
    return frame["time"].to_numpy("datetime64[s]").astype(np.int64)


def test_whole_series_come_back_to_the_last_bit(
    database: Db, frames: dict[str, pd.DataFrame]
) -> None:
    panel = load_panel(database, "1d", dict.fromkeys(TICKERS, ALL_BARS))
    assert panel.tickers == ("A", "B", "C.T")
    assert panel.offsets.tolist() == [0, 900, 1400, 1700]
    assert panel.first_index.tolist() == [0, 0, 0]
    for position, ticker in enumerate(TICKERS):
        rows = panel.series(position)
        assert np.array_equal(panel.times[rows], seconds(frames[ticker]))
        for name in ("open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(panel, name)[rows], frames[ticker][name])
    assert np.array_equal(panel.sessions, panel.times // 86_400)


@pytest.mark.parametrize("index", [0, 1, 383, 384, 511, 512, 640, 899, 900])
def test_only_the_history_of_the_first_wanted_bar_is_loaded(
    database: Db, frames: dict[str, pd.DataFrame], index: int
) -> None:
    times = seconds(frames["A"])
    start = int(times[index]) if index < 900 else int(times[-1]) + 1
    panel = load_panel(database, "1d", {"A": (start, None)})
    assert panel.first_index.tolist() == [find_start(index, HISTORY_BARS)]
    assert np.array_equal(panel.times, times[find_start(index, HISTORY_BARS) :])


@pytest.mark.parametrize("index", [0, 1, 384, 640, 899])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_no_bar_after_the_last_wanted_one_is_loaded(
    database: Db, frames: dict[str, pd.DataFrame], index: int, count: int
) -> None:
    times = seconds(frames["A"])
    last = min(index + count, 900) - 1
    wanted = {"B": ALL_BARS, "A": (int(times[index]), int(times[last]))}
    panel = load_panel(database, "1d", wanted)
    first = find_start(index, HISTORY_BARS)
    own = panel.series(1)
    assert panel.first_index.tolist() == [0, first]
    assert np.array_equal(panel.times[own], times[first : last + 1])
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(panel, name)[own], frames["A"][name][first : last + 1])
    assert np.array_equal(panel.times[panel.series(0)], seconds(frames["B"]))


def test_tickers_without_bars_are_left_out(database: Db, frames: dict[str, pd.DataFrame]) -> None:
    assert load_panel(database, "1d", {"NONE": ALL_BARS, "B": ALL_BARS}).tickers == ("B",)
    nothing = load_panel(database, "1h", dict.fromkeys(TICKERS, ALL_BARS))
    assert (nothing.tickers, nothing.offsets.tolist(), len(nothing.times)) == ((), [0], 0)


@pytest.mark.parametrize("torn", ["cut short", "a bar less"])
def test_a_bucket_that_lacks_bars_which_its_series_counts_is_refused(
    database: Db, frames: dict[str, pd.DataFrame], torn: str
) -> None:
    bucket = database.bars.find_one({"ticker": "A"}, sort=[("span", -1)])
    assert bucket is not None
    less = {name: column[:-1] for name, column in buckets.read_columns(bucket).items()}
    cut = bucket["columns"][:-8] if torn == "cut short" else buckets.pack_columns(less)
    database.bars.update_one({"_id": bucket["_id"]}, {"$set": {"columns": cut}})
    start = int(seconds(frames["A"])[-1])
    with pytest.raises(ValueError, match="torn"):
        load_panel(database, "1d", {"A": (start, None), "B": ALL_BARS})


def test_closes_are_those_of_the_panel_without_damaged_series(
    database: Db, frames: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "CLOSES_AT_ONCE", 1)
    first = int(seconds(frames["A"])[600])
    found = load_sound_closes(
        database, "1d", {"C.T": ALL_BARS, "NONE": ALL_BARS, "A": (first, None)}
    )
    assert list(found) == ["C.T", "A"]
    assert np.array_equal(found["C.T"][0], seconds(frames["C.T"]))
    assert np.array_equal(found["C.T"][1], frames["C.T"]["close"])
    history = find_start(600, HISTORY_BARS)
    assert np.array_equal(found["A"][0], seconds(frames["A"])[history:])
    assert np.array_equal(found["A"][1], frames["A"]["close"][history:])
    tear_bars(database, {"ticker": "A"})
    assert list(load_sound_closes(database, "1d", dict.fromkeys(TICKERS, ALL_BARS))) == ["B", "C.T"]


def test_two_queries_load_any_number_of_series(
    settings: Settings, database: Db, frames: dict[str, pd.DataFrame]
) -> None:
    class Counter(monitoring.CommandListener):
        def __init__(self) -> None:
            self.queries: list[str] = []

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            self.queries += [event.command["find"]] if event.command_name == "find" else []

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            """Do nothing."""

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            """Do nothing."""

    counter = Counter()
    with MongoClient[dict[str, Any]](
        settings.mongo_url, tz_aware=True, event_listeners=[counter]
    ) as client:
        load_panel(client[settings.mongo_database], "1d", dict.fromkeys(TICKERS, ALL_BARS))
    assert counter.queries == ["series", "bars"]


def test_intraday_bars_belong_to_the_local_session(database: Db) -> None:
    frame = make_bars(["7203.T"], SHIPPED["JP"], bars=300, end=END, seed=1, interval="1h")
    import_frame(database, frame, interval="1h", source="synthetic", now=NOW, synthetic=True)
    panel = load_panel(database, "1h", {"7203.T": ALL_BARS})
    local = (
        frame["time"]
        .dt.tz_convert("Asia/Tokyo")
        .dt.tz_localize(None)
        .to_numpy("datetime64[D]")
        .astype(np.int64)
    )
    assert np.array_equal(panel.sessions, local)


def test_a_fingerprint_changes_with_any_value_of_its_own_rows_only(
    database: Db, frames: dict[str, pd.DataFrame]
) -> None:
    before = load_panel(database, "1d", {"A": ALL_BARS})
    changed = frames["A"].copy()
    changed.loc[450, "volume"] += 1
    import_frame(database, changed, interval="1d", source="synthetic", now=NOW, synthetic=True)
    after = load_panel(database, "1d", {"A": ALL_BARS})
    first, second = PanelFingerprints(before), PanelFingerprints(after)
    assert first.compute(0, 450) == second.compute(0, 450)
    assert first.compute(451, 900) == second.compute(451, 900)
    assert first.compute(450, 451) != second.compute(450, 451)


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_a_fingerprint_covers_whole_blocks_of_bars(
    database: Db, frames: dict[str, pd.DataFrame], order: str
) -> None:
    panel = load_panel(database, "1d", dict.fromkeys(TICKERS, ALL_BARS))
    rows = (panel.times, panel.open, panel.high, panel.low, panel.close, panel.volume)
    bars = [struct.pack("<q5d", *bar) for bar in zip(*rows, strict=True)]
    asked = [
        (first, stop)
        for begin, end in pairwise(panel.offsets.tolist())
        for first in (begin, begin + 128)
        for stop in (*range(first + 1, end, 31), first + 128, end)
    ]
    asked.sort(key=lambda stretch: stretch[1], reverse=order == "descending")
    if order == "random":
        random.Random(1).shuffle(asked)
    fingerprints = PanelFingerprints(panel)
    for first, stop in asked:
        # The last block is not full, so it may have no bar.
        blocks = [bars[row : min(row + 128, stop)] for row in range(first, stop + 1, 128)]
        digests = b"".join(hashlib.sha256(b"".join(block)).digest() for block in blocks)
        expected = hashlib.sha256(digests).hexdigest()
        assert fingerprints.compute(first, stop) == f"sha256:{expected}", (first, stop)


def test_more_bars_than_a_document_holds_are_refused_by_their_ticker(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other ticker is stored."""
    monkeypatch.setattr(buckets, "MOST_BUCKET_BARS", 200)
    frames = [
        make_bars([ticker], SHIPPED["US"], bars=bars, end=END, seed=bars)
        for ticker, bars in (("A", 300), ("B", 100))
    ]
    report = import_frame(
        database, pd.concat(frames), interval="1d", source="synthetic", now=NOW, synthetic=True
    )
    many, few = report.series
    assert few.new == 100
    assert many.error is not None
    assert "bars of the year 2024, and 200 can be stored" in many.error
    assert database.series.distinct("ticker") == ["B"]


def test_a_bucket_of_the_largest_size_fits_into_a_document(database: Db) -> None:
    count = buckets.MOST_BUCKET_BARS
    columns = {name: np.ones(count) for name in buckets.VALUES} | {
        "times": np.arange(count) + 1_700_000_000
    }
    bucket = buckets.build_bucket("A" * 40, "1m", "2024-12-30", columns, NOW)
    database.bars.replace_one({"_id": bucket["_id"]}, bucket, upsert=True)
    assert database.bars.delete_one({"_id": bucket["_id"]}).deleted_count == 1


def test_synthetic_bars_are_made_in_blocks_and_labelled(database: Db) -> None:
    tickers = [f"T{number:04d}" for number in range(501)]
    report = import_synthetic(database, tickers, SHIPPED["US"], bars=30, seed=1, end=END, now=NOW)
    assert (len(report.series), report.total("new"), report.failed) == (501, 501 * 30, [])
    assert database.series.count_documents({"synthetic": True}) == 501
