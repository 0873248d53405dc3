"""Small files that would need much memory or time: each is refused, and the resources that reading
took are measured.
"""

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from market.imports.readers.process import Part, Reader, open_reader

MIB = 2**20
HEAD = b"date,open,high,low,close\n"
ROW = b"2024-01-02,1,1,1,1\n"


def gzip_zeros(count: int, byte: bytes = b"0") -> bytes:
    """Return gzip of this many MiB of one byte, built piece by piece."""
    sink = io.BytesIO()
    with gzip.open(sink, "wb", 1) as file:
        for _ in range(count):
            file.write(byte * MIB)
    return sink.getvalue()


def pack_zip(name: str, count: int) -> bytes:
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as file,
    ):
        for _ in range(count):
            file.write(b"0" * MIB)
    return sink.getvalue()


def build_dictionary_parquet() -> bytes:
    """Return a file of some kB whose only text, of 1 MiB, stands in each of 2,000 rows: 2 GB when
    unpacked.
    """
    rows = 2_000
    days = pa.array(np.arange(rows, dtype=np.int32), pa.date32())
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array(["7" * MIB])
    )
    prices = pa.array(np.ones(rows))
    table = pa.table({"date": days, "open": texts, "high": prices, "low": prices, "close": prices})
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def build_wide_json(keys: int = 12_000) -> bytes:
    return json.dumps([{"time": "2024-01-02", f"k{number}": 1} for number in range(keys)]).encode()


def build_lying_parquet() -> bytes:
    """Return a file whose pandas metadata names a missing index and wrong types."""
    one = pa.array([1.0])
    table = pa.table(
        {"date": pa.array(["2024-01-02"]), "open": one, "high": one, "low": one, "close": one}
    )
    lies = {
        "index_columns": ["nowhere", {"kind": "range", "start": 0, "stop": 10**12, "step": 1}],
        "columns": 7,
    }
    sink = io.BytesIO()
    pa.parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(lies)}), sink)
    return sink.getvalue()


def build_workbook(sheet: str, shared: str = "") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", shared)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return sink.getvalue()


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><workbook>&j;</workbook>"
)
ATTACKS = {
    "dictionary.parquet": build_dictionary_parquet,
    "keys.json": build_wide_json,
    "line.csv.gz": lambda: gzip_zeros(500),
    "newlines.csv.gz": lambda: gzip_zeros(600, b"\n"),
    "columns.csv": lambda: b",".join(b"c%d" % number for number in range(1_000_000)) + b"\n",
    "wide.csv": lambda: b",".join(b"c%d" % number for number in range(20_000)) + b"\n",
    "bomb.zip": lambda: pack_zip("AAPL.csv", 600),
    "bomb.xlsx": lambda: pack_zip("xl/sharedStrings.xml", 600),
    "laughs.xlsx": lambda: build_workbook("<worksheet/>", LAUGHS),
    "deep.json": lambda: b"[" * 1_000_000,
    "deep_objects.json": lambda: b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "digits.json": lambda: b'[{"t":1,"o":' + b"9" * 100_000 + b',"h":1,"l":1,"c":1}]',
    "quotes.csv": lambda: HEAD + b'"' * 3_000_000,
    "cell.csv": lambda: HEAD + b"2024-01-02,1,1,1," + b"1" * 200_000 + b"\n",
    "mark.csv": lambda: b"\xef\xbb\xbf",
    "mark16.csv": lambda: b"\xff\xfe",
    "zeros.csv": lambda: b"\0" * 100_000,
    "half.parquet": lambda: build_lying_parquet()[:-10],
}


def read_in(reader: Reader, content: bytes, name: str) -> list[Part]:
    return list(reader.read_content(content, name))


def measure_peak(reader: Reader) -> int:
    """Return the peak memory of the reading process, in bytes."""
    status = Path(f"/proc/{reader.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_small_file_that_would_need_much_is_refused_within_bounds(name: str) -> None:
    content = ATTACKS[name]()
    assert len(content) < 10 * MIB
    with open_reader(wait_seconds=120) as reader:
        reader.warm_up()
        assert read_in(reader, HEAD + ROW, "first.csv")[0].error is None
        # The same process read other files before, whose memory is not counted.
        Path(f"/proc/{reader.pid}/clear_refs").write_text("5")
        idle, first = measure_peak(reader), reader.pid
        (part,) = read_in(reader, content, name)
        assert part.error
        assert len(part.error) < 1_500
        if reader.pid == first:  # Otherwise it was ended at its limit.
            assert measure_peak(reader) - idle < 700 * MIB
        assert read_in(reader, HEAD + ROW, "next.csv")[0].error is None


@pytest.mark.parametrize("cell", ["1 . . . " * 1_900 + "z", "1" * 15_000 + "z"])
def test_long_texts_that_are_nearly_a_name_or_a_number_are_scanned_once(cell: str) -> None:
    """If they were scanned again from each letter, the reader would reach its time limit."""
    notes = (",".join([cell, cell, "x", "x", "x", "x"]) + "\n").encode() * 290
    with open_reader(wait_seconds=60) as reader:
        (part,) = read_in(reader, notes + HEAD + ROW, "notes.csv")
    assert str(part.error).startswith("no usable column")


def test_wrong_metadata_of_pandas_is_ignored() -> None:
    with open_reader() as reader:
        (part,) = read_in(reader, build_lying_parquet(), "x.parquet")
    assert part.error is None


@pytest.mark.parametrize("digits", [400, 40_000])
def test_a_number_of_many_digits_affects_only_its_row(digits: int) -> None:
    content = HEAD + ROW + b"2024-01-03,1," + b"9" * min(digits, 30_000) + b",1,1\n"
    with open_reader() as reader:
        (part,) = read_in(reader, content, "x.csv")
    assert part.error is None


def test_reader_that_takes_too_long_is_ended() -> None:
    rows = b"".join(b"%d,1,1,1,1\n" % (1_700_000_000 + number) for number in range(400_000))
    with open_reader(wait_seconds=0.05) as reader:
        (part,) = read_in(reader, HEAD + rows, "x.csv")
        assert "more memory or time" in str(part.error)
