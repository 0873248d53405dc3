"""Reads JSON, a document or one document a line, into columns."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from core.errors import BadInput
from market.imports.column_names import find_field
from market.imports.readers.candles import Candle, is_candle, write_cell
from market.imports.readers.gathering import find_candles, find_said
from market.imports.readers.headers import Header
from market.imports.readers.limits import HEAD_ROWS, MIB, MOST_KEYS, MOST_ROWS
from market.imports.readers.tables import Columns, Opened

MOST_JSON_BYTES = 256 * MIB


def open_json(content: bytes) -> Opened:
    """Find the candles in a document, or in one document a line. Raises BadInput."""
    if len(content) > MOST_JSON_BYTES:
        raise BadInput(f"it has more than {MOST_JSON_BYTES // MIB} MiB; write it as CSV or Parquet")
    document = _parse(content)
    if is_candle(document) and not any(isinstance(v, (list, dict)) for v in document.values()):
        document = [document]  # A file of a single line.
    candles, ticker = find_candles(document)
    if not candles:
        raise BadInput("it holds no candle")
    interval = find_said(document, "interval") if isinstance(document, dict) else None
    if interval is not None and not any(find_field(name) == "interval" for name in candles[0]):
        candles = [{**candle, "interval": interval} for candle in candles]
    if len(candles) > MOST_ROWS:
        raise BadInput(f"it has {len(candles):,} candles; at most {MOST_ROWS:,} are taken at once")
    names: dict[str, None] = {}
    for candle in candles:
        names.update(dict.fromkeys(candle))
        if len(names) > MOST_KEYS:
            raise BadInput(f"its candles have more than {MOST_KEYS:,} different names between them")
    columns = list(names)
    head = [
        [write_cell(candle.get(name)) or "" for name in columns] for candle in candles[:HEAD_ROWS]
    ]
    shown = [str(name)[:200] for name in columns]
    has_ticker = any(find_field(name) == "ticker" for name in shown)
    read = partial(_read, candles, columns)
    return Opened(
        [shown, *head], read, has_names=True, ticker=None if has_ticker else ticker, decimal="."
    )


def _parse(content: bytes) -> Any:
    text = content.decode(json.detect_encoding(content))
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines):
            raise
        return [json.loads(line) for line in lines]


def _read(
    candles: Sequence[Candle], names: Sequence[str], _: Header, positions: Sequence[int]
) -> Columns:
    return {
        p: pa.chunked_array([_build_array([c.get(names[p]) for c in candles])]) for p in positions
    }


def _build_array(values: list[Any]) -> pa.Array:
    """Return integers and floats as numbers, and any other values as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and kinds:
        try:
            return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
        except (OverflowError, pa.ArrowInvalid):
            pass
    return pa.array([write_cell(value) for value in values], pa.string())
