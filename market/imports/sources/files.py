"""Bars from files: CSV (also gzipped), Parquet and JSON, one at a time or a folder of them."""

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
from pyarrow import ArrowException

from core.errors import BadInput
from market.imports.columns import is_ticker_column
from market.imports.rows import MOST_ROWS

MOST_BYTES = 512 * 1024 * 1024
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet", ".json")
# Cells that hold nothing. "NA" is not among them: it is also a ticker.
NOTHING = ["", "NaN", "nan", "null", "NULL", "None", "#N/A", "-"]
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, csv.Error, ArrowException, RecursionError)


def find_files(path: Path) -> list[Path]:
    """Return the file itself, or the files of bars in a folder and below, by name. Raises BadInput on finding none."""
    if not path.exists():
        raise BadInput(f"there is no file or folder {str(path)!r}")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(SUFFIXES))
    if not files:
        raise BadInput(f"the folder {str(path)!r} holds no file of bars (*{', *'.join(SUFFIXES)})")
    return files


def name_ticker(filename: str) -> str:
    """Return what a file is named before its suffix: whose bars it holds where its table does not say."""
    name = Path(filename).name
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), Path(name).suffix)
    return name[: len(name) - len(suffix)]


def read_file(path: Path) -> pd.DataFrame:
    """Return a file's table. Raises BadInput where it is too large or cannot be read, and says why."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadInput(f"the file has {size / 2**20:.0f} MiB; at most {MOST_BYTES // 2**20} are taken at once")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}") from error
    return read_content(content, path.name)


def read_content(content: bytes, filename: str) -> pd.DataFrame:
    """Return the table that a file of this name and content holds. Raises BadInput where it cannot be read."""
    suffix = next((suffix for suffix in SUFFIXES if filename.lower().endswith(suffix)), None)
    if suffix is None:
        raise BadInput(f"not a kind of file that is known: choose one of {', '.join(SUFFIXES)}")
    if not content.strip():
        raise BadInput("the file is empty")
    try:
        if suffix == ".parquet":
            return _read_parquet(content)
        if suffix == ".json":
            return _read_json(content)
        return _read_csv(_gunzip(content) if suffix == ".csv.gz" else content)
    except UNREADABLE as error:
        raise BadInput(f"cannot be read as {suffix.lstrip('.')}: {str(error)[:200]}") from error


def _read_csv(content: bytes) -> pd.DataFrame:
    header = content[:100_000].decode("utf-8-sig", errors="replace").splitlines()[0]
    separator = max(",;\t|", key=header.count)
    names = [name.strip().strip('"') for name in header.split(separator)]
    return pd.read_csv(
        io.BytesIO(content),
        sep=separator,
        encoding="utf-8-sig",
        dtype={name: str for name in names if is_ticker_column(name)},
        keep_default_na=False,
        na_values=NOTHING,
        skipinitialspace=True,
        index_col=False,
        nrows=MOST_ROWS + 1,
        low_memory=False,
    )


def _read_parquet(content: bytes) -> pd.DataFrame:
    file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
    if file.metadata.num_rows > MOST_ROWS:
        raise BadInput(f"it has {file.metadata.num_rows:,} rows; at most {MOST_ROWS:,} are taken at once")
    frame: pd.DataFrame = file.read().to_pandas()
    return frame


def _read_json(content: bytes) -> pd.DataFrame:
    """Read a list of candles, or an object with that list under `bars` and the `ticker` beside it."""
    value: Any = json.loads(content)
    candles = value.get("bars", value.get("candles")) if isinstance(value, dict) else value
    if not isinstance(candles, list) or not all(isinstance(candle, dict) for candle in candles):
        raise BadInput("expected a list of candles such as {time, open, high, low, close, volume}, or it under `bars`")
    if len(candles) > MOST_ROWS:
        raise BadInput(f"it has {len(candles):,} candles; at most {MOST_ROWS:,} are taken at once")
    if not candles:
        raise BadInput("it holds no candle")
    frame = pd.DataFrame(candles)
    if isinstance(value, dict) and "ticker" in value and not any(is_ticker_column(name) for name in frame):
        frame["ticker"] = str(value["ticker"])
    return frame


def _gunzip(content: bytes) -> bytes:
    with gzip.open(io.BytesIO(content)) as file:
        unpacked = file.read(MOST_BYTES + 1)
    if len(unpacked) > MOST_BYTES:
        raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
    return unpacked
