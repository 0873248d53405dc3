"""The build id: which version of the code answers."""

from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The files that answers and pages depend on. The release number alone would be the same for two
# versions of the code.
FOLDERS = ("alerts", "analytics", "api", "core", "detection", "market", "records", "web")
KINDS = frozenset({".py", ".js", ".css", ".html"})


@cache
def get_build() -> str:
    """Return a word that differs for different code, and is the same on each machine."""
    digest = sha256()
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in KINDS:
                digest.update(file.relative_to(ROOT).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
