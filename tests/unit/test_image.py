"""The image has everything that its processes import, and .dockerignore excludes none of it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image import ROOT, files_of, files_sent, is_ignored

COPIED = [
    source
    for line in re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for source in line.split()[:-1]
]
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import celeryconfig, wsgi, tasks.app
for package in sys.argv[2:]:
    for module in pkgutil.walk_packages([f"{sys.argv[1]}/{package}"], f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def test_the_files_that_the_image_copies_are_sent_to_the_build() -> None:
    sent = files_sent()
    missing = [source for source in COPIED if source != "." and source not in sent]
    assert missing == []
    assert "." in COPIED


@pytest.mark.parametrize(
    "name", re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
)
def test_the_files_that_dockerignore_lets_through_exist(name: str) -> None:
    assert files_of(name)


def test_nothing_secret_or_generated_is_sent_to_the_build() -> None:
    assert is_ignored(".env")
    assert is_ignored("api/__pycache__/app.cpython-311.pyc")
    assert {file.split("/")[0] for file in files_sent()}.isdisjoint(
        {"tests", "runner", "docs", ".git", ".tapewatch"}
    )


@pytest.mark.slow
def test_every_module_of_the_image_finds_its_imports(tmp_path: Path) -> None:
    for file in files_sent():
        place = tmp_path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, place)
    packages = sorted(path.parent.name for path in tmp_path.glob("*/__init__.py"))
    assert {"api", "cli", "tasks"} <= set(packages)
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL, str(tmp_path), *packages],
        cwd=tmp_path,
        # Only imports are tested, not kernels.
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
