"""Finds which rows of a table are names and which are data, and which columns belong to which
ticker (plain Python).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from core.errors import BadInput
from core.naming import count_of
from core.words import PRICES
from market.imports.column_names import DATES, build_key, find_field, part_zone
from market.imports.columns import (
    REQUIRED,
    Chosen,
    build_missing,
    choose_columns,
    find_missing,
    list_names,
)
from market.imports.names import is_spelled_as_ticker, is_titled_as_ticker
from market.imports.options import ReadingOptions
from market.imports.readers.headers import NUMBER, TIME, Header, Row, looks_like_data
from market.imports.readers.layouts import find_layout, find_nameless
from market.imports.readers.limits import SEARCHED_CELLS, SEARCHED_ROWS
from market.imports.readers.side_by_side import match_flattened, match_levels

SHOWN = 60
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?")
# A text that may be a time, unlike the number of a column; and a price with its currency.
_MOMENT = re.compile(r"\d\D.*\d|\d{5}")
_PRICE = re.compile(r"\D{0,6}\d[\d.,'’\s]*\D{0,6}")  # noqa: RUF001 - an apostrophe
_VOLUME_OF = re.compile(r"volume[ _]*[ _(](?P<coin>[a-z0-9]{2,10})\)?", re.IGNORECASE)
_PAIR_PARTED = re.compile("[/_-]")


def resolve_header(
    rows: Sequence[Row], options: ReadingOptions, *, has_names: bool = False
) -> Header:
    """Return the header of a table from its first rows; with `has_names` the first row is names.

    Raises BadInput.
    """
    if not rows:
        raise BadInput("the file is empty")
    sizes = accumulate(map(len, rows[:SEARCHED_ROWS]))
    length = 1 if has_names else max(1, sum(size <= SEARCHED_CELLS for size in sizes))
    searched = rows[:length]
    for position in range(len(searched)):
        found = _resolve_at(rows, position, options)
        if found is not None:
            if position:
                _refuse_bars_above(searched[:position], found)
                preamble = f"{count_of(position, 'row')} above the column names are no bars"
                has_own = any(own is not None or "ticker" in at for own, at in found.groups)
                ticker = None if has_own else _find_owner(searched[:position])
                title = None if has_own else _find_title(searched[:position])
                notes = [preamble, *found.notes]
                found = replace(found, notes=notes, ticker=ticker, title=title)
            return found
    return _resolve_nameless(searched, options)


def _refuse_bars_above(above: Sequence[Row], header: Header) -> None:
    """Raise BadInput where a row above the names is a bar, as in a file that was sorted together
    with its names.
    """
    _, own = header.groups[0]
    numbers = [own[name] for name in PRICES]
    for number, row in enumerate(above, start=1):
        cells = [cell.strip() for cell in row]
        if (
            len(cells) > max(own["time"], *numbers)
            and _MOMENT.search(cells[own["time"]])
            and all(_PRICE.fullmatch(cells[at]) for at in numbers)
        ):
            raise BadInput(
                f"row {len(above) + 1:,} names the columns, and row {number:,} above it is a bar:"
                f" {', '.join(cells)[:SHOWN]!r}: put the names above all bars"
            )


def _find_owner(above: Sequence[Row]) -> str | None:
    """Return the ticker that a row above the names gives, and that is all the row has; else None.

    Such rows are Security, AAPL US Equity, or Symbol: AAPL in one cell. A company's name, and a
    word such as Stock, is no ticker.
    """
    filled = ([cell.strip() for cell in row if cell.strip()] for row in above)
    pairs = [cells[0].split(":", 1) if len(cells) == 1 else cells for cells in filled]
    owners = {
        said.strip()
        for name, said in (pair for pair in pairs if len(pair) == 2)
        if find_field(name.rstrip(":")) == "ticker" and is_spelled_as_ticker(said.strip())
    }
    return owners.pop() if len(owners) == 1 else None


def _find_title(above: Sequence[Row]) -> str | None:
    """Return the only cell of a row above the names, where it is written like a ticker;
    else None.
    """
    filled = ([cell.strip() for cell in row if cell.strip()] for row in above)
    titles = (cells[0] for cells in filled if len(cells) == 1)
    return next((title for title in titles if is_titled_as_ticker(title)), None)


def _resolve_at(rows: Sequence[Row], position: int, options: ReadingOptions) -> Header | None:
    """Return the header whose names begin with the row at `position`, or None."""
    names = [cell.strip() for cell in rows[position]]
    if looks_like_data(names):
        return None
    if not any(options.columns.values()):
        levels = match_levels(rows, position) or match_flattened(names, position)
        if levels is not None:
            return _leave_out(levels, options)
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
    data = rows[position + 1 : position + 2]
    wanted = {
        "time": _find_clock(names, chosen.positions["time"], data),
        "volume": _find_base_volume(names, chosen, data),
        "clock": _find_time_of_day(names, chosen, data),
    }
    told = {name: column for name, column in wanted.items() if column is not None}
    if told:
        chosen = choose_columns(names, {**told, **options.columns})
    return _build_plain(position + 1, names, chosen)


def _leave_out(header: Header, options: ReadingOptions) -> Header:
    """Return a header of tickers side by side without the fields of which a person said that no
    column is them. Raises BadInput where such a field is required.
    """
    none = {name for name, column in options.columns.items() if not column}
    if missing := [name for name in REQUIRED if name in none]:
        raise build_missing(header.names, missing)
    left = [at for _, own in header.groups for name, at in own.items() if name in none]
    groups = [
        (ticker, {name: at for name, at in own.items() if name not in none})
        for ticker, own in header.groups
    ]
    aside = dict.fromkeys((*header.aside, *(header.names[at] for at in left)))
    return replace(header, groups=groups, aside=list(aside))


def _find_clock(names: Sequence[str], at: int, rows: Sequence[Row]) -> str | None:
    """Return the name of a column datetime beside a timestamp that is not written in digits; else
    None. That timestamp may be the time of recording, and has no zone either.
    """
    is_number = any(NUMBER.fullmatch(row[at].strip()) for row in rows if at < len(row))
    if build_key(names[at]) != "timestamp" or is_number:
        return None
    return next((name for name in names if build_key(name) == "datetime"), None)


def _find_time_of_day(names: Sequence[str], chosen: Chosen, rows: Sequence[Row]) -> str | None:
    """Return the name of the only time column that has times of day only, where a date is beside
    it; else None. Examples: Local Time, Datum/Zeit.
    """
    if "clock" in chosen.positions or not rows or len(rows[0]) < len(names):
        return None
    times = [at for at, name in enumerate(names) if find_field(name) == "time"]
    clocks = [at for at in times if _CLOCK.fullmatch(rows[0][at].strip())]
    has_date = any(build_key(part_zone(names[at])[0]) in DATES for at in times if at not in clocks)
    return names[clocks[0]] if has_date and len(clocks) == 1 else None


def _find_base_volume(names: Sequence[str], chosen: Chosen, rows: Sequence[Row]) -> str | None:
    """Return the name of the volume in a pair's base currency, as CryptoDataDownload names it; else
    None. Of ETH/BTC or ETHBTC it is Volume ETH, beside Volume BTC.
    """
    at = chosen.positions.get("ticker")
    if at is None or "volume" in chosen.positions or not rows or at >= len(rows[0]):
        return None
    coins = {
        match["coin"].casefold(): name
        for name in names
        if (match := _VOLUME_OF.fullmatch(name.strip()))
    }
    parts = _PAIR_PARTED.split(rows[0][at].strip().casefold())
    pairs = {first + second: first for first in coins for second in coins}
    base = parts[0] if len(parts) == 2 else pairs.get(parts[0])
    return coins.get(base or "")


def _build_plain(first: int, names: list[str], chosen: Chosen) -> Header:
    layout = find_layout([build_key(name) for name in names])
    groups: list[tuple[str | None, dict[str, int]]] = [(None, chosen.positions)]
    return Header(first, names, groups, chosen.aside, chosen.notes, layout, chosen.inverse_split)


def _resolve_nameless(rows: Sequence[Row], options: ReadingOptions) -> Header:
    """Return the header of a table without names, whose columns a person or a known layout
    tells.
    """
    position = next(
        (p for p, row in enumerate(rows) if len([cell for cell in row if cell.strip()]) >= 5), 0
    )
    first = [cell.strip() for cell in rows[position]]
    if not looks_like_data(first):
        # For the message about missing columns, use the row that has most of the names.
        best = max(rows, key=lambda row: sum(find_field(cell) is not None for cell in row))
        names = [cell.strip() for cell in (best if any(map(find_field, best)) else first)]
        raise build_missing(
            names, find_missing(choose_columns(names, options.columns)) or ["close"]
        )
    names = [str(number) for number in range(1, len(first) + 1)]
    said = "the first row looks like data, not like names"
    if any(options.columns.values()):
        chosen = choose_columns(names, options.columns)
        if missing := find_missing(chosen):
            raise BadInput(
                f"{said}, and no column is given for {', '.join(missing)}: {_advise(first)}"
            )
        return replace(_build_plain(position, names, chosen), notes=[said])
    layout = find_nameless(first)
    if layout is None:
        raise BadInput(f"{said}: {_advise(first)}")
    chosen = choose_columns([*layout.names, *names[len(layout.names) :]], options.columns)
    if missing := find_missing(chosen):
        raise build_missing(layout.names, missing)
    note = f"{said}: they are taken for the columns of {layout.vendor}"
    return replace(_build_plain(position, list(layout.names), chosen), notes=[note], layout=layout)


def _advise(first: Row) -> str:
    numbers = iter((*PRICES, "volume"))
    fields: list[str] = []
    for cell in first:
        if _CLOCK.fullmatch(cell):
            fields.append("clock")
        elif "time" not in fields and (TIME.match(cell) or re.fullmatch(r"\d{8,19}", cell)):
            fields.append("time")
        elif NUMBER.fullmatch(cell):
            fields.append(next(numbers, ""))
        else:
            fields.append("ticker" if "ticker" not in fields else "")
    named = ", ".join(f"{name}={place}" for place, name in enumerate(fields, start=1) if name)
    return f"it is {list_names(first)}. Say which column is which by its position: {named}"
