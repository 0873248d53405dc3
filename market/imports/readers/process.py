"""Reads files in a child process with bounded memory and time, so that no file can take those of
the service.

This module imports none of the readers' libraries, so that the web process can ask for a preview.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from core.errors import BadInput
from market.imports.options import NO_OPTIONS, ReadingOptions

ROOT = Path(__file__).parents[3]
MODULE = "market.imports.readers.child"
MOST_WAIT_SECONDS = 900.0
# While the child reads, `on_wait` is called this often.
TOLD_SECONDS = 0.5
# An idle child waits so long for another file, as starting a child takes a second.
IDLE_SECONDS = 20.0
# The environment variables that the child gets; others may have passwords.
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "HOME", "TMPDIR")
# Without memory pools that reserve address space in advance and would use up the limit.
QUIET = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """The result of reading a file, or a member of an archive: a table as Arrow's bytes, an error,
    or a preview.

    Attributes:
        name: the file's name; for a member of an archive, the archive's name comes first.
        head: the properties of the table besides its columns.
        body: the columns, as a stream of Arrow.
        error: why there is no table.
        skipped: why the file was not tried.
    """

    name: str
    head: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    error: str | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """The child's last message about a file: whether reading it left much behind in memory."""

    has_grown: bool


class Reader:
    """Reads files one after another in a child process. A new child is started after a file that
    was too much for it, or that left much behind in its memory.

    While the child reads, `on_wait` is called about twice a second; what it raises ends the child.
    """

    def __init__(
        self,
        *,
        wait_seconds: float = MOST_WAIT_SECONDS,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self._wait_seconds = wait_seconds
        self._on_wait = on_wait
        self._child: Child | None = None
        # Whether the child is reading a file, or has too much left in memory: then no other reader
        # may use it.
        self._is_spent = False

    def warm_up(self) -> None:
        """Start the process, which takes a moment, without waiting for it."""
        self._start()

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None where there is no child."""
        return self._child.pid if self._child is not None else None

    def read_file(self, path: Path, options: ReadingOptions = NO_OPTIONS) -> Iterator[Part]:
        """Yield the tables of a file on disk."""
        yield from self._ask(
            {"path": str(path.absolute()), "filename": path.name, "options": options.to_dict()}, b""
        )

    def read_content(
        self, content: bytes, filename: str, options: ReadingOptions = NO_OPTIONS
    ) -> Iterator[Part]:
        """Yield the tables of a file that is given by its content and name."""
        request = {"filename": filename, "size": len(content), "options": options.to_dict()}
        yield from self._ask(request, content)

    def preview(
        self, content: bytes, filename: str, options: ReadingOptions = NO_OPTIONS
    ) -> dict[str, Any]:
        """Return a preview of a file's first table. Raises BadInput where it has none."""
        request = {
            "filename": filename,
            "size": len(content),
            "options": options.to_dict(),
            "preview": True,
        }
        parts = list(self._ask(request, content))
        shown = next((part for part in parts if "preview" in part.head), None)
        if shown is None:
            raise BadInput(parts[0].error or parts[0].skipped or "it holds no table")
        preview: dict[str, Any] = shown.head["preview"]
        return preview | {"source": shown.name, "parts": [part.name for part in parts][:100]}

    def close(self) -> None:
        """Release the child: an idle one is kept for the next reader for a while, others end."""
        child, self._child = self._child, None
        if child is None:
            return
        if self._is_spent or child.poll() is not None:
            _end(child)
        else:
            _keep(child)

    def _ask(self, request: dict[str, Any], content: bytes) -> Iterator[Part]:
        child, self._is_spent = self._start(), True
        # A file on which the child never ends must not block this process for ever.
        timer = threading.Timer(self._wait_seconds, child.kill)
        timer.daemon = True
        timer.start()
        try:
            part = self._wait_for(child, partial(_send, child, request, content))
            while isinstance(part, Part):
                yield part
                part = self._wait_for(child, partial(_read_part, child))
            self._is_spent = part.has_grown
        except (EOFError, OSError):
            yield Part(
                str(request["filename"]),
                error="it takes more memory or time to read than files of its size may",
            )
        finally:
            timer.cancel()
            if self._is_spent:
                self.close()
                self._is_spent = False

    def _wait_for(self, child: Child, answer: Callable[[], Part | _End]) -> Part | _End:
        if self._on_wait is None:
            return answer()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(answer)
            while not wait((reading,), TOLD_SECONDS).done:
                try:
                    self._on_wait()
                except BaseException:
                    child.kill()  # So the thread that reads from it ends.
                    raise
            return reading.result()

    def _start(self) -> Child:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = _take_spare()
        if self._child is None:
            kept = {name: os.environ[name] for name in KEPT if name in os.environ}
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", MODULE],
                cwd=ROOT,
                env=kept | QUIET,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._child


@contextmanager
def open_reader(
    *, wait_seconds: float = MOST_WAIT_SECONDS, on_wait: Callable[[], None] | None = None
) -> Iterator[Reader]:
    """Yield a reader, and release its child afterwards."""
    reader = Reader(wait_seconds=wait_seconds, on_wait=on_wait)
    try:
        yield reader
    finally:
        reader.close()


def _keep(child: Child) -> None:
    """Keep an idle child for the next reader of this process; it ends when none comes in time."""
    if _spare:  # One is enough; each takes memory.
        _end(child)
        return
    timer = threading.Timer(IDLE_SECONDS, _end_spare)
    timer.daemon = True
    _spare.append((child, timer))
    timer.start()


def _take_spare() -> Child | None:
    """Return the kept child, None where there is none or it has ended."""
    try:
        child, timer = _spare.pop()
    except IndexError:
        return None
    timer.cancel()
    if child.poll() is None:
        return child
    _end(child)
    return None


def _end_spare() -> None:
    if (child := _take_spare()) is not None:
        _end(child)


def _end(child: Child) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    child.wait()


# The kept child, and the timer that ends it. A forked process begins without one.
_spare: list[tuple[Child, threading.Timer]] = []
os.register_at_fork(after_in_child=_spare.clear)
atexit.register(_end_spare)


def _send(child: Child, request: dict[str, Any], content: bytes) -> Part | _End:
    """Send a request with its content; return the first part of the answer."""
    assert child.stdin is not None  # noqa: S101 - pipes were asked for
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.write(content)
    child.stdin.flush()
    return _read_part(child)


def _read_part(child: Child) -> Part | _End:
    """Return the next part that the child writes, or its message at the end of the file."""
    stream = child.stdout
    assert stream is not None  # noqa: S101 - as above
    head = _read_head(stream)
    if "end" in head:
        return _End(head["grown"])
    body = _read_exactly(stream, head.pop("size"))
    return Part(head.pop("name"), head, body, head.pop("error", None), head.pop("skipped", None))


def _read_head(stream: IO[bytes]) -> dict[str, Any]:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head: dict[str, Any] = json.loads(line)
    return head


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content
