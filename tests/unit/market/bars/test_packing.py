"""Packed columns: whichever function reads them, the numbers are the same to the last bit."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.bars.buckets import COLUMNS, VALUES, Columns, join_buckets, pack_columns, read_columns
from market.bars.packing import (
    HEADER_BYTES,
    WIDTHS,
    get_packed,
    read_times,
    read_values,
    split_columns,
)
from market.bars.store import PackedBuckets

DAY = 86_400
FIRST = 1_700_006_400
ANY = st.floats(width=64) | st.sampled_from([-0.0, 0.0, np.nan, np.inf, 2.0**53, 2.0**63, 5e-324])
KINDS = {
    "any": ANY,
    "cents": st.integers(-(10**6), 10**7).map(lambda n: n / 100),
    "six decimals": st.integers(0, 10**12).map(lambda n: n / 10**6),
    "float32": st.floats(width=32),
    "whole": st.integers(0, 2**54).map(float),
    "few": st.integers(0, 100).map(float),
}


def list_bits(columns: Columns) -> dict[str, list[bytes]]:
    return {
        name: [struct.pack("<q" if name == "times" else "<d", value) for value in columns[name]]
        for name in COLUMNS
    }


def read_plainly(packed: bytes, begin: int, end: int) -> Columns:
    _, columns = split_columns(packed)
    values: dict[str, Any] = {
        name: read_values(columns[name], begin, end) for name in COLUMNS if name != "times"
    }
    return {"times": read_times(columns["times"])[begin:end]} | values


@st.composite
def draw_bars(draw: st.DrawFn) -> Columns:
    count = draw(st.integers(1, 40))
    unit = draw(st.sampled_from([1, 60, DAY, 2**33]))
    steps = draw(arrays(np.int64, count, elements=st.integers(1, draw(st.sampled_from([3, 9**5])))))
    columns: Columns = {"times": FIRST + np.cumsum(steps * unit)}
    for name in VALUES:
        kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        columns[name] = np.array(draw(st.lists(kind, min_size=count, max_size=count)), np.float64)
    return columns


@pytest.mark.slow
@given(st.lists(draw_bars(), min_size=1, max_size=4), st.data())
def test_every_reader_gives_back_what_was_packed(parts: list[Columns], data: st.DataObject) -> None:
    binaries = [pack_columns(part) for part in parts]
    counts = [len(part["times"]) for part in parts]
    buckets = PackedBuckets(binaries, counts)
    rows, kept = 0, []
    for part, binary in zip(parts, binaries, strict=True):
        count = len(part["times"])
        begin = data.draw(st.integers(0, count))
        end = data.draw(st.integers(begin, count))
        expected = {name: part[name][begin:end] for name in COLUMNS}
        assert list_bits(read_columns({"columns": binary})) == list_bits(part)
        assert list_bits(read_plainly(binary, begin, end)) == list_bits(expected)
        kept.append((rows + begin, rows + end))
        rows += count
    whole = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    expected = {
        name: np.concatenate([whole[name][begin:end] for begin, end in kept]) for name in COLUMNS
    }
    times = buckets.unpack_times()
    assert times.tolist() == whole["times"].tolist()
    found = buckets.unpack_values(np.array(kept, np.int64))
    assert list_bits({"times": expected["times"], **found}) == list_bits(expected)


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("times", [FIRST, FIRST + DAY, FIRST + 4 * DAY], "b"),
        ("times", [FIRST, FIRST + 7, FIRST + 10**6], "i"),
        ("times", [0, 2**40 + 1], "q"),
        ("close", [101.25, 101.5, 100.0], "h"),
        ("close", [101.25, 1_101.5, 100.01], "i"),
        ("close", [101.25, 101.26, 101.0], "b"),
        ("close", [0.000123, 0.5, 0.25], "i"),
        ("close", [float(np.float32(101.1)), float(np.float32(99.7))], "f"),
        ("close", [101.1, 1 / 3], "d"),
        ("close", [101.1, np.nan], "d"),
        ("close", [0.0, -0.0], "f"),
        ("volume", [1_000_000.0, 1_500_000.0], "i"),
        ("volume", [2.0**40, 2.0**41], "f"),
        ("volume", [1e10 + 1, 9e10], "d"),
    ],
)
def test_a_column_has_the_narrowest_type_that_is_exact(
    name: str, values: list[float], form: str
) -> None:
    columns = {other: np.ones(len(values)) for other in VALUES}
    columns |= {"times": np.arange(len(values)) * DAY}
    columns[name] = np.array(values, columns[name].dtype)
    packed = pack_columns(columns)
    assert split_columns(packed)[1][name].form == form  # type: ignore[index]
    others = 5 * 8
    size = len(values) * WIDTHS[form]
    assert len(packed) == HEADER_BYTES + others + size + -size % 8


def test_bars_stored_with_a_binary_for_each_column_are_read_too() -> None:
    columns: Columns = {name: np.array([1.5, 2.25, np.nan]) for name in VALUES}
    columns["times"] = np.array([FIRST, FIRST + DAY, FIRST + 2 * DAY])
    wide = {name: columns[name].tobytes() for name in COLUMNS}
    for read in (read_columns(wide), join_buckets([wide])):  # type: ignore[arg-type,list-item]
        assert list_bits(read) == list_bits(columns)
    assert list_bits(read_plainly(get_packed(wide), 0, 3)) == list_bits(columns)


@pytest.mark.parametrize("cut", [1, 3, 8, 16, 80, 150])
def test_a_binary_that_was_cut_short_is_refused(cut: int) -> None:
    columns: Columns = {name: np.arange(9) + 0.25 for name in VALUES}
    columns["times"] = FIRST + np.arange(9) * DAY
    whole = pack_columns(columns)
    torn = whole[:-cut]
    with pytest.raises(ValueError, match="torn"):
        read_columns({"columns": torn})
    with pytest.raises(ValueError, match="torn"):
        PackedBuckets([whole, torn, whole], [9, 9, 9]).unpack_times()
    with pytest.raises(ValueError, match="torn"):
        PackedBuckets([whole, whole], [9, 8]).unpack_times()


@pytest.mark.parametrize(
    ("name", "content"),
    [("close", b""), ("close", bytes(21)), ("times", bytes(27)), ("volume", bytes(32))],
)
def test_a_damaged_binary_of_one_column_is_refused(name: str, content: bytes) -> None:
    wide = {other: bytes(24) for other in COLUMNS}
    assert read_columns(wide)["close"].tolist() == [0.0] * 3  # type: ignore[arg-type]
    for torn in (wide | {name: content}, {n: wide[n] for n in COLUMNS if n != name}):
        with pytest.raises(ValueError, match="torn"):
            get_packed(torn)


ENTRIES = {name: 8 + 16 * place for place, name in enumerate(COLUMNS)}


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (ENTRIES["times"], ord("f")),  # Times are no floats.
        (ENTRIES["close"], ord("q")),  # Values are no times.
        (ENTRIES["close"], ord("x")),
        (ENTRIES["close"], 0),
        (ENTRIES["close"] + 4, 0),  # This many parts of length zero.
        (0, 9),
        (7, 0x80),
    ],
)
def test_an_impossible_header_is_refused_by_every_reader(at: int, told: int) -> None:
    columns: Columns = {name: np.array([1.0]) for name in VALUES}
    columns["times"] = np.array([FIRST])
    packed = bytearray(pack_columns(columns))
    packed[at] = told
    torn = bytes(packed)
    with pytest.raises(ValueError, match="torn"):
        split_columns(torn)
    with pytest.raises(ValueError, match="torn"):
        PackedBuckets([torn], [1]).unpack_times()
