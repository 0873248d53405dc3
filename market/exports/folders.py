"""Folders with an export: its parts, and a manifest that describes them."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import BadInput, Conflict
from core.moments import write_moment
from market.exports.opening import open_table
from market.exports.tables import MANIFEST, Asked, Row, Table
from market.exports.writing import Format, write_text
from records.database import Db
from records.market.series import find_series
from records.models.models import find_version_hashes

PART_ROWS = 1_000_000
TOLD_ROWS = 5_000
OnRows = Callable[[int, int], object]
OnPartRows = Callable[[int], object]
Opener = Callable[[Db, Asked], Table]


@contextmanager
def explains_disk(folder: Path) -> Iterator[None]:
    """Raise Conflict where a folder cannot be written: the disk is full, or it is not permitted."""
    try:
        yield
    except OSError as error:
        said = os.strerror(error.errno) if error.errno else str(error)
        raise Conflict(
            f"{folder} cannot be written: {said}. Make room, or name another"
            " folder; the export in it is not complete and can be removed"
        ) from error


def write_folder(
    database: Db,
    asked: Asked,
    form: Format,
    folder: Path,
    *,
    columns: tuple[str, ...] = (),
    opener: Opener = open_table,
    on_rows: OnRows | None = None,
    on_part: Callable[[Path], object] | None = None,
    now: datetime,
) -> dict[str, Any]:
    """Write an export to a folder that is empty or not there yet; return its manifest.

    Parts have a million rows. The manifest is written last, so a folder without it is incomplete.
    `opener` opens the table; `on_rows(written, most)` is called every few thousand rows, and
    `on_part(path)` with each complete part. Raises BadInput where the folder is not empty, Conflict
    where bars changed meanwhile.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder; name a new folder")
    _check_empty(folder)
    before = _find_fingerprints(database, asked)
    table = opener(database, asked)
    versions: set[str] = set()
    table = _note_versions(table, versions)
    if columns:
        table = table.choose(columns)
    is_quoted = (
        (asked.table, asked.layout, form) == ("bars", "long", "parquet")
        and not asked.adjusted
        and not columns
    )
    write = _write_quoted(database, asked) if is_quoted else partial(_write_part, table, form)
    unfinished = _take(folder)
    parts: list[dict[str, Any]] = []
    total = 0
    while True:
        path = folder / f"{asked.table}-{len(parts):04d}.{form}"
        # A part that is broken off may end in the middle of a number, so its name must not be that
        # of a table.
        written = path.with_name(f"{path.name}.part")
        rows = write(written, PART_ROWS, _build_tell(on_rows, total, table.most_rows))
        if not rows and parts:
            written.unlink()
            break
        written.rename(path)
        total += rows
        size = path.stat().st_size
        parts.append({"name": path.name, "rows": rows, "bytes": size, "sha256": _hash(path)})
        if on_part is not None:
            on_part(path)
        if rows < PART_ROWS or rows == table.most_rows:
            break
    if _find_fingerprints(database, asked) != before:
        raise Conflict("bars changed while they were exported; remove the folder and ask again")
    manifest = {
        "format": form,
        "query": json.loads(json.dumps(asdict(asked), default=_to_text)),
        "columns": [column._asdict() for column in table.columns],
        "rows": total,
        "parts": parts,
        "fingerprints": before,
        "models": find_version_hashes(database, sorted(versions)),
        "made_at": _to_text(now),
    }
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n")
    unfinished.rename(folder / MANIFEST)
    return manifest


def _check_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        broken_off = (folder / f"{MANIFEST}.part").exists()
        found = "holds an export that was broken off, or is being written"
        raise BadInput(f"{folder} {found if broken_off else 'is not empty'}; name a new folder")


def _take(folder: Path) -> Path:
    """Make the folder, and in it the file that becomes the manifest, which keeps other exports out.

    Raises BadInput where another export writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_empty(folder)
    unfinished = folder / f"{MANIFEST}.part"
    try:
        unfinished.touch(exist_ok=False)
    except FileExistsError as error:
        raise BadInput(f"another export is written to {folder}; name a new folder") from error
    return unfinished


def _note_versions(table: Table, versions: set[str]) -> Table:
    """Return a table that adds the model versions of its rows to `versions` as they are read."""
    names = [column.name for column in table.columns]
    if "model_version" not in names:
        return table
    place = names.index("model_version")

    def list_rows() -> Iterator[Row]:
        for row in table.rows:
            if row[place] is not None:
                versions.add(row[place])
            yield row

    return replace(table, rows=list_rows())


def _build_tell(on_rows: OnRows | None, before: int, most: int) -> OnPartRows:
    """Return a callback that gets the number of a part's written rows and passes `on_rows` the
    number of all.
    """

    def tell(rows: int) -> None:
        if on_rows is not None:
            on_rows(before + rows, most)

    return tell


def _write_quoted(database: Db, asked: Asked) -> Callable[[Path, int, OnPartRows], int]:
    from market.exports.parquet import QuotedBars  # noqa: PLC0415 - loads the numeric stack

    return QuotedBars(database, asked).write


def _write_part(table: Table, form: Format, path: Path, most_rows: int, tell: OnPartRows) -> int:
    taken = 0

    def take() -> Iterator[Row]:
        nonlocal taken
        for row in islice(table.rows, most_rows):
            taken += 1
            if taken % TOLD_ROWS == 0:
                tell(taken)
            yield row

    counted = replace(table, rows=take())
    if form == "parquet":
        from market.exports.parquet import write_parquet  # noqa: PLC0415 - loads the numeric stack

        write_parquet(counted, path)
        return taken
    with path.open("wb") as file:
        for text in write_text(counted, form):
            file.write(text)
    return taken


def _find_fingerprints(database: Db, asked: Asked) -> dict[str, str]:
    """Return the fingerprints of the exported series, where bars or features are exported."""
    if asked.table not in {"bars", "features"}:
        return {}
    found = find_series(database, tickers=asked.tickers, interval=asked.one_interval)
    return {one["_id"]: one["fingerprint"] for one in found}


def is_export(folder: Path) -> bool:
    """Return whether a folder has the manifest of an export."""
    try:
        _read_hashes(folder)
    except BadInput:
        return False
    return True


def _read_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each part of an exported folder, as its manifest says.

    Raises BadInput where there is no manifest that can be read.
    """
    try:
        manifest: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text())
        return {str(part["name"]): str(part["sha256"]) for part in manifest["parts"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(
            f"{folder} has no {MANIFEST} that can be read ({error}): it is no export, or an export"
            " that was broken off"
        ) from error


def verify_folder(folder: Path) -> list[str]:
    """Return the differences between an exported folder and its manifest; empty where there are
    none.

    Raises BadInput where there is no manifest that can be read.
    """
    parts = _read_hashes(folder)
    faults = []
    for name, digest in parts.items():
        path = folder / Path(name).name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif _hash(path) != digest:
            faults.append(f"{name} is not what was written: its SHA-256 differs")
    others = {path.name for path in folder.iterdir()} - parts.keys() - {MANIFEST}
    return faults + [f"{name} is no part of the export" for name in sorted(others)]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _to_text(value: object) -> object:
    if isinstance(value, datetime):
        return write_moment(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
