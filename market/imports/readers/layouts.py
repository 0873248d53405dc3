"""Layouts of vendors' tables that cannot be read by the names of their columns only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MOMENT = r"1\d{9}(\d{3}){0,3}"
_PRICE = r"\d+(\.\d+)?"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a vendor's table is recognised, and what is known about it then.

    Attributes:
        vendor: the vendor's name.
        keys: names in the form of `build_key` that only this vendor's tables have together.
        names: the names of the columns, where the vendor writes none.
        shape: a pattern for each of the first cells, where there are no names.
        day_first: whether 03/04/2024 is in April.
        decimal: the decimal separator.
    """

    vendor: str
    keys: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    shape: tuple[str, ...] = ()
    day_first: bool | None = None
    decimal: str | None = None


KLINE = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume",
    "taker_buy_quote_volume", "ignore",
)  # fmt: skip

LAYOUTS = (
    Layout("Nasdaq.com", frozenset({"closelast"}), day_first=False, decimal="."),
    Layout("Barchart", frozenset({"chg", "last", "change", "time"}), day_first=False, decimal="."),
    Layout("MetaTrader", frozenset({"tickvol", "spread", "date"}), decimal="."),
    Layout("Stooq", frozenset({"per", "date", "time", "openint"}), decimal="."),
    Layout("J-Quants", frozenset({"code", "adjustmentfactor"}), decimal="."),
    Layout("J-Quants", frozenset({"code", "adjfactor"}), decimal="."),
    Layout("Tiingo", frozenset({"adjclose", "divcash", "splitfactor"}), decimal="."),
    Layout("Alpha Vantage", frozenset({"adjustedclose", "dividendamount"}), decimal="."),
    Layout("Binance", frozenset({"opentime", "closetime"}), decimal="."),
    Layout("Polygon", frozenset({"windowstart", "transactions"}), decimal="."),
    Layout("Bloomberg", frozenset({"pxlast", "pxopen"})),
    Layout(
        "Binance",
        names=KLINE,
        shape=(_MOMENT, *[_PRICE] * 5, _MOMENT, _PRICE, r"\d+", _PRICE, _PRICE, r"\d+"),
        decimal=".",
    ),
)


def find_layout(keys: Sequence[str]) -> Layout | None:
    """Return the first layout of which all keys are among these, or None."""
    found = set(keys)
    return next((layout for layout in LAYOUTS if layout.keys and layout.keys <= found), None)


def find_nameless(cells: Sequence[str]) -> Layout | None:
    """Return the layout without names whose shape a first row of data has, or None."""
    for layout in LAYOUTS:
        if layout.shape and len(cells) == len(layout.shape):
            pairs = zip(layout.shape, cells, strict=True)
            if all(re.fullmatch(pattern, cell) for pattern, cell in pairs):
                return layout
    return None
