"""Files of bars, readable and not."""

import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from core.errors import BadInput
from market.imports.sources.files import find_files, name_ticker, read_content, read_file

CSV = "Symbol,Date,Open,High,Low,Close,Volume\nNA,2001-09-17,16.0,17.07,15.73,16.99,8178700\n"


def test_csv_keeps_prices_to_the_last_digit_and_the_ticker_na() -> None:
    frame = read_content(CSV.encode(), "x.csv")
    assert frame.to_dict("records") == [
        {
            "Symbol": "NA",
            "Date": "2001-09-17",
            "Open": 16.0,
            "High": 17.07,
            "Low": 15.73,
            "Close": 16.99,
            "Volume": 8178700,
        }
    ]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_separator_is_found_in_the_header(separator: str) -> None:
    assert read_content(CSV.replace(",", separator).encode(), "x.csv")["Close"].tolist() == [16.99]


def test_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read_content(b"\xef\xbb\xbf" + CSV.encode(), "x.csv").columns[0] == "Symbol"


def test_ticker_of_digits_keeps_its_zeros() -> None:
    assert read_content(CSV.replace("NA,", "0700,").encode(), "x.csv")["Symbol"].tolist() == ["0700"]


def test_empty_cells_are_nothing() -> None:
    frame = read_content(b"date,open,high\n2001-09-17,,null\n", "x.csv")
    assert frame[["open", "high"]].isna().to_numpy().all()


def test_gzip_and_parquet_hold_the_same_table() -> None:
    expected = read_content(CSV.encode(), "x.csv")
    parquet = io.BytesIO()
    expected.to_parquet(parquet)
    pd.testing.assert_frame_equal(read_content(gzip.compress(CSV.encode()), "x.csv.gz"), expected)
    pd.testing.assert_frame_equal(read_content(parquet.getvalue(), "X.PARQUET"), expected)


@pytest.mark.parametrize("wrap", [lambda bars: bars, lambda bars: {"bars": bars}, lambda bars: {"candles": bars}])
def test_json_candles(wrap: object) -> None:
    candles = [{"t": 1000733400, "o": 16.0, "h": 17.07, "l": 15.73, "c": 16.99, "v": 8178700}]
    frame = read_content(json.dumps(wrap(candles)).encode(), "candles.json")  # type: ignore[operator] - a function
    assert frame.to_dict("records") == candles


def test_ticker_beside_json_candles_is_theirs() -> None:
    content = json.dumps({"ticker": "AAPL", "bars": [{"t": 1}, {"t": 2}]}).encode()
    assert read_content(content, "x.json")["ticker"].tolist() == ["AAPL", "AAPL"]


@pytest.mark.parametrize(
    ("content", "filename", "message"),
    [
        (b"", "x.csv", "the file is empty"),
        (b" \n", "x.csv", "the file is empty"),
        (b"\xff\xfe\x00", "x.csv", "cannot be read as csv"),
        (b"PAR1 but not really", "x.parquet", "cannot be read as parquet"),
        (b"not gzip", "x.csv.gz", "cannot be read as csv.gz"),
        (gzip.compress(CSV.encode())[:20], "x.csv.gz", "cannot be read as csv.gz"),
        (b"{", "x.json", "cannot be read as json"),
        (b"[" * 100_000, "x.json", "cannot be read as json"),
        (b'{"a": 1}', "x.json", "expected a list of candles"),
        (b"[1, 2]", "x.json", "expected a list of candles"),
        (b"[]", "x.json", "it holds no candle"),
        (b"a,b\n1,2,3,4\n1\n", "x.docx", "choose one of .csv, .csv.gz"),
    ],
)
def test_unreadable_content_is_refused(content: bytes, filename: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_content(content, filename)
    assert message in refused.value.message


def test_folder_gives_its_files_by_name_and_leaves_others(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("MSFT.csv", "AAPL.CSV", "b/IBM.parquet", "notes.docx"):
        (tmp_path / name).write_text("x")
    assert [file.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)] == [
        "AAPL.CSV",
        "MSFT.csv",
        "b/IBM.parquet",
    ]


def test_path_that_is_nowhere_and_folder_without_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no file or folder"):
        find_files(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no file of bars"):
        find_files(tmp_path)


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_file(tmp_path)


@pytest.mark.parametrize(
    ("filename", "ticker"),
    [("AAPL.csv", "AAPL"), ("/a/BRK.B.csv", "BRK.B"), ("^GSPC.csv.gz", "^GSPC"), ("7203.T.parquet", "7203.T")],
)
def test_file_is_named_after_its_ticker(filename: str, ticker: str) -> None:
    assert name_ticker(filename) == ticker
