"""Folders that may be a source of bars: those below the one that is watched."""

from pathlib import Path

from core.errors import BadInput


def resolve_folder(root: str, name: str) -> Path:
    """Return the folder of this name below the one that is watched.

    Raises BadInput on any other place.
    """
    if not root:
        raise BadInput(
            "no folder is watched here: set WATCHED_FOLDER to the one whose subfolders may be a"
            " source"
        )
    base = Path(root).resolve()
    folder = (base / name).resolve()
    if not folder.is_relative_to(base):
        raise BadInput(f"{name!r} is not a folder below the watched one")
    return folder
