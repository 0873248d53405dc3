"""Chooses the columns of bars by their names (plain Python)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import BadInput
from core.naming import name_some
from core.words import PRICES
from market.imports.column_names import (
    BRACKETED,
    CLOCKS,
    DATES,
    OTHERS,
    build_key,
    find_field,
    part_zone,
    rank_name,
)

REQUIRED = ("time", *PRICES)
LISTED = 20
# Names that pandas and R write above an index without a name.
NO_NAMES = ("", "unnamed0", "index", "indexlevel0")
# The columns of a date in three parts; a column `day` alone is a date.
DATE_PARTS = {"year", "month", "day"}
# Columns with old shares for each new one; all other names of `split` mean new ones for each old.
INVERSE_SPLITS = ("adjustmentfactor", "adjfactor")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The columns that were chosen for the fields of bars.

    Attributes:
        positions: the column of each field, from 0.
        aside: the names of the other columns, as the source writes them.
        notes: notes for the report.
        inverse_split: whether the split column has old shares for each new one.
    """

    positions: dict[str, int]
    aside: list[str]
    notes: list[str]
    inverse_split: bool = False


def choose_columns(names: Sequence[str], wanted: Mapping[str, str] | None = None) -> Chosen:
    """Return the columns of a table's fields by their names.

    `wanted` has the columns that a person chose by field, which come before the names; "" says that
    no column is that field. Separate `date` and `time` columns become `time` and `clock`. Raises
    BadInput where a wanted column does not exist, or where two columns could be the same field.
    """
    wanted = wanted or {}
    positions = {
        field: _find_wanted(names, field, column) for field, column in wanted.items() if column
    }
    taken = set(positions.values())
    candidates: dict[str, list[int]] = {}
    letter = _find_letter(names)
    has_parts = _has_date_parts(names)
    for position, name in enumerate(names):
        field = find_field(name)
        if letter is not None and name in {"T", letter}:
            field = "ticker" if name == letter else None
        if has_parts and build_key(name) in DATE_PARTS:
            field = None
        if field is not None and position not in taken:
            candidates.setdefault(field, []).append(position)
    for field, found in candidates.items():
        if field in wanted:
            continue
        found.sort(key=lambda position: rank_name(names[position]))
        if len(found) > 1 and _are_equal(names[found[0]], names[found[1]]):
            raise BadInput(
                f"columns {found[0] + 1} and {found[1] + 1} are both named"
                f" {names[found[0]][:40]!r}, or of several currencies: say which one is meant"
                f" ({field}={found[0] + 1})"
            )
        positions[field] = found[0]
    if "time" not in wanted:
        part_time(names, positions, has_clock=wanted.get("clock") != "")
    is_index = bool(names) and build_key(names[0]) in NO_NAMES and 0 not in positions.values()
    if is_index and {"open", "close"} <= set(positions) and "time" not in wanted:
        # A nameless first column beside columns of bars is their time.
        positions.setdefault("time", 0)
    aside = [
        name
        for position, name in enumerate(names)
        if position not in positions.values() and name.strip()
    ]
    return Chosen(
        positions,
        aside,
        [] if wanted.get("volume") == "" else _explain(names, positions),
        "split" in positions and build_key(names[positions["split"]]) in INVERSE_SPLITS,
    )


def _find_letter(names: Sequence[str]) -> str | None:
    """Return the single letter that names the ticker beside `t`, the time; None where none does.

    In Alpaca's streams it is `S`, and `T` is the kind of message. In Binance's it is `s` beside
    `i`, the interval, and `T` is the end of the bar. In Polygon's grouped bars it is `T`, and `s`
    is the status of the answer.
    """
    if "t" not in names:
        return None
    letters = ["S", *(["s"] if "i" in names else []), "T"] if "T" in names else ["S"]
    return next((letter for letter in letters if letter in names), None)


def _has_date_parts(names: Sequence[str]) -> bool:
    return {build_key(name) for name in names} >= DATE_PARTS


def find_missing(chosen: Chosen) -> list[str]:
    """Return the required fields that a table lacks."""
    return [field for field in REQUIRED if field not in chosen.positions]


def list_names(names: Sequence[str]) -> str:
    """Return a table's column names for a message."""
    return name_some([name.strip()[:40] or "(no name)" for name in names], LISTED) or "none"


def build_missing(names: Sequence[str], missing: Sequence[str]) -> BadInput:
    """Return the error of a table that lacks columns."""
    if "time" in missing and _has_date_parts(names):
        return BadInput(
            f"its dates are parted among columns; found: {list_names(names)}. Write year, month and"
            " day into one, as 2024-01-02, and a time of day behind it, as 2024-01-02 09:30"
        )
    if len(names) == 1 and " " in names[0].strip():
        return BadInput(
            f"nothing parts its columns; its first row is {list_names(names)!r}. Tables of columns"
            " of fixed widths, or parted by blanks, are not read: put commas, semicolons or tabs"
            " between them, and their names above"
        )
    return BadInput(
        f"no usable column for {', '.join(missing)}; found: {list_names(names)}. Bars need a time"
        " (or date), open, high, low and close; ticker, volume and split are optional. Say which"
        f" column is which, such as the {missing[-1]}"
    )


def _find_wanted(names: Sequence[str], field: str, column: str) -> int:
    for same in (str.strip, build_key):
        found = [position for position, name in enumerate(names) if same(name) == same(column)]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(str(position + 1) for position in found)
            raise BadInput(
                f"{len(found)} columns are named {column[:40]!r}: give the position of one"
                f" ({places})"
            )
    if column.isascii() and column.isdigit() and 1 <= int(column[:6]) <= len(names):
        return int(column) - 1
    raise BadInput(f"there is no column {column[:40]!r} for {field}; found: {list_names(names)}")


def _are_equal(first: str, second: str) -> bool:
    """Return whether two names are equally good for a field: Close and close, or Close (EUR) and
    Close (USD).
    """
    bare = {
        build_key(match["bare"]) for name in (first, second) if (match := BRACKETED.fullmatch(name))
    }
    return build_key(first) == build_key(second) or (
        len(bare) == 1
        and all(map(BRACKETED.fullmatch, (first, second)))
        and find_field(*bare) in PRICES
    )


def part_time(names: Sequence[str], positions: dict[str, int], *, has_clock: bool = True) -> None:
    """Set the column of the date as `time` in `positions`, and that of the time of day as
    `clock`.
    """
    keys = [build_key(part_zone(name)[0]) for name in names]
    free = [
        p for p in range(len(names)) if p not in positions.values() or p == positions.get("time")
    ]
    # The day of the week may stand before the date.
    dates = sorted((p for p in free if keys[p] in DATES), key=lambda p: rank_name(names[p]))
    clocks = [p for p in free if keys[p] in CLOCKS and p not in dates]
    if dates and clocks and positions.get("time") in {dates[0], clocks[0]}:
        positions["time"] = dates[0]
        if has_clock:
            positions.setdefault("clock", clocks[0])


def _explain(names: Sequence[str], positions: Mapping[str, int]) -> list[str]:
    keys = [build_key(name) for name in names]
    if "tickvol" in keys and positions.get("volume") != keys.index("tickvol"):
        name = names[keys.index("tickvol")]
        return [f"the number of ticks in {name} is not taken for the volume: say so if it is"]
    if "volume" in positions:
        return []
    others = [p for p in range(len(names)) if keys[p] and p not in positions.values()]
    others = [p for p in others if keys[p] not in OTHERS]
    if others:
        # For example the volume of the base and of the quote currency: either could be meant.
        likely = (names[p].strip()[:40] for p in others if "volume" in keys[p])
        named = next(likely, "another column")
        return [f"no column is taken for the volume, which is 0: say so if {named} is"]
    return ["no column is taken for the volume, which is 0"]
