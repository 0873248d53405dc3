"""Turns a written table into numbers and times, by whole columns, before any row is checked."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Float64
from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import (
    HOURS,
    MINUTES,
    build_key,
    find_field,
    part_unit,
    part_zone,
)
from market.imports.columns import build_missing, choose_columns, find_missing
from market.imports.no_bars import find_unknown, leave_totals_aside, leave_unfinished
from market.imports.numbers import Numbers, read_numbers
from market.imports.options import NO_OPTIONS, ReadingOptions, check_timezone
from market.imports.readers.tables import Table, is_text
from market.imports.settled import SHOWN, Settled, encode_texts, find_series, quote_cell
from market.imports.times.clocks import ABBREVIATIONS, ZONES, add_zone, join_clock
from market.imports.times.read import read_times
from market.intervals import read_interval

# Columns of Databento's tables; a raw price of 0.001 in Databento's units of 1e-9.
RAW_KEYS = {"rtype", "publisherid", "instrumentid"}
LEAST_RAW = 1_000_000
# A table of LEAN's has no names, and so its columns are numbered.
LEAN_KEYS = {"1", "2", "3", "4", "5", "6"}
LEAST_LEAN = 1_000
# Columns of Tushare's daily tables, and the number of shares in one of its lots.
TUSHARE = {"ticker": "ts_code", "time": "trade_date", "volume": "vol"}
LOT = 100
# Of rows whose times cannot be read, so many are checked for repeated column names.
MOST_NAMED = 10_000
# Lines above repeated column names that do not name another ticker.
_NO_TITLE = re.compile(
    r"https?://|(?:page|seite|p[áa]gina|стр\.?)\s*\d"
    r"|(?:source|total|downloaded from|copyright)\b|©",
    re.IGNORECASE,
)


def settle_table(table: Table, options: ReadingOptions = NO_OPTIONS) -> Settled:
    """Read a table's numbers and times.

    Raises BadInput where a column can be read in two ways, or no time can be read.
    """
    numbers = read_numbers(table, options)
    _apply_unit(table, numbers)
    _apply_lots(table, numbers)
    _check_fixed_point(table, numbers.columns)
    if options.day_first is None and table.day_first is not None:
        options = replace(options, day_first=table.day_first)
    if "interval" in table.columns and not _holds_intervals(table.columns["interval"]):
        table = _leave_aside(table, "interval")
    if "finished" in table.columns and (word := find_unknown(table.columns["finished"])):
        if options.columns.get("finished"):
            raise BadInput(
                f"{table.names['finished'][:SHOWN]} is to say whether bars are finished, and says"
                f" {word[:SHOWN]!r}: true and false, yes and no, 1 and 0 are read"
            )
        note = (
            f"{table.names['finished'][:SHOWN]} says {word[:SHOWN]!r}, neither yes nor no: no bar"
            " is left out as not finished"
        )
        table = _leave_aside(replace(table, notes=[*table.notes, note]), "finished")
    moments, options = _apply_zone(table, _take_times(table), options)
    times = read_times(moments, options, find_series(table.columns))
    if times.bad.all():
        first = quote_cell(table.columns["time"][0].as_py())
        raise BadInput(
            f"no time can be read in the time column; the first is {first!r}: write"
            f" them as 2024-01-02 or 2024-01-02 09:30{_name_others(table)}"
        )
    _refuse_other_names(table, times.bad)
    aside = (
        [f"columns left aside: {', '.join(name[:40] for name in table.aside[:20])}"]
        if table.aside
        else []
    )
    settled = Settled(
        table.columns,
        numbers.columns,
        times,
        table.rows if table.rows is not None else np.arange(len(times.bad)),
        numbers.empty_volumes,
        table.names,
        tuple(table.aside),
        [*table.notes, *numbers.notes, *times.notes, *aside],
        table.ticker,
        table.title,
    )
    return leave_unfinished(leave_totals_aside(settled))


def settle_frame(frame: pd.DataFrame, options: ReadingOptions = NO_OPTIONS) -> Settled:
    """Read the numbers and times of a data frame of bars, with any usual names of its columns or
    index.

    Raises BadInput.
    """
    if any(frame.index.names):
        frame = frame.reset_index()
    names = [str(column) for column in frame.columns]
    chosen = choose_columns(names, options.columns)
    if missing := find_missing(chosen):
        raise build_missing(names, missing)
    if frame.empty:
        raise BadInput("the table has column names but no row")
    columns = {
        name: _to_arrow(frame.iloc[:, position]) for name, position in chosen.positions.items()
    }
    titles = {name: names[position] for name, position in chosen.positions.items()}
    table = Table(
        columns,
        None,
        titles,
        chosen.aside,
        chosen.notes,
        decimal=".",
        inverse_split=chosen.inverse_split,
    )
    return settle_table(table, options)


def _apply_unit(table: Table, numbers: Numbers) -> None:
    """Convert volumes to shares where the column's name gives another unit, such as thousands."""
    name = table.names.get("volume", "")
    size = part_unit(name)[1]
    if size is None or size == 1:
        return
    if numbers.has_magnitudes:
        numbers.notes.append(f"volumes say themselves what they count, and {name[:40]} is left out")
        return
    numbers.columns["volume"] = numbers.columns["volume"] * size
    numbers.notes.append(f"volumes are read as {size:,} each, as {name[:40]} says")


def _apply_lots(table: Table, numbers: Numbers) -> None:
    """Convert Tushare's daily volumes of mainland China from lots of a hundred to shares. Tushare's
    minute bars, and its bars of other markets, have the same column names and are in shares.
    """
    if any(table.names.get(name) != column for name, column in TUSHARE.items()):
        return
    codes, texts = encode_texts(table.columns["ticker"])
    of_china = np.array([text.strip().upper().endswith((".SH", ".SZ", ".BJ")) for text in texts])
    if of_china.any():
        volumes = numbers.columns["volume"]
        numbers.columns["volume"] = np.where(of_china[codes], np.round(volumes * LOT), volumes)
        numbers.notes.append(f"volumes of China's are read as {LOT} each, as Tushare counts lots")


def _apply_zone(
    table: Table, times: "pd.Series[Any]", options: ReadingOptions
) -> tuple["pd.Series[Any]", ReadingOptions]:
    """Return times and options with the zone that the name of the time's column gives, unless a
    person has given one. An abbreviation is added to each time.

    Raises BadInput where the zone is ambiguous.
    """
    named = [table.names[name] for name in ("time", "clock") if name in table.names]
    said = {part_zone(name)[1] for name in named} - {""}
    if options.timezone is not None or not said:
        return times, options
    zone = ZONES.get(min(said), min(said))
    if len(said) == 1 and zone in ABBREVIATIONS and zone != "UTC":
        written = add_zone(times, zone)
        if written is not None:
            return written, options
    elif len(said) == 1 and ("/" in zone or zone == "UTC"):
        check_timezone(zone)
        return times, replace(options, timezone=zone)
    raise BadInput(
        f"its times are named as of {' and '.join(sorted(said))[:SHOWN]}, which is no zone by its"
        " whole name: say which zone they are of, such as America/New_York or UTC"
    )


def _check_fixed_point(table: Table, numbers: Mapping[str, Float64]) -> None:
    """Raise BadInput where prices are integers in units of 1e-9, Databento's raw form, or of 1e-4,
    LEAN's.
    """
    keys = {build_key(name) for name in (*table.names.values(), *table.aside)}
    prices = np.concatenate([numbers[name] for name in PRICES])
    prices = prices[np.isfinite(prices)]
    if not prices.size or not (prices == np.floor(prices)).all():
        return
    if keys == LEAN_KEYS and prices.min() > LEAST_LEAN and _has_times_of_lean(table):
        raise BadInput(
            f"its prices are whole numbers such as {prices[0]:,.0f} without names above them, as"
            " LEAN writes them in units of 0.0001: write them as decimals. If they are no such"
            " units, write names above the columns"
        )
    if keys >= RAW_KEYS and prices.min() > LEAST_RAW:
        raise BadInput(
            f"its prices are whole numbers such as {prices[0]:,.0f}, as Databento writes them in"
            " units of 0.000000001: ask for them as decimals (pretty_px=True)"
        )


def _has_times_of_lean(table: Table) -> bool:
    first = table.columns["time"][0].as_py()
    return isinstance(first, str) and bool(re.fullmatch(r"\d{8} \d\d:\d\d", first.strip()))


def _name_others(table: Table) -> str:
    """Return advice on how to name another column for the times, "" where there is none."""
    if not table.aside:
        return ""
    others = ", ".join(repr(name[:SHOWN]) for name in table.aside[:5])
    return f"; or say which column has them (time=NAME), of {others}"


def _refuse_other_names(table: Table, bad: Bools) -> None:
    """Raise BadInput where a later row names the columns again, in another way than the first or
    below another ticker: the file is several tables, one after another.
    """
    names = {name: table.columns[name] for name in PRICES}
    rows = np.flatnonzero(bad)[:MOST_NAMED]
    cells = {name: column.take(pa.array(rows)).to_pylist() for name, column in names.items()}
    times = table.columns["time"].take(pa.array(rows)).to_pylist()
    for place, row in enumerate(rows.tolist()):
        found = {name: find_field(cells[name][place] or "") for name in PRICES}
        if None in found.values():
            continue
        is_other = any(name != field for name, field in found.items())
        above = str(times[place - 1] or "").strip() if place and rows[place - 1] == row - 1 else ""
        # AAPL, Ticker: AAPL, AAPL - Apple Inc.
        is_titled = "ticker" not in table.columns and above != "" and not _NO_TITLE.match(above)
        if is_other or is_titled:
            number = int(table.rows[row] if table.rows is not None else row) + 1
            how = "in another order than at first" if is_other else f"below {above[:SHOWN]!r}"
            raise BadInput(
                f"row {number:,} names the columns anew, {how}: these are several tables, one"
                " behind the other. Import each from a file of its own"
            )


def _holds_intervals(column: pa.ChunkedArray) -> bool:
    """Return whether some value of a column is a length of time."""
    return any(read_interval(text) for text in encode_texts(column)[1])


def _leave_aside(table: Table, name: str) -> Table:
    columns = {own: column for own, column in table.columns.items() if own != name}
    names = {own: title for own, title in table.names.items() if own != name}
    return replace(table, columns=columns, names=names, aside=[*table.aside, table.names[name]])


def _to_arrow(values: "pd.Series[Any]") -> pa.ChunkedArray:
    kinds = pd.api.types
    if kinds.is_numeric_dtype(values) or kinds.is_datetime64_any_dtype(values):
        array = pa.Array.from_pandas(values)
    else:
        array = pa.array(
            [None if value is None or value != value else str(value) for value in values],  # noqa: PLR0124 - NaN
            pa.string(),
        )
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _take_times(table: Table) -> "pd.Series[Any]":
    times = _to_pandas(table.columns["time"])
    if "clock" in table.columns:
        clocks = _to_pandas(table.columns["clock"]).astype(str)
        are_hours = build_key(part_zone(table.names.get("clock", ""))[0]) in HOURS
        minutes = [name for name in table.aside if build_key(name) in MINUTES]
        if are_hours and minutes:
            raise BadInput(
                f"its times are parted, and {minutes[0][:SHOWN]} is left aside: write each into one"
                " column, as 2024-01-02 09:30"
            )
        return join_clock(times.astype(str), clocks, are_hours=are_hours)
    return times


def _to_pandas(column: pa.ChunkedArray) -> "pd.Series[Any]":
    """Return a column as a pandas series of text, numbers or timestamps, to read times from."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        zone = "UTC" if column.type.tz else None
        inside = column.cast(pa.timestamp("s", zone), safe=False)
        return pd.Series(pd.to_datetime(np.asarray(inside.cast(pa.timestamp("s"))))).dt.tz_localize(
            zone
        )
    if pa.types.is_time(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    if pa.types.is_boolean(column.type) or pa.types.is_binary(column.type):
        raise BadInput(f"the time column holds values of type {column.type}, not times")
    if is_text(column.type):
        column = pc.fill_null(column, "")
    series: pd.Series[Any] = column.to_pandas()
    return series
