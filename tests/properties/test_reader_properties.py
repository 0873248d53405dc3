"""Whatever bytes a file holds, reading ends in a table or in one clear error."""

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.imports.names import SUFFIXES
from market.imports.readers.process import Reader, open_reader
from market.imports.readers.unpacking import unpack

CSV = (
    "Date,Ticker,Open,High,Low,Close,Volume\n"
    "2024-01-02,AAPL,1.5,2.5,1,2,1000\n2024-01-03,AAPL,1.5,2.5,1,2,1000\n"
)


def build_examples() -> dict[str, bytes]:
    """Return a valid file of each kind."""
    frame = pd.read_csv(io.StringIO(CSV))
    parquet, excel, packed, book = io.BytesIO(), io.BytesIO(), io.BytesIO(), openpyxl.Workbook()
    frame.to_parquet(parquet)
    for row in [list(frame.columns), *frame.to_numpy().tolist()]:
        book.active.append(row)
    book.save(excel)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", CSV)
    return {
        ".csv": CSV.encode(),
        ".txt": CSV.encode("utf-16"),
        ".tsv": CSV.replace(",", "\t").encode(),
        ".csv.gz": gzip.compress(CSV.encode()),
        ".json": json.dumps(frame.to_dict("records")).encode(),
        ".parquet": parquet.getvalue(),
        ".xlsx": excel.getvalue(),
        ".zip": packed.getvalue(),
    }


EXAMPLES = build_examples()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with open_reader(wait_seconds=60) as opened:
        yield opened


def check_total(reader: Reader, content: bytes, name: str) -> None:
    """Check that reading this content ends in tables or errors, and that tables are consistent."""
    parts = list(reader.read_content(content, name))
    assert parts or name.endswith(".zip")
    for part in parts:
        if part.error is not None:
            assert 0 < len(part.error) <= 1_100
        elif part.skipped is None:
            settled = unpack(part)
            lengths = {len(values) for values in settled.numbers.values()} | {
                len(settled.times.bad),
                len(settled),
            }
            assert len(lengths) == 1
            assert len(settled.quote(0)[0]) <= 250


patient = settings(max_examples=150, deadline=None)


@patient
@given(content=st.binary(max_size=2_000), suffix=st.sampled_from(SUFFIXES))
def test_any_bytes_under_any_name_give_tables_or_errors(
    reader: Reader, content: bytes, suffix: str
) -> None:
    check_total(reader, content, "X" + suffix)


@patient
@given(data=st.data(), kind=st.sampled_from(list(EXAMPLES)))
def test_valid_files_with_changed_bytes_give_tables_or_errors(
    reader: Reader, data: st.DataObject, kind: str
) -> None:
    content = bytearray(EXAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    check_total(reader, bytes(content[: cut or None]), "X" + kind)


WORDS = (
    "|1|1.004|1,004|1.5|-1|1e999|nan|inf|2024-01-02|03/04/2024|45293|=1+1|1704171600000|0|2024-02-30|"
    "2024-01-02T10:00:00+99:99|12:00|AM|'"
)
CELLS = st.one_of(
    st.text(max_size=12), st.sampled_from([*WORDS.split("|"), "1" * 400, "9" * 25, '"'])
)
NAMES = st.sampled_from(
    [
        "Date",
        "Time",
        "Open",
        "High",
        "Low",
        "Close",
        "Volume",
        "Ticker",
        "Split",
        "Close_A",
        "('Close', 'A')",
        "",
        "Price",
    ]
)


@patient
@given(
    names=st.lists(st.one_of(NAMES, st.text(max_size=8)), min_size=1, max_size=12),
    rows=st.lists(st.lists(CELLS, max_size=12), max_size=6),
    separator=st.sampled_from(",;\t|"),
)
def test_tables_of_any_cells_give_tables_or_errors(
    reader: Reader, names: list[str], rows: list[list[str]], separator: str
) -> None:
    text = "\n".join(separator.join(row) for row in [names, *rows])
    check_total(reader, text.encode(errors="replace"), "X.csv")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["t", "o", "h", "l", "c", "v", "bars", "2024-01-02"]), st.text()
            ),
            inner,
        ),
    ),
    max_leaves=40,
)


@patient
@given(value=JSON)
def test_any_json_gives_tables_or_errors(reader: Reader, value: Any) -> None:
    check_total(reader, json.dumps(value).encode(), "X.json")
