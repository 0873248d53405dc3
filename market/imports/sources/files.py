"""Files of bars on disk, one at a time or a folder of them."""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput
from market.exports.folders import is_export
from market.exports.tables import MANIFEST
from market.imports.names import SUFFIXES, WRITTEN_SUFFIXES, find_unread

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found in a folder.

    Attributes:
        path: the file's path, or that of a folder that cannot be listed.
        skipped: why the file is not tried, or None.
        error: why it cannot be read, or None.
    """

    path: Path
    skipped: str | None = None
    error: str | None = None


def show_path(path: Path) -> str:
    """Return a path as text that can be stored: file names may not be UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def find_files(path: Path) -> Sequence[Found]:
    """Return the file itself, or all files of a folder and of the folders below it, by name.

    Raises BadInput where no file of bars is found.
    """
    try:
        path.stat()
    except OSError as error:
        shown = repr(show_path(path))
        if error.errno in _NOT_THERE:
            raise BadInput(f"there is no file or folder {shown}") from error
        raise BadInput(f"{shown} cannot be read: {error.strerror}") from error
    if path.is_file():
        return [Found(path)]
    if not path.is_dir():
        raise BadInput(
            f"{show_path(path)!r} is no file but a pipe, a socket or a device: write what comes out"
            " of it into a file"
        )
    files = sorted(_walk(path), key=lambda file: file.path)
    if all(file.skipped for file in files):
        raise BadInput(f"the folder {show_path(path)!r} holds no file of bars ({WRITTEN_SUFFIXES})")
    return files


def _walk(folder: Path) -> Iterator[Found]:
    """Yield all files of a folder and of the folders below it. Links to folders are not followed:
    they may lead in a circle, or to the same files again.
    """
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        for name in folders:
            if (path := Path(place, name)).is_symlink():
                yield Found(path, skipped="a link to a folder: name it to import what it holds")
        for name in files:
            yield _look_at(Path(place, name))
    for error in unread:
        yield Found(Path(error.filename), error=f"the folder cannot be read: {error.strerror}")


def _look_at(file: Path) -> Found:
    if objection := _find_objection(file):
        return Found(file, skipped=objection)
    try:
        file.stat()
    except OSError as error:
        lost = "a link to what is not there" if error.errno in _NOT_THERE else error.strerror
        return Found(file, error=f"cannot be read: {lost}")
    if not file.is_file():
        return Found(file, skipped="no file but a pipe, a socket or a device")
    return Found(file)


def _find_objection(file: Path) -> str | None:
    """Return why a file is not a file of bars, by its name; else None."""
    if file.name.startswith("."):
        return "a hidden file, such as macOS leaves beside others"
    if file.name == MANIFEST and is_export(file.parent):
        return "what an export says of its files"
    if kind := find_unread(file.name):
        return f"it is {kind}"
    if not file.name.lower().endswith(SUFFIXES):
        return "no file of bars by its name"
    return None
