"""Reads files of trades, depth and funding as streams: CSV, JSON lines, JSON and Parquet.

A row is an object with the fields of a record, under their own or other usual names. In a CSV file
of depth, the sides are JSON texts.
"""

import csv
import gzip
import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from core.errors import BadInput
from core.words import PRICES, DataKind
from market.ticks.checks import FIELDS
from market.ticks.fields import Unfit, read_time, unguard

CANDLE_FIELDS = (
    "time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "closed",
)  # fmt: skip
SUFFIXES = (".csv", ".ndjson", ".jsonl", ".json", ".parquet")
WITH_HEAD = (".csv", ".parquet")
# Other names of a field, in lower case without blanks and underscores.
WORDS: dict[str, str] = {
    "timestamp": "time", "datetime": "time", "date": "time", "ts": "time", "opentime": "time",
    "transacttime": "time", "fundingtime": "time", "calctime": "time", "createdtime": "time",
    "fundingratetimestamp": "time", "siptimestamp": "time",
    "tradeid": "id", "aggtradeid": "id", "trdmatchid": "id", "execid": "id",
    "qty": "amount", "quantity": "amount", "size": "amount",
    "fundingrate": "rate", "lastfundingrate": "rate",
    "markprice": "mark_price", "indexprice": "index_price", "nextfundingtime": "next_time",
    "nexttime": "next_time", "fundingintervalhours": "interval_hours",
    "intervalhours": "interval_hours", "nonce": "sequence", "lastupdateid": "sequence",
    "symbol": "ticker", "instid": "ticker", "instrumentname": "ticker", "exchange": "venue",
    "isbuyermaker": "maker",
    "quotevolume": "quote_volume", "quoteassetvolume": "quote_volume",
    "numberoftrades": "trades", "count": "trades", "isclosed": "closed", "isfinal": "closed",
}  # fmt: skip
# The fields that the head of a file must name, as every row needs them.
NEEDED: dict[DataKind, tuple[str, ...]] = {
    "candles": ("time", *PRICES),
    "trades": ("time", "id", "price", "amount"),
    "depth": ("time",),
    "funding": ("time", "rate"),
}
# Each record has one of these fields; a document that wraps a list of records has none.
OF_RECORDS = {"price", "rate", "close", "bids", "asks"}
# The sides of an order book, which are JSON texts in a CSV file.
SIDES = ("bids", "asks")
TIMES = ("time", "next_time")
MOST_DEPTH = 3
_CSV_BYTES = 2**20


class FileRecord(NamedTuple):
    """A row of a file: its fields and, where it has them, its ticker, venue and interval."""

    ticker: str | None
    venue: str | None
    record: dict[str, Any]
    interval: str | None = None


def read_file(path: Path, kind: DataKind) -> Iterator[FileRecord]:
    """Yield the rows of a file. Raises BadInput where it is no file of this kind."""
    name = path.name.lower().removesuffix(".gz")
    suffix = next((known for known in SUFFIXES if name.endswith(known)), None)
    if not path.is_file():
        raise BadInput(f"there is no file {str(path)!r}")
    if suffix is None:
        raise BadInput(
            f"{path} is no file of {kind} by its name, which must end in {', '.join(SUFFIXES)}; all"
            " but .parquet may have .gz behind it"
        )
    known = {*(CANDLE_FIELDS if kind == "candles" else FIELDS[kind]), "ticker", "venue", "maker"}
    known |= {"interval"} if kind == "candles" else set()
    try:
        rows = _read_parquet(path) if suffix == ".parquet" else _read_text(path, suffix)
        names: dict[str, str | None] = {}
        for number, row in enumerate(rows):
            named = _name_fields(row, names, known)
            is_foreign = bool(names) and set(NEEDED[kind]).isdisjoint(names.values())
            if number == 0 and (suffix in WITH_HEAD or is_foreign):
                _check_head(path, kind, names)
            yield named
    except (ValueError, OSError, EOFError, RecursionError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as {suffix}: {str(error)[:200]}") from error


def _check_head(path: Path, kind: DataKind, names: Mapping[str, str | None]) -> None:
    """Raise BadInput where the head of a file lacks a needed field. Such a head may be a row of
    data.
    """
    lacking = [field for field in NEEDED[kind] if field not in names.values()]
    if lacking:
        found = ", ".join(map(str, names))[:200]
        raise BadInput(
            f"{path} has no column for {', '.join(lacking)}, only {found}: its rows must name their"
            " fields; the first row of a CSV file names them with commas between, such as"
            f" {','.join(NEEDED[kind])}"
        )


def _read_text(path: Path, suffix: str) -> Iterator[Any]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        yield from _READERS[suffix](file)


def _read_csv(file: IO[str]) -> Iterator[Any]:
    csv.field_size_limit(_CSV_BYTES)  # The limit is the whole process's; bars have shorter fields.
    reader = csv.DictReader(file, strict=True)
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more cells than the header")
        yield {name: _read_cell(name, cell) if cell else None for name, cell in row.items()}


def _read_cell(name: str, cell: str) -> Any:
    is_side = name.strip().lower() in SIDES and cell[:1] == "["
    return json.loads(cell) if is_side else unguard(cell)


def _read_lines(file: IO[str]) -> Iterator[Any]:
    return (json.loads(line) for line in file if not line.isspace())


def _read_whole(file: IO[str]) -> Iterator[Any]:
    return iter(_unwrap(json.load(file)))


def _unwrap(document: Any) -> list[Any]:
    """Return the records of a document: the only list of objects in it, as in
    {"result": {"list": [...]}}, or else the document itself as one record.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, dict) or not OF_RECORDS.isdisjoint(map(_name_field, document)):
        return [document]
    inner = [document]
    for _ in range(MOST_DEPTH):
        lists = [v for one in inner for v in one.values() if _holds_objects(v)]
        if len(lists) == 1:
            return list(lists[0])
        inner = [v for one in inner for v in one.values() if isinstance(v, dict)]
    return [document]


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _read_parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - loads the numeric stack, for these files alone

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(10_000):
            yield from batch.to_pylist()


def _name_fields(
    row: Any, names: dict[str, str | None], known: Container[str | None]
) -> FileRecord:
    """Return a row under the names of our fields, without other columns. Raises ValueError where
    two columns are the same field and differ.
    """
    if not isinstance(row, Mapping):
        return FileRecord(None, None, {"not_a_record": row})
    record: dict[str, Any] = {}
    for name, value in row.items():
        if name not in names:
            named = _name_field(name)
            names[name] = named if named in known else None
        field = names[name]
        if field is None or value is None:
            continue
        said = value.isoformat() if hasattr(value, "isoformat") else value
        if field in record and not _agree(field, record[field], said):
            both = " and ".join(repr(other) for other in row if names.get(other) == field)
            raise ValueError(f"{both} are both read as {field}, and they differ: leave one out")
        record[field] = said
    ticker, venue, interval = (
        None if (said := record.pop(name, None)) is None else str(said)
        for name in ("ticker", "venue", "interval")
    )
    maker = record.pop("maker", None)
    if maker is not None and "side" not in record:
        # Where the buyer was the maker, the taker sold.
        record["side"] = "sell" if str(maker).lower() in {"true", "1"} else "buy"
    return FileRecord(ticker, venue, record, interval)


def _agree(field: str, one: Any, other: Any) -> bool:
    """Return whether two values of a field are equal, for times also in different notations."""
    try:
        return one == other or (field in TIMES and read_time(one) == read_time(other))
    except Unfit:
        return False


def _name_field(name: str) -> str:
    """Return our name of a field; the plain given name where none is known."""
    plain = name.strip().lower()
    return WORDS.get(plain.replace("_", "").replace(" ", ""), plain)


_READERS = {
    ".csv": _read_csv,
    ".ndjson": _read_lines,
    ".jsonl": _read_lines,
    ".json": _read_whole,
}
