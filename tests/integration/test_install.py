"""Installing from a lock file, as the Makefile does it, from indexes with newer releases."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.indexes import make_wheel, serving

ROOT = Path(__file__).parent.parent.parent


def hash_of(file: Path) -> str:
    """Return the hash of a file as a lock file writes it."""
    return f"--hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def install_arguments() -> list[str]:
    """Return the pip arguments with which the Makefile installs a lock file."""
    found = re.search(
        r"^INSTALL := .*? -m pip (install .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert found
    return found[1].split()


def pip(arguments: list[str], lock: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Install a lock file into a folder, without this machine's pip configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--target", str(target), "-r", str(lock)],
        env={**environment, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index with the releases at the time of the lock file: a package, its requirement, and the
    requirement of an extra.
    """
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "front", "1.0", "middle[mail]>=1.0")
    make_wheel(folder, "middle", "1.0", 'back>=1.0; extra == "mail"')
    make_wheel(folder, "back", "1.0")
    return folder


@pytest.fixture
def lock(tmp_path: Path, index: Path) -> Path:
    """A lock file that pins the whole index, before anything newer is released."""
    path = tmp_path / "requirements.txt"
    path.write_text(
        "".join(
            f"{wheel.name.split('-')[0]}==1.0 {hash_of(wheel)}\n" for wheel in index.glob("*.whl")
        )
    )
    return path


def installed_in(target: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def test_newer_releases_of_everything_change_nothing(
    index: Path, lock: Path, tmp_path: Path
) -> None:
    for name in ("front", "middle", "back"):
        make_wheel(index, name, "9.0", "setuptools>=999")
    with serving(index) as address:
        done = pip([*install_arguments(), "--index-url", address], lock, tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert installed_in(tmp_path / "target") == {"front-1.0", "middle-1.0", "back-1.0"}


def test_a_folder_of_the_locked_wheels_is_enough(index: Path, lock: Path, tmp_path: Path) -> None:
    offline = ["--no-index", "--find-links", str(index)]
    done = pip([*install_arguments(), *offline], lock, tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert installed_in(tmp_path / "target") == {"front-1.0", "middle-1.0", "back-1.0"}


def test_no_package_is_built_from_source(index: Path, lock: Path, tmp_path: Path) -> None:
    """A source package would be built with whatever build tools an index has on that day."""
    (index / "back-1.0-py3-none-any.whl").unlink()
    source = index / "back-1.0.tar.gz"
    source.write_bytes(b"pinned, and never unpacked")
    lock.write_text(lock.read_text().replace("back==1.0", f"back==1.0 {hash_of(source)}"))
    with serving(index) as address:
        done = pip([*install_arguments(), "--index-url", address], lock, tmp_path / "target")
    assert done.returncode != 0
    assert "No matching distribution found for back==1.0" in done.stderr


def test_a_file_that_was_replaced_is_refused(index: Path, lock: Path, tmp_path: Path) -> None:
    make_wheel(index, "back", "1.0", "something-else")
    with serving(index) as address:
        done = pip([*install_arguments(), "--index-url", address], lock, tmp_path / "target")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert installed_in(tmp_path / "target") == set()
