"""A preview of a file, before anything is stored: its columns with their fields, its first rows,
and what is still open.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import FIELD_OF, build_key
from market.imports.columns import Chosen, choose_columns, find_missing
from market.imports.names import find_owner
from market.imports.options import FIELDS, ReadingOptions
from market.imports.parting import find_intervals
from market.imports.readers.containers import open_table
from market.imports.readers.resolving import resolve_header
from market.imports.readers.tables import Opened, build_table
from market.imports.settled import Settled
from market.imports.settling import settle_table

SHOWN_ROWS = 10
SHOWN_COLUMNS = 60
SHOWN_TEXT = 60


def build_preview(content: bytes, filename: str, options: ReadingOptions) -> dict[str, Any]:
    """Return columns, first rows and what prevents an import, as JSON values.

    Raises BadInput.
    """
    opened = open_table(content, filename, options)
    preview: dict[str, Any] = {"problem": None, "notes": [], "ticker": opened.ticker, "read": None}
    preview |= _show(opened, options)
    try:
        settled = settle_table(build_table(opened, options), options)
    except BadInput as error:
        return preview | {"problem": error.message}
    read = {
        "rows": len(settled),
        "times": int((~settled.times.bad).sum()),
        "numbers": int(_find_numbered(settled).sum()),
        "has_ticker": "ticker" in settled.written,
        "interval": _find_interval(settled),
    }
    owner = (
        _find_owner(filename)
        if settled.ticker is None and not read["has_ticker"]
        else settled.ticker
    )
    return preview | {"notes": list(settled.notes), "ticker": owner, "read": read}


def _find_numbered(settled: Settled) -> NDArray[np.bool_]:
    """Return which rows have readable prices, and a readable volume where one is written."""
    is_read = np.ones(len(settled), np.bool_)
    for name in PRICES:
        is_read &= np.isfinite(settled.numbers[name])
    if settled.empty_volumes is not None:
        is_read &= np.isfinite(settled.numbers["volume"]) | settled.empty_volumes
    return is_read


def _find_interval(settled: Settled) -> str | None:
    """Return the interval that the distance of the bars tells, or those that a column names; None
    where neither does.
    """
    try:
        return ", ".join(find_intervals(settled))
    except BadInput:
        return None


def _find_owner(filename: str) -> str | None:
    """Return the ticker that a file is clearly named after, or None."""
    try:
        return find_owner(filename).ticker.upper()
    except BadInput:
        return None


def _show(opened: Opened, options: ReadingOptions) -> dict[str, Any]:
    try:
        header = resolve_header(opened.rows, options, has_names=opened.has_names)
        names, first = [*header.names], header.first
        fields = {
            at: name for _, group in header.groups for name, at in group.items() if name in FIELDS
        }
        for ticker, group in header.groups:
            for name, at in group.items():
                if ticker and name != "time":
                    names[at] = f"{names[at]} {ticker}"
    except BadInput:
        names, first, fields = _guess(opened.rows, options)
    names, rows = names[:SHOWN_COLUMNS], opened.rows[first : first + SHOWN_ROWS]
    return {
        "columns": [
            {"position": position + 1, "name": name[:SHOWN_TEXT], "field": fields.get(position)}
            for position, name in enumerate(names)
        ],
        "rows": [[cell[:SHOWN_TEXT] for cell in row[: len(names)]] for row in rows],
    }


def _guess(rows: list[list[str]], options: ReadingOptions) -> tuple[list[str], int, dict[int, str]]:
    """Return the names of a table's columns, the position of its first data row, and the fields
    that can be guessed, where required columns are missing.
    """
    names = [cell.strip() for cell in rows[0]]
    try:
        chosen = choose_columns(names, options.columns)
    except BadInput:
        return names, 1, _guess_single(names, options)
    known = bool(find_missing(chosen)) and any(
        position is not None for position in chosen.positions.values()
    )
    is_named = (
        known
        or not any(cell[:1].isdigit() for cell in names)
        or any(name in FIELD_OF for name in names)
    )
    if not is_named:
        return [str(number) for number in range(1, len(names) + 1)], 0, {}
    return names, 1, _turn(chosen)


def _guess_single(names: list[str], options: ReadingOptions) -> dict[int, str]:
    """Return the fields of the columns that a person chose, and of columns that alone have the name
    of a field.
    """
    keys = [build_key(name) for name in names]
    single = [name if keys.count(key) == 1 else "" for name, key in zip(names, keys, strict=True)]
    try:
        chosen = choose_columns(single, options.columns)
    except BadInput:
        return {}
    return _turn(chosen)


def _turn(chosen: Chosen) -> dict[int, str]:
    """Return the field of each column by its position, for fields that a person may choose."""
    return {at: name for name, at in chosen.positions.items() if name in FIELDS}
