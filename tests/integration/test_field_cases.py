"""Files as users have them, imported on the command line and over HTTP."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from market.bars.reading import read_bars
from records.database import Db
from tests.commands import Command
from tests.integration.conftest import Live
from tests.integration.field_cases import CASES, FOLDER, Case
from tests.processes import wait_until

NAMES = [f"{case.file} {' '.join(map(str, case.options.values()))}".strip() for case in CASES]
STORED = ("bars", "series", "bar_revisions", "rejected_bars")


def find_closes(database: Db, ticker: str, interval: str) -> dict[str, float]:
    bars = read_bars(database, ticker, interval, start=None, end=None, limit=100_000)
    shape = "%Y-%m-%d" if interval == "1d" else "%Y-%m-%d %H:%M"
    return {datetime.fromtimestamp(bar.time, UTC).strftime(shape): bar.close for bar in bars}


def check_stored(database: Db, case: Case) -> None:
    counts = {s["ticker"]: s["bars"] for s in database.series.find({}, {"ticker": 1, "bars": 1})}
    assert counts.items() >= case.counts.items()
    assert set(counts) == set(case.closes) | set(case.counts)
    for ticker, closes in case.closes.items():
        found = find_closes(database, ticker, case.interval)
        assert {time: found.get(time) for time in closes} == pytest.approx(closes, rel=1e-12)
        assert ticker in case.counts or len(found) == len(closes)
    assert database.rejected_bars.count_documents({}) == case.rejected


def write_options(case: Case) -> Iterator[str]:
    for name, value in case.options.items():
        yield from (
            ("--day-first" if value else "--month-first",)
            if name == "day_first"
            else (f"--{name}", value)
        )


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_file_over_the_command_line(
    flask: Command, database: Db, tmp_path: Path, case: Case
) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.content)
    answer = flask("bars", "import", path, "--interval", case.interval, *write_options(case))
    if case.refused:
        assert answer.exit_code == 2, answer.output
        assert all(words in answer.stderr for words in case.refused), answer.stderr
        assert [database[name].count_documents({}) for name in STORED] == [0, 0, 0, 0]
        return
    assert answer.exit_code == 0, answer.output
    assert all(words in answer.stdout for words in case.said), answer.stdout
    check_stored(database, case)


def import_over_http(live: Live, **form: Any) -> dict[str, Any]:
    """Return the ended run that imported a file."""
    answer = live.post("/py/data/import", data=form).json
    address = f"/py/detection-runs/{answer.get('run_id') or answer['_id']}"
    wait_until(
        lambda: live.client.get(address).json["status"] in {"complete", "partial", "failed"},
        "the import",
    )
    run: dict[str, Any] = live.client.get(address).json
    return run


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_file_over_http(live: Live, case: Case) -> None:
    for name in STORED:
        live.database[name].delete_many({})
    options = {
        name: str(value).lower() if value is True else value for name, value in case.options.items()
    }
    run = import_over_http(
        live, file=(io.BytesIO(case.content), case.name), interval=case.interval, **options
    )
    if case.refused:
        assert (run["status"], run["reason"]) == ("failed", "bad_input"), run
        assert all(words in run["error"] for words in case.refused), run["error"]
        assert [live.database[name].count_documents({}) for name in STORED] == [0, 0, 0, 0]
        return
    assert run["status"] == "complete", run
    notes = " ".join(note for file in run["result"]["files"] for note in file["notes"])
    assert all(words in notes for words in case.said), notes
    check_stored(live.database, case)


def test_a_split_that_the_vendors_prices_already_contain_is_undone(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    path = tmp_path / "NVDX.csv"
    for file in ("07a-NVDX.csv", "07b-NVDX.csv"):
        path.write_bytes((FOLDER / file).read_bytes())
        assert flask("bars", "import", path).exit_code == 0
    assert flask("bars", "split", "NVDX", "2024-06-10", "10").exit_code == 0
    assert find_closes(database, "NVDX", "1d")["2024-06-07"] == pytest.approx(58.953)
    path.write_bytes((FOLDER / "07c-NVDX.csv").read_bytes())
    told = flask("bars", "import", path, "--json")
    (series,) = json.loads(told.stdout)["series"]
    assert "the split is taken back" in series["notes"][0]
    assert find_closes(database, "NVDX", "1d")["2024-06-07"] == 58.953
    assert database.series.find_one({"ticker": "NVDX"})["splits"] == []
    assert flask("bars", "import", path).exit_code == 0
    assert find_closes(database, "NVDX", "1d")["2024-06-07"] == 58.953


def test_a_part_of_an_adjusted_history_is_refused(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    path = tmp_path / "NVDX.csv"
    for file in ("07a-NVDX.csv", "07b-NVDX.csv"):
        path.write_bytes((FOLDER / file).read_bytes())
        flask("bars", "import", path)
    for known in (False, True):
        if known:
            flask("bars", "split", "NVDX", "2024-06-10", "10")
        lines = (FOLDER / "07c-NVDX.csv").read_text().splitlines(keepends=True)
        path.write_text(lines[0] + "".join(lines[200:]))
        before = find_closes(database, "NVDX", "1d")
        told = flask("bars", "import", path, "--json")
        assert told.exit_code == 1
        assert (
            "import the vendor's whole history at once"
            in json.loads(told.stdout)["series"][0]["error"]
        )
        assert find_closes(database, "NVDX", "1d") == before


def test_a_single_factor_of_a_dividend_is_named(flask: Command, tmp_path: Path) -> None:
    path = tmp_path / "DIVX.csv"
    for file in ("22a-DIVX.csv", "22b-DIVX.csv"):
        path.write_bytes((FOLDER / file).read_bytes())
        told = json.loads(flask("bars", "import", path, "--json").stdout)
    assert "changed by one factor, 0.9947" in told["series"][0]["notes"][0]
    assert "dividend" in told["series"][0]["notes"][0]


def test_a_split_factor_that_the_prices_already_contain_is_not_applied(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    days = ("2024-06-05", "2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11")
    for name, before in (("QUOTED", 600.0), ("DONE", 60.0)):
        closes = [before, before, before, 60.0, 60.0]
        rows = [
            f"{day},{c},{c},{c},{c},{10 if day == days[3] else 1}"
            for day, c in zip(days, closes, strict=True)
        ]
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["date,open,high,low,close,splitFactor", *rows]))
        told = json.loads(flask("bars", "import", path, "--json").stdout)
        assert find_closes(database, name, "1d")["2024-06-05"] == 60.0
        assert any("adjusted for it already" in note for note in told["series"][0]["notes"]) == (
            name == "DONE"
        )


def test_rejected_row_of_stooq_is_kept_as_it_was_written(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    path = tmp_path / "aapl5m.us.txt"
    text = (FOLDER / "04c-aapl5m.us.txt").read_text().replace("AAPL.US", "AAPL")
    path.write_text(text + "AAPL,5,20240102,040000,1,1,1,1,5,0\n")
    assert flask("bars", "import", path, "--interval", "5m").exit_code == 0
    assert list(find_closes(database, "AAPL", "5m")) == [
        "2024-01-02 14:30",
        "2024-01-02 14:35",
        "2024-01-02 15:00",
    ]
    (rejected,) = database.rejected_bars.find()
    assert (rejected["time"], rejected["values"]["volume"], rejected["row"]) == (
        "20240102 040000",
        "5",
        4,
    )


def test_words_for_missing_values_are_tickers_in_a_ticker_column(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    lines = (FOLDER / "02-odd_tickers.csv").read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("0700")))
    assert flask("bars", "import", path).exit_code == 0
    assert database.series.distinct("ticker") == ["1E5", "INF", "NA", "NAN", "NULL", "TRUE"]


def test_every_file_of_a_folder_is_accounted_for(flask: Command, database: Db) -> None:
    folder = FOLDER / "27-mixed_folder"
    answer = flask("bars", "import", folder, "--json")
    assert answer.exit_code == 2
    report = json.loads(answer.stdout)
    files = {Path(file["name"]).relative_to(folder).as_posix(): file for file in report["files"]}
    assert set(files) == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    assert files["._GOODA.csv"]["skipped"]
    assert "(ticker GOODC)" in files["GOODC_2023.csv"]["error"]
    for name in (
        "EMPTY.csv",
        "HEADONLY.csv",
        "README.txt",
        "companies.csv",
        "d_us_txt.zip",
        "manifest.json",
    ):
        assert files[name]["error"], name
    read = {name for name, file in files.items() if not file["error"] and not file["skipped"]}
    assert read == {"GOODA.csv", "GOODB (1).csv", "gooda.csv", "sub/EURO.csv"}
    assert {s["ticker"]: s["bars"] for s in database.series.find()} == {
        "EURO": 2,
        "GOODA": 39,
        "GOODB": 29,
    }
    assert "GOODC_2023.csv" in flask("bars", "import", folder).stderr


def test_an_archive_without_a_file_of_bars_is_an_error(
    flask: Command, live: Live, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.zip", "x")
    (tmp_path / "prices.zip").write_bytes(packed.getvalue())
    (tmp_path / "AAPL.csv").write_text("Date,Open,High,Low,Close\n2024-01-02,2,4,1,3\n")
    alone = flask("bars", "import", tmp_path / "prices.zip")
    assert (alone.exit_code, "no file of bars by its name" in alone.stderr) == (2, True)
    beside = flask("bars", "import", tmp_path)
    assert (beside.exit_code, "inner.zip: no file of bars" in beside.stderr) == (2, True)
    run = import_over_http(live, file=(io.BytesIO(packed.getvalue()), "prices.zip"))
    assert (run["status"], run["reason"]) == ("failed", "bad_input")


def test_several_years_of_files_belong_to_the_ticker_that_is_given(
    flask: Command, database: Db
) -> None:
    folder = FOLDER / "27-mixed_folder"
    files = [folder / f"GOODC_{year}.csv" for year in (2023, 2024)]
    assert flask("bars", "import", *files, "--ticker", "GOODC").exit_code == 0
    assert [s["ticker"] for s in database.series.find()] == ["GOODC"]


def test_columns_are_named_by_hand(
    flask: Command, database: Db, tmp_path: Path, live: Live
) -> None:
    text = "when,first,top,bottom,settled,qty\n2024-01-02,187.15,188.44,183.89,185.64,82488700\n"
    columns = {
        "time": "when",
        "open": "first",
        "high": "3",
        "low": "bottom",
        "close": "settled",
        "volume": "qty",
    }
    path = tmp_path / "AAPL.csv"
    path.write_text(text)
    assert "no usable column for" in flask("bars", "import", path).stderr
    words = [word for name, column in columns.items() for word in ("--column", f"{name}={column}")]
    assert flask("bars", "import", path, *words).exit_code == 0
    assert find_closes(database, "AAPL", "1d") == {"2024-01-02": 185.64}
    run = import_over_http(
        live, file=(io.BytesIO(text.encode()), "AAPM.csv"), columns=json.dumps(columns)
    )
    assert (run["status"], run["result"]["new"]) == ("complete", 1)
    assert run["result"]["files"][0]["columns"]["close"] == "settled"


def test_dry_run_reports_the_same_and_stores_nothing(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    path = tmp_path / "AAPL.csv"
    path.write_bytes((FOLDER / "05b-DECCOMMA.csv").read_bytes())
    dry = json.loads(flask("bars", "import", path, "--dry-run", "--json").stdout)
    assert [database[name].count_documents({}) for name in STORED] == [0, 0, 0, 0]
    wet = json.loads(flask("bars", "import", path, "--json").stdout)
    assert (dry.pop("dry_run"), wet.pop("dry_run")) == (True, False)
    assert dry.pop("import_id") is None
    assert wet.pop("import_id")
    assert dry == wet
    assert dry["new"] == 2
    assert "nothing was stored" in flask("bars", "import", path, "--dry-run").stdout


def test_a_file_without_a_usable_row_is_an_error(
    flask: Command, tmp_path: Path, live: Live
) -> None:
    text = "date,open,high,low,close\n2024-01-06,1,1,1,1\n2024-01-07,1,1,1,1\n"
    path = tmp_path / "SATX.csv"
    path.write_text(text)
    answer = flask("bars", "import", path)
    assert answer.exit_code == 1
    told = json.loads(flask("bars", "import", path, "--json").stdout)["series"][0]
    assert told["error"] == (
        "none of its 2 rows could be used: 2 not_a_session; row 1 is '2024-01-06 1 1 1 1'"
    )
    run = import_over_http(live, file=(io.BytesIO(text.encode()), "SATX.csv"))
    assert run["status"] == "failed", run


CANDLE = {"o": "187.15", "h": 188.44, "l": 183.89, "c": "185.64", "v": "82488700"}


@pytest.mark.parametrize(
    ("candle", "interval", "time"),
    [
        ({"t": 1704171600000, **CANDLE}, "1d", "2024-01-02"),
        ({"t": 1704205800, **CANDLE}, "1h", "2024-01-02 14:30"),
        ({"timestamp": "2024-01-02T14:30:00Z", **CANDLE}, "1h", "2024-01-02 14:30"),
        ({"t": 1704205800000000000, **CANDLE}, "1h", "2024-01-02 14:30"),
    ],
)
def test_candles_accept_the_same_times_as_files(
    live: Live, candle: dict[str, Any], interval: str, time: str
) -> None:
    for name in STORED:
        live.database[name].delete_many({})
    body = {"ticker": "AAPL", "interval": interval, "candles": [candle]}
    report = live.post("/py/data/candles", json=body).json
    assert (report["status"], report["new"]) == ("complete", 1), report
    assert find_closes(live.database, "AAPL", interval) == {time: 185.64}


def test_preview_shows_columns_and_open_questions_and_stores_nothing(live: Live) -> None:
    before = live.database.series.count_documents({})
    text = "when,o,h,l,c\n03/04/2024,10,11,9,10.5\n"
    shown = live.client.post(
        "/py/data/preview", data={"file": (io.BytesIO(text.encode()), "x.csv")}
    )
    assert shown.status_code == 200, shown.text
    assert [(c["name"], c["field"]) for c in shown.json["columns"]][:2] == [
        ("when", None),
        ("o", "open"),
    ]
    assert shown.json["rows"] == [["03/04/2024", "10", "11", "9", "10.5"]]
    assert "no usable column for time" in shown.json["problem"]
    form = {"file": (io.BytesIO(text.encode()), "x.csv"), "columns": '{"time": "when"}'}
    assert "(day first)" in live.client.post("/py/data/preview", data=form).json["problem"]
    form = {
        "file": (io.BytesIO(text.encode()), "x.csv"),
        "columns": '{"time": "when"}',
        "day_first": "true",
    }
    settled = live.client.post("/py/data/preview", data=form).json
    assert (settled["problem"], settled["read"]) == (
        None,
        {"rows": 1, "times": 1, "numbers": 1, "has_ticker": False, "interval": None},
    )
    odd = (
        "date,open,high,low,close,volume\n2024-04-02,10,11,9,10.5,\nyesterday,10,11,9,10.5,7\n"
        "2024-04-04,ten,11,9,10.5,7\n2024-04-05,10,11,9,10.5,many\n2024-04-08,10,11,9,,7\n"
    )
    form = {"file": (io.BytesIO(odd.encode()), "x.csv")}
    read = live.client.post("/py/data/preview", data=form).json["read"]
    assert (read["rows"], read["times"], read["numbers"]) == (5, 4, 2)
    hours = "time,open,high,low,close\n" + "".join(
        f"2024-04-03 {hour}:30,10,11,9,10.5\n" for hour in ("09", "10", "11")
    )
    form = {"file": (io.BytesIO(hours.encode()), "x.csv")}
    assert live.client.post("/py/data/preview", data=form).json["read"]["interval"] == "1h"
    wide = (FOLDER / "01-yf_multi.csv").read_bytes()
    shown = live.client.post("/py/data/preview", data={"file": (io.BytesIO(wide), "x.csv")}).json
    assert [(c["name"], c["field"]) for c in shown["columns"]][1:3] == [
        ("Close AAPL", "close"),
        ("Close MSFT", "close"),
    ]
    twice = b"Date,Open,High,Low,Close,close\n2024-04-03,10,11,9,10.5,10\n"
    shown = live.client.post("/py/data/preview", data={"file": (io.BytesIO(twice), "x.csv")}).json
    fields = [column["field"] for column in shown["columns"]]
    assert fields == ["time", "open", "high", "low", None, None]
    assert "say which one is meant" in shown["problem"]
    assert live.database.series.count_documents({}) == before
    junk = live.client.post(
        "/py/data/preview", data={"file": (io.BytesIO(b"PK\x03\x04"), "x.xlsx")}
    )
    assert (junk.status_code, junk.json["reason"]) == (422, "bad_input")


HOURS = "".join(f"BTC-USD,1h,2024-01-02T{h:02}:00:00Z,10,20,9,1{h},5\n" for h in range(6))
DAYS = "".join(f"BTC-USD,D,2024-01-0{d},10,12,9,11,5\n" for d in range(1, 6))
MINUTES = "".join(f"ETH-USD,3m,2024-01-02T00:{3 * n:02}:00Z,10,12,9,11,5\n" for n in range(5))
VENUES = """symbol,exchange,date,open,high,low,close
BTC-USD,KRAKEN,2024-01-02,10,12,9,11
BTC-USD,GEMINI,2024-01-03,10,12,9,12
"""
BESIDE = {
    "meta": {"symbol": "BTC-USD", "interval": "1h"},
    "values": [{"datetime": "2024-01-02T05:00:00Z", "open": 1, "high": 2, "low": 1, "close": 2}],
}
NAMED = "symbol,timeframe,time,open,high,low,close,volume\n"


def test_rows_of_several_intervals_become_a_series_each_or_are_refused(
    flask: Command, database: Db, tmp_path: Path, live: Live
) -> None:
    """A given interval is refused, whichever it is. With `auto`, rows of an unknown interval do not
    affect the others.
    """
    text = NAMED + DAYS + HOURS + MINUTES
    path = tmp_path / "all.csv"
    path.write_text(text)
    for interval in ("1d", "1h", "5m"):
        answer = flask("bars", "import", path, "--interval", interval)
        assert answer.exit_code == 2
        assert "'1d', '1h', '3m' by the column 'timeframe'" in answer.stderr
        assert "interval auto" in answer.stderr
    assert database.series.count_documents({}) == 0
    answer = flask("bars", "import", path, "--interval", "auto", "--json")
    assert answer.exit_code == 1
    told = {(one["ticker"], one["interval"]): one for one in json.loads(answer.stdout)["series"]}
    assert "'3m' is no interval that is known" in told.pop(("ETH-USD", "3m"))["error"]
    assert {key: one["new"] for key, one in told.items()} == {
        ("BTC-USD", "1d"): 5,
        ("BTC-USD", "1h"): 6,
    }
    assert find_closes(database, "BTC-USD", "1d")["2024-01-02"] == 11
    assert find_closes(database, "BTC-USD", "1h")["2024-01-02 05:00"] == 15
    assert flask("bars", "import", path, "--interval", "auto", "--ticker", "BTC-USD").exit_code == 0
    shown = live.client.post(
        "/py/data/preview", data={"file": (io.BytesIO(text.encode()), "all.csv")}
    ).json
    assert shown["read"]["interval"] == "1d, 1h, 3m"
    assert [column["field"] for column in shown["columns"]][:2] == ["ticker", "interval"]


@pytest.mark.parametrize(
    ("file", "interval", "bars"),
    [
        # One interval for all rows, in vendors' words; another given interval is refused.
        (("a.csv", NAMED + DAYS), "1d", 5),
        (("a.csv", NAMED + DAYS), "1w", 0),
        (("a.csv", NAMED + HOURS.replace("1h", "60")), "auto", 6),
        # A word that is no length of time does not split the rows.
        (("a.csv", NAMED + DAYS.replace(",D,", ",regular,")), "1d", 5),
        # The interval stands beside the candles.
        (("BTC-USD.json", json.dumps(BESIDE)), "1d", 0),
        # Two exchanges, currencies or contracts in one table.
        (("a.csv", VENUES.replace("01-03", "01-02")), "1d", 0),
        # A series that moved from one exchange to another.
        (("a.csv", VENUES), "1d", 2),
    ],
    ids=["days", "no weeks", "sixty", "words", "beside", "exchanges", "moved"],
)
def test_rows_of_different_intervals_or_venues_are_never_mixed(
    flask: Command,
    database: Db,
    tmp_path: Path,
    file: tuple[str, str],
    interval: str,
    bars: int,
) -> None:
    path = tmp_path / file[0]
    path.write_text(file[1])
    answer = flask("bars", "import", path, "--interval", interval)
    assert (answer.exit_code == 0) == bool(bars), answer.output
    assert [one["bars"] for one in database.series.find()] == ([bars] if bars else [])
