"""Which trades, snapshots and funding rates are possible."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.ticks.checks import FIELDS, MOST_LEVELS, REASONS, check_record
from market.ticks.fields import Unfit, read_time, to_datetime, to_microseconds

# 2026-01-05T12:00:00Z, in microseconds: 20,458.5 days of 86,400 s.
NOW = int(20_458.5 * 86_400) * 1_000_000
TRADE: dict[str, Any] = {"time": NOW, "id": "7", "price": 100.5, "amount": 2, "side": "buy"}
BOOK: dict[str, Any] = {
    "time": NOW,
    "sequence": 3,
    "bids": [[100.0, 1.0], [99.5, 2.0]],
    "asks": [[100.5, 1.0], [101.0, 4.0]],
}
RATE: dict[str, Any] = {"time": NOW, "rate": "0.0001", "mark_price": 100, "interval_hours": 8}


def refusal(kind: Any, record: Any) -> str:
    with pytest.raises(Unfit) as raised:
        check_record(kind, record, NOW)
    return raised.value.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": None}, "bad_time"),
        ({"time": "yesterday"}, "bad_time"),
        ({"time": -1}, "bad_time"),
        ({"time": -1e302}, "bad_time"),  # More microseconds than a float can hold.
        ({"time": 0}, "bad_time"),
        ({"time": "0"}, "bad_time"),
        ({"time": 4_321.5}, "bad_time"),  # From a clock that counts from its start.
        ({"time": "1970-01-01T12:00:00Z"}, "bad_time"),
        ({"time": "20260105"}, "bad_time"),  # Not August 1970.
        ({"time": 20_260_105}, "bad_time"),
        ({"time": "093000.123"}, "bad_time"),
        ({"time": "093000123"}, "bad_time"),
        ({"time": "202601050930"}, "bad_time"),  # Not June 1976.
        ({"time": True}, "bad_time"),
        ({"time": 10**30}, "bad_time"),
        ({"time": NOW + 5_000_001}, "in_future"),
        ({"id": None}, "bad_id"),
        ({"id": ""}, "bad_id"),
        ({"id": "a b"}, "bad_id"),
        ({"id": "a\nb"}, "bad_id"),
        ({"id": "x" * 65}, "bad_id"),
        ({"id": 1.5}, "bad_id"),
        ({"price": None}, "not_a_number"),
        ({"price": "dear"}, "not_a_number"),
        ({"price": float("inf")}, "not_a_number"),
        ({"price": True}, "not_a_number"),
        ({"price": 0}, "non_positive_price"),
        ({"price": -1}, "non_positive_price"),
        ({"amount": 0}, "non_positive_amount"),
        ({"amount": "-0.5"}, "non_positive_amount"),
        ({"side": "short"}, "bad_side"),
        ({"side": ["buy"]}, "bad_side"),
        ({"fee": 1}, "not_a_record"),
    ],
)
def test_an_impossible_trade_has_its_reason(change: dict[str, Any], reason: str) -> None:
    assert refusal("trades", TRADE | change) == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bids": [[100.5, 1]]}, "crossed_book"),
        ({"bids": [[101.5, 1]]}, "crossed_book"),
        ({"bids": [[99.5, 1], [100, 1]]}, "bids_not_falling"),
        ({"bids": [[99.5, 1], [99.5, 1]]}, "bids_not_falling"),
        ({"asks": [[101, 1], [100.5, 1]]}, "asks_not_rising"),
        ({"asks": [[101, 0]]}, "non_positive_amount"),
        ({"asks": [[-1, 1]]}, "non_positive_price"),
        ({"bids": [], "asks": []}, "empty_book"),
        ({"bids": "100"}, "bad_levels"),
        ({"bids": [[100]]}, "bad_levels"),
        ({"bids": {"100": 1}}, "bad_levels"),
        ({"bids": [[float(n), 1.0] for n in range(6_000, 0, -1)]}, "bad_levels"),
        ({"sequence": -1}, "bad_sequence"),
        ({"sequence": 2**63}, "bad_sequence"),
        ({"time": NOW + 6_000_000}, "in_future"),
    ],
)
def test_an_impossible_book_has_its_reason(change: dict[str, Any], reason: str) -> None:
    assert refusal("depth", BOOK | change) == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rate": 1.01}, "rate_out_of_range"),
        ({"rate": -1.01}, "rate_out_of_range"),
        ({"rate": None}, "not_a_number"),
        ({"mark_price": 0}, "non_positive_price"),
        ({"interval_hours": 0}, "not_a_number"),
        ({"next_time": "soon"}, "bad_time"),
    ],
)
def test_an_impossible_rate_has_its_reason(change: dict[str, Any], reason: str) -> None:
    assert refusal("funding", RATE | change) == reason
    assert reason in REASONS


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("record", [None, 1, "text", [1, 2]])
def test_a_value_that_is_no_object_is_rejected(kind: Any, record: Any) -> None:
    assert refusal(kind, record) == "not_a_record"


def test_a_valid_record_is_read_unchanged() -> None:
    trade = check_record("trades", TRADE | {"side": None}, NOW)
    assert trade == (NOW, "7", 100.5, 2.0, "unknown")
    book = check_record("depth", BOOK, NOW)
    assert book == (NOW, 3, ((100.0, 1.0), (99.5, 2.0)), ((100.5, 1.0), (101.0, 4.0)))
    rate: Any = check_record("funding", RATE, NOW)
    assert (rate["rate"], rate["index_price"], rate["next_time"]) == (0.0001, None, None)


def test_the_best_levels_of_a_deep_book_are_kept() -> None:
    bids = [[1_000.0 - n, 1.0] for n in range(200)]
    book: Any = check_record("depth", {"time": NOW, "bids": bids}, NOW)
    assert [price for price, _ in book.bids] == [1_000.0 - n for n in range(MOST_LEVELS)]


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05T12:00:00Z",
        "2026-01-05T21:00:00+09:00",
        "2026-01-05 12:00:00",
        NOW // 1_000_000,
        NOW // 1_000,
        NOW,
        NOW * 1_000,
        str(NOW // 1_000),
        float(NOW // 1_000_000),
    ],
)
def test_a_time_is_read_in_any_usual_form(written: object) -> None:
    assert read_time(written) == NOW


@given(st.integers(10**14, 253_402_300_799_999_999 // 10))
def test_microseconds_are_kept_exactly(time: int) -> None:
    assert to_microseconds(to_datetime(time)) == time
    assert read_time(to_datetime(time).isoformat()) == time


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.text("0123456789", min_size=1, max_size=5_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
_SOUND = {"trades": TRADE, "depth": BOOK, "funding": RATE}


@pytest.mark.parametrize("kind", FIELDS)
@given(data=st.data())
def test_whatever_is_sent_is_a_record_or_has_a_reason(kind: Any, data: st.DataObject) -> None:
    record: dict[str, Any] = dict(_SOUND[kind])
    record[data.draw(st.sampled_from(FIELDS[kind]))] = data.draw(_ANY)
    with suppress(Unfit):
        assert check_record(kind, record, NOW)
