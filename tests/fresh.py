"""`make fresh`: checks that a new clone installs and runs from a package index with newer releases,
and from no index at all.

The locked wheels are downloaded once. One clone gets an index on loopback that has them and, for
every package, a newer version that must not be installed. The other gets a folder of the wheels and
no index. In each clone, `make demo` and `make test` run twice.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from runner.servers import free_port
from tests.indexes import make_wheel, serving

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
NEWER = "9999.0"
say = Console(soft_wrap=True, highlight=False, markup=False).print


def main() -> int:
    """Try both clones. Returns 1 if a command failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = folder / "wheels"
        wheels.mkdir()
        for lock in LOCKS:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ]
            subprocess.run(
                [*command, "--only-binary", ":all:", "-d", wheels, "-r", lock], cwd=ROOT, check=True
            )
        say(f"{len(list(wheels.iterdir()))} locked wheels. First without an index.")
        alone = try_clone(folder / "alone", {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)})
        for package in {name for lock in LOCKS for name in read_names(lock)}:
            make_wheel(wheels, package, NEWER, "setuptools>=9999")
        with serving(wheels) as address:
            say(f"Then from an index that has {NEWER} of every package.")
            crowded = try_clone(folder / "crowded", {"PIP_INDEX_URL": address})
    return 0 if alone and crowded else 1


def read_names(lock: str) -> list[str]:
    """Return the names of the packages that a lock file pins."""
    return re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE)


def try_clone(clone: Path, settings: dict[str, str]) -> bool:
    """Clone what is committed and run the commands that a new user runs first; return whether all
    succeeded.
    """
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "MAKE", "MFLAGS"))
    }
    environment |= {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **settings}
    for command in [["demo", "ONCE=1"], ["test", "ARGS=tests/unit/test_locks.py"]] * 2:
        started = time.monotonic()
        done = subprocess.run(
            ["make", *command],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        say(f"  make {' '.join(command)}: {done.returncode}, {time.monotonic() - started:.0f} s")
        if done.returncode:
            say(done.stdout[-3000:], done.stderr[-3000:])
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
