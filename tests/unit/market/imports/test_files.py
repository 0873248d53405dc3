"""Files of bars, readable and unreadable."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import socket
import zipfile
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from core.errors import BadInput
from market.imports.names import find_owner
from market.imports.options import build_options
from market.imports.readers import child, process
from market.imports.readers.preview import build_preview
from market.imports.readers.process import Part, open_reader
from market.imports.sources.files import find_files
from tests.processes import wait_until
from tests.unit.market.imports.reading import read_numbers, settle

CSV = "Symbol,Date,Open,High,Low,Close,Volume\nNA,2001-09-17,16.0,17.07,15.73,16.99,8178700\n"
NUMBERS = {"open": [16.0], "high": [17.07], "low": [15.73], "close": [16.99], "volume": [8178700.0]}


def test_csv_keeps_prices_to_the_last_digit_and_the_ticker_na() -> None:
    settled = settle(CSV)
    assert read_numbers(CSV) == NUMBERS
    assert settled.written["ticker"].to_pylist() == ["NA"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_found_by_the_column_names_that_it_gives(separator: str) -> None:
    assert read_numbers(CSV.replace(",", separator)) == NUMBERS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_are_recognised_by_their_first_bytes(encoding: str) -> None:
    assert read_numbers(CSV.encode(encoding)) == NUMBERS


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        ("日付,始値,高値,安値,終値,出来高", "cp932"),
        ("日期,开盘,最高,最低,收盘,成交量", "gb18030"),
        ("날짜,시가,고가,저가,종가,거래량", "cp949"),
        ("Datum,Eröffnung,Hoch,Tief,Schluss,Umsatz", "cp1252"),
        ("Date,Ouv.,Plus Haut,Plus Bas,Clôture,Vol.", "cp1252"),
        ("วันที่,เปิด,สูงสุด,ต่ำสุด,ปิด,ปริมาณ", "cp874"),
        ("Дата,Открытие,Максимум,Минимум,Закрытие,Объем", "cp1251"),
    ],
)
def test_other_encodings_are_found_by_the_column_names_that_they_give(
    names: str, encoding: str
) -> None:
    content = (names + "\n2001-09-17,16.0,17.07,15.73,16.99,8178700\n").encode(encoding)
    assert read_numbers(content) == NUMBERS


@pytest.mark.parametrize("word", ["Börsentag", "Größe", "Début", "Año"])
def test_accents_in_unknown_names_are_kept(word: str) -> None:
    content = f"{word};Anfang;Hoch;Tief;Ende\n17.09.2001;16,0;17,07;15,73;16,99\n".encode("cp1252")
    preview = build_preview(content, "x.csv", build_options())
    assert preview["columns"][0]["name"] == word


def test_sums_and_blank_lines_below_bars_of_several_tickers_are_ignored() -> None:
    bars = "Symbol;Datum;Eröffnung;Hoch;Tief;Schluss\nAAPL;17.09.2001;16,0;17,07;15,73;16,99\n"
    table = settle(bars + ";;;;;\n;Summe;16,0;17,07;15,73;16,99\nSumme;;;;;\nIBM;;96;97;95;96\n")
    assert table.written["ticker"].to_pylist() == ["AAPL", "IBM"]
    assert table.rows.tolist() == [0, 4]
    assert table.notes[-1] == "left aside as no bars of a ticker, like sums: row 2, 3, 4"


def test_texts_that_are_protected_from_excel_are_read_without_the_protection() -> None:
    text = "\n".join(",".join(f'="{cell}"' for cell in row.split(",")) for row in CSV.split())
    assert read_numbers(text) == NUMBERS
    assert settle(text.replace("NA", "0700")).written["ticker"].to_pylist() == ["0700"]


def test_a_numeric_ticker_keeps_its_zeros() -> None:
    assert settle(CSV.replace("NA,", "0700,")).written["ticker"].to_pylist() == ["0700"]


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_read(ends: str) -> None:
    assert read_numbers(CSV.replace("\n", ends)) == NUMBERS


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def test_compressed_files_parquet_and_excel_hold_the_same_table() -> None:
    frame = pd.read_csv(io.StringIO(CSV), keep_default_na=False)
    parquet, workbook = io.BytesIO(), openpyxl.Workbook()
    frame.to_parquet(parquet)
    for row in [list(frame.columns), *frame.to_numpy().tolist()]:
        workbook.active.append(row)
    excel = io.BytesIO()
    workbook.save(excel)
    for content, name in (
        (gzip.compress(CSV.encode(), mtime=0), "x.csv.gz"),
        (bz2.compress(CSV.encode()), "x.csv.bz2"),
        (lzma.compress(CSV.encode()), "X.CSV.XZ"),
        (zstd(CSV.encode()), "x.csv.zst"),
        (zstd(CSV.encode()) + zstd(b"\n"), "x.csv.zst"),
        (bz2.compress(CSV.encode()) + bz2.compress(b"\n"), "x.csv.bz2"),
        (lzma.compress(CSV.encode()) + lzma.compress(b"\n") + bytes(8), "x.csv.xz"),
        (parquet.getvalue(), "X.PARQUET"),
        (excel.getvalue(), "x.xlsx"),
    ):
        assert read_numbers(content, name) == NUMBERS


def test_workbook_may_hold_some_columns_as_text_and_others_as_numbers() -> None:
    workbook = openpyxl.Workbook()
    for row in (
        ["Datum", "Eröffnung", "Hoch", "Tief", "Schluss", "Volumen"],
        ["17.09.2001", "16,0", "17,07", 15.73, "16,99", 8178700],
    ):
        workbook.active.append(row)
    excel = io.BytesIO()
    workbook.save(excel)
    assert read_numbers(excel.getvalue(), "x.xlsx") == NUMBERS
    part = next(iter(read_parts(excel.getvalue(), "NA.xlsx")))
    assert part.error is None


@pytest.mark.parametrize(
    "wrap", [lambda bars: bars, lambda bars: {"bars": bars}, lambda bars: {"candles": bars}]
)
def test_json_candles_are_read(wrap: Any) -> None:
    candles = [{"t": 1000733400, "o": 16.0, "h": 17.07, "l": 15.73, "c": 16.99, "v": 8178700}]
    settled = settle(json.dumps(wrap(candles)), "candles.json")
    assert {name: values.tolist() for name, values in settled.numbers.items()} == NUMBERS
    assert settled.times.seconds.tolist() == [1000733400]


@pytest.mark.parametrize("lines", [1, 2])
def test_a_single_json_line_is_read(lines: int) -> None:
    text = json.dumps({"ticker": "NA", "date": "2001-09-17", **BAR}) + "\n"
    settled = settle(text * lines, "bars.ndjson")
    assert settled.written["ticker"].to_pylist() == ["NA"] * lines
    assert settled.numbers["close"].tolist() == [3] * lines


def test_a_ticker_beside_json_candles_belongs_to_them() -> None:
    bar = {"t": 1000733400, "o": 1, "h": 1, "l": 1, "c": 1}
    assert settle(json.dumps({"ticker": "AAPL", "bars": [bar, bar]}), "x.json").ticker == "AAPL"


@pytest.mark.parametrize("code", ["0", "00000", "200000"])
def test_a_status_code_is_no_ticker(code: str) -> None:
    bars = [["1704153600000", "2", "4", "1", "3", "5", "15", "15", "1"]]
    assert settle(json.dumps({"code": code, "data": bars}), "BTC-USDT.json").ticker is None
    assert settle(json.dumps({"code": "600519", "data": bars}), "x.json").ticker == "600519"
    assert settle(json.dumps({"symbol": "200", "data": bars}), "x.json").ticker == "200"


def read_parts(content: bytes, filename: str) -> list[Part]:
    with open_reader() as reader:
        return list(reader.read_content(content, filename))


@pytest.mark.parametrize(
    ("content", "filename", "message"),
    [
        (b"", "x.csv", "the file is empty"),
        (b" \n", "x.csv", "the file is empty"),
        (b"\xef\xbb\xbf", "x.csv", "the file is empty"),
        (b"\xff\xfe\x00", "x.csv", "it is no text in utf-16-le"),
        (b"PAR1 but not really", "x.parquet", "cannot be read as parquet"),
        (b"not gzip", "x.parquet", "cannot be read as parquet"),
        (gzip.compress(CSV.encode(), mtime=0)[:20], "x.csv.gz", "it is cut short"),
        (bz2.compress(CSV.encode())[:-9], "x.csv.bz2", "it is cut short"),
        (lzma.compress(CSV.encode())[:-9], "x.csv.xz", "it is cut short"),
        (zstd(CSV.encode())[:-9], "x.csv.zst", "it is cut short"),
        (
            zstd(CSV.encode())[:20] + b"no" * 40,
            "x.csv.zst",
            "it is no whole zstd file: it is damaged",
        ),
        (b"BZh91 no", "x.csv.bz2", "it is no whole bzip2 file: it is damaged"),
        (bz2.compress(CSV.encode()) + b"BZ", "x.csv.bz2", "it is cut short"),
        (bz2.compress(CSV.encode()) + b"BAD" * 9, "x.csv.bz2", "it is no whole bzip2 file"),
        (lzma.compress(CSV.encode()) + b"BAD" * 9, "x.csv.xz", "it is no whole xz file"),
        (b"{", "x.json", "cannot be read as json"),
        (b"[" * 100_000, "x.json", "cannot be read as json"),
        (b'{"a": 1}', "x.json", "expected a list of candles"),
        (b"[1, 2]", "x.json", "expected a list of candles"),
        (b"[]", "x.json", "it holds no candle"),
        (b"a,b\n1,2,3,4\n1\n", "x.docx", "choose one of .parquet, .xlsx, .zip, .csv"),
        (b"<html><table>", "x.csv", "it is a web page"),
        (b"\xd0\xcf\x11\xe0", "x.xlsx", "Excel's old format (.xls): save it as .xlsx"),
        (b"PK\x03\x04", "x.zip", "cannot be read as zip"),
    ],
)
def test_unreadable_content_is_refused(content: bytes, filename: str, message: str) -> None:
    (part,) = read_parts(content, filename)
    assert message in str(part.error)


def test_each_file_of_an_archive_is_read_by_itself() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("d/AAPL.csv", CSV)
        archive.writestr("d/bad.csv", "a,b\n1,2\n")
        archive.writestr("__MACOSX/._AAPL.csv", "x")
        archive.writestr("logo.png", "x")
        archive.writestr("MSFT.xls", CSV)
    parts = {part.name: part for part in read_parts(packed.getvalue(), "us.zip")}
    assert parts["us.zip/d/AAPL.csv"].error is None
    assert "no usable column" in str(parts["us.zip/d/bad.csv"].error)
    assert parts["us.zip/__MACOSX/._AAPL.csv"].skipped == "no file of bars by its name"
    assert parts["us.zip/logo.png"].skipped == "no file of bars by its name"
    assert "save it as .xlsx" in str(parts["us.zip/MSFT.xls"].error)


def test_an_archive_is_listed_once_however_many_files_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = 0
    get_contents = zipfile.ZipFile._RealGetContents  # type: ignore[attr-defined]

    def count(archive: zipfile.ZipFile) -> None:
        nonlocal listed
        listed += 1
        get_contents(archive)

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", count)
    monkeypatch.setattr(child, "_limit", lambda *_: None)  # In the reader's own process.
    times = []
    for files in (2, 30):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(files):
                archive.writestr(f"T{number}.csv", CSV)
        content, listed = packed.getvalue(), 0
        request = {"filename": "x.zip", "size": len(content), "options": {}}
        answers = list(child._answer(request, io.BytesIO(content), 0))
        assert [head.get("error") for head, _ in answers] == [None] * files
        times.append(listed)
    assert times[0] == times[1]


def test_a_reader_goes_on_after_a_file_that_it_refused() -> None:
    with open_reader() as reader:
        errors = [
            part.error
            for text in (b"", CSV.encode())
            for part in reader.read_content(text, "x.csv")
        ]
    assert errors == ["the file is empty", None]


def test_a_reader_process_is_used_again_and_ends_when_no_file_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "IDLE_SECONDS", 0.5)
    pids = []
    for _ in range(2):
        with open_reader() as reader:
            (part,) = reader.read_content(CSV.encode(), "x.csv")
            pids.append(reader.pid)
        assert part.error is None
    assert pids[0] == pids[1]
    wait_until(lambda: not Path(f"/proc/{pids[0]}").exists(), "it ends")


def test_a_folder_accounts_for_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("MSFT.csv", "AAPL.CSV", "b/IBM.parquet", "notes.docx", "._AAPL.csv"):
        (tmp_path / name).write_text("x")
    found = {
        file.path.relative_to(tmp_path).as_posix(): file.skipped for file in find_files(tmp_path)
    }
    assert found == {
        "._AAPL.csv": "a hidden file, such as macOS leaves beside others",
        "AAPL.CSV": None,
        "MSFT.csv": None,
        "b/IBM.parquet": None,
        "notes.docx": "no file of bars by its name",
    }


def test_tables_below_each_other_are_refused_whatever_stands_between() -> None:
    """The rows of the second used to be taken for more rows of the first."""
    bars = CSV.replace("Symbol,", "").replace("NA,", "")
    two = f"AAPL - Apple Inc.\n{bars}\nMSFT - Microsoft\n{bars.replace('17,', '18,')}"
    with pytest.raises(BadInput, match="names the columns anew, below 'MSFT - Microsoft'"):
        settle(two)
    settle(bars + bars)  # One table whose header is repeated.
    for above in ("Page 2 of 3", "https://www.a.example", "Downloaded from Barchart.com", "Total"):
        settle(f"{bars}{above}\n{bars.replace('17,', '18,')}")


def test_a_table_with_another_name_than_its_file_is_asked_about() -> None:
    bars = CSV.replace("Symbol,", "").replace("NA,", "")
    workbook = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(bars)):
        workbook.active.append(row)
    excel = io.BytesIO()
    for name, title in (
        ("MSFT", "MSFT"),
        ("Sheet1", None),
        ("OHLC", None),
        ("USD", None),
        ("DATEN", None),
    ):
        workbook.active.title = name
        excel = io.BytesIO()
        workbook.save(excel)
        assert settle(excel.getvalue(), "AAPL.xlsx").title == title
    assert settle(f"MSFT\n{bars}", "AAPL.csv").title == "MSFT"
    assert settle(f"Daily prices\n{bars}", "AAPL.csv").title is None
    assert settle(f"NYSE\nMSFT\n{bars}", "AAPL.csv").title == "MSFT"
    for word in ("YAHOO", "CSV", "INDEX", "YTD", "JAN", "USA", "CLOSE"):
        assert settle(f"{word}\n{bars}", "AAPL.csv").title is None


def test_entries_of_a_folder_that_are_no_files_are_named(tmp_path: Path) -> None:
    """Links to folders and to nothing, pipes and sockets used to be left out without a message."""
    folder, beyond = tmp_path / "prices", tmp_path / "beyond"
    folder.mkdir()
    beyond.mkdir()
    for file in (folder / "AAPL.csv", beyond / "MSFT.csv"):
        file.write_text("x")
    for link, target in {"IBM.csv": beyond / "MSFT.csv", "more": beyond, "self": folder}.items():
        (folder / link).symlink_to(target)
    (folder / "GONE.csv").symlink_to(folder / "nowhere")
    (folder / "RING.csv").symlink_to(folder / "RING.csv")
    os.mkfifo(folder / "PIPE.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "SOCK.csv"))
        found = {file.path.name: file.skipped or file.error for file in find_files(folder)}
    gone = "cannot be read: a link to what is not there"
    link = "a link to a folder: name it to import what it holds"
    other = "no file but a pipe, a socket or a device"
    assert found == {
        "AAPL.csv": None,
        "GONE.csv": gone,
        "IBM.csv": None,
        "PIPE.csv": other,
        "RING.csv": gone,
        "SOCK.csv": other,
        "more": link,
        "self": link,
    }
    with pytest.raises(BadInput, match="no file but a pipe"):
        find_files(folder / "PIPE.csv")
    with pytest.raises(BadInput, match="cannot be read: File name too long"):
        find_files(folder / ("A" * 300))


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of its last row used to be stored: a price or a volume that nobody wrote."""
    path, looks = tmp_path / "NA.csv", []
    path.write_text(CSV)
    look = os.fstat

    def write_in_between(file: int) -> os.stat_result:
        looks.append(file)
        if len(looks) == 2:  # As another process does, once the content is read.
            path.write_text(CSV + "NA,2001-09-18,16.0,17.0")
        return look(file)

    assert child._read_file(path) == CSV.encode()
    monkeypatch.setattr(child.os, "fstat", write_in_between)
    with pytest.raises(BadInput, match="it changed while it was read"):
        child._read_file(path)


def test_a_missing_path_and_a_folder_without_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no file or folder"):
        find_files(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no file of bars"):
        find_files(tmp_path)


@pytest.mark.parametrize(
    ("filename", "ticker"),
    [
        ("AAPL.csv", "AAPL"),
        ("/a/BRK.B.csv", "BRK.B"),
        ("^GSPC.csv.gz", "^GSPC"),
        ("7203.T.parquet", "7203.T"),
        ("daily_adjusted_AVX.csv", "AVX"),
        ("aapl_us_d.csv", "aapl"),
        ("BTCUSDT-1h-2024-01.zip", "BTCUSDT"),
        ("NASDAQ_AAPL, 1D.csv", "AAPL"),
        ("AAPL Historical Data.csv", "AAPL"),
        ("AAPL (1).csv", "AAPL"),
    ],
)
def test_file_is_named_after_its_ticker(filename: str, ticker: str) -> None:
    owner = find_owner(filename)
    assert owner.ticker == ticker
    assert (owner.note is None) == (
        filename.rsplit("/", 1)[-1].split(".csv", maxsplit=1)[0].split(".parq", maxsplit=1)[0]
        == ticker
    )


@pytest.mark.parametrize(
    "filename", ["GOODC_2023.csv", "GOODC-2023-01.csv", "my prices.csv", "HistoricalData_17.csv"]
)
def test_a_file_name_that_is_not_clearly_a_ticker_is_refused(filename: str) -> None:
    with pytest.raises(BadInput, match="whose bars these are"):
        find_owner(filename)


@pytest.mark.parametrize(
    "filename",
    [
        "7203/2023.csv",
        "a.zip/AAPL/2024-01.csv",
        "AAPL/20240102.csv",
        "AAPL/2024Q1.csv",
        "AAPL/part-00000-af3c.csv",
        "AAPL/data_1.csv",
        "AAPL/D1.csv",
        "AAPL/5min.csv",
        "x/part-0.parquet",
    ],
)
def test_a_file_named_after_a_part_of_a_table_is_asked_about(filename: str) -> None:
    """If a market was named, it used to become a ticker of its own, or one ticker with the bars of
    many folders.
    """
    with pytest.raises(BadInput, match="say whose bars these are") as refused:
        find_owner(filename)
    folder = filename.split("/")[-2]
    assert f"(ticker {'AAPL' if folder == 'x' else folder})" in str(refused.value)


@pytest.mark.parametrize(
    ("filename", "ticker"),
    [
        ("bars/ticker=AAPL/part-0.csv", "AAPL"),
        ("bars.zip/Symbol=BTC%2DUSD/year=2024/data.parquet", "BTC-USD"),
        ("2024/AAPL.csv", "AAPL"),
        ("year=2024/AAPL.csv", "AAPL"),
        ("prices/2002.csv", "2002"),
        ("JP/2002.csv", "2002"),
        ("TWSE/2002.csv", "2002"),
        ("hkex.zip/SEHK/2007.csv", "2007"),
        ("SG/D05.csv", "D05"),
        ("KS/201490.csv", "201490"),
        ("D.csv", "D"),
    ],
)
def test_a_folder_names_the_ticker_only_if_its_name_is_clear(filename: str, ticker: str) -> None:
    assert find_owner(filename).ticker == ticker


BAR = {"open": 2, "high": 4, "low": 1, "close": 3, "volume": 5}
BARS = [{"date": "2024-01-02", **BAR}]


@pytest.mark.parametrize(
    "document",
    [
        {"AAPL": {"2024-01-02": BAR}, "0700": {"2024-01-02": BAR}},
        {ticker: {name: [x] for name, x in BARS[0].items()} for ticker in ("AAPL", "0700")},
        {"AAPL": BARS, "0700": BARS},
        {"bars": {"AAPL": BARS, "XYZ": [], "0700": BARS}, "next_page_token": None},
        {t: {"meta": {"symbol": t}, "values": BARS, "status": "ok"} for t in ("AAPL", "0700")},
        {"results": [{"ticker": "AAPL", "bars": BARS}, {"ticker": "0700", "bars": BARS}]},
    ],
)
def test_documents_of_several_tickers_lose_none(document: Any) -> None:
    settled = settle(json.dumps(document), "x.json")
    assert settled.written["ticker"].to_pylist() == ["AAPL", "0700"]
    assert settled.numbers["close"].tolist() == [3, 3]


@pytest.mark.parametrize("tickers", [["7203", "6758"], ["0005", "0001"], ["600519", "000001"]])
def test_numeric_tickers_are_no_intervals(tickers: list[str]) -> None:
    document = dict.fromkeys(tickers, BARS)
    assert settle(json.dumps(document), "x.json").written["ticker"].to_pylist() == tickers
    (one, _) = tickers
    assert settle(json.dumps({one: BARS}), "x.json").written["ticker"].to_pylist() == [one]


def test_a_document_of_one_named_ticker_uses_the_name() -> None:
    settled = settle(json.dumps({"bars": {"AAPL": BARS}, "next_page_token": None}), "x.json")
    assert settled.written["ticker"].to_pylist() == ["AAPL"]
    nested = settle(json.dumps({"AAPL": {"2024-01-02": BAR}}), "x.json")
    assert nested.ticker == "AAPL"
    assert settle(json.dumps({"OUTPUT": {"LIST": BARS}}), "x.json").ticker is None


@pytest.mark.parametrize("names", [("60", "240"), ("first one", "other")])
def test_several_lists_without_a_ticker_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match="several lists of candles") as refused:
        settle(json.dumps({name: {"list": BARS} for name in names}), "x.json")
    assert ", ".join(names) in refused.value.message


def test_values_beside_candles_are_not_taken_for_candles() -> None:
    document = {"dividends": [{"date": "2023-11-10", "amount": 0.24}], "rows": BARS}
    assert settle(json.dumps(document), "x.json").numbers["close"].tolist() == [3]


def test_chart_of_yahoo_is_read() -> None:
    quote = {name: [value] for name, value in BAR.items()}
    result = {
        "meta": {"symbol": "AAPL", "currency": "USD"},
        "timestamp": [1704205800],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": [2.9]}]},
    }
    settled = settle(json.dumps({"chart": {"result": [result], "error": None}}), "x.json")
    assert settled.written["ticker"].to_pylist() == ["AAPL"]
    assert settled.numbers["close"].tolist() == [3]
    assert settled.times.seconds.tolist() == [1704205800]


NAMES = ["Date", "Close", "High", "Low", "Open", "Volume"]
ROW = ["2024-01-02", 3, 4, 1, 2, 7]


@pytest.mark.parametrize(
    "document",
    [
        {"columns": NAMES, "index": [0], "data": [ROW]},
        {"columns": NAMES, "splits": [["2024-01-02", 2]], "data": [ROW]},
        {"columns": NAMES[1:], "index": ["2024-01-02"], "data": [ROW[1:]]},
        {"dataset": {"dataset_code": "X", "column_names": NAMES, "data": [ROW]}},
        {"datatable": {"data": [ROW], "columns": [{"name": n, "type": "x"} for n in NAMES]}},
        {"code": 0, "data": {"fields": NAMES, "items": [ROW], "has_more": False}},
        {
            "history": {"columns": NAMES, "data": [ROW]},
            "history.cursor": {"columns": ["INDEX", "TOTAL"], "data": [[0, 1]]},
        },
    ],
    ids=[
        "split",
        "split with a table more",
        "split of an index",
        "dataset",
        "datatable",
        "items",
        "history",
    ],
)
def test_rows_with_their_column_names_beside_them_are_read(document: object) -> None:
    settled = settle(json.dumps(document), "x.json")
    read = {name: values.tolist() for name, values in settled.numbers.items()}
    assert read == {"open": [2], "high": [4], "low": [1], "close": [3], "volume": [7]}
    assert settled.times.seconds.tolist() == [1704153600]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"columns": NAMES, "data": [ROW, ROW[1:]]}, "has 5 values where others have 6"),
        ({"columns": NAMES[1:], "index": [0], "data": [ROW[1:]] * 2}, "has 1 values where others"),
        ({"columns": [["Open", "A"], ["Close", "A"]], "data": [[1, 2]]}, "by several levels"),
        ({"columns": NAMES, "index": [["A", 1]], "data": [ROW]}, "by several levels"),
        ({"columns": NAMES, "AAPL": [ROW], "MSFT": [ROW]}, r"several tables \(AAPL, MSFT\)"),
    ],
)
def test_rows_that_do_not_fit_their_column_names_are_refused(
    document: object, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        settle(json.dumps(document), "x.json")


def test_rows_with_numbers_as_names_are_lists_without_names() -> None:
    """pandas writes a table without names like this."""
    document = {"columns": list(range(6)), "index": [0], "data": [["2024-01-02", 2, 4, 1, 3, 7]]}
    settled = settle(json.dumps(document), "x.json")
    assert {name: values.tolist() for name, values in settled.numbers.items()} == {
        "open": [2],
        "high": [4],
        "low": [1],
        "close": [3],
        "volume": [7],
    }


@pytest.mark.parametrize("is_backwards", [False, True])
def test_lists_without_names_may_have_the_close_first_and_the_open_last(
    *, is_backwards: bool
) -> None:
    """As in pandas' values, which have the close first and the open last."""
    days = [f"2024-01-{day:02}" for day in range(1, 25)]
    closes = [100 + 3 * (place % 4) for place in range(25)]
    bars = list(zip(days, closes[:-1], closes[1:], strict=True))
    for first, rows in (
        ("close", [[day, c, 200, 50, o, 7] for day, o, c in bars]),
        ("open", [[day, o, 200, 50, c, 7] for day, o, c in bars]),
    ):
        written = json.dumps(rows[::-1] if is_backwards else rows)
        opens = settle(written, "x.json").numbers["open"].tolist()
        assert (sorted(opens), opens[0]) == (
            sorted(closes[:-1]),
            closes[-2] if is_backwards else closes[0],
        ), first


@pytest.mark.parametrize(
    ("bars", "written", "night"),
    [(11, "%Y-%m-%d", 0.02), (40, "%Y-%m-%d", 0.02), (80, "%d/%m/%Y", 0.01)],
    ids=["few", "wild nights", "days first, which do not sort"],
)
def test_lists_are_read_with_the_open_first_unless_the_contrary_is_clear(
    bars: int, written: str, night: float
) -> None:
    for seed in range(60):
        random = np.random.default_rng(seed)
        jumps = random.normal(0.0, (night, 0.01), (bars, 2)).ravel()
        opens, closes = (100 * np.exp(jumps.cumsum())).reshape(bars, 2).round(2).T.tolist()
        days = [date(2024, 1, 1) + timedelta(place) for place in range(bars)]
        rows = [
            [f"{day:{written}}", o, max(o, c), min(o, c), c, 7]
            for day, o, c in zip(days, opens, closes, strict=True)
        ]
        assert settle(json.dumps(rows), "x.json").numbers["open"].tolist() == opens


@pytest.mark.parametrize(
    "document", [[NAMES], {"data": [NAMES]}, {"AAPL": [NAMES]}, {"columns": NAMES, "data": []}]
)
def test_names_without_a_row_are_no_candle(document: object) -> None:
    with pytest.raises(BadInput, match="it holds no candle"):
        settle(json.dumps(document), "x.json")


def test_exchange_and_currency_beside_the_candles_are_used() -> None:
    meta = {"symbol": "VOD", "currency": "GBp", "exchange": "LSE", "mic_code": "XLON"}
    quote = {name: [value] for name, value in BAR.items()}
    chart = {
        "meta": {"symbol": "VOD", "currency": "GBp", "exchangeName": "LSE"},
        "timestamp": [1704205800],
        "indicators": {"quote": [quote]},
    }
    for document in (
        {"meta": meta, "values": BARS},
        {"VOD": {"meta": meta, "values": BARS}},
        {"chart": {"result": [chart]}},
        {"data": [{**bar, **meta} for bar in BARS]},
    ):
        settled = settle(json.dumps(document), "x.json")
        assert settled.written["venue"].to_pylist() == ["LSE"]
        assert settled.written["currency"].to_pylist() == ["GBp"]


def test_a_vendors_error_message_is_quoted() -> None:
    with pytest.raises(BadInput, match="it says Information: our limit is 25 requests per day"):
        settle(json.dumps({"Information": "our limit is 25 requests per day"}), "x.json")


def build_zip(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "filename", "message"),
    [
        (build_zip("mimetype", "content.xml"), "x.ods", r"\.ods\): save it as \.xlsx"),
        (build_zip("mimetype", "content.xml"), "x.xlsx", r"\.ods\): save it as \.xlsx"),
        (build_zip("xl/workbook.bin"), "x.xlsb", r"\.xlsb\): save it as \.xlsx"),
        (b"\xd0\xcf\x11\xe0", "x.xls", r"old format \(\.xls\): save it as \.xlsx"),
        (CSV.encode(), "x.xls", "named as Excel's old format.* name such a file .csv"),
        (gzip.compress(CSV.encode()) + b"junk", "x.csv.gz", "behind its end is something else"),
        (CSV.replace(",", "  ").encode(), "x.txt", "parted by blanks .*: write them with commas"),
        (gzip.compress(gzip.compress(CSV.encode())), "x.csv.gz", "compressed twice by gzip"),
    ],
)
def test_other_spreadsheet_formats_are_refused_with_what_to_do(
    content: bytes, filename: str, message: str
) -> None:
    (part,) = read_parts(content, filename)
    assert re.search(message, str(part.error))


@pytest.mark.parametrize(
    "filename",
    [
        "AAPL Historische Daten.csv",
        "AAPL - Données Historiques.csv",
        "Datos históricos AAPL.csv",
        "Dati storici - AAPL.csv",
        "AAPL Dados Históricos.csv",
        "AAPL 過去データ.csv",
        "AAPL历史数据.csv",
    ],
)
def test_file_is_named_after_its_ticker_in_other_languages(filename: str) -> None:
    assert find_owner(filename).ticker == "AAPL"


@pytest.mark.parametrize("name", ["data", "Prices", "export", "daily (1)", "history", "table"])
def test_a_name_that_programs_give_to_any_export_is_no_ticker(name: str) -> None:
    with pytest.raises(BadInput, match="not clearly a ticker"):
        find_owner(f"{name}.csv")


def build_days(*days: int) -> list[dict[str, object]]:
    return [{**BAR, "time": f"2024-01-{day:02}"} for day in days]


def test_single_letters_above_lists_of_the_same_times_are_tickers() -> None:
    document = {"D": build_days(2, 3, 4), "W": build_days(2, 3, 4)}
    settled = settle(json.dumps(document), "x.json")
    assert settled.written["ticker"].to_pylist() == ["D"] * 3 + ["W"] * 3


def test_single_letters_that_may_be_intervals_are_asked_about() -> None:
    document = {"D": build_days(1, 2, 3, 4, 5, 8), "W": build_days(1, 8)}
    with pytest.raises(BadInput, match="D, W above its lists can be read two ways"):
        settle(json.dumps(document), "x.json")


def test_intervals_above_lists_apply_to_their_candles() -> None:
    document = {"symbol": "AAPL", "1d": build_days(2, 3, 4), "1w": build_days(1, 8)}
    settled = settle(json.dumps(document), "x.json")
    assert settled.written["interval"].to_pylist() == ["1d"] * 3 + ["1w"] * 2
    assert settled.ticker == "AAPL"


def build_quote(o: str, h: str, l: str, c: str) -> dict[str, str]:  # noqa: E741 - the field's
    return {"o": o, "h": h, "l": l, "c": c}


def test_mid_prices_are_the_candles() -> None:
    """As Oanda answers a request for candles."""
    candle = {
        "complete": True,
        "volume": 1017,
        "time": "2024-01-03T10:05:00.000000000Z",
        "mid": build_quote("1.1", "1.3", "1.0", "1.2"),
        "bid": build_quote("1.0", "1.2", "0.9", "1.1"),
    }
    document = {"instrument": "EUR_USD", "granularity": "M5", "candles": [candle]}
    settled = settle(json.dumps(document), "x.json")
    assert (settled.ticker, settled.written["interval"].to_pylist()) == ("EUR_USD", ["M5"])
    assert {name: values.tolist() for name, values in settled.numbers.items()} == {
        "open": [1.1], "high": [1.3], "low": [1.0], "close": [1.2], "volume": [1017],
    }  # fmt: skip
    assert settled.times.seconds.tolist() == [1704276300]


def list_bars(content: str, name: str) -> tuple[list[int], str]:
    """Return the start times, in seconds, of the bars that are read from a file, and the last
    note.
    """
    settled = settle(content, name)
    return settled.times.seconds.tolist(), settled.notes[-1]


DAYS = (1704153600, 1704240000, 1704326400)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("complete", ("true", "False")),
        ("is_closed", ("1", "0")),
        ("Confirm", ("yes", "no")),
    ],
)
def test_a_bar_marked_as_unfinished_is_left_out(name: str, words: tuple[str, str]) -> None:
    rows = [f"{day},1,1,1,1,{words[number // 2]}\n" for number, day in enumerate(DAYS)]
    times, note = list_bars(f"time,open,high,low,close,{name}\n" + "".join(rows), "x.csv")
    assert times == [*DAYS[:2]]
    assert note == f"1 bar is not finished yet, as {name} says, and left out (finished= keeps it)"
    with pytest.raises(BadInput, match="none of its bars is finished yet"):
        settle(f"time,open,high,low,close,{name}\n" + rows[2], "x.csv")


def test_a_column_that_only_looks_like_such_a_mark_is_ignored() -> None:
    content = "time,open,high,low,close,Closed\n2024-01-02,1,1,1,1,17.5\n2024-01-03,1,1,1,1,0\n"
    settled = settle(content)
    assert (len(settled), settled.aside) == (2, ("Closed",))
    said = "Closed says '17.5', neither yes nor no: no bar is left out as not finished"
    assert said in settled.notes


@pytest.mark.parametrize("words", ["00000", "00100"])
def test_a_mark_on_most_bars_must_mean_something_else(words: str) -> None:
    """For example a column of the days on which the exchange is closed."""
    rows = [f"2024-01-0{day},1,1,1,1,{word}\n" for day, word in enumerate(words, start=2)]
    with pytest.raises(BadInput, match=r"Closed says of [34] of 5 bars .* later ones follow them"):
        settle("time,open,high,low,close,Closed\n" + "".join(rows))


@pytest.mark.parametrize("words", ["00000", "00100", "11110"])
def test_a_user_can_say_that_no_column_marks_finished_bars(words: str) -> None:
    rows = [f"2024-01-0{day},1,1,1,1,{word}\n" for day, word in enumerate(words, start=2)]
    settled = settle("time,open,high,low,close,Closed\n" + "".join(rows), columns=["finished="])
    assert (len(settled), settled.aside) == (5, ("Closed",))
    assert settled.notes[-1] == "columns left aside: Closed"


def test_a_column_that_a_user_names_as_the_mark_must_be_one() -> None:
    content = "time,open,high,low,close,state\n2024-01-02,1,1,1,1,{}\n2024-01-03,1,1,1,1,{}\n"
    settled = settle(content.format("yes", "no"), columns=["finished=state"])
    assert settled.times.seconds.tolist() == [DAYS[0]]
    with pytest.raises(BadInput, match=r"state is to say .* and says 'partial'"):
        settle(content.format("yes", "partial"), columns=["finished=state"])


def test_each_bar_of_a_recorded_stream_is_read_once_it_is_finished() -> None:
    ticks = "".join(f"AAPL,{day},1,1,1,1,{word}\n" for day in DAYS for word in ("0", "0", "0", "1"))
    content = f"ticker,time,open,high,low,close,closed\n{ticks}MSFT,{DAYS[0]},1,1,1,1,0\n"
    times, note = list_bars(content, "x.csv")
    assert times == [*DAYS]
    assert (
        note == "10 bars are not finished yet, as closed says, and left out (finished= keeps them)"
    )


def test_the_unfinished_candle_of_oanda_is_left_out() -> None:
    candles = [
        {
            "complete": number < 2,
            "volume": 10,
            "time": str(day),
            "mid": build_quote("1.1", "1.3", "1.0", "1.2"),
        }
        for number, day in enumerate(DAYS)
    ]
    content = json.dumps({"instrument": "EUR_USD", "granularity": "D", "candles": candles})
    assert list_bars(content, "x.json") == (
        [*DAYS[:2]],
        "1 bar is not finished yet, as complete says, and left out (finished= keeps it)",
    )


def test_the_unfinished_candles_of_okx_gate_kraken_and_yahoo_are_left_out() -> None:
    okx = [[str(day), "3.7", "3.8", "3.6", "3.7", "84", "22", "22", "1"] for day in DAYS]
    okx[2][8] = "0"
    gate = [[str(day), "97", "3.7", "3.8", "3.6", "3.75", "44", "true"] for day in DAYS]
    gate[2][7] = "false"
    kraken = [[day, "3.7", "3.8", "3.6", "3.7", "3.7", "84", 22] for day in DAYS]
    opens = [3.7] * 3
    chart = {
        "meta": {
            "symbol": "AAPL",
            "regularMarketTime": DAYS[2] + 60_000,
            "currentTradingPeriod": {"regular": {"start": DAYS[2], "end": DAYS[2] + 75_600}},
        },
        "timestamp": DAYS,
        "indicators": {"quote": [dict.fromkeys(("open", "high", "low", "close"), opens)]},
    }
    for document, word in (
        ({"code": "0", "data": okx}, "confirm"),
        (gate, "window_closed"),
        ({"error": [], "result": {"XXBTZUSD": kraken, "last": DAYS[1]}}, "complete"),
        ({"chart": {"result": [chart], "error": None}}, "complete"),
    ):
        said = f"1 bar is not finished yet, as {word} says, and left out (finished= keeps it)"
        assert list_bars(json.dumps(document), "x.json") == ([*DAYS[:2]], said)
        # In a chart of a thinly traded stock, requested in the evening, nothing says that its
        # session is over.
        assert len(settle(json.dumps(document), "x.json", columns=["finished="])) == 3
    assert settle(json.dumps(gate), "x.json").numbers["open"].tolist() == [3.75, 3.75]
    # Once the session is over, its bar is read like the others.
    chart["meta"]["regularMarketTime"] = DAYS[2] + 75_601
    assert len(settle(json.dumps({"chart": {"result": [chart], "error": None}}), "x.json")) == 3


@pytest.mark.parametrize(
    "order",
    [
        ("open", "close", "high", "low", "volume"),
        ("open", "close", "high", "low", "volume", "turnover"),
    ],
)
def test_candles_of_bitfinex_and_kucoin_are_recognised_by_their_highs_and_lows(
    order: tuple[str, ...],
) -> None:
    row = {"open": 3.7, "high": 3.9, "low": 3.6, "close": 3.8, "volume": 5.0, "turnover": 18.0}
    content = json.dumps([[day, *(row[name] for name in order)] for day in DAYS])
    numbers = settle(content, "x.json").numbers
    assert {name: values[0] for name, values in numbers.items()} == {
        name: row[name] for name in numbers
    }
    assert set(numbers) == {"open", "high", "low", "close", "volume"}


def test_the_turnover_of_huobi_is_not_its_volume() -> None:
    candle = {"id": DAYS[0], "open": 4, "close": 4, "low": 3, "high": 5, "amount": 12.5}
    document = {"ch": "market.btcusdt.kline.1day", "data": [candle | {"vol": 50.0, "count": 9}]}
    settled = settle(json.dumps(document), "x.json")
    assert settled.numbers["volume"].tolist() == [12.5]
    assert (settled.times.seconds.tolist(), settled.ticker) == ([DAYS[0]], "btcusdt")


def test_seconds_since_1970_take_precedence_over_a_local_time_without_zone() -> None:
    """EODHD has both; its local time is in UTC."""
    row = {"timestamp": 1704292200, "gmtoffset": 0, "datetime": "2024-01-03 14:30:00"}
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), 1)
    settled = settle(json.dumps([row | prices]), "x.json")
    assert settled.times.seconds.tolist() == [1704292200]
    assert settled.times.zoned.all()


def test_a_text_timestamp_may_be_the_time_of_recording() -> None:
    rows = "".join(f"2024-01-0{day},1,1,1,1,2024-01-09 20:15:00\n" for day in (2, 3, 4))
    settled = settle(f"Datetime,Open,High,Low,Close,Timestamp\n{rows}")
    assert settled.times.seconds.tolist() == [*DAYS]


def test_a_file_named_after_a_vendor_is_asked_about_unless_it_may_be_a_ticker() -> None:
    for name in ("coinbase.json", "Bloomberg (1).csv", "polygon.csv"):
        with pytest.raises(BadInput, match="not clearly a ticker"):
            find_owner(name)
    assert find_owner("POLYGON.csv").ticker == "POLYGON"


@pytest.mark.parametrize("name", ["Security", "Ticker:", "RIC"])
def test_a_row_above_the_header_may_name_the_ticker(name: str) -> None:
    bars = "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST\n01/31/2024,1,1,1,1\n"
    assert settle(f"{name},AAPL US Equity,,,\nPeriod,D\n\n{bars}").ticker == "AAPL US Equity"
    assert settle(f"RIC,AAPL.O\nSecurity,MSFT US Equity\n{bars}").ticker is None
    assert settle(f"Report,AAPL US Equity\n{bars}").ticker is None


def test_a_row_above_the_header_without_a_ticker_is_ignored() -> None:
    bars = "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST\n01/31/2024,1,1,1,1\n"
    for said in ("Security,Apple Inc.", "Instrument,Stock", "Asset,STOCK"):
        assert settle(f"{said}\n{bars}").ticker is None, said
    assert settle(f"Symbol,AAPL\nSecurity,Apple Inc.\n{bars}").ticker == "AAPL"
    # The refused name is quoted, with how to write it.
    assert settle(f"Security,SPX Index\n{bars}").ticker == "SPX Index"


def test_a_row_above_the_header_is_ignored_if_each_row_has_a_ticker() -> None:
    assert settle("Security,MSFT\n" + CSV).ticker is None


def test_one_of_several_quotes_is_chosen_by_name() -> None:
    candle = {
        "time": "2024-01-03T10:05:00Z",
        "bid": build_quote("1.0", "1.2", "0.9", "1.1"),
        "ask": build_quote("1.2", "1.4", "1.1", "1.3"),
    }
    content = json.dumps({"candles": [candle]})
    with pytest.raises(BadInput, match=r"bid\.c, ask\.o, .* Say which column is which"):
        settle(content, "x.json")
    chosen = [f"{name}=bid.{name[0]}" for name in ("open", "high", "low", "close")]
    assert settle(content, "x.json", columns=chosen).numbers["close"].tolist() == [1.1]


@pytest.mark.parametrize("names", [("ohlc",), ("raw", "adj")])
def test_prices_nested_below_an_unknown_name_are_refused(
    names: tuple[str, ...],
) -> None:
    quote = {"open": 1, "high": 1, "low": 1, "close": 1}
    candle = {"time": "2024-01-03", **dict.fromkeys(names, quote)}
    with pytest.raises(BadInput, match="expected a list of candles"):
        settle(json.dumps([candle]), "x.json")


@pytest.mark.parametrize("is_text", [True, False])
def test_a_time_of_day_in_parquet_is_recognised_by_its_first_rows_which_are_previewed(
    *, is_text: bool
) -> None:
    """Only names used to be examined: the time of day was ignored, so all bars of a day were at
    midnight, and the preview was empty.
    """
    clocks = pa.array(["09:30:00", "09:35:00"] if is_text else [time(9, 30), time(9, 35)])
    columns = {
        "Date": pa.array([date(2024, 1, 2)] * 2),
        "Local Time": clocks,
        **{name: pa.array([2.5, 3.5]) for name in ("open", "high", "low", "close")},
        "legs": pa.array([[1, 2], []]),
    }
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), sink)
    settled = settle(sink.getvalue(), "AAPL.parquet", timezone="America/New_York")
    assert settled.times.seconds.tolist() == [1704205800, 1704206100]
    preview = build_preview(sink.getvalue(), "AAPL.parquet", build_options())
    first = ["2024-01-02", "09:30:00", "2.5", "2.5", "2.5", "2.5", ""]
    assert (preview["rows"][0], len(preview["rows"])) == (first, 2)
