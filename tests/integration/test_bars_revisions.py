"""Changes behind the last bar: corrections, late bars, splits."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput, NotFound
from market.bars.arriving import write_split
from market.bars.reading import read_bars
from market.bars.store import ALL_BARS, load_panel
from market.imports.importing import import_frame
from market.imports.sources.demo import read_demo
from records.database import Db, Document
from records.market.revisions import find_changes, find_revisions

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def import_closes(database: Db, closes: dict[str, float], **extra: dict[str, float]) -> None:
    frame = pd.DataFrame({"date": list(closes), "close": list(closes.values())})
    frame = frame.assign(open=frame["close"], high=frame["close"], low=frame["close"], volume=1_000)
    for name, values in extra.items():
        frame[name] = frame["date"].map(values)
    import_frame(database, frame, interval="1d", source="hand", ticker="AAPL", now=NOW)


def get_series(database: Db) -> Document:
    series = database.series.find_one({"_id": "AAPL::1d"})
    assert series is not None
    return series


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


WEEK = {"2013-03-04": 420.0, "2013-03-05": 431.0, "2013-03-07": 430.0, "2013-03-08": 431.5}


def test_bars_after_the_last_one_are_no_revision(database: Db) -> None:
    import_closes(database, {"2013-03-04": 420.0})
    import_closes(database, WEEK)
    assert get_series(database)["revision"] == 0
    assert find_changes(database, "AAPL", "1d", 0) is None
    assert database.bar_revisions.count_documents({}) == 0


def test_changed_bar_is_a_revision_with_old_and_new_values(database: Db) -> None:
    import_closes(database, WEEK)
    import_closes(database, {"2013-03-05": 431.25})
    (revision,) = find_revisions(database, ticker="AAPL")
    assert revision["kind"] == "changed"
    assert revision["revision"] == 1
    assert revision["source"] == "hand"
    assert revision["at"] == NOW
    assert revision["first"] == revision["last"] == datetime(2013, 3, 5, tzinfo=UTC)
    assert revision["old"] == {
        "open": 431.0,
        "high": 431.0,
        "low": 431.0,
        "close": 431.0,
        "volume": 1000.0,
    }
    assert revision["new"]["close"] == 431.25
    assert get_series(database)["revision"] == 1
    assert find_changes(database, "AAPL", "1d", 0) == (at("2013-03-05"), at("2013-03-05"))
    assert find_changes(database, "AAPL", "1d", 1) is None


def test_changed_last_bar_is_a_revision_too(database: Db) -> None:
    import_closes(database, WEEK)
    import_closes(database, {"2013-03-08": 432.0})
    assert find_changes(database, "AAPL", "1d", 0) == (at("2013-03-08"), at("2013-03-08"))


def test_a_late_bar_affects_all_bars_that_follow(database: Db) -> None:
    import_closes(database, WEEK)
    import_closes(database, {"2013-03-06": 425.0, "2013-03-11": 437.0})
    (revision,) = find_revisions(database, ticker="AAPL")
    assert revision["kind"] == "inserted"
    assert revision["bars"] == 1
    assert revision["new"]["close"] == 425.0
    assert find_changes(database, "AAPL", "1d", 0) == (at("2013-03-06"), at("2013-03-08"))
    assert [
        bar.close for bar in read_bars(database, "AAPL", "1d", start=None, end=None, limit=9)
    ] == [
        420.0,
        431.0,
        425.0,
        430.0,
        431.5,
        437.0,
    ]


def test_neighbouring_late_bars_are_one_revision(database: Db) -> None:
    import_closes(database, {"2013-03-01": 430.0, "2013-03-05": 431.0, "2013-03-08": 431.5})
    import_closes(database, {"2013-03-04": 420.0, "2013-03-06": 425.0, "2013-03-07": 430.0})
    found = sorted(
        find_revisions(database, ticker="AAPL"), key=lambda revision: str(revision["first"])
    )
    assert [(revision["bars"], revision["inserted_until"]) for revision in found] == [
        (1, datetime(2013, 3, 4, tzinfo=UTC)),
        (2, datetime(2013, 3, 7, tzinfo=UTC)),
    ]
    assert get_series(database)["revision"] == 1


def test_changes_of_several_revisions_form_one_stretch(database: Db) -> None:
    import_closes(database, WEEK)
    import_closes(database, {"2013-03-05": 431.25})
    import_closes(database, {"2013-03-07": 430.25})
    assert get_series(database)["revision"] == 2
    assert find_changes(database, "AAPL", "1d", 0) == (at("2013-03-05"), at("2013-03-07"))
    assert find_changes(database, "AAPL", "1d", 1) == (at("2013-03-07"), at("2013-03-07"))


def test_revisions_are_found_by_the_bars_they_affect(database: Db) -> None:
    import_closes(database, WEEK)
    import_closes(database, {"2013-03-05": 431.25, "2013-03-07": 430.25})
    touched = find_revisions(database, ticker="AAPL", end=datetime(2013, 3, 6, tzinfo=UTC))
    assert [revision["new"]["close"] for revision in touched] == [431.25]


@pytest.fixture
def demo(database: Db) -> Db:
    frame = read_demo()
    import_frame(database, frame[frame["Ticker"] == "AAPL"], interval="1d", source="demo", now=NOW)
    return database


def test_known_splits_adjust_bars_when_read_and_leave_the_stored_ones(demo: Db) -> None:
    raw = [bucket["sha256"] for bucket in demo.bars.find().sort("_id")]
    write_split(demo, "AAPL", "1d", date(2005, 2, 28), 2.0, NOW)
    write_split(demo, "AAPL", "1d", date(2000, 6, 21), 2.0, NOW)
    panel = load_panel(demo, "1d", {"AAPL": ALL_BARS})
    rows = {
        str(day): row
        for row, day in enumerate(panel.times.astype("datetime64[s]").astype("datetime64[D]"))
    }
    close, volume = panel.close, panel.volume
    # 101.25 / 4, 55.63 / 2, 88.99 / 2 and 44.86, with volumes 4 and 2 times as large.
    assert [
        close[rows[day]] for day in ("2000-06-20", "2000-06-21", "2005-02-25", "2005-02-28")
    ] == [
        25.3125,
        27.815,
        44.495,
        44.86,
    ]
    assert volume[rows["2000-06-20"]] == 17_906_800
    assert volume[rows["2005-02-25"]] == 32_696_800
    assert panel.high[rows["2005-02-25"]] == 44.955
    shown = read_bars(demo, "AAPL", "1d", start=None, end=None, limit=10_000)
    assert np.array_equal([bar.close for bar in shown], close)
    assert np.array_equal([bar.volume for bar in shown], volume)
    assert [bucket["sha256"] for bucket in demo.bars.find().sort("_id")] == raw


def test_a_split_affects_the_bars_before_it(demo: Db) -> None:
    fingerprint = get_series(demo)["fingerprint"]
    write_split(demo, "AAPL", "1d", date(2005, 2, 28), 2.0, NOW)
    assert find_changes(demo, "AAPL", "1d", 0) == (at("2000-03-01"), at("2005-02-28") - 1)
    assert get_series(demo)["fingerprint"] != fingerprint
    write_split(demo, "AAPL", "1d", date(2005, 2, 28), 2.0, NOW)
    assert get_series(demo)["revision"] == 1
    write_split(demo, "AAPL", "1d", date(2005, 2, 28), 1.0, NOW)
    assert get_series(demo)["splits"] == []
    assert get_series(demo)["fingerprint"] == fingerprint
    assert get_series(demo)["revision"] == 2


def test_an_imported_factor_is_a_split_of_its_session(database: Db) -> None:
    closes = {"2005-02-24": 88.93, "2005-02-25": 88.99}
    import_closes(database, closes)
    import_closes(database, {"2005-02-28": 44.86}, split={"2005-02-28": 2.0})
    assert get_series(database)["splits"] == [
        {"session": datetime(2005, 2, 28, tzinfo=UTC), "factor": 2.0}
    ]
    assert find_changes(database, "AAPL", "1d", 0) == (at("2005-02-24"), at("2005-02-28") - 1)
    assert load_panel(database, "1d", {"AAPL": ALL_BARS}).close.tolist() == [44.465, 44.495, 44.86]


def test_vendors_stock_splits_column_adjusts_nothing(database: Db) -> None:
    import_closes(
        database,
        {"2005-02-25": 44.495, "2005-02-28": 44.86},
        **{"Stock Splits": {"2005-02-28": 2.0}},
    )
    assert get_series(database)["splits"] == []
    assert load_panel(database, "1d", {"AAPL": ALL_BARS}).close.tolist() == [44.495, 44.86]


@pytest.mark.parametrize("factor", [0.0, -2.0, 1e9, float("nan"), float("inf")])
def test_impossible_factor_is_refused(demo: Db, factor: float) -> None:
    with pytest.raises(BadInput, match="for 1 cannot be"):
        write_split(demo, "AAPL", "1d", date(2005, 2, 28), factor, NOW)
    assert get_series(demo)["splits"] == []


def test_split_of_a_day_without_a_session_is_refused_with_the_next_one(demo: Db) -> None:
    with pytest.raises(BadInput, match=r"2005-02-26 is no session of market US.* as 2005-02-28"):
        write_split(demo, "AAPL", "1d", date(2005, 2, 26), 2.0, NOW)
    assert demo.series.find_one({"_id": "AAPL::1d"}, {"splits": 1, "_id": 0}) == {"splits": []}


def test_a_split_outside_the_bars_or_of_an_unknown_series_is_refused(demo: Db) -> None:
    with pytest.raises(BadInput, match="run from 2000-03-01 to 2013-03-01"):
        write_split(demo, "AAPL", "1d", date(2014, 6, 9), 7.0, NOW)
    with pytest.raises(NotFound, match="no 1d bars of APPL are stored; did you mean AAPL"):
        write_split(demo, "APPL", "1d", date(2005, 2, 28), 2.0, NOW)
