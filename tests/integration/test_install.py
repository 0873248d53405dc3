"""An install of a lock, as the Makefile does it, from indexes that have moved on."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parent.parent.parent


def make_wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """Write the wheel of a package with one empty module, which asks for others."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: mail\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n"
        for file, text in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return path


def hash_of(file: Path) -> str:
    """Return the hash of a file as a lock has it."""
    return f"--hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder as a simple index on loopback, and yield its address."""
    for file in folder.glob("*-*"):
        place = folder / "simple" / file.name.split("-")[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).write_bytes(file.read_bytes())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


def install_arguments() -> list[str]:
    """Return the arguments of pip with which the Makefile installs a lock."""
    found = re.search(r"^INSTALL := .*? -m pip (install .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def pip(arguments: list[str], lock: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Install a lock into a folder, with no configuration of this machine."""
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
    """Make a folder of what was there when the lock was made: a package, what it asks for, and an extra's need."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "front", "1.0", "middle[mail]>=1.0")
    make_wheel(folder, "middle", "1.0", 'back>=1.0; extra == "mail"')
    make_wheel(folder, "back", "1.0")
    return folder


@pytest.fixture
def lock(tmp_path: Path, index: Path) -> Path:
    """Pin all of the index, as it is before anybody releases more."""
    path = tmp_path / "requirements.txt"
    path.write_text("".join(f"{wheel.name.split('-')[0]}==1.0 {hash_of(wheel)}\n" for wheel in index.glob("*.whl")))
    return path


def installed_in(target: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def test_newer_releases_of_everything_change_nothing(index: Path, lock: Path, tmp_path: Path) -> None:
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


def test_nothing_is_built(index: Path, lock: Path, tmp_path: Path) -> None:
    """A source package would be built by whatever build tools an index has that day."""
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
