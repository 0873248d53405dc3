"""Compiled code is cached on disk: a starting worker loads it, and never compiles in its first
task.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.kernels import MODULES, load
from tests.conftest import ROOT, WINGS

COUNT_MISSES = """
import sys
from importlib import import_module
from numba.core.dispatcher import Dispatcher
for name in sys.argv[1:]:
    functions = vars(import_module(name)).values()
    kept = [each for each in functions if isinstance(each, Dispatcher) and each.signatures]
    assert kept, name
    print(name, [sum(f.stats.cache_misses.values()) for f in kept if f.stats.cache_path])
"""


def run(*command: str, folder: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_all_compiled_functions_are_compiled_by_one_command() -> None:
    files = [path for wing in WINGS for path in (ROOT / wing).rglob("*.py")]
    compiled = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if re.search(r"\bnjit\(", path.read_text())
    }
    assert compiled == set(MODULES)


def test_a_second_process_compiles_nothing() -> None:
    for name in MODULES:
        load(name)
    said = run("-c", COUNT_MISSES, *MODULES)
    assert len(said.splitlines()) == len(MODULES)
    assert set(re.findall(r"\d+", re.sub(r"^\S+", "", said, flags=re.MULTILINE))) == {"0"}


FEATURES = """
import hashlib
import numpy as np
from detection.features import kernel
from detection.features.compute import compute_features
from detection.features.feature_sets import MARKET14
from tests.unit.detection.features.twin import build_panel, document_all, read_real_bars
bars = read_real_bars()["IBM"]
features = compute_features(build_panel(bars), np.zeros(1, np.int64), MARKET14)
digest = hashlib.sha256(document_all(features).tobytes() + features.inputs.tobytes()).hexdigest()
print(digest, len(kernel.run_kernel.stats.cache_misses))
"""
# A processor of 2008 (SSE 4.2, no AVX), as numba and as numpy see it.
OLD = {
    "NUMBA_CPU_NAME": "nehalem",
    "NUMBA_CPU_FEATURES": "",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3",
}


@pytest.mark.slow
def test_another_processor_does_not_use_a_copied_cache_and_gets_the_same_results(
    tmp_path: Path,
) -> None:
    from detection.features import kernel  # noqa: PLC0415 - now it is compiled

    assert kernel.run_kernel.stats.cache_path is not None
    for name in ("core", "detection", "market", "records", "tests/unit/detection/features"):
        shutil.copytree(ROOT / name, tmp_path / name)
    found = []
    for environment in ({}, OLD):
        said = run("-W", "ignore", "-c", FEATURES, folder=tmp_path, PYTHONPATH="", **environment)
        found.append(tuple(said.split()))
    (here, loaded), (there, compiled_anew) = found
    assert (loaded, compiled_anew) == ("0", "1")
    assert here == there
