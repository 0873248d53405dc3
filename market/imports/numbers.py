"""Reads columns of written numbers: the decimal separator is found from the whole column.

The prices are read with one separator, the volume with its own. `1.004` is 1 and a bit with a
decimal point, and a thousand and four where points separate thousands. A table is refused where no
number settles which, and where the prices could be bars by both readings. Volumes such as `61,912`
beside prices with a decimal comma are refused, too: many programs separate thousands by commas,
whatever the prices have.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Float64
from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import QUOTED_IN
from market.imports.options import ReadingOptions
from market.imports.readers.tables import Table, is_text
from market.imports.settled import find_series

# Texts of empty cells.
NOTHING = pa.array(
    ["", "-", "--", "nan", "NaN", "NAN", "null", "NULL", "Null", "None", "none", "N/A", "n/a",
     "NA", "na", "#N/A",
     "#N/A N/A", "#VALUE!", "<NA>", "nil", "NaT", "."]
)  # fmt: skip
LONGEST_NUMBER = 40
# In a column that a program wrote, so many rows almost always settle the decimal separator.
GLANCE_ROWS = 1_000
# A price that is read with the wrong separator is about a thousand times its neighbour. Any other
# ratio is a real move, or a wrong row, and tells nothing about the separator.
THOUSANDFOLD = (900, 1_100)
# A reading with so many times the faults of the other one is wrong.
FAR_MORE = 10

_CURRENCY = (
    r"(?i:\b(?:R|HK|NT|US|C|A|S)\$|[$€£¥￥₹฿₩₿₽₺₪円元원]|zł|\bRs\.?(?:\s|\b)"
    rf"|\b(?:{QUOTED_IN}|kr)\b)"
)
_EXPONENT = r"(?:[eE][+-]?\d{1,3})?"
_GROUPED = r"^[+-]?\d{1,3}(?:[ '\x{2019}\x{00A0}\x{202F}\x{2009}]\d{3})+(?:[.,]\d+)?$"
# In India the last three digits are a group, and the digits before them are in groups of two.
_INDIAN = r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?"
_POINT = rf"^[+-]?(?:[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?|{_INDIAN}|\d+\.?\d*|\.\d+){_EXPONENT}$"
_COMMA = rf"^[+-]?(?:[1-9]\d{{0,2}}(?:\.\d{{3}})+(?:,\d*)?|\d+,?\d*|,\d+){_EXPONENT}$"
# Prices of bonds in 32nds, with the eighths of one: 112'165 is 112 and 16.5 / 32.
_THIRTY_SECONDS = r"^\d{2,3}'[0-3]\d[0257]$"
_MAGNITUDES = {
    "k": "e3", "m": "e6", "b": "e9", "t": "e12",
    "tsd\\.?": "e3", "mln\\.?": "e6", "mio\\.?": "e6", "mrd\\.?": "e9", "mld\\.?": "e9",
    "mn": "e6", "bn": "e9", "l(?:akhs?|acs?)?": "e5", "cr(?:ores?)?\\.?": "e7",
    "[万萬만]": "e4", "[亿億억]": "e8",
}  # fmt: skip
_MAGNITUDE = rf"(?i)\d\s*(?:{'|'.join(_MAGNITUDES)})\s*$"


@dataclass(slots=True)
class Numbers:
    """Columns of numbers, each of shape (n,), NaN where a cell is no number; `empty` tells which
    volumes are empty.
    """

    columns: dict[str, Float64]
    empty_volumes: Bools | None = None
    notes: list[str] = field(default_factory=list)
    has_magnitudes: bool = False


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of text without currencies, grouping blanks and magnitudes. `is_plain` tells whether
    its numbers are written as programs write them.
    """

    name: str
    text: pa.ChunkedArray
    is_plain: bool
    is_typed: bool = False

    def fits(self, decimal: str) -> pa.ChunkedArray:
        """Return which cells are numbers with this decimal separator."""
        return pc.match_substring_regex(self.text, _POINT if decimal == "." else _COMMA)


def read_numbers(table: Table, options: ReadingOptions) -> Numbers:
    """Read a table's prices, volumes and split factors.

    Raises BadInput where a column can be read two ways.
    """
    numbers = Numbers({})
    groups: list[list[_Column]] = [[], []]
    for name in (*PRICES, "volume"):
        if name not in table.columns:
            continue
        column = table.columns[name]
        if name == "volume":
            numbers.empty_volumes = _find_empty(column)
            numbers.has_magnitudes = is_text(column.type) and bool(
                pc.any(pc.match_substring_regex(column, _MAGNITUDE)).as_py()
            )
        values = _read_plain(column)
        if values is not None:
            numbers.columns[name] = values
        elif name == "volume" and not options.columns.get(name):
            _refuse_money(column)
        groups[name == "volume"].append(_prepare(name, column, is_plain=values is not None))
    if options.thousands is None:
        _refuse_fractions([table.columns[name] for name in PRICES if name not in numbers.columns])
    decimals = _settle(groups, table, options, numbers.notes)
    for group, decimal in zip(groups, decimals, strict=True):
        for column in group:
            # A workbook's number cells are read already, whatever separator its text cells have.
            if not column.is_typed and (decimal == "," or column.name not in numbers.columns):
                numbers.columns[column.name] = _convert(column, decimal)
    if "," in decimals:
        numbers.notes.append("numbers are read with a decimal comma")
    if "split" in table.columns:
        numbers.columns["split"] = _read_splits(table)
    return numbers


def _refuse_fractions(columns: Sequence[pa.ChunkedArray]) -> None:
    """Raise BadInput where all prices with an apostrophe may be 32nds, as of bonds."""
    texts = [pc.utf8_trim_whitespace(column) for column in columns]
    marked = [cells.filter(pc.match_substring(cells, "'")) for cells in texts]
    found = pa.chunked_array([chunk for cells in marked for chunk in cells.chunks], pa.string())
    if len(found) and pc.all(pc.match_substring_regex(found, _THIRTY_SECONDS)).as_py():
        cell = found[0].as_py()
        whole = cell.replace("'", "")
        raise BadInput(
            f"prices such as {cell} can be read two ways: as {whole} (say thousands apostrophe), or"
            " as points and 32nds of one, as bonds are quoted: write these as decimals"
        )


def _refuse_money(column: pa.ChunkedArray) -> None:
    """Raise BadInput where most volumes are written with a currency."""
    marked = column.filter(pc.match_substring_regex(column, _CURRENCY))
    if len(marked) > len(column) / 2:
        cell = marked[0].as_py().strip()
        raise BadInput(
            f"volumes such as {cell[:LONGEST_NUMBER]} are amounts of money, and bars need numbers"
            " of shares: say which column has them (volume=NAME), or that none does (volume=, with"
            " no column behind it)"
        )


def _find_empty(column: pa.ChunkedArray) -> Bools:
    if not is_text(column.type):
        return np.asarray(pc.is_null(column, nan_is_null=True))
    return np.asarray(pc.is_in(pc.fill_null(pc.utf8_trim_whitespace(column), ""), NOTHING))


def _read_plain(column: pa.ChunkedArray) -> Float64 | None:
    """Return the numbers of a column whose cells are all empty or written as programs write
    numbers; else None.
    """
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        raise BadInput(
            f"a column of prices or volumes holds values of type {column.type}, not numbers"
        )
    if is_text(column.type):
        column = pc.utf8_trim_whitespace(column)
        present = pc.invert(pc.is_in(column, NOTHING))
        column = pc.if_else(present, column, pa.scalar(None, column.type))
    if pa.types.is_float16(column.type) or pa.types.is_float32(column.type):
        # The shortest text of a 32-bit float: 187.15, not 187.14999389648438.
        column = column.cast(pa.float32()).cast(pa.string())
    try:
        plain = column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if is_text(column.type):
            return None
        raise BadInput(
            f"a column of prices or volumes holds values of type {column.type}, not numbers"
        ) from error
    return np.array(plain.to_numpy(), np.float64)


def _prepare(name: str, column: pa.ChunkedArray, *, is_plain: bool) -> _Column:
    """Return a column of text, cleaned for reading its numbers; that of a typed column is empty."""
    if not is_text(column.type):
        return _Column(name, pa.chunked_array([[]], pa.string()), is_plain=True, is_typed=True)
    text = pc.fill_null(pc.utf8_trim_whitespace(column), "")
    if not is_plain:
        text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _CURRENCY, ""))
        bare = pc.replace_substring_regex(text, r"[ '\x{2019}\x{00A0}\x{202F}\x{2009}]", "")
        text = pc.if_else(pc.match_substring_regex(text, _GROUPED), bare, text)
        if name == "volume":
            for letter, exponent in _MAGNITUDES.items():
                text = pc.replace_substring_regex(
                    text, rf"(?i)^([\d.,]+)\s*{letter}$", rf"\1{exponent}"
                )
        text = pc.if_else(pc.less_equal(pc.utf8_length(text), LONGEST_NUMBER), text, "")
    return _Column(name, text, is_plain)


def _settle(
    groups: Sequence[Sequence[_Column]],
    table: Table,
    options: ReadingOptions,
    notes: list[str],
) -> list[str]:
    """Return the decimal separators of the prices and of the volumes. Raises BadInput."""
    given = options.decimal or {",": ".", ".": ","}.get(options.thousands or "")
    if given is not None:
        return [given] * len(groups)
    settled = [_find_evidence(group) for group in groups]
    decimal, open_cell = settled[0]
    if open_cell is not None and {decimal, settled[1][0], table.decimal} == {None}:
        settled[0] = _settle_by_bars(groups[0], table, open_cell, notes), open_cell
    evidence: list[str | None] = [decimal for decimal, _ in settled]
    known = next((decimal for decimal in evidence if decimal), None)
    decimals = []
    for (decimal, open_cell), group in zip(settled, groups, strict=True):
        if decimal is not None or open_cell is None:
            decimals.append(decimal or known or ".")
        elif known is None:
            known_by_kind = table.decimal
            if known_by_kind is None and not (table.splits_fields == "," and _are_decimals(group)):
                raise _build_ambiguous(open_cell)
            decimals.append(known_by_kind or ".")
        elif known == "," and "," in open_cell and group[0].name == "volume":
            raise _build_ambiguous(
                open_cell,
                " beside prices with a decimal comma",
                "say decimal comma, or take the commas out of the volumes",
            )
        else:
            decimals.append(known)
    return decimals


def _find_evidence(group: Sequence[_Column]) -> tuple[str | None, str | None]:
    """Return the decimal separator if some cell settles it, and an example of a cell that can be
    read in two ways; None for either where there is none.

    Raises BadInput where cells contradict each other.
    """
    points: list[str] = []
    commas: list[str] = []
    both: list[str] = []
    for column in group:
        marked = pc.match_substring_regex(column.text, "[.,]") if not column.is_plain else None
        if column.is_plain and not pc.any(pc.match_substring(column.text, ".")).as_py():
            continue
        # A plain column has no commas, so the first point settles it.
        if column.is_plain and (
            found := _find_point(column.name, column.text.slice(0, GLANCE_ROWS))
        ):
            points.append(found)
            continue
        point, comma = column.fits("."), column.fits(",")
        masks = (pc.and_not(point, comma), pc.and_not(comma, point), pc.and_(point, comma))
        for kept, mask in zip((points, commas, both), masks, strict=True):
            if kept is both:
                mask = pc.and_(  # noqa: PLW2901
                    mask,
                    pc.match_substring_regex(column.text, "[.,]") if marked is None else marked,
                )
            if pc.any(mask).as_py():
                kept.append(_quote(column.name, column.text, mask))
    if points and commas:
        raise BadInput(
            f"some numbers have a decimal point ({points[0]}), others a decimal comma"
            f" ({commas[0]}): say which is meant, decimal point or decimal comma, and what is"
            " not written so is rejected"
        )
    return ("." if points else "," if commas else None), (both[0] if both else None)


def _settle_by_bars(
    prices: Sequence[_Column], table: Table, cell: str, notes: list[str]
) -> str | None:
    """Return the decimal separator where only one reading makes the prices possible bars; else
    None.

    By the wrong reading a price is a thousand times another price of its bar, or a close a thousand
    times the one before, as with 998 beside 1.004.
    """
    if len(prices) < len(PRICES) or any(column.is_typed for column in prices):
        return None
    faults = {decimal: _count_faults(prices, table, decimal) for decimal in ".,"}
    right, wrong = sorted(faults, key=faults.__getitem__)
    if not faults[wrong] or faults[wrong] < FAR_MORE * faults[right]:
        return None
    text = cell.split(" ")[1]
    meant, other = (_convert_text(text, decimal) for decimal in (right, wrong))
    notes.append(
        f"prices such as {text} are read as {meant}: as {other} they are no bars beside the others"
    )
    return right


def _count_faults(prices: Sequence[_Column], table: Table, decimal: str) -> int:
    """Return how often, read with this separator, a price is a thousand times another price of its
    bar, or a close a thousand times the one before.
    """
    values = np.array([_convert(column, decimal) for column in prices])
    rows = np.flatnonzero((np.isfinite(values) & (values > 0)).all(axis=0))
    series = find_series(table.columns)
    if series is not None:
        rows = rows[np.argsort(series[rows], kind="stable")]
    bars = values[:, rows]
    steps = np.array([bars[-1, :-1], bars[-1, 1:]])
    if series is not None:
        steps = steps[:, np.diff(series[rows]) == 0]
    least, most = THOUSANDFOLD
    spreads = np.concatenate([own.max(axis=0) / own.min(axis=0) for own in (bars, steps)])
    return int(((spreads > least) & (spreads < most)).sum())


def _find_point(name: str, text: pa.ChunkedArray) -> str | None:
    mask = pc.and_not(
        pc.match_substring_regex(text, _POINT), pc.match_substring_regex(text, _COMMA)
    )
    return _quote(name, text, mask) if pc.any(mask).as_py() else None


def _quote(name: str, text: pa.ChunkedArray, mask: pa.ChunkedArray) -> str:
    """Return the first cell that is marked in a mask, with its column and row, for a message."""
    row = int(np.flatnonzero(np.asarray(mask))[0])
    return f"{name} {text[row].as_py()} in row {row + 1}"


def _are_decimals(group: Sequence[_Column]) -> bool:
    """Return whether all numbers have three digits after the point, which is then a decimal point,
    as the fields are separated by unquoted commas.
    """
    return all(
        bool(pc.all(pc.or_(pc.match_substring(c.text, "."), pc.is_in(c.text, NOTHING))).as_py())
        for c in group
        if len(c.text)
    )


def _build_ambiguous(
    cell: str, where: str = ", and none in the table settles which", to_do: str = "say which"
) -> BadInput:
    text = cell.split(" ")[1]
    mark = "." if "." in text else ","
    other = "," if mark == "." else "."
    whole, fraction = _convert_text(text, other), _convert_text(text, mark)
    names = ("comma", "point") if mark == "." else ("point", "comma")
    return BadInput(
        f"numbers such as {cell} can be read two ways{where}: as {whole} (decimal {names[0]})"
        f" or as {fraction} (decimal {names[1]}): {to_do}"
    )


def _convert(column: _Column, decimal: str) -> Float64:
    """Return a column's numbers, NaN for cells that are not numbers with this separator."""
    other = "." if decimal == "," else ","
    text = pc.replace_substring(pc.replace_substring(column.text, other, ""), decimal, ".")
    text = pc.if_else(column.fits(decimal), text, pa.scalar(None, pa.string()))
    try:
        return np.array(text.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:  # Some number is too large for a float.
        return np.array([_to_float(cell) for cell in text.to_pylist()], np.float64)


def _convert_text(text: str, decimal: str) -> str:
    """Return the text of a number in Python's form, given its decimal separator."""
    return text.replace("." if decimal == "," else ",", "").replace(decimal, ".")


def _to_float(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*(?:[:/]|-?for-?|-?to-?)\s*(\d+(?:\.\d+)?)")


def _read_splits(table: Table) -> Float64:
    """Return split factors, new shares for each old one: `2`, `2:1` and `2/1`."""
    column = table.columns["split"]
    values = _read_plain(column)
    if values is None:
        values = np.array(
            [_to_factor(str(cell or "").strip()) for cell in column.to_pylist()], np.float64
        )
    if table.inverse_split:
        with np.errstate(divide="ignore"):
            values = np.where(values > 0, np.round(1 / values, 9), np.nan)
    return values


def _to_factor(text: str) -> float:
    match = _RATIO.fullmatch(text)
    if match is not None:
        return float(match[1]) / float(match[2]) if float(match[2]) else float("nan")
    return _to_float(text)
