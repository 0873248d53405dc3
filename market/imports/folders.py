"""Folders that may be a source of bars: the folders below the watched one."""

from pathlib import Path

from core.errors import BadInput


def resolve_folder(root: str, name: str) -> Path:
    """Return the folder of a name below the watched folder `root`.

    Raises BadInput where the name leads elsewhere.
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
