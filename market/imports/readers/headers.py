"""Which rows of a table are names and which are data, and whose columns are whose (plain Python).

yfinance and pandas write several rows of names, a row of fields and one of tickers, in any order
and flattened in several ways; such tables hold the tickers side by side.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.errors import BadInput
from market.imports.columns import (
    CURRENCIES,
    OTHERS,
    Chosen,
    build_key,
    build_missing,
    choose_columns,
    find_field,
    find_missing,
    list_names,
)
from market.imports.names import is_spelled_as_ticker
from market.imports.options import ReadingOptions
from market.imports.readers.layouts import Layout, find_layout, find_nameless

Row = Sequence[str]

SEARCHED_ROWS = 30
_NUMBER = re.compile(r"[+-]?[$€£¥]?[\d.,' ]*\d[\d.,' ]*(?:[eE][+-]?\d+)?[KMB%]?")
_TIME = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}.*|\d{8}[ T-].*|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}.*"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_TUPLE = re.compile(r"""\(\s*(?P<q>['"])(?P<a>.*?)(?P=q)\s*,\s*(?P<r>['"])(?P<b>.*?)(?P=r)\s*\)""")
_COPY = re.compile(r"\.\d+$")
# What stands below names and is no ticker: units, and the line that Markdown draws.
_UNIT = re.compile(rf"{CURRENCIES}|[$€£¥]|shares|contracts|lots|units|pcs|[\W_]+", re.IGNORECASE)
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
_WIDE_FIELDS = ("open", "high", "low", "close", "volume", "split")
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


@dataclass(frozen=True, slots=True)
class Header:
    """What a table's first rows say.

    Attributes:
        first: the position of the first row of data.
        names: of the columns; positions from 1 where there are none.
        groups: for each ticker that has columns of its own (or one None) the column of each field.
        aside: columns that are not read.
        notes: what a reader of the report should know.
        layout: the vendor whose table this is, as far as that matters.
        inverse_split: whether the split column has old shares for each new one.
        ticker: whose bars they are, where a row above the names says so.
    """

    first: int
    names: list[str]
    groups: list[tuple[str | None, dict[str, int]]]
    aside: list[str]
    notes: list[str] = field(default_factory=list)
    layout: Layout | None = None
    inverse_split: bool = False
    ticker: str | None = None


def resolve_header(
    rows: Sequence[Row], options: ReadingOptions, *, has_names: bool = False
) -> Header:
    """Find the names among a table's first rows (the first one, where the kind of file says so).

    Raises BadInput.
    """
    if not rows:
        raise BadInput("the file is empty")
    searched = rows[:1] if has_names else rows[:SEARCHED_ROWS]
    for position in range(len(searched)):
        found = _resolve_at(rows, position, options)
        if found is not None:
            if position:
                preamble = (
                    f"{position} row{'s' * (position > 1)} above the column names are no bars"
                )
                has_own = any(own is not None or "ticker" in at for own, at in found.groups)
                ticker = None if has_own else _find_owner(searched[:position])
                found = replace(found, notes=[preamble, *found.notes], ticker=ticker)
            return found
    return _resolve_nameless(searched, options)


def _find_owner(above: Sequence[Row]) -> str | None:
    """Return whose bars follow, where one row above their names says so and nothing else:
    Security, AAPL US Equity. A company's name and a word such as Stock say nothing.
    """
    filled = ([cell.strip() for cell in row if cell.strip()] for row in above)
    pairs = [cells for cells in filled if len(cells) == 2]
    owners = {
        said
        for name, said in pairs
        if find_field(name.rstrip(":")) == "ticker" and is_spelled_as_ticker(said)
    }
    return owners.pop() if len(owners) == 1 else None


def looks_like_data(row: Row) -> bool:
    """Whether a row has numbers and times where names would be."""
    cells = [cell.strip() for cell in row if cell.strip()]
    values = sum(bool(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell)) for cell in cells)
    return len(cells) >= 4 and values >= len(cells) - 1


def _resolve_at(rows: Sequence[Row], position: int, options: ReadingOptions) -> Header | None:
    """Return the header that begins with this row, or None."""
    names = [cell.strip() for cell in rows[position]]
    if looks_like_data(names):
        return None
    if not options.columns:
        levels = _match_levels(rows, position) or _match_flattened(names, position)
        if levels is not None:
            return levels
    has_words = sum(find_field(name) is not None for name in names) >= 2
    if not has_words and not options.columns:
        return None
    try:
        chosen = choose_columns(names, options.columns)
    except BadInput:
        if not has_words and len([name for name in names if name]) < 4:
            return None
        raise
    if find_missing(chosen):
        return None
    clock = _find_clock(names, chosen.positions["time"], rows[position + 1 : position + 2])
    if clock is not None and "time" not in options.columns:
        chosen = choose_columns(names, {**options.columns, "time": clock})
    return _build_plain(position + 1, names, chosen)


def _find_clock(names: Sequence[str], at: int, rows: Sequence[Row]) -> str | None:
    """Return the name of the column datetime beside a timestamp that is not written in digits: it
    may be when the bar was noted, and has no zone of its own either.
    """
    is_number = any(_NUMBER.fullmatch(row[at].strip()) for row in rows if at < len(row))
    if build_key(names[at]) != "timestamp" or is_number:
        return None
    return next((name for name in names if build_key(name) == "datetime"), None)


def _build_plain(first: int, names: list[str], chosen: Chosen) -> Header:
    layout = find_layout([build_key(name) for name in names])
    groups: list[tuple[str | None, dict[str, int]]] = [(None, chosen.positions)]
    return Header(first, names, groups, chosen.aside, chosen.notes, layout, chosen.inverse_split)


def _resolve_nameless(rows: Sequence[Row], options: ReadingOptions) -> Header:
    """Return the header of a table without names,
    where a person or a well-known layout tells the columns.
    """
    position = next(
        (p for p, row in enumerate(rows) if len([cell for cell in row if cell.strip()]) >= 5), 0
    )
    first = [cell.strip() for cell in rows[position]]
    if not looks_like_data(first):
        # The row that has most of the names tells best what is missing.
        best = max(rows, key=lambda row: sum(find_field(cell) is not None for cell in row))
        names = [cell.strip() for cell in (best if any(map(find_field, best)) else first)]
        raise build_missing(
            names, find_missing(choose_columns(names, options.columns)) or ["close"]
        )
    names = [str(number) for number in range(1, len(first) + 1)]
    said = "the first row looks like data, not like names"
    if options.columns:
        chosen = choose_columns(names, options.columns)
        if missing := find_missing(chosen):
            raise BadInput(
                f"{said}, and no column is given for {', '.join(missing)}: {_advise(first)}"
            )
        return replace(_build_plain(position, names, chosen), notes=[said])
    layout = find_nameless(first)
    if layout is None:
        raise BadInput(f"{said}: {_advise(first)}")
    chosen = choose_columns([*layout.names, *names[len(layout.names) :]])
    note = f"{said}: they are taken for the columns of {layout.vendor}"
    return replace(_build_plain(position, list(layout.names), chosen), notes=[note], layout=layout)


def _advise(first: Row) -> str:
    numbers = iter(("open", "high", "low", "close", "volume"))
    fields: list[str] = []
    for cell in first:
        if _CLOCK.fullmatch(cell):
            fields.append("clock")
        elif "time" not in fields and (_TIME.match(cell) or re.fullmatch(r"\d{8,19}", cell)):
            fields.append("time")
        elif _NUMBER.fullmatch(cell):
            fields.append(next(numbers, ""))
        else:
            fields.append("ticker" if "ticker" not in fields else "")
    named = ", ".join(f"{name}={place}" for place, name in enumerate(fields, start=1) if name)
    return f"it is {list_names(first)}. Say which column is which by its position: {named}"


def _match_levels(rows: Sequence[Row], position: int) -> Header | None:
    """Return the header of two or three rows of names: fields,
    tickers and the name of the time, in any order.
    """
    block = [[cell.strip() for cell in row] for row in rows[position : position + 3]]
    width = max(map(len, block))
    block = [[*row, *[""] * (width - len(row))] for row in block]
    times = next((row for row in block if _is_time_row(row)), None)
    levels = [row for row in block if row is not times]
    for fields_at in range(min(2, len(levels))):
        columns = _find_field_columns(levels[fields_at])
        if columns is None:
            continue
        tickers = levels[1 - fields_at] if len(levels) > 1 else None
        named = _find_tickers(tickers, columns) if tickers is not None else None
        if named is None and (times is None or fields_at):
            continue
        labels = [
            row for row in (times, levels[fields_at], tickers if named else None) if row is not None
        ]
        return _build_levels(position, len(labels), labels, levels[fields_at], columns, named)
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
    return _build_wide(position + height, list(fields), time, groups)


def _build_wide(
    first: int, names: list[str], time: int, groups: dict[str, dict[str, int]]
) -> Header | None:
    for ticker, columns in groups.items():
        lacking = [name for name in ("open", "high", "low", "close") if name not in columns]
        if lacking:
            raise BadInput(
                f"{ticker or 'the table'} has no column for {', '.join(lacking)} among"
                f" {list_names(names)}"
            )
    used = {time} | {column for columns in groups.values() for column in columns.values()}
    aside = [
        name
        for column, name in enumerate(names)
        if column not in used and name and build_key(name) not in _LABELS
    ]
    found: list[tuple[str | None, dict[str, int]]] = [
        (t or None, {"time": time} | c) for t, c in groups.items()
    ]
    return Header(first, names, found, list(dict.fromkeys(aside)))


def _is_time_row(row: Row) -> bool:
    filled = [cell for cell in row if cell]
    return not filled or (len(filled) == 1 and find_field(filled[0]) == "time")


def _find_field_columns(row: Row) -> dict[int, str] | None:
    """Return the field of each column where a row names nothing but fields, labels aside;
    "" for those not read.
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
            if position > 1 or (cell and build_key(cell) not in _LABELS):
                return None
            continue
        columns[position] = "" if build_key(last) in OTHERS else str(find_field(last))
    found = set(columns.values())
    return columns if {"open", "high", "low", "close"} <= found else None


def _find_tickers(row: Row, columns: Mapping[int, str]) -> dict[int, str] | None:
    """Return the ticker of each column of a field;
    None where the row holds something else than tickers.
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
        if not last or _TIME.fullmatch(last) or find_field(last) in _WIDE_FIELDS:
            return None
        if not label and _UNIT.fullmatch(last):
            return None
        tickers[position] = last
    # A row of data has numbers throughout; tickers of digits (0700) come with a label.
    if not label and all(_NUMBER.fullmatch(ticker) for ticker in tickers.values()):
        return None
    return tickers


def _find_time_column(labels: Sequence[Row], columns: Mapping[int, str]) -> int | None:
    """Return the column of times beside those of fields: the one that is named so,
    else the only one.
    """
    free = [position for position in range(min(columns)) if position not in columns]
    for row in labels:
        for position in free:
            if find_field(row[position]) == "time":
                return position
    return free[0] if len(free) == 1 else None


def _match_flattened(names: Row, position: int) -> Header | None:
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
    if time is None and 0 not in parted and build_key(names[0]) in {"", "indexlevel0"}:
        time = 0
    groups = _group(parted)
    if time is None or not any(
        {"open", "high", "low", "close"} <= set(columns) for columns in groups.values()
    ):
        return None
    return _build_wide(position + 1, list(names), time, groups)


def _part_name(name: str) -> tuple[str, str] | None:
    """Return (ticker, field) of a flattened name; the field is "" where it is not read."""
    if match := _TUPLE.fullmatch(name):
        for ticker, part in ((match["b"], match["a"]), (match["a"], match["b"])):
            if ticker and (build_key(part) in OTHERS or find_field(part) in _WIDE_FIELDS):
                return ticker, "" if build_key(part) in OTHERS else str(find_field(part))
        return None
    match = _FIELD_FIRST.fullmatch(name) or _TICKER_FIRST.fullmatch(name)
    ticker = build_key(match["ticker"]) if match else ""
    if match is None or not ticker or ticker.isdigit() or ticker in _NOT_TICKERS:
        return None
    key = build_key(match["field"])
    return match["ticker"], "" if key in OTHERS else key


# `open_price` and `close_time` are no columns of tickers PRICE and TIME.
_NOT_TICKERS = {
    "price", "px", "bid", "ask", "mid", "usd", "usdt", "eur", "adj", "adjusted", "last", "prev",
    "time", "date",
    "interest", "int",
}  # fmt: skip


def _group(parted: Mapping[int, tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return the column of each field by ticker.

    Raises BadInput on two columns of one ticker's field.
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
    prices = {"open", "high", "low", "close"}
    return {ticker: columns for ticker, columns in groups.items() if prices & set(columns)}
