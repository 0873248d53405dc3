"""Merging rows with stored bars, compared with a dictionary."""

import hashlib
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.bars.buckets import VALUES, Columns, build_bucket, read_column, split_spans
from market.bars.merging import merge_bars

Bars = dict[int, float]
bars = st.dictionaries(st.integers(0, 40), st.sampled_from([1.0, 2.0, 3.0]), max_size=20)


def columns_of(values: Bars) -> Columns:
    ordered = sorted(values)
    prices = np.array([values[time] for time in ordered], np.float64)
    return {"times": np.array(ordered, np.int64)} | dict.fromkeys(VALUES, prices)


@given(stored=bars, incoming=bars)
def test_incoming_rows_win(stored: Bars, incoming: Bars) -> None:
    merge = merge_bars(columns_of(stored), columns_of(incoming))
    both = stored | incoming
    assert merge.columns["times"].tolist() == sorted(both)
    for name in VALUES:
        assert merge.columns[name].tolist() == [both[time] for time in sorted(both)]
    assert int(merge.new.sum()) == len(incoming.keys() - stored.keys())
    assert int(merge.changed.sum()) == sum(
        incoming[t] != stored[t] for t in incoming.keys() & stored.keys()
    )


def test_one_changed_column_is_a_change() -> None:
    stored, incoming = columns_of({1: 1.0, 2: 1.0}), columns_of({1: 1.0, 2: 1.0})
    incoming["volume"] = np.array([1.0, 7.0])
    assert merge_bars(stored, incoming).changed.tolist() == [False, True]


def test_noise_of_a_price_is_no_change_and_the_stored_one_stays() -> None:
    """A vendor's 352.14, adjusted by factors whose product is one, comes as 352.1400000000001."""
    stored = columns_of({1: 352.14, 2: 352.14, 3: 352.14})
    noisy = 352.14 * 1.1 * 1.3 / 1.43
    assert noisy != 352.14
    incoming = columns_of({1: noisy, 2: 352.1400001, 3: 352.14})
    stored["volume"] = np.array([1e15, 1e15, 1e15])
    incoming["volume"] = np.array([1e15, 1e15, 1e15 + 1])
    merge = merge_bars(stored, incoming)
    assert merge.changed.tolist() == [False, True, True]
    assert merge.columns["close"].tolist() == [352.14, 352.1400001, 352.14]


def test_the_last_digit_of_a_coin_s_price_is_corrected() -> None:
    """Of eight decimals of a price of 97,123, a step of the last is a ten-trillionth."""
    stored, incoming = columns_of({1: 97123.12345678}), columns_of({1: 97123.12345679})
    incoming["volume"] = stored["volume"]
    merge = merge_bars(stored, incoming)
    assert merge.changed.tolist() == [True]
    assert merge.columns["close"].tolist() == [97123.12345679]


def test_what_is_stored_and_no_number_is_replaced() -> None:
    stored, incoming = columns_of({1: np.nan, 2: np.inf}), columns_of({1: 5.0, 2: 5.0})
    merge = merge_bars(stored, incoming)
    assert merge.changed.tolist() == [True, True]
    assert merge.columns["open"].tolist() == [5.0, 5.0]


def test_bucket_holds_one_calendar_year_as_one_little_endian_binary() -> None:
    times = np.array(["2000-12-29", "2001-01-02"], dtype="datetime64[s]").astype(np.int64)
    columns = {"times": times} | {name: np.array([1.5, 2.5]) for name in VALUES}
    spans = dict(split_spans(columns, "1d"))
    assert list(spans) == ["2000", "2001"]
    bucket = build_bucket("AAPL", "1d", "2001", spans["2001"], now=None)  # type: ignore[arg-type] - no moment is needed
    assert bucket["_id"] == "AAPL::1d::2001"
    # For a bucket of one bar, the first numbers of each column are everything: 2.5 is 25 tenths.
    entries = [(ord("b"), 1, 978393600), *[(ord("b"), 10, 25)] * 5]
    expected = struct.pack("<q", 1) + b"".join(struct.pack("<IIq", *entry) for entry in entries)
    assert bucket["columns"] == expected + bytes(8 * 6)
    values = struct.pack("<q5d", 978393600, *[2.5] * 5)
    assert bucket["sha256"] == hashlib.sha256(values).hexdigest()
    assert read_column(bucket, "close").tolist() == [2.5]
