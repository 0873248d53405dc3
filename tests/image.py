"""Which files an image is built from: those that .dockerignore does not exclude."""

import subprocess
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent


def files_of(source: str) -> list[str]:
    """Return the files that git tracks under a folder, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def is_ignored(path: str) -> bool:
    """Answer as a build does: the last pattern that matches the path, or a folder above it,
    decides.
    """
    parents = ["/".join(path.split("/")[: depth + 1]) for depth in range(path.count("/") + 1)]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!").removeprefix("**/")
        tried = [parent.rsplit("/", 1)[-1] for parent in parents] if "**/" in line else parents
        # A `*` in these patterns matches within one name only.
        if any(fnmatch(name, pattern) and name.count("/") == pattern.count("/") for name in tried):
            ignored = not line.startswith("!")
    return ignored


def files_sent() -> list[str]:
    """Return the files that are sent to a build: those that .dockerignore does not exclude."""
    return [file for file in files_of(".") if not is_ignored(file)]
