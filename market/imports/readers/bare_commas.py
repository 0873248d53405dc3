"""Reads rows in which commas are both the decimal and the field separator, without quotes."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.words import PRICES
from market.imports.checks import ACCEPTED, check_values
from market.imports.column_names import build_key
from market.imports.options import ReadingOptions
from market.imports.readers.headers import Header

# Other columns of prices, which a program writes like the prices of bars.
PRICED = ("adjclose", "adjustedclose", "vwap")
# At most so many ways to join the fields are tried.
MOST_WAYS = 50
_WHOLE = r"^[+-]?(?:0|[1-9]\d*)$"
_FRACTION = r"^\d+$"
_THREE = r"[.,]\d{3}$"

Fields = Sequence[pa.ChunkedArray]


def join_decimals(
    fields: Fields, header: Header, options: ReadingOptions
) -> list[pa.ChunkedArray] | None:
    """Return the columns of a table in which each price takes two fields, its whole part and its
    decimals, joined by a decimal point, or by a comma where a person has chosen that; None where it
    is not certain that the table is such.

    Each column has decimals in all rows or in none, as programs write numbers, and all prices are
    alike. It is certain where all rows are bars in exactly one way to join the fields, and are no
    bars without joining; and where the commas cannot separate thousands.
    """
    if options.decimal == "." or options.thousands == ",":
        return None
    is_told = options.decimal == "," or options.thousands == "."
    if len(header.groups) > 1 or _are_bars(fields[: len(header.names)], header):
        return None
    ways = list(islice(_list_ways(header, len(fields)), MOST_WAYS + 1))
    if len(ways) > MOST_WAYS:
        return None
    mark = "," if is_told else "."
    joined = (_join(fields, parted, header, mark) for parted in ways)
    found = [columns for columns in joined if columns is not None and _are_bars(columns, header)]
    is_certain = len(found) == 1 and (is_told or not _may_be_thousands(found[0], header))
    return found[0] if is_certain else None


def _list_ways(header: Header, width: int) -> Iterator[set[int]]:
    """Yield the sets of columns that, with decimals, make the row `width` fields wide."""
    _, own = header.groups[0]
    prices = {own[name] for name in PRICES}
    prices |= {at for at, name in enumerate(header.names) if build_key(name) in PRICED}
    texts = {at for name, at in own.items() if name not in {*PRICES, "volume", "split"}}
    others = [at for at in range(len(header.names)) if at not in prices | texts]
    lacking = width - len(header.names) - len(prices)
    if 0 <= lacking <= len(others):
        for chosen in combinations(others, lacking):
            yield prices | set(chosen)


def _join(
    fields: Fields, parted: set[int], header: Header, mark: str
) -> list[pa.ChunkedArray] | None:
    """Return the joined columns; None where a field is no part of a number, or where the volume has
    a point, which must separate thousands.
    """
    columns, left = [], iter(fields)
    volume = header.groups[0][1].get("volume")
    for at in range(len(header.names)):
        column = next(left)
        if at in parted:
            fraction = pc.utf8_trim_whitespace(next(left))
            column = pc.utf8_trim_whitespace(column)
            for part, pattern in ((column, _WHOLE), (fraction, _FRACTION)):
                if not pc.all(pc.match_substring_regex(part, pattern)).as_py():
                    return None
            column = pc.binary_join_element_wise(column, fraction, mark)
        elif at == volume and pc.any(pc.match_substring(column, ".")).as_py():
            return None
        columns.append(column)
    return columns


def _may_be_thousands(columns: Fields, header: Header) -> bool:
    """Return whether all prices, or all volumes, have three decimals, and so may be thousands."""
    _, own = header.groups[0]
    groups = ([own[name] for name in PRICES], [own[name] for name in ("volume",) if name in own])
    return any(
        at and all(pc.all(pc.match_substring_regex(columns[one], _THREE)).as_py() for one in at)
        for at in groups
    )


def _are_bars(columns: Fields, header: Header) -> bool:
    """Return whether the prices and the volumes of all rows can be those of bars."""
    _, own = header.groups[0]
    names = [name for name in (*PRICES, "volume") if name in own]
    try:
        values = {
            name: np.array(pc.replace_substring(columns[own[name]], ",", ".").cast(pa.float64()))
            for name in names
        }
    except pa.ArrowInvalid:
        return False
    values.setdefault("volume", np.zeros(len(columns[0])))
    return bool((check_values(values) == ACCEPTED).all())
