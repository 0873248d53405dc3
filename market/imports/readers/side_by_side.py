"""Reads the headers of tables that hold several tickers side by side (plain Python).

yfinance and pandas write a row of fields and a row of tickers above the data, in either order, or
flatten both into one row of names in several ways.
"""

import re
from collections.abc import Mapping, Sequence

from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import MOST_LETTERS, OTHERS, QUOTED_IN, build_key, find_field
from market.imports.columns import NO_NAMES, list_names, part_time
from market.imports.readers.headers import NUMBER, TIME, Header, Row

_TUPLE = re.compile(r"""\(\s*(?P<q>['"])(?P<a>.*?)(?P=q)\s*,\s*(?P<r>['"])(?P<b>.*?)(?P=r)\s*\)""")
_COPY = re.compile(r"\.\d+$")
# Cells below names that are no tickers: units, and the rule of a Markdown table.
_UNIT = re.compile(rf"{QUOTED_IN}|[$€£¥]|shares|contracts|lots|units|pcs|[\W_]+", re.IGNORECASE)
_PARTS = "|".join(
    (
        "adj[ _]?close",
        "stock[ _]splits",
        "capital[ _]gains",
        "dividends",
        "open",
        "high",
        "low",
        "close",
        "volume",
    )
)
_FIELD_FIRST = re.compile(rf"(?P<field>{_PARTS})[ _.:|/,-]+(?P<ticker>\S.*)", re.IGNORECASE)
_TICKER_FIRST = re.compile(rf"(?P<ticker>\S.*?)[ _.:|/,-]+(?P<field>{_PARTS})", re.IGNORECASE)
_WIDE_FIELDS = (*PRICES, "volume", "split")
_LABELS = (
    "",
    "price",
    "prices",
    "ticker",
    "tickers",
    "symbol",
    "symbols",
    "attributes",
    "date",
    "dates",
    "datetime",
)
# `open_price` and `close_time` are no columns of tickers named PRICE and TIME.
_NOT_TICKERS = {
    "price", "px", "bid", "ask", "mid", "usd", "usdt", "eur", "adj", "adjusted", "last", "prev",
    "time", "date",
    "interest", "int",
}  # fmt: skip
# Nor are `Open_raw` and `Open_x` columns of tickers RAW and X, where no other ticker is beside
# them: pandas adds _x and _y to the names of two joined tables. The same holds for `Daily Open`.
_KINDS = {
    "raw", "unadj", "unadjusted", "orig", "original", "old", "new", "left", "right", "real",
    "nominal", "bar", "candle", "daily", "day", "futures", "ha", "index", "local", "mark", "market",
    "official", "reg", "regular", "rth", "session", "spot", "stock", "trade", "weekly",
}  # fmt: skip


def match_levels(rows: Sequence[Row], position: int) -> Header | None:
    """Return the header of two or three rows of names (fields, tickers, the name of the time) in
    any order, or None.
    """
    block = [[cell.strip() for cell in row] for row in rows[position : position + 3]]
    width = max(map(len, block))
    block = [[*row, *[""] * (width - len(row))] for row in block]
    columns_of = [_find_field_columns(row) for row in block]
    left = min((min(columns) for columns in columns_of if columns), default=0)
    times = next((row for row in block if _is_time_row(row, left)), None)
    levels = [level for level in zip(block, columns_of, strict=True) if level[0] is not times]
    for fields_at in range(min(2, len(levels))):
        fields, columns = levels[fields_at]
        if columns is None:
            continue
        tickers = levels[1 - fields_at][0] if len(levels) > 1 else None
        named = _find_tickers(tickers, columns) if tickers is not None else None
        if named is None and (times is None or fields_at):
            continue
        if named is None:  # An empty name repeats the one before it only where there are tickers.
            columns = {at: field for at, field in columns.items() if fields[at]}
        labels = [row for row in (times, fields, tickers if named else None) if row is not None]
        if any(all(row is not one for one in block[: len(labels)]) for row in labels):
            continue  # An empty row after the first bars is not a row of names.
        return _build_levels(position, len(labels), labels, fields, columns, named)
    return None


def _build_levels(
    position: int,
    height: int,
    labels: Sequence[Row],
    fields: Row,
    columns: Mapping[int, str],
    tickers: Mapping[int, str] | None,
) -> Header | None:
    time = _find_time_column(labels, columns)
    groups = _group(
        {column: (tickers[column] if tickers else "", name) for column, name in columns.items()}
    )
    if time is None or not groups:
        return None
    names = [
        next((name for name in above if column not in columns and find_field(name) == "time"), "")
        for column, above in enumerate(zip(*labels, strict=True))
    ]
    return _build_wide(position + height, list(fields), _find_times(names, time), groups)


def _build_wide(
    first: int, names: list[str], times: dict[str, int], groups: dict[str, dict[str, int]]
) -> Header | None:
    for ticker, columns in groups.items():
        lacking = [name for name in PRICES if name not in columns]
        if lacking:
            raise BadInput(
                f"{ticker or 'the table'} has no column for {', '.join(lacking)} among"
                f" {list_names(names)}"
            )
    used = {*times.values()} | {
        column for columns in groups.values() for column in columns.values()
    }
    aside = [
        name
        for column, name in enumerate(names)
        if column not in used and name and build_key(name) not in _LABELS
    ]
    found: list[tuple[str | None, dict[str, int]]] = [
        (t or None, times | c) for t, c in groups.items()
    ]
    return Header(first, names, found, list(dict.fromkeys(aside)))


def _is_time_row(row: Row, left: int) -> bool:
    """Return whether a row only names times, to the left of the fields (`left`). T and DAY above or
    below fields are tickers.
    """
    return all(at < left and find_field(cell) == "time" for at, cell in enumerate(row) if cell)


def _find_field_columns(row: Row) -> dict[int, str] | None:
    """Return the field of each column, where a row only names fields, besides labels; "" for a
    field that is not read. None for other rows.
    """
    columns: dict[int, str] = {}
    last = ""
    for position, cell in enumerate(row):
        name = _COPY.sub("", cell)
        key = build_key(name)
        is_field = key in OTHERS or find_field(name) in _WIDE_FIELDS
        if is_field and not (position == 0 and key == "price"):
            last = name
        elif cell or not columns:
            is_label = build_key(cell) in _LABELS or find_field(cell) == "time"
            if position > 1 or not is_label:
                return None
            continue
        columns[position] = "" if build_key(last) in OTHERS else str(find_field(last))
    found = set(columns.values())
    return columns if found >= set(PRICES) else None


def _find_tickers(row: Row, columns: Mapping[int, str]) -> dict[int, str] | None:
    """Return the ticker of each column of a field; None where the row has other cells than
    tickers.
    """
    tickers: dict[int, str] = {}
    last = ""
    before = [build_key(row[position]) for position in range(min(columns))]
    if any(key not in _LABELS for key in before):
        return None
    label = any(key in {"ticker", "tickers", "symbol", "symbols"} for key in before)
    for position in columns:
        last = (
            _COPY.sub("", row[position])
            if _COPY.search(row[position]) and not last
            else row[position] or last
        )
        if not last or TIME.fullmatch(last) or find_field(last) in _WIDE_FIELDS:
            return None
        if not label and _UNIT.fullmatch(last):
            return None
        tickers[position] = last
    # A row of numbers only is data; tickers of digits (0700) come with a label.
    if not label and all(NUMBER.fullmatch(ticker) for ticker in tickers.values()):
        return None
    return tickers


def _find_time_column(labels: Sequence[Row], columns: Mapping[int, str]) -> int | None:
    """Return the column of times beside those of fields: the one with a name of times, else the
    only other column; None where there is neither.
    """
    free = [position for position in range(min(columns)) if position not in columns]
    for row in labels:
        for position in free:
            if find_field(row[position]) == "time":
                return position
    return free[0] if len(free) == 1 else None


def match_flattened(names: Row, position: int) -> Header | None:
    """Return the header of names such as `Close_AAPL`, `AAPL Close` and `('Close', 'AAPL')`."""
    parted: dict[int, tuple[str, str]] = {}
    time = None
    for column, name in enumerate(names):
        pair = _part_name(name)
        if pair is not None:
            parted[column] = pair
        elif time is None and find_field(name.strip("()'\", ")) == "time":
            time = column
    if len(parted) < 4:
        return None
    if time is None:
        free = [column for column in range(len(names)) if column not in parted]
        keys = {build_key(names[column]): column for column in free}
        time = keys.get("index", 0 if 0 in free and build_key(names[0]) in NO_NAMES else None)
    groups = _group(parted)
    # `Open_REAL` is a column of the ticker REAL; where all names are in upper case, it may not be.
    is_loud = all(names[column].isupper() for column in parted)
    if set(groups) == {"x", "y"} or all(
        build_key(ticker) in _KINDS and (is_loud or not ticker.isupper()) for ticker in groups
    ):
        return None
    if time is None or not any(set(PRICES) <= set(columns) for columns in groups.values()):
        return None
    # Beside a plain Volume, the word before prices is no ticker: it would be before Volume too.
    plain = (find_field(name) for column, name in enumerate(names) if column not in parted)
    if len(groups) == 1 and "volume" in plain:
        return None
    own = ["" if column in parted else name for column, name in enumerate(names)]
    return _build_wide(position + 1, list(names), _find_times(own, time), groups)


def _find_times(names: Row, time: int) -> dict[str, int]:
    """Return by field the column of the times, and that of the time of day beside it."""
    positions = {"time": time}
    part_time(names, positions)
    return positions


def _part_name(name: str) -> tuple[str, str] | None:
    """Return (ticker, field) of a flattened name; the field is "" where it is not read."""
    if len(name) > MOST_LETTERS:
        return None
    if match := _TUPLE.fullmatch(name):
        for ticker, part in ((match["b"], match["a"]), (match["a"], match["b"])):
            if ticker and (build_key(part) in OTHERS or find_field(part) in _WIDE_FIELDS):
                return ticker, "" if build_key(part) in OTHERS else str(find_field(part))
        return None
    match = _FIELD_FIRST.fullmatch(name) or _TICKER_FIRST.fullmatch(name)
    ticker = build_key(match["ticker"]) if match else ""
    if match is None or not ticker or ticker.isdigit() or ticker in _NOT_TICKERS:
        return None
    if find_field(name) is not None:  # A field with a currency: Open (ZAc).
        return None
    key = build_key(match["field"])
    return match["ticker"], "" if key in OTHERS else key


def _group(parted: Mapping[int, tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return by ticker the column of each field.

    Raises BadInput where two columns are the same field of one ticker.
    """
    groups: dict[str, dict[str, int]] = {}
    for column, (ticker, name) in parted.items():
        columns = groups.setdefault(ticker, {})
        if name and columns.setdefault(name, column) != column:
            whose = f" of {ticker}" if ticker else ""
            raise BadInput(
                f"columns {columns[name] + 1} and {column + 1} are both the {name}{whose}: say"
                f" which is meant ({name}={column + 1}), or leave the row of tickers in"
            )
    prices = set(PRICES)
    return {ticker: columns for ticker, columns in groups.items() if prices & set(columns)}
