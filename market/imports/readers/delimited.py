"""Reads delimited text: commas, semicolons, tabs, pipes or the like between the fields of
a line.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import pyarrow as pa
import pyarrow.csv

from core.errors import BadInput
from core.words import PRICES
from market.imports.column_names import find_field
from market.imports.options import ReadingOptions
from market.imports.readers.bare_commas import join_decimals
from market.imports.readers.headers import NUMBER, Header, Row, count_values, looks_like_data
from market.imports.readers.limits import HEAD_ROWS, MOST_CELL_BYTES, MOST_COLUMNS, MOST_ROWS
from market.imports.readers.resolving import resolve_header
from market.imports.readers.tables import Columns, Opened
from market.imports.readers.texts import decode

# Blanks are no separators: an empty cell would move the cells after it to the left.
SEPARATORS = ",;\t|:~^"
# So many names of fields in a line, or values in a cell, are no accident.
LEAST_NAMES = LEAST_VALUES = 4
HEAD_BYTES = 512 * 1024
BLOCK_BYTES = 4 * 2**20

# The forms in which Excel keeps a text from becoming a number: ="0700", and '0700.
_GUARDED = re.compile(rb'(?m)(^|[,;\t|:~^])="([^"\n]*)"(?=[,;\t|:~^]|$)')
_MARKED = re.compile(rb"(?m)(^|[,;\t|:~^])'(?=\d[^',;\t|:~^\n]*(?:[,;\t|:~^]|$))")


def open_delimited(content: bytes, options: ReadingOptions) -> Opened:
    """Find the encoding and the separator with which the columns have known names.

    Raises BadInput.
    """
    refused: BadInput | None = None
    likeliest: tuple[int, Opened] | None = None
    for encoding, text in decode(content):
        opened = None
        try:
            opened = _open_text(text, encoding, options)
            resolve_header(opened.rows, options)
        except BadInput as error:
            refused = refused or error
        else:
            return opened
        if opened is not None:
            known = max(map(_count_names, opened.rows))
            if likeliest is None or known > likeliest[0]:
                likeliest = known, opened
    if likeliest is None:
        raise refused or BadInput("it is no text in any encoding that is known")
    return likeliest[1]  # Choosing its columns then reports what is missing.


def _open_text(text: bytes, encoding: str, options: ReadingOptions) -> Opened:
    if b'="' in text:
        text = _GUARDED.sub(rb'\1"\2"', text)
    if b"'" in text and any(one.encode() + b"'" in text for one in ("\n", *SEPARATORS)):
        text = _MARKED.sub(rb"\1", text)
    start, told = _skip_preamble(text)
    head = text[start : start + HEAD_BYTES].decode(errors="replace")
    tried = told or [one for one in SEPARATORS if one in head] or SEPARATORS[0]
    ratings = {one: _rate_separator(head, one, options) for one in tried}
    separator = max(ratings, key=ratings.__getitem__)
    rows = list(islice(_parse(head, separator), HEAD_ROWS))
    if not rows:
        raise BadInput("the file is empty")
    if not ratings[separator][0]:
        _refuse_blanks(head)
    if max(map(len, rows)) > MOST_COLUMNS:
        raise BadInput(f"it has more than {MOST_COLUMNS:,} columns")
    is_quoted = b'"' in text
    notes = [] if encoding == "utf-8" else [f"its encoding is taken for {encoding}"]
    return Opened(
        rows if is_quoted or separator != "," else _join_head(rows, options),
        partial(
            _read,
            text[start:] if start else text,
            separator,
            is_quoted=is_quoted,
            notes=notes,
            options=options,
        ),
        splits_fields=None if is_quoted else separator,
        notes=notes,
    )


def _skip_preamble(text: bytes) -> tuple[int, str | None]:
    """Return the position of the table after Excel's `sep=;` and comments, and the separator that
    this line names, else None.
    """
    position, told = 0, None
    while position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end].strip()
        if line.lower().startswith(b"sep=") and len(line) == 5:
            told = line[4:].decode(errors="replace")
        elif line and (not line.startswith(b"#") or _names(line)):
            break
        position = end + 1
    return position, told


def _names(line: bytes) -> bool:
    """Return whether a line that begins with # is a row of column names, not a comment."""
    text = line.lstrip(b"# ").decode(errors="replace")
    return any(_count_names(text.split(separator)) >= LEAST_NAMES for separator in SEPARATORS)


def _count_names(row: Row) -> int:
    return sum(find_field(cell) is not None for cell in row)


def _rate_separator(head: str, separator: str, options: ReadingOptions) -> tuple[bool, int, int]:
    """Return a rating of a separator, which is greatest for the right one: whether the columns have
    known names, then how many rows have prices below the names, and how many rows are as long as
    the names. Without known names: the most names of any row, or values of a first row of data, and
    how many rows have one length.

    Several separators have to be rated, as titles and numbers may contain any of them.
    """
    rows: list[list[str]] = []
    try:
        rows += islice(_parse(head, separator), HEAD_ROWS)
        header = resolve_header(rows, options)
    except BadInput:
        lengths = Counter(len(row) for row in rows if len(row) > 1)
        values = max((count_values(row) for row in rows[:1] if looks_like_data(row)), default=0)
        known = max(map(_count_names, rows), default=0)
        return False, max(known, values), max(lengths.values(), default=0)
    whole = [row for row in rows[header.first :] if len(row) == len(header.names)]
    prices = [header.groups[0][1][name] for name in PRICES]
    priced = [row for row in whole if all(NUMBER.fullmatch(row[at].strip()) for at in prices)]
    return True, len(priced), len(whole)


def _refuse_blanks(head: str) -> None:
    """Raise BadInput where only blanks separate the names of the columns."""
    for line in islice(head.split("\n"), HEAD_ROWS):
        is_parted = any(separator in line for separator in SEPARATORS)
        if not is_parted and _count_names(line.replace('"', " ").split()) >= LEAST_NAMES:
            raise BadInput(
                f"its fields are parted by blanks ({line.strip()[:80]!r}): write them with commas"
                " or tabs between"
            )


def _parse(text: str, separator: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank. Raises BadInput."""
    csv.field_size_limit(MOST_CELL_BYTES)  # A limit of the process; tick files set a larger one.
    try:
        for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True):
            if row and (len(row) > 1 or row[0].strip()):
                yield row
    except csv.Error as error:
        raise BadInput(
            f"it has a field of more than {MOST_CELL_BYTES // 1024} KiB: a quote is opened that"
            " nothing closes, or it is no table of bars"
        ) from error


def _read(
    text: bytes,
    separator: str,
    header: Header,
    positions: Sequence[int],
    *,
    is_quoted: bool,
    notes: list[str],
    options: ReadingOptions,
) -> Columns:
    try:
        columns = _read_fast(text, separator, header, positions, is_quoted=is_quoted)
    except pa.ArrowInvalid:
        joined = None
        if separator == "," and not is_quoted:
            joined = _read_bare_commas(text, header, positions, notes, options)
        # The rows differ in length, or have quotes that only Python's reader accepts.
        columns = joined or _read_slowly(text, separator, header, positions)
    if len(columns[positions[0]]) > MOST_ROWS:
        raise BadInput(f"the table has more than {MOST_ROWS:,} rows; import it in parts")
    return columns


def _read_fast(
    text: bytes, separator: str, header: Header, positions: Sequence[int], *, is_quoted: bool
) -> Columns:
    """Read a table of which all rows are as long as its names, as in almost all files.

    Raises ArrowInvalid.
    """
    names = [str(position) for position in range(len(header.names))]
    start = _skip_lines(text, header.first, separator.encode())
    if is_quoted and (
        f'{separator} "'.encode() in text or b'\n "' in text or _has_lines(text[:start], separator)
    ):
        raise pa.ArrowInvalid("quotes that only Python's reader takes")
    if not text[start:].strip():
        return {position: pa.chunked_array([[]], pa.string()) for position in positions}
    table = pa.csv.read_csv(
        pa.py_buffer(memoryview(text)[start:]),
        read_options=pa.csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
        parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=is_quoted),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[names[position] for position in positions],
            strings_can_be_null=False,
        ),
    )
    if is_quoted and table.num_rows <= text[start:].strip().count(b"\n"):
        raise pa.ArrowInvalid("a field that goes on for several lines")
    return {position: table.column(names[position]) for position in positions}


def _read_bare_commas(
    text: bytes,
    header: Header,
    positions: Sequence[int],
    notes: list[str],
    options: ReadingOptions,
) -> Columns | None:
    """Read a table whose prices take two fields each, as their decimal commas are not quoted, and
    add a note about it; return None where it is not certain that the table is such.
    """
    line = text[_skip_lines(text, header.first, b",") :].lstrip().partition(b"\n")[0]
    width = line.count(b",") + 1
    if width <= len(header.names):
        return None
    wide = replace(header, names=[*map(str, range(width))])
    try:
        fields = _read_fast(text, ",", wide, range(width), is_quoted=False)
    except pa.ArrowInvalid:
        return None
    columns = join_decimals([fields[at] for at in range(width)], header, options)
    if columns is None:
        return None
    at = header.groups[0][1]["close"]
    shown = columns[at][0].as_py().replace(",", ".")
    notes.append(
        f"fields and decimals are both parted by commas: closes such as {shown.replace('.', ',')}"
        f" are read as {shown}, the only way in which all rows are bars"
    )
    return {position: columns[position] for position in positions}


def _join_head(rows: list[list[str]], options: ReadingOptions) -> list[list[str]]:
    """Return the first rows of a table; prices that take two fields each are joined."""
    if len({len(row) for row in rows}) == 1:  # In most files no row is wider than the names.
        return rows
    try:
        header = resolve_header(rows, options)
    except BadInput:
        return rows
    data = rows[header.first :]
    widths = {len(row) for row in data}
    if len(widths) != 1 or max(widths) <= len(header.names):
        return rows
    fields = [pa.chunked_array([list(cells)], pa.string()) for cells in zip(*data, strict=True)]
    joined = join_decimals(fields, header, options)
    if joined is None:
        return rows
    columns = [column.to_pylist() for column in joined]
    return [*rows[: header.first], *map(list, zip(*columns, strict=True))]


def _has_lines(above: bytes, separator: str) -> bool:
    """Return whether a quoted field above the data spans several lines, or is not closed there."""
    return any("\n" in "".join(row) for row in _parse(above.decode(), separator))


def _skip_lines(text: bytes, count: int, separator: bytes) -> int:
    """Return the position of the line after `count` non-blank lines. A line of tabs only, where
    tabs are the separator, is a row of empty fields and not blank.
    """
    position = 0
    while count and position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end]
        count -= separator in line or bool(line.decode().strip())
        position = end + 1
    return position


def _read_slowly(text: bytes, separator: str, header: Header, positions: Sequence[int]) -> Columns:
    """Read rows of several lengths: missing fields are empty; a surplus field that is not empty
    raises BadInput.
    """
    width = len(header.names)
    cells: list[list[str]] = [[] for _ in positions]
    rows = islice(_parse(text.decode(), separator), header.first, None)
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise BadInput(f"the table has more than {MOST_ROWS:,} rows; import it in parts")
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise _build_surplus(number, row, width, separator)
        if "\n" in "".join(row):
            _refuse_swallowed(number, row, separator)
        for column, position in zip(cells, positions, strict=True):
            column.append(row[position] if position < len(row) else "")
    return {
        p: pa.chunked_array([pa.array(column, pa.string())])
        for p, column in zip(positions, cells, strict=True)
    }


def _refuse_swallowed(number: int, row: Row, separator: str) -> None:
    """Raise BadInput where a field contains other rows, as after a quote that is not closed."""
    for cell in row:
        lines = cell.split("\n")
        values = sum(count_values(line.split(separator)) for line in lines)
        if len(lines) > 1 and values >= LEAST_VALUES:
            raise BadInput(
                f"row {number} has a field of {len(lines)} lines, with other rows in it:"
                f" {cell[:60]!r}. A quote is opened there that nothing closes: close it, or take it"
                " out"
            )


def _build_surplus(number: int, row: Sequence[str], width: int, separator: str) -> BadInput:
    advice = (
        " (is the comma also in the numbers? it can be read in several ways: quote them, or have"
        " semicolons between the fields)"
        if separator == ","
        else ""
    )
    return BadInput(
        f"row {number} has {len(row)} fields where {width} columns are named:"
        f" {separator.join(row)[:80]!r}. None is dropped{advice}: give each field a column, and"
        " each column a name"
    )
