"""Files of bars on disk, one at a time or a folder of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput
from market.exports.folders import is_export
from market.exports.tables import MANIFEST
from market.imports.names import SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a folder, and why it is not even tried, or None."""

    path: Path
    skipped: str | None = None


def find_files(path: Path) -> Sequence[Found]:
    """Return the file itself, or all files in a folder and below, by name.

    Raises BadInput on finding none of bars.
    """
    if not path.exists():
        raise BadInput(f"there is no file or folder {str(path)!r}")
    if not path.is_dir():
        return [Found(path)]
    files = [
        Found(file, _find_objection(file)) for file in sorted(path.rglob("*")) if file.is_file()
    ]
    if all(file.skipped for file in files):
        raise BadInput(f"the folder {str(path)!r} holds no file of bars (*{', *'.join(SUFFIXES)})")
    return files


def _find_objection(file: Path) -> str | None:
    """Return why a file is no file of bars by its name, or None."""
    if file.name.startswith("."):
        return "a hidden file, such as macOS leaves beside others"
    if file.name == MANIFEST and is_export(file.parent):
        return "what an export says of its files"
    if not file.name.lower().endswith(SUFFIXES):
        return "no file of bars by its name"
    return None
