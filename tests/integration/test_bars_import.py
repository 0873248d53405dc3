"""Importing bars into a real MongoDB: real errors, planted errors, and repeated imports."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pymongo.client_session import ClientSession

from core.errors import BadInput
from market.bars import arriving
from market.bars.buckets import read_columns
from market.bars.opening import Arrival
from market.bars.reading import Bar, read_bars
from market.imports.bulk import import_content, import_files, import_yahoo
from market.imports.importing import Request, import_frame
from market.imports.readers.process import open_reader
from market.imports.report import ImportReport
from market.imports.sources.demo import read_demo
from market.imports.sources.yahoo import Yahoo
from market.market_rows import add_market
from market.markets import SHIPPED
from records.consistency import find_disagreements
from records.database import Db
from records.market.rejected import find_rejected
from tests.conftest import empty
from tests.integration.detecting import make_bars

NOW = datetime(2026, 1, 5, tzinfo=UTC)
HEADER = ["date", "open", "high", "low", "close", "volume"]
GOOD = [
    ("2013-03-04", 427.80, 428.20, 419.00, 420.05, 20_000_000),
    ("2013-03-05", 421.48, 435.19, 420.75, 431.14, 22_800_000),
    ("2013-03-06", 434.51, 435.25, 424.43, 425.66, 16_000_000),
]


def import_rows(
    database: Db, rows: list[tuple[object, ...]], *, ticker: str = "AAPL", now: datetime = NOW
) -> ImportReport:
    return import_frame(
        database,
        pd.DataFrame(rows, columns=HEADER),
        interval="1d",
        source="hand",
        ticker=ticker,
        now=now,
    )


def read_all(database: Db, ticker: str = "AAPL", interval: str = "1d") -> list[Bar]:
    return read_bars(database, ticker, interval, start=None, end=None, limit=1_000_000)


def stored(database: Db) -> dict[str, object]:
    """Return the stored documents without times of the clock."""
    return {
        name: sorted(
            (
                {k: v for k, v in d.items() if k not in {"updated_at", "at", "rejected_at"}}
                for d in database[name].find()
            ),
            key=lambda document: str(document["_id"]),
        )
        for name in ("series", "bars", "bar_revisions", "rejected_bars")
    }


def test_the_demo_is_imported_with_its_real_errors(database: Db) -> None:
    report = import_frame(database, read_demo(), interval="1d", source="demo", now=NOW)
    assert {series.ticker: series.new for series in report.series} == {
        "AAPL": 3270,
        "FB": 196,
        "GOOG": 2148,
        "IBM": 3270,
        "MSFT": 3270,
        "^GSPC": 5031,
        "^IXIC": 5031,
    }
    assert report.total("rejected_rows") == 0
    series = database.series.find_one({"_id": "AAPL::1d"})
    assert series is not None
    assert series["first_bar"] == datetime(2000, 3, 1, tzinfo=UTC)
    assert series["last_bar"] == datetime(2013, 3, 1, tzinfo=UTC)
    assert series["counts"]["2001"] == 248
    assert series["synthetic"] is False
    bars = {
        datetime.fromtimestamp(bar.time, UTC).strftime("%Y-%m-%d"): bar
        for bar in read_all(database)
    }
    # The splits, in prices as quoted.
    assert bars["2000-06-20"][1:] == (98.5, 103.94, 98.37, 101.25, 4_476_700.0)
    assert bars["2000-06-21"][1:] == (50.5, 56.94, 50.31, 55.63, 4_375_000.0)
    assert bars["2005-02-25"].close == 88.99
    assert bars["2005-02-28"].close == 44.86
    # The exchange was closed in September 2001.
    assert [day for day in bars if "2001-09-08" <= day <= "2001-09-18"] == [
        "2001-09-10",
        "2001-09-17",
        "2001-09-18",
    ]


@pytest.mark.parametrize(
    ("start", "end", "limit", "days"),
    [
        ("2012-12-31", "2013-01-02", 9, ["2012-12-31", "2013-01-02"]),
        ("2013-01-01", None, 9, ["2013-01-02", "2013-01-03"]),
        (None, "2012-12-30", 9, ["2012-12-28"]),
        (None, None, 3, ["2012-12-31", "2013-01-02", "2013-01-03"]),
        (None, "2013-01-02", 1, ["2013-01-02"]),
        ("2012-12-29", "2012-12-30", 9, []),
    ],
)
def test_bars_are_read_between_two_times_inclusive_or_the_last_ones(
    database: Db, start: str | None, end: str | None, limit: int, days: list[str]
) -> None:
    closes = {"2012-12-28": 10.0, "2012-12-31": 11.0, "2013-01-02": 12.0, "2013-01-03": 13.0}
    import_rows(database, [(day, at, at, at, at, 1_000) for day, at in closes.items()])
    first, last = (
        time and datetime.fromisoformat(time).replace(tzinfo=UTC) for time in (start, end)
    )
    found = read_bars(database, "AAPL", "1d", start=first, end=last, limit=limit)
    shown = [(f"{datetime.fromtimestamp(bar.time, UTC):%Y-%m-%d}", bar.close) for bar in found]
    assert shown == [(day, closes[day]) for day in days]


def test_importing_the_demo_twice_changes_nothing(database: Db) -> None:
    import_frame(database, read_demo(), interval="1d", source="demo", now=NOW)
    before = stored(database)
    report = import_frame(database, read_demo(), interval="1d", source="demo", now=NOW)
    assert (report.total("new"), report.total("changed"), report.total("unchanged")) == (
        0,
        0,
        22_216,
    )
    assert stored(database) == before


def test_bars_of_the_closure_are_rejected(database: Db) -> None:
    closed = ["2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14"]
    rows = [(day, 17.0, 17.5, 16.9, 17.3, 1_000) for day in ["2001-09-10", *closed, "2001-09-17"]]
    (series,) = import_rows(database, rows).series
    assert series.new == 2
    assert [(rejection.row, rejection.time, rejection.reason) for rejection in series.rejected] == [
        (2, "2001-09-11", "not_a_session"),
        (3, "2001-09-12", "not_a_session"),
        (4, "2001-09-13", "not_a_session"),
        (5, "2001-09-14", "not_a_session"),
    ]


def test_each_planted_fault_is_rejected_with_its_reason(database: Db) -> None:
    planted: list[tuple[object, ...]] = [
        *GOOD,
        ("2013-03-06", 1.0, 1.0, 1.0, 1.0, 1),
        ("2013-03-07", 424.50, 420.00, 421.06, 420.58, 1),
        ("2013-03-07", 424.50, 423.00, 421.06, 422.00, 1),
        ("2013-03-08", 0.0, 435.43, 428.61, 431.72, 1),
        ("2013-03-08", 429.80, float("nan"), 428.61, 431.72, 1),
        ("2013-03-08", "n.a.", 435.43, 428.61, 431.72, 1),
        ("2013-03-08", 429.80, float("inf"), 428.61, 431.72, 1),
        ("2013-03-08", 429.80, 435.43, 428.61, 431.72, -1),
        ("2013-03-09", 429.80, 435.43, 428.61, 431.72, 1),
        ("2013-02-28", 444.05, 447.87, 441.40, 441.40, 1),
        ("2032-03-08", 429.80, 435.43, 428.61, 431.72, 1),
        ("whenever", 429.80, 435.43, 428.61, 431.72, 1),
    ]
    (series,) = import_rows(database, planted).series
    assert series.new == 3
    assert series.read == 15
    assert series.rejected_rows == 12
    assert [(rejection.row, rejection.reason) for rejection in series.rejected] == [
        (4, "duplicate_time"),
        (5, "high_below_low"),
        (6, "outside_range"),
        (7, "non_positive_price"),
        (8, "not_a_number"),
        (9, "not_a_number"),
        (10, "not_a_number"),
        (11, "negative_volume"),
        (12, "not_a_session"),
        (13, "out_of_order"),
        (14, "not_closed"),
        (15, "bad_time"),
    ]
    assert [bar.close for bar in read_all(database)] == [420.05, 431.14, 425.66]
    kept = find_rejected(database, ticker="AAPL")
    assert len(kept) == 12
    text = next(row for row in kept if row["row"] == 9)
    assert text["values"] == {
        "open": "n.a.",
        "high": "435.43",
        "low": "428.61",
        "close": "431.72",
        "volume": "1",
    }
    import_rows(database, planted)
    assert database.rejected_bars.count_documents({}) == 12


def test_a_file_in_descending_order_is_read_from_its_end(database: Db) -> None:
    (series,) = import_rows(database, list(GOOD[::-1])).series
    assert series.new == 3
    assert series.notes == ["the source runs from the newest to the oldest bar"]
    assert [bar.close for bar in read_all(database)] == [420.05, 431.14, 425.66]


def test_a_bad_ticker_does_not_affect_the_others(database: Db) -> None:
    frame = pd.DataFrame(
        [("AAPL", *GOOD[0]), ("A B", *GOOD[0]), ("MSFT", *GOOD[0])], columns=["Symbol", *HEADER]
    )
    report = import_frame(database, frame, interval="1d", source="hand", now=NOW)
    assert [series.ticker for series in report.failed] == ["A B"]
    assert "'A B' is no ticker" in str(report.failed[0].error)
    assert sorted(database.series.distinct("ticker")) == ["AAPL", "MSFT"]


def test_only_the_requested_ticker_is_imported(database: Db) -> None:
    frame = pd.DataFrame([("aapl", *GOOD[0]), ("MSFT", *GOOD[0])], columns=["Symbol", *HEADER])
    import_frame(database, frame, interval="1d", source="hand", ticker="AAPL", now=NOW)
    assert database.series.distinct("ticker") == ["AAPL"]
    with pytest.raises(BadInput, match="IBM is nowhere in the table; it has AAPL, MSFT"):
        import_frame(database, frame, interval="1d", source="hand", ticker="IBM", now=NOW)


def test_the_market_completes_tickers_with_its_suffix(database: Db) -> None:
    frame = pd.DataFrame([(7203, "2024-02-09", 1.0, 2.0, 1.0, 2.0, 5)], columns=["code", *HEADER])
    import_frame(database, frame, interval="1d", source="hand", market=SHIPPED["JP"], now=NOW)
    series = database.series.find_one()
    assert series is not None
    assert (series["ticker"], series["market"]) == ("7203.T", "JP")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1]}), "no usable column for time, open, high, low, close; found: a"),
        (pd.DataFrame(columns=HEADER), "no row"),
        (
            pd.DataFrame([("soon", 1, 1, 1, 1, 1)], columns=HEADER),
            "no time can be read in the time column",
        ),
        (
            pd.DataFrame([("3/4/2013", 1, 1, 1, 1, 1)], columns=HEADER),
            "3/4/2013 can be read two ways",
        ),
    ],
)
def test_an_unusable_table_writes_nothing(database: Db, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        import_frame(database, frame, interval="1d", source="hand", ticker="AAPL", now=NOW)
    assert message in refused.value.message
    assert stored(database) == {"series": [], "bars": [], "bar_revisions": [], "rejected_bars": []}


def test_intraday_bars_in_a_daily_import_are_refused(database: Db) -> None:
    rows = [(f"2013-03-04 {hour}:30", 1.0, 2.0, 1.0, 2.0, 5) for hour in range(10, 16)]
    (series,) = import_rows(database, rows).series
    assert "bars of a shorter interval" in str(series.error)
    assert database.bars.count_documents({}) == 0


def test_intraday_bars_are_stored_in_utc(database: Db) -> None:
    rows = [
        (f"2013-03-04 {time}", 1.0, 2.0, 1.0, 2.0, 5)
        for time in ("09:30", "10:30", "15:30", "16:30")
    ]
    frame = pd.DataFrame(rows, columns=HEADER)
    (series,) = import_frame(
        database, frame, interval="1h", source="hand", ticker="AAPL", now=NOW
    ).series
    assert [rejection.reason for rejection in series.rejected] == ["not_a_session"]
    assert [
        f"{datetime.fromtimestamp(bar.time, UTC):%H:%M}"
        for bar in read_all(database, interval="1h")
    ] == [
        "14:30",
        "15:30",
        "20:30",
    ]


def test_bar_of_today_is_rejected_until_it_has_closed(database: Db) -> None:
    # New York closes at 16:00, which is 21:00 UTC in winter.
    at_noon = import_rows(database, [GOOD[0]], now=datetime(2013, 3, 4, 17, 0, tzinfo=UTC))
    assert [rejection.reason for rejection in at_noon.series[0].rejected] == ["not_closed"]
    after_close = import_rows(database, [GOOD[0]], now=datetime(2013, 3, 4, 21, 0, tzinfo=UTC))
    assert after_close.series[0].new == 1


def test_missing_volume_is_zero(database: Db) -> None:
    frame = pd.DataFrame([GOOD[0][:5]], columns=HEADER[:5])
    import_frame(database, frame, interval="1d", source="hand", ticker="^GSPC", now=NOW)
    assert read_all(database, "^GSPC")[0].volume == 0.0


def test_real_bars_replace_synthetic_ones_and_never_mix_with_them(database: Db) -> None:
    frame = pd.DataFrame(GOOD, columns=HEADER)
    made_up = frame.assign(close=frame["low"])
    import_frame(
        database, made_up, interval="1d", source="seed 1", ticker="7203.T", now=NOW, synthetic=True
    )
    assert database.series.find_one({"_id": "7203.T::1d"}, {"synthetic": 1}) == {
        "_id": "7203.T::1d",
        "synthetic": True,
    }
    real = import_frame(database, frame[1:], interval="1d", source="hand", ticker="7203.T", now=NOW)
    assert real.series[0].notes == ["3 synthetic bars gave way to these"]
    assert [bar.close for bar in read_all(database, "7203.T")] == [431.14, 425.66]
    again = import_frame(
        database, made_up, interval="1d", source="seed 1", ticker="7203.T", now=NOW, synthetic=True
    )
    assert "synthetic ones are not mixed" in str(again.series[0].error)
    series = database.series.find_one({"_id": "7203.T::1d"})
    assert series is not None
    assert (series["synthetic"], series["bars"], series["revision"]) == (False, 2, 1)


def test_results_of_synthetic_bars_do_not_survive_real_bars(
    database: Db,
) -> None:
    frame = make_bars(120)
    import_frame(
        database, frame, interval="1d", source="seed 1", ticker="AAPL", now=NOW, synthetic=True
    )
    last = pd.Timestamp(frame["date"].iloc[119]).tz_localize("UTC")
    own = {"ticker": "AAPL", "interval": "1d"}
    database.detection_metadata.insert_one(
        {"_id": "detection_meta::AAPL::1d", "first_detected_timestamp": NOW.replace(year=1990)}
        | own
        | {"last_detected_timestamp": last}
    )
    database.analytics.insert_one({"_id": "x", "time": last} | own)
    market = {"market": "US", "interval": "1d"}
    database.analytics_markets.insert_one({"_id": "x", "time": last} | market)
    database.anomalies.insert_one({"Ticker": "AAPL", "interval": "1d", "Datetime": last})
    import_frame(database, frame.iloc[:80], interval="1d", source="hand", ticker="AAPL", now=NOW)
    watermark = database.detection_metadata.find_one(own)
    assert watermark is not None
    real = pd.Timestamp(frame["date"].iloc[79]).tz_localize("UTC")
    assert watermark["last_detected_timestamp"] == real
    assert database.analytics.count_documents({}) == 0
    assert database.analytics_markets.count_documents({}) == 0
    assert database.anomalies.count_documents({"bars_gone_at": {"$exists": True}}) == 1


def test_two_simultaneous_imports_of_one_ticker_lose_nothing(database: Db) -> None:
    sessions = pd.bdate_range("2013-04-01", "2013-06-28").difference(
        pd.DatetimeIndex(["2013-05-27"])
    )
    frame = pd.DataFrame(
        {"date": sessions, "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": 5}
    )
    parts = [frame[start::8] for start in range(8)]

    def import_part(part: pd.DataFrame) -> ImportReport:
        return import_frame(database, part, interval="1d", source="hand", ticker="AAPL", now=NOW)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(import_part, parts))
    assert [report.failed for report in reports] == [[]] * 8
    assert sum(report.total("new") for report in reports) == len(frame)
    assert [bar.time for bar in read_all(database)] == [
        int(session.timestamp()) for session in sessions
    ]
    series = database.series.find_one({"_id": "AAPL::1d"})
    assert series is not None
    assert series["bars"] == len(frame)


def test_session_overrides_are_read_once_a_market(database: Db) -> None:
    frame = pd.concat(
        pd.DataFrame(GOOD, columns=HEADER).assign(ticker=name)
        for name in ("AAPL", "MSFT", "IBM", "7203.T", "9984.T")
    )
    database.command("profile", 2)
    try:
        import_frame(database, frame, interval="1d", source="hand", now=NOW)
    finally:
        database.command("profile", 0)
    asked = list(database["system.profile"].find({"ns": f"{database.name}.session_overrides"}))
    database["system.profile"].drop()
    assert sorted(question["command"]["filter"]["market"] for question in asked) == ["JP", "US"]


def import_table(database: Db, rows: list[tuple[object, ...]], **said: Any) -> ImportReport:
    frame = pd.DataFrame(rows, columns=["ticker", *HEADER])
    return import_frame(database, frame, interval="1d", source="hand", now=NOW, **said)


def test_series_of_one_table_are_stored_together(database: Db) -> None:
    names = [f"T{number:03d}" for number in range(150)]
    import_table(database, [(name, *row) for name in names for row in GOOD[:2]])
    database.command("profile", 2)
    try:
        report = import_table(database, [(name, *row) for name in names for row in GOOD])
        again = import_table(database, [(name, *row) for name in names for row in GOOD])
    finally:
        database.command("profile", 0)
    asked = database["system.profile"].count_documents({"ns": {"$ne": "x"}})
    database["system.profile"].drop()
    assert (report.total("new"), report.total("unchanged")) == (150, 300)
    assert (again.total("new"), again.total("unchanged")) == (0, 450)
    # MongoDB counts each replaced document: a bucket, a series, and the import's record.
    assert asked < 3 * 150
    assert read_all(database, "T149") == read_all(database, "T000") != []


def test_small_files_are_stored_together_but_years_of_one_ticker_one_after_the_other(
    database: Db, tmp_path: Path
) -> None:
    for number in range(120):
        rows = GOOD[: 1 + number % 3]
        pd.DataFrame(rows, columns=HEADER).to_csv(tmp_path / f"T{number:03d}.csv", index=False)
    for number, row in enumerate(GOOD):
        folder = tmp_path / f"part {number}"
        folder.mkdir()
        pd.DataFrame([row], columns=HEADER).to_csv(folder / "AAPL.csv", index=False)
    (tmp_path / "T060.csv").write_text("no,bars\n1,2\n")
    told: list[tuple[int, int]] = []
    request = Request("1d", "folder", NOW, on_series=lambda _, total: told.append((1, total)))
    database.command("profile", 2)
    try:
        with open_reader() as reader:
            report = import_files(database, [tmp_path], request, reader)
    finally:
        database.command("profile", 0)
    commits = database["system.profile"].count_documents({"ns": f"{database.name}.series"})
    database["system.profile"].drop()
    assert [Path(file.name).name for file in report.files if file.error] == ["T060.csv"]
    assert len(report.series) == len(told) == 122
    assert max(total for _, total in told) <= 123
    assert commits < 122 * 2
    assert [bar.close for bar in read_all(database)] == [row[4] for row in GOOD]
    assert [one.ticker for one in report.series[:2]] == ["T000", "T001"]
    assert database.series.count_documents({"bars": 1}) == 39
    assert database.bar_imports.count_documents({"import_id": report.import_id}) == 122


def test_a_series_that_cannot_be_stored_does_not_affect_those_stored_with_it(database: Db) -> None:
    import_table(database, [("IBM", *GOOD[0])])
    before = database.series.find_one({"_id": "IBM::1d"})
    holiday = ("2013-05-27", *GOOD[0][1:])
    rows = [("AAPL", *GOOD[0]), ("IBM", *GOOD[1]), ("IBM", *holiday), ("ZION", *GOOD[2])]
    report = import_table(database, rows, synthetic=True)
    told = {series.ticker: (series.new, series.error) for series in report.series}
    assert told == {
        "AAPL": (1, None),
        "IBM": (0, "IBM has real 1d bars: synthetic ones are not mixed with them"),
        "ZION": (1, None),
    }
    assert database.series.find_one({"_id": "IBM::1d"}) == before
    assert find_rejected(database, ticker="IBM") == []
    brought = database.bar_imports.distinct("ticker", {"import_id": report.import_id})
    assert brought == ["AAPL", "ZION"]
    real = import_table(database, [*rows, ("MSFT", *GOOD[0])])
    assert [(series.ticker, series.new, len(series.notes)) for series in real.series] == [
        ("AAPL", 1, 1),
        ("IBM", 1, 0),
        ("ZION", 1, 1),
        ("MSFT", 1, 0),
    ]
    assert database.series.count_documents({"synthetic": True}) == 0
    assert list(find_disagreements(database, NOW)) == []


def test_a_series_whose_stored_bars_are_missing_does_not_affect_the_others(database: Db) -> None:
    import_table(database, [(name, *row) for name in ("AAPL", "IBM") for row in GOOD[:2]])
    database.bars.delete_many({"ticker": "AAPL"})
    report = import_table(database, [(name, *row) for name in ("AAPL", "IBM") for row in GOOD])
    assert [(series.ticker, series.new) for series in report.series] == [("AAPL", 0), ("IBM", 1)]
    assert "1d bars of 2013 are gone" in str(report.series[0].error)
    assert database.bars.count_documents({"ticker": "AAPL"}) == 0


def test_an_import_too_large_for_one_transaction_is_stored_by_halves(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(name, *row) for name in ("AAPL", "IBM", "MSFT", "ZION") for row in GOOD]
    import_table(database, rows)
    wanted = stored(database)
    empty(database)
    monkeypatch.setattr(arriving, "MOST_BARS_TOGETHER", 7)
    assert import_table(database, rows).total("new") == 12
    monkeypatch.setattr(arriving, "MOST_BARS_TOGETHER", 1)
    assert import_table(database, rows).total("unchanged") == 12
    assert stored(database) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("is_amid", [False, True])
def test_an_import_too_slow_for_one_transaction_is_stored_by_halves(
    database: Db, monkeypatch: pytest.MonkeyPatch, *, is_amid: bool
) -> None:
    """MongoDB used to end such a transaction again and again, in the middle of a command, until the
    import was given up.
    """
    admin, limit = database.client.admin, "transactionLifetimeLimitSeconds"
    usual = admin.command("getParameter", 1, **{limit: 1})[limit]
    write_all, tried = arriving.write_all, list[int]()

    def write_slowly(
        database: Db, arrivals: Sequence[Arrival], session: ClientSession, **said: Any
    ) -> Any:
        outcomes = write_all(database, arrivals, session, **said)
        tried.append(len(arrivals))
        if len(arrivals) > 1 and is_amid:  # Like a disk that other programs keep busy.
            list(database.series.find({"$where": "sleep(3000) || true"}, session=session))
        elif len(arrivals) > 1:
            time.sleep(3)
        return outcomes

    monkeypatch.setattr(arriving, "write_all", write_slowly)
    monkeypatch.setattr("pymongo.client_session_shared._WITH_TRANSACTION_RETRY_TIME_LIMIT", 0)
    admin.command("setParameter", 1, **{limit: 1})
    try:
        rows = [(name, *row) for name in ("AAPL", "IBM") for row in GOOD]
        report = import_table(database, rows)
    finally:
        admin.command("setParameter", 1, **{limit: usual})
    assert (report.total("new"), tried) == (6, [2])
    assert database.bars.count_documents({}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("is_amid", [False, True])
def test_a_ticker_too_slow_for_one_transaction_is_reported_with_what_to_do(
    database: Db, monkeypatch: pytest.MonkeyPatch, *, is_amid: bool
) -> None:
    """The error used to be "Transaction ... has been aborted", and the tickers after it were
    lost.
    """
    admin, limit = database.client.admin, "transactionLifetimeLimitSeconds"
    usual = admin.command("getParameter", 1, **{limit: 1})[limit]
    write_in = arriving.write_in

    def write_slowly(database: Db, arrival: Arrival, session: ClientSession) -> Any:
        written = write_in(database, arrival, session)
        if arrival.ticker == "AAPL" and is_amid:
            list(database.series.find({"$where": "sleep(3000) || true"}, session=session))
        elif arrival.ticker == "AAPL":
            time.sleep(3)
        return written

    monkeypatch.setattr(arriving, "write_in", write_slowly)
    monkeypatch.setattr(arriving, "MOST_TOGETHER", 1)
    monkeypatch.setattr("pymongo.client_session_shared._WITH_TRANSACTION_RETRY_TIME_LIMIT", 0)
    admin.command("setParameter", 1, **{limit: 1})
    try:
        rows = [(name, *row) for name in ("AAPL", "IBM") for row in GOOD]
        slow, other = import_table(database, rows).series
    finally:
        admin.command("setParameter", 1, **{limit: usual})
    assert str(slow.error).startswith(
        "its 3 1d bars took longer to store than MongoDB lets a transaction take, and none of these"
        " is stored: import the file again"
    )
    assert (other.new, other.error) == (3, None)
    assert database.bars.count_documents({}) == 1


def test_rejected_rows_count_towards_how_much_is_stored_together(
    database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a table of all days of all tickers, young tickers have no prices on most days."""
    monkeypatch.setattr(arriving, "MOST_BARS_AT_ONCE", 85)
    written: list[int] = []
    write_all = arriving.write_all
    monkeypatch.setattr(
        arriving,
        "write_all",
        lambda *given, **said: written.append(len(given[1])) or write_all(*given, **said),
    )
    empty_days = [(f"2013-03-{day:02d}", *[None] * 5) for day in (7, 8, 11, 12)]
    names = ("AAPL", "IBM", "MSFT", "ZION")
    rows = [(name, *row) for name in names for row in (GOOD[0], *empty_days)]
    report = import_table(database, rows)
    assert (report.total("new"), report.total("rejected_rows")) == (4, 16)
    assert database.rejected_bars.count_documents({}) == 16
    assert written == [2, 2]


def test_the_market_that_one_file_gives_a_ticker_holds_in_the_next(
    database: Db, tmp_path: Path
) -> None:
    row = {"calendar": "XNYS", "timezone": "America/New_York", "currency": "USD", "name": "OTC"}
    none = {"suffixes": [""], "aliases": [], "indices": [], "tick_delay_seconds": 0}
    add_market(database, {"code": "OTC"} | row | none, NOW)
    told = pd.DataFrame([("OTC", *GOOD[0])], columns=["exchange", *HEADER])
    for folder, frame in (("1", told), ("2", pd.DataFrame(GOOD, columns=HEADER))):
        (tmp_path / folder).mkdir()
        frame.to_csv(tmp_path / folder / "ABCDE.csv", index=False)
    with open_reader() as reader:
        report = import_files(database, [tmp_path], Request("1d", "folder", NOW), reader)
    assert [(one.ticker, one.new, one.error) for one in report.series] == [
        ("ABCDE", 1, None),
        ("ABCDE", 2, None),
    ]
    assert database.series.distinct("market") == ["OTC"]


def test_two_spellings_of_a_ticker_in_one_table_are_reported(database: Db) -> None:
    report = import_table(database, [("BRK-B", *GOOD[0]), ("BRK.B", *GOOD[0])])
    notes = {series.ticker: series.notes for series in report.series}
    assert [len(own) for own in notes.values()] == [0, 1]
    assert "is stored too, and spelled alike" in max(notes.values())[0]
    holiday = ("2013-05-27", *GOOD[0][1:])
    report = import_table(database, [("BF-B", *holiday), ("BF.B", *GOOD[0])])
    told = {series.ticker: (series.new, len(series.notes)) for series in report.series}
    # Nothing is stored of one of them.
    assert told == {"BF-B": (0, 0), "BF.B": (1, 0)}


def test_yahoo_gives_quoted_prices_and_their_split(database: Db) -> None:
    def fetch(ticker: str, *_: object) -> pd.DataFrame:
        if ticker == "GONE":
            raise ValueError("possibly delisted")
        index = pd.DatetimeIndex(
            ["2005-02-24", "2005-02-25", "2005-02-28"], name="Date"
        ).tz_localize("America/New_York")
        close = [44.465, 44.495, 44.86]
        prices = dict.fromkeys(("Open", "High", "Low", "Close"), close)
        return pd.DataFrame(
            {**prices, "Volume": 2_000, "Stock Splits": [0.0, 0.0, 2.0]}, index=index
        )

    report = import_yahoo(
        database,
        Yahoo(fetch),
        ["GONE", "AAPL"],
        period="max",
        interval="1d",
        now=datetime(2005, 3, 1, 12, 0, tzinfo=UTC),
    )
    assert [(series.ticker, series.new, series.error) for series in report.series] == [
        ("GONE", 0, "ValueError: possibly delisted"),
        ("AAPL", 3, None),
    ]
    # Shown adjusted, as Yahoo has them; stored as quoted: 88.93 and 88.99.
    assert [bar.close for bar in read_all(database)] == [44.465, 44.495, 44.86]
    assert [bar.volume for bar in read_all(database)] == [2_000.0, 2_000.0, 2_000.0]
    bucket = database.bars.find_one({"_id": "AAPL::1d::2005"})
    assert bucket is not None
    assert read_columns(bucket)["close"].tolist() == [88.93, 88.99, 44.86]


def test_uploaded_content_is_imported_under_its_name(database: Db) -> None:
    content = b"date,open,high,low,close\n2013-03-04,427.8,428.2,419,420.05\n"
    report = import_content(database, content, "AAPL.csv", Request("1d", "AAPL.csv", NOW))
    assert (report.source, report.series[0].ticker, report.total("new")) == ("AAPL.csv", "AAPL", 1)
    assert [(file.name, file.columns["close"]) for file in report.files] == [("AAPL.csv", "close")]


def test_one_ticker_in_two_currencies_is_refused(database: Db) -> None:
    content = (
        "Ticker,Date,Open,High,Low,Close,Volume,Currency\n"
        "AAPL,2001-09-10,17,17.5,16.9,17.3,1000,GBp\n"
        "AAPL,2001-09-17,17,17.5,16.9,17.3,1000,GBP\n"
        "IBM,2001-09-10,97,97.5,96.9,97.3,1000,USD\n"
        "IBM,2001-09-17,97,97.5,96.9,97.3,1000,USD\n"
        "IBM,2001-09-18,97,97.5,96.9,97.3,1000,N/A\n"
    )
    request = Request("1d", "bars.csv", NOW)
    report = import_content(database, content.encode(), "bars.csv", request)
    refused, taken = report.series
    assert "several currencies ('GBP', 'GBp' in 'Currency')" in str(refused.error)
    assert (refused.new, taken.error, taken.new) == (0, None, 3)
    assert [series["ticker"] for series in database.series.find()] == ["IBM"]


def test_unusable_content_is_named(database: Db) -> None:
    with pytest.raises(BadInput, match=r"notes\.csv: no usable column"):
        import_content(database, b"a,b\n1,2\n", "notes.csv", Request("1d", "notes.csv", NOW))
