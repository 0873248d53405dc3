"""`flask bars`, as a user types it."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from market.imports.noting import note_import
from market.imports.rejection import REASONS
from market.imports.report import FileReport, ImportReport, SeriesReport
from records.database import Db
from tests.commands import Command, read_json

GOOD = (
    "date,open,high,low,close,volume\n"
    "2013-03-04,427.8,428.2,419,420.05,20000000\n"
    "2013-03-05,421.48,435.19,420.75,431.14,22800000\n"
)
BAD_ROW = "2013-03-06,434.51,425,424.43,425.66,16000000\n"


@pytest.fixture
def aapl(tmp_path: Path) -> Path:
    path = tmp_path / "AAPL.csv"
    path.write_text(GOOD + BAD_ROW)
    return path


def test_file_is_imported_once(flask: Command, aapl: Path, database: Db) -> None:
    answer = flask("bars", "import", aapl)
    assert answer.exit_code == 0
    assert "1 ticker: 3 read, 2 new, 0 changed, 0 unchanged, 1 rejected" in answer.stdout
    again = read_json(flask("bars", "import", aapl, "--json"))
    assert {
        name: again[name] for name in ("read", "new", "changed", "unchanged", "rejected_rows")
    } == {
        "read": 3,
        "new": 0,
        "changed": 0,
        "unchanged": 2,
        "rejected_rows": 1,
    }
    assert again["series"][0]["ticker"] == "AAPL"
    assert again["series"][0]["rejected"][0]["reason"] == "outside_range"
    first, _ = database.detection_runs.find().sort("requested_at", 1)
    assert (first["task"], first["status"], first["tickers"]) == ("import", "complete", ["AAPL"])
    assert (first["rows_loaded"], first["result"]["new"]) == (3, 2)


def test_what_is_said_of_many_files_is_said_once(flask: Command, tmp_path: Path) -> None:
    """It hid the table of tickers: three lines of each month of each pair."""
    for number in range(25):
        extra = "spread" if number < 3 else f"spread{number}"
        text = GOOD.replace("volume", extra)
        (tmp_path / f"T{chr(65 + number)}.csv").write_text(text)
    lines = flask("bars", "import", tmp_path, "--dry-run").stdout.splitlines()
    (once,) = [line for line in lines if "no column is taken for the volume" in line]
    assert once.startswith(str(tmp_path / "TA.csv") + " and 24 more files: ")
    (first,) = [line for line in lines if line.endswith("columns left aside: spread")]
    assert " and 2 more files: " in first
    assert sum("columns left aside" in line for line in lines) == 19
    assert lines[-1] == "... and 4 more notes: --json has all"


def test_a_ticker_that_fails_is_shown_among_many_that_have_a_note(
    flask: Command, tmp_path: Path
) -> None:
    """All times without a zone have one; which tickers failed was not to be seen. Nor was one of
    which much was rejected, among all those with a row that came twice.
    """
    hours = [f"2025-03-{day:02}T{hour:02}:00,2,3,1,2,5" for day in (4, 5) for hour in range(24)]
    rows = [f"C{number}-USD,{row}" for number in range(45) for row in hours]
    rows += [f"C7-USD,{hours[0]}"]
    late = [f"Z-USD,{row}" for row in hours[:5] + [hours[5]] * 3]
    bad = [f"ZZ-USD,{row.replace(',2,3', ',2,x')}" for row in hours]
    path = tmp_path / "coins.csv"
    path.write_text("\n".join(["ticker,time,open,high,low,close,volume", *rows, *late, *bad]))
    lines = flask("bars", "import", path, "--interval", "1h", "--dry-run").stdout.splitlines()
    named = [word for line in lines for word in line.split() if word.endswith("-USD")]
    assert named[:4] == ["ZZ-USD", "Z-USD", "C7-USD", "C0-USD"]
    assert "... and 7 more lines: --json has all" in lines


def test_ticker_of_which_each_month_is_a_file_is_one(flask: Command, tmp_path: Path) -> None:
    for month in ("03", "04"):
        rows = GOOD.replace("date,", "ticker,date,").replace("2013-03", f"AAPL,2013-{month}")
        (tmp_path / f"{month}.csv").write_text(rows)
    answer = flask("bars", "import", tmp_path)
    assert "1 ticker: 4 read, 4 new, 0 changed, 0 unchanged, 0 rejected" in answer.stdout


def test_names_that_are_not_utf8_do_not_end_an_import(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    """Old disks have such names. The bars used to be imported, and then the report was lost."""
    (tmp_path / "AAPL.csv").write_text(GOOD)
    named = GOOD.replace("date,", "ticker,date,").replace("2013-", "MSFT,2013-")
    (tmp_path / os.fsdecode(b"Sch\xf6n.csv")).write_text(named)
    (tmp_path / os.fsdecode(b"Sch\xe4n.csv")).write_text(GOOD)
    answer = flask("bars", "import", tmp_path)
    assert (answer.exit_code, "Sch\\xe4n.csv: the table has no ticker" in answer.stderr) == (
        2,
        True,
    )
    run = database.detection_runs.find_one({"task": "import"})
    assert run is not None
    assert (run["status"], run["result"]["new"]) == ("partial", 4)
    assert database.bar_imports.distinct("source") == ["AAPL.csv", "Sch\\xf6n.csv"]


@pytest.mark.slow
def test_a_report_of_more_series_than_a_document_holds_is_stored(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    """With a report of more than 16 MB, an import of some ten thousand files used to end in an
    error and was not listed.
    """
    report = ImportReport("prices", "1d", import_id="many")
    report.series = [SeriesReport(f"A{number}", "1d", read=1, new=1) for number in range(90_000)]
    report.series.append(SeriesReport("LAST", "1d", error="refused"))
    report.files = [FileReport(f"{number}.csv", error="x" * 400) for number in range(50_000)]
    note_import(database, report, datetime.now(UTC))
    shown = read_json(flask("runs", "show", "many", "--json"))
    listed = shown["result"]
    assert (shown["status"], listed["new"], listed["series_total"]) == ("partial", 90_000, 90_001)
    assert listed["series"][0]["ticker"] == "LAST"
    assert (listed["failures_total"], len(listed["failures"]) > 1_000) == (50_000, True)


def test_a_file_whose_name_and_table_name_different_tickers_is_refused(
    flask: Command, tmp_path: Path
) -> None:
    path = tmp_path / "AAPL.csv"
    path.write_text(f"MSFT\n{GOOD}")
    refused = flask("bars", "import", path)
    assert refused.exit_code == 2
    assert "named after AAPL, and its table is called MSFT: say whose" in refused.stderr
    assert flask("bars", "import", path, "--ticker", "MSFT").exit_code == 0
    path.write_text(f"AAPL.US\n{GOOD}")
    assert flask("bars", "import", path).exit_code == 0


def test_a_ticker_that_is_stored_under_another_spelling_is_named(
    flask: Command, tmp_path: Path
) -> None:
    for name, said in (("BRK.B", ""), ("BRK-B", "BRK.B is stored too"), ("BRKB", "BRK-B is")):
        path = tmp_path / f"{name}.csv"
        path.write_text(GOOD)
        (series,) = read_json(flask("bars", "import", path, "--json"))["series"]
        assert series["notes"][:1] == [] if not said else said in series["notes"][0]
        again = read_json(flask("bars", "import", path, "--json"))["series"]
        assert again[0]["notes"] == []


def test_demo_has_seven_series(flask: Command) -> None:
    assert "7 tickers: 22,216 read, 22,216 new" in flask("bars", "demo").stdout
    listed = read_json(flask("bars", "list", "--json"))
    assert [(series["ticker"], series["bars"], series["synthetic"]) for series in listed][:2] == [
        ("AAPL", 3270, False),
        ("FB", 196, False),
    ]


def test_a_period_that_ends_before_it_starts_is_refused(flask: Command, tmp_path: Path) -> None:
    span = ("--start", "2024-02-01", "--end", "2024-01-01")
    folder = str(tmp_path / "bars")
    for words in (
        ("bars", "show", "A"),
        ("anomalies", "list"),
        ("export", "write", "bars", folder),
    ):
        refusal = flask(*words, *span)
        assert (refusal.exit_code, "swap them" in refusal.stderr) == (2, True), words


def test_a_split_is_applied_to_the_bars_that_are_shown(flask: Command) -> None:
    flask("bars", "demo")
    before = read_json(
        flask("bars", "show", "aapl", "--start", "2005-02-25", "--end", "2005-02-28", "--json")
    )
    assert [candle["close"] for candle in before["candles"]] == [88.99, 44.86]
    answer = flask("bars", "split", "AAPL", "2005-02-28", "2")
    assert answer.stdout == "AAPL 1d: known splits: 2 for 1 on 2005-02-28; revision 1\n"
    after = read_json(
        flask("bars", "show", "AAPL", "--start", "2005-02-25", "--end", "2005-02-28", "--json")
    )
    assert [candle["close"] for candle in after["candles"]] == [44.495, 44.86]
    assert after["candles"][0]["time"] == "2005-02-25T00:00:00Z"
    (revision,) = read_json(flask("bars", "revisions", "--ticker", "AAPL", "--json"))
    assert (revision["kind"], revision["old"], revision["new"]) == ("split", 1.0, 2.0)
    assert "2005-02-28: 1 -> 2 for 1" in flask("bars", "revisions").stdout


def test_a_correction_is_listed_with_old_and_new_values(flask: Command, aapl: Path) -> None:
    flask("bars", "import", aapl)
    aapl.write_text(GOOD.replace("420.05", "420.06"))
    flask("bars", "import", aapl)
    assert "close 420.05 -> 420.06" in flask("bars", "revisions").stdout


def test_rejected_rows_are_listed_with_what_their_reason_means(flask: Command, aapl: Path) -> None:
    flask("bars", "import", aapl)
    answer = flask("bars", "rejected")
    assert "2013-03-06" in answer.stdout
    assert f"outside_range: {REASONS['outside_range']}" in answer.stdout
    assert read_json(flask("bars", "rejected", "--reason", "duplicate_time", "--json")) == []


def test_a_bad_file_among_several_is_named_and_affects_only_itself(
    flask: Command, aapl: Path, database: Db
) -> None:
    (aapl.parent / "MSFT.csv").write_text("a,b\n1,2\n")
    answer = flask("bars", "import", aapl.parent)
    assert answer.exit_code == 2
    assert (
        "MSFT.csv: no usable column for time, open, high, low, close; found: a, b" in answer.stderr
    )
    assert database.series.distinct("ticker") == ["AAPL"]


def test_bad_ticker_in_a_file_is_named(flask: Command, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    rows = GOOD.splitlines()
    path.write_text(f"ticker,{rows[0]}\nAAPL,{rows[1]}\n[/b],{rows[2]}\n")
    answer = flask("bars", "import", path)
    assert answer.exit_code == 1
    assert "'[/b]' is no ticker" in answer.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "nowhere.csv"], "there is no file or folder 'nowhere.csv'"),
        (
            ["import", "AAPL.csv", "--interval", "2d"],
            "'2d' is no interval that is known: choose one of 1m, 5m",
        ),
        (["import", "AAPL.csv", "--ticker", "A B"], "'A B' is no ticker"),
        (
            ["import", "AAPL.csv", "--market", "MARS"],
            "'MARS' is no market that is known: choose one of US, JP, TH",
        ),
        (["import", "empty.csv"], "empty.csv: the file is empty"),
        (
            ["import", "odd.csv"],
            "odd.csv: no usable column for open, high, low; found: date, price",
        ),
        (["import", "junk.parquet"], "junk.parquet: cannot be read as parquet"),
        (["yahoo", "AAPL", "--period", "5x"], "'5x' is no period"),
        (["show", "APPL"], "no 1d bars of APPL are stored"),
        (["split", "APPL", "2005-02-28", "2"], "no 1d bars of APPL are stored"),
        (["split", "AAPL", "28.2.2005", "2"], "28.2.2005"),
        (["list", "--interval", "2d"], "'2d' is no interval that is known"),
        (["rejected", "--reason", "ugly"], "outside_range"),
        (["import"], "Missing argument"),
    ],
)
def test_bad_input_is_reported_and_writes_nothing(
    flask: Command,
    aapl: Path,
    database: Db,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(aapl.parent)
    Path("empty.csv").touch()
    Path("odd.csv").write_text("date,price\n2013-03-04,1\n")
    Path("junk.parquet").write_bytes(b"junk")
    answer = flask("bars", *words)
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert answer.stdout == ""
    for collection in ("bars", "series", "bar_revisions", "rejected_bars"):
        assert database[collection].count_documents({}) == 0


def test_an_unreachable_database_is_reported_without_its_password(
    flask: Command,
) -> None:
    url = "mongodb://user:secret@127.0.0.1:9/?replicaSet=x"
    answer = flask("bars", "list", MONGO_URL=url)
    assert answer.exit_code == 1
    assert "MongoDB at mongodb://***@127.0.0.1:9/?replicaSet=x did not answer" in answer.stderr
    assert "secret" not in answer.output


def write_clock(path: Path, clocks: list[str]) -> Path:
    rows = "".join(f"2024-01-03 {clock},10,11,9,10,100\n" for clock in clocks)
    path.write_text(f"time,open,high,low,close,volume\n{rows}")
    return path


def test_bars_off_the_grid_are_rejected_and_other_spacings_refused(
    flask: Command, tmp_path: Path
) -> None:
    clocks = [f"{9 + n // 12:02d}:{n % 12 * 5:02d}" for n in range(6, 60)]
    clocks[20:22] = ["11:12"]  # Instead of 11:10 and 11:15.
    answer = read_json(
        flask(
            "bars",
            "import",
            write_clock(tmp_path / "STRAY.csv", clocks),
            "--interval",
            "5m",
            "--json",
        )
    )
    (series,) = answer["series"]
    assert [(row["time"], row["reason"]) for row in series["rejected"]] == [
        ("2024-01-03 11:12", "off_grid")
    ]
    assert series["new"] == len(clocks) - 1
    assert "off_grid" in flask("bars", "rejected", "--ticker", "STRAY").output
    twos = [f"{10 + n // 30:02d}:{n % 30 * 2:02d}" for n in range(60)]
    refused = flask("bars", "import", write_clock(tmp_path / "TWOS.csv", twos), "--interval", "1m")
    assert refused.exit_code == 1
    assert "2 minutes apart, not 1m" in refused.output


def test_a_day_by_another_clock_than_its_history_does_not_lie_between_its_bars(
    flask: Command, tmp_path: Path
) -> None:
    header, end = "time,open,high,low,close,volume", datetime(2024, 3, 8, tzinfo=UTC)
    times = [end - timedelta(hours=4 * n) for n in range(300, 0, -1)]
    rows = [f"{time:%Y-%m-%d %H:%M},10,11,9,10.{n % 100:02d},1" for n, time in enumerate(times)]
    path = tmp_path / "BTC-USD.csv"
    path.write_text("\n".join([header, *rows]))
    options = ("--interval", "4h", "--json")
    read_json(flask("bars", "import", path, *options, "--timezone", "Europe/Athens"))
    path.write_text("\n".join([header, *rows[-6:]]))
    refused = flask("bars", "import", path, *options)
    (series,) = json.loads(refused.stdout)["series"]
    assert series["error"].startswith(
        "5 of its 6 new bars overlap with stored bars of 4h, such as those of 2024-03-07 02:00 and"
        " 2024-03-07 04:00 UTC: say of which zone its times are"
    ), series
    again = read_json(flask("bars", "import", path, *options, "--timezone", "Europe/Athens"))
    assert again["series"][0]["unchanged"] == 6
