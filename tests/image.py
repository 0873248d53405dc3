"""What an image is built from: the files that .dockerignore lets through."""

import subprocess
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent


def files_of(source: str) -> list[str]:
    """Return what git keeps under a source, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def is_ignored(path: str) -> bool:
    """Answer as a build does: the last pattern that matches the path,
    or a folder that it lies in, decides.
    """
    parents = ["/".join(path.split("/")[: depth + 1]) for depth in range(path.count("/") + 1)]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!").removeprefix("**/")
        tried = [parent.rsplit("/", 1)[-1] for parent in parents] if "**/" in line else parents
        # a star of these patterns matches within one name
        if any(fnmatch(name, pattern) and name.count("/") == pattern.count("/") for name in tried):
            ignored = not line.startswith("!")
    return ignored


def files_sent() -> list[str]:
    """Return what a build is sent: what .dockerignore lets through."""
    return [file for file in files_of(".") if not is_ignored(file)]
