"""The child process that reads files: it takes requests from standard input and answers with
settled tables.

A request is a line of JSON and, where it says so, that many bytes. An answer is a line of JSON for
each table of the file, followed by as many bytes of Arrow as the line says, and a last line
`{"end": true, "grown": ...}`. `grown` says whether the file left so much in memory that a new
process should read the next one. Whatever bytes a file holds, its answer is tables or one error;
unforeseen exceptions and a lack of memory are answered with an error, too.
"""

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from core.errors import BadInput
from market.imports.names import SUFFIXES, UNREAD
from market.imports.options import ReadingOptions
from market.imports.readers.containers import is_archive, list_members, open_table
from market.imports.readers.limits import (
    LEAST_MEMORY,
    MEMORY_PER_BYTE,
    MOST_BYTES,
    MOST_CPU_SECONDS,
    MOST_LEFT_BEHIND,
    MOST_MEMORY,
    PREVIEW_MEMORY,
)
from market.imports.readers.preview import build_preview
from market.imports.readers.tables import build_table
from market.imports.settled import Settled
from market.imports.settling import settle_table

# A .zip within a .zip is not opened. Other spreadsheets are refused with advice.
TABLES = (*(suffix for suffix in SUFFIXES if suffix != ".zip"), *UNREAD)
WRITTEN, NUMBER = "written.", "number."

Answer = tuple[dict[str, Any], bytes]


def main() -> None:
    """Answer requests until the input ends."""
    first = idle = _measure_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in iter(requests.readline, b""):
        request = json.loads(line)
        for head, body in _answer(request, requests, idle):
            answers.write(json.dumps(head | {"size": len(body)}).encode() + b"\n")
            answers.write(body)
        idle = _measure_memory()
        end = {"end": True, "grown": idle - first > MOST_LEFT_BEHIND}
        answers.write(json.dumps(end).encode() + b"\n")
        answers.flush()


def _answer(request: dict[str, Any], requests: IO[bytes], idle: int) -> Iterator[Answer]:
    """Yield the answers to a request, one for each table of its file."""
    filename = request["filename"]
    try:
        size = request["size"] if "size" in request else Path(request["path"]).stat().st_size
        _limit(size, idle, PREVIEW_MEMORY if request.get("preview") else LEAST_MEMORY)
        content = (
            requests.read(request["size"])
            if "size" in request
            else _read_file(Path(request["path"]))
        )
        # Checked once, not for each member: it takes time in proportion to the number of members.
        is_member = is_archive(content, filename)
        for name, read in list_members(content, filename):
            yield _read_member(name, read, request, is_member=is_member)
    except BaseException as error:  # noqa: BLE001 - any bytes end in a table or in one clear error
        yield _explain(filename, error), b""


def _read_member(name: str, read: Any, request: dict[str, Any], *, is_member: bool) -> Answer:
    options = ReadingOptions(**request["options"])
    try:
        base = name.rsplit("/", 1)[-1]
        if is_member and (base.startswith(".") or not base.lower().endswith(TABLES)):
            return {"name": name, "skipped": "no file of bars by its name"}, b""
        content = read()
        if request.get("preview"):
            return {"name": name, "preview": build_preview(content, base, options)}, b""
        settled = settle_table(build_table(open_table(content, base, options), options), options)
        return _pack(name, settled)
    except BaseException as error:  # noqa: BLE001 - the same: one file of an archive leaves the others alone
        return _explain(name, error), b""


def _explain(name: str, error: BaseException) -> dict[str, Any]:
    if isinstance(error, BadInput):
        return {"name": name, "error": error.message[:1_000]}
    if isinstance(error, MemoryError):
        return {"name": name, "error": "it takes more memory to read than files of its size may"}
    kind = name.rsplit("/", 1)[-1].rpartition(".")[2].lower()[:20]
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return {"name": name, "error": f"cannot be read as {kind}: {text}"}


def _pack(name: str, settled: Settled) -> Answer:
    columns: dict[str, Any] = {WRITTEN + key: column for key, column in settled.written.items()}
    columns |= {NUMBER + key: pa.array(values) for key, values in settled.numbers.items()}
    columns |= {
        "seconds": pa.array(settled.times.seconds),
        "zoned": pa.array(settled.times.zoned.astype(np.int8)),
        "bad": pa.array(settled.times.bad.astype(np.int8)),
        "rows": pa.array(settled.rows),
    }
    if settled.empty_volumes is not None:
        columns["empty_volumes"] = pa.array(settled.empty_volumes.astype(np.int8))
    table = pa.table(columns).combine_chunks()
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    head = {
        "name": name,
        "names": dict(settled.names),
        "aside": list(settled.aside)[:1_000],
        "notes": list(settled.notes),
        "ticker": settled.ticker,
        "title": settled.title,
        "labels": settled.times.labels,
    }
    return head, sink.getvalue()


def _read_file(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise BadInput(
            f"the file has {size / 2**20:.0f} MiB; at most {MOST_BYTES // 2**20} are taken at once"
        )
    try:
        with path.open("rb") as file:
            before, content = os.fstat(file.fileno()), file.read()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        # The last row may be half written, with a cut price or volume.
        raise BadInput("it changed while it was read: import it when it is written")
    return content


def _measure_memory() -> int:
    """Return how many bytes of address space this process uses."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return 2**30


def _limit(size: int, idle: int, least: int) -> None:
    """Limit the memory and the time for reading a file, by its size."""
    most = idle + min(MOST_MEMORY, least + MEMORY_PER_BYTE * size)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + MOST_CPU_SECONDS
    for kind, bound in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CPU, seconds)):
        resource.setrlimit(kind, (bound, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main()
