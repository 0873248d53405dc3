"""Tells the kind of a file, by its first bytes and then by its name, and opens its tables."""

import io
import zipfile
from collections.abc import Callable, Iterator

from core.errors import BadInput
from market.imports.names import PACKED, UNREAD, find_suffix
from market.imports.options import ReadingOptions
from market.imports.readers.limits import MOST_BYTES, MOST_MEMBERS
from market.imports.readers.packed import find_packer, unpack_content
from market.imports.readers.tables import Opened

ZIP, PARQUET, OLD_EXCEL = b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"
OTHERS = {
    b"%PDF": "a PDF",
    OLD_EXCEL: "Excel's old format (.xls): save it as .xlsx",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"\x89HDF": "an HDF5 file: write it as Parquet",
}
# Archives that are one document of an unsupported kind, by a member that only they have.
DOCUMENTS = {"mimetype": UNREAD[".ods"], "xl/workbook.bin": UNREAD[".xlsb"]}


def list_members(content: bytes, filename: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield name and content of each file of a .zip, or the file itself. Raises BadInput."""
    if not is_archive(content, filename):
        yield filename, lambda: content
        return
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MOST_MEMBERS:
        raise BadInput(
            f"it holds {len(members):,} files; at most {MOST_MEMBERS:,} are taken at once"
        )
    if not members:
        raise BadInput("the archive is empty")
    for member in sorted(members, key=lambda member: member.filename):
        yield f"{filename}/{member.filename}", lambda member=member: _unzip(archive, member)  # type: ignore[misc]


def is_archive(content: bytes, filename: str) -> bool:
    """Return whether a file is a .zip of files, and not an Excel workbook."""
    if not content.startswith(ZIP):
        return filename.lower().endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        return "mimetype" not in names and not any(name.startswith("xl/") for name in names)


def open_table(content: bytes, filename: str, options: ReadingOptions) -> Opened:
    """Return the table of a file that is no archive. Raises BadInput."""
    for magic, kind in OTHERS.items():
        if content.startswith(magic):
            raise BadInput(f"it is {kind}")
    if content.startswith(ZIP):
        _refuse_documents(content)
    suffix = find_suffix(filename)
    if packer := find_packer(content):
        content = unpack_content(content, packer, is_text=not suffix.startswith(".parquet"))
        suffix = next((suffix.removesuffix(end) for end in PACKED if suffix.endswith(end)), suffix)
    if not content.strip():
        raise BadInput("the file is empty")
    if content.startswith(PARQUET) or suffix == ".parquet":
        from market.imports.readers.parquet import (  # noqa: PLC0415 - each reader loads its library
            open_parquet,
        )

        return open_parquet(content)
    if content.startswith(ZIP) or suffix in {".xlsx", ".xlsm"}:
        from market.imports.readers.workbooks import (  # noqa: PLC0415 - each reader loads its library
            open_workbook,
        )

        return open_workbook(content, options)
    head = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] == b"<" and head[:20].lower().startswith(
        (b"<html", b"<!doctype", b"<table", b"<?xml")
    ):
        raise BadInput("it is a web page or XML, not a table: save it as .csv or .xlsx")
    if suffix in {".json", ".ndjson", ".jsonl"} or (head[:1] in {b"{", b"["} and b'"' in head):
        from market.imports.readers.documents import (  # noqa: PLC0415 - each reader loads its library
            open_json,
        )

        return open_json(content)
    from market.imports.readers.delimited import (  # noqa: PLC0415 - each reader loads its library
        open_delimited,
    )

    return open_delimited(content, options)


def _refuse_documents(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    for name, kind in DOCUMENTS.items():
        if name in names:
            raise BadInput(f"it is {kind}")


def _unzip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1:
        raise BadInput("it is encrypted")
    with archive.open(member) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
    return content
