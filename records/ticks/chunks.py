"""Turns trades into columns, and columns into trades. Pure functions."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.words import Side
from records.ticks.documents import TradeColumns

HOUR = 3_600_000_000
# A document has at most so many trades: a new trade rewrites it, and a read reads all of it.
MOST = 1_000
LETTERS: dict[Side, str] = {"buy": "b", "sell": "s", "unknown": "u"}
SIDES: dict[str, Side] = {letter: side for side, letter in LETTERS.items()}


class Trade(NamedTuple):
    """One trade: `time` is in microseconds since 1970, `side` is the taker's."""

    time: int
    id: str
    price: float
    amount: float
    side: Side


def place_of(trade: Trade) -> tuple[int, int, str]:
    """Return a trade's sort key in its series: time, then id, numeric ids in numeric order."""
    return trade.time, len(trade.id), trade.id


def pack(trades: Sequence[Trade]) -> TradeColumns:
    """Return trades as columns."""
    times, ids, prices, amounts, sides = zip(*trades, strict=True)
    return {
        "times": _to_bytes("q", times),
        "prices": _to_bytes("d", prices),
        "amounts": _to_bytes("d", amounts),
        "sides": "".join(LETTERS[side] for side in sides).encode(),
        "ids": "\n".join(ids),
    }


def unpack(columns: TradeColumns) -> Iterator[Trade]:
    """Yield the trades of columns."""
    return map(
        Trade,
        from_bytes("q", columns["times"]),
        columns["ids"].split("\n"),
        from_bytes("d", columns["prices"]),
        from_bytes("d", columns["amounts"]),
        (SIDES[letter] for letter in columns["sides"].decode()),
    )


def join(first: TradeColumns, second: TradeColumns) -> TradeColumns:
    """Return the columns of `first` followed by those of `second`."""
    return {
        "times": first["times"] + second["times"],
        "prices": first["prices"] + second["prices"],
        "amounts": first["amounts"] + second["amounts"],
        "sides": first["sides"] + second["sides"],
        "ids": f"{first['ids']}\n{second['ids']}",
    }


def _to_bytes(code: str, values: Sequence[Any]) -> bytes:
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def from_bytes(code: str, binary: bytes) -> "array[Any]":
    """Return a column (`q`: integers, `d`: floats) from little-endian bytes."""
    column: array[Any] = array(code, binary)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def to_bytes(values: Sequence[float]) -> bytes:
    """Return floats as little-endian bytes."""
    return _to_bytes("d", values)
