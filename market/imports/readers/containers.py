"""What a file is, by its first bytes and then by its name, and the tables that it holds."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator

from core.errors import BadInput
from market.imports.names import UNREAD, find_suffix
from market.imports.options import ReadingOptions
from market.imports.readers.limits import MOST_BYTES, MOST_LINE_BYTES, MOST_MEMBERS
from market.imports.readers.tables import Opened

CHUNK_BYTES = 2**20
GZIP, ZIP, PARQUET, OLD_EXCEL = b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"
OTHERS = {
    b"%PDF": "a PDF",
    OLD_EXCEL: "Excel's old format (.xls): save it as .xlsx",
    b"BZh": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"\x89HDF": "an HDF5 file: write it as Parquet",
}
# Of archives that are one document, by what is in them.
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
    """Whether a file is a .zip of files, which an Excel workbook is not."""
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
    if content.startswith(GZIP):
        content = gunzip(content, is_text=not suffix.startswith(".parquet"))
        suffix = suffix.removesuffix(".gz")
        if content.startswith(GZIP):
            raise BadInput("it is compressed twice by gzip: unpack it once")
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


def gunzip(content: bytes, *, is_text: bool = True) -> bytes:
    """Unpack gzip, counting bytes and the length of lines as they come. Raises BadInput."""
    parts: list[bytes] = []
    size = since_line = 0
    rest = content
    while rest:
        unpacker = zlib.decompressobj(wbits=31)
        while rest and not unpacker.eof:
            try:
                part = unpacker.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                where = "behind its end is something else" if parts else "it is damaged"
                raise BadInput(f"it is no whole gzip file: {where} ({error})") from error
            rest = unpacker.unconsumed_tail or (b"" if not part else unpacker.unconsumed_tail)
            size += len(part)
            if size > MOST_BYTES:
                raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
            end = max(part.rfind(b"\n"), part.rfind(b"\r"))
            since_line = len(part) - end - 1 if end >= 0 else since_line + len(part)
            if is_text and since_line > MOST_LINE_BYTES and not _is_document(parts, part):
                raise BadInput(
                    f"it has a line of more than {MOST_LINE_BYTES // 1024} KiB: it is no table of"
                    " bars"
                )
            parts.append(part)
        if not unpacker.eof:
            raise BadInput("it is cut short: gzip's end is missing")
        rest = unpacker.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _is_document(parts: list[bytes], part: bytes) -> bool:
    """Whether text begins as JSON does, which may be one line."""
    return (parts[0] if parts else part).lstrip()[:1] in {b"{", b"["}


def _unzip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1:
        raise BadInput("it is encrypted")
    with archive.open(member) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(f"unpacked it has more than {MOST_BYTES // 2**20} MiB")
    return content
