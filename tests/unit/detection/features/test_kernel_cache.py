"""Compiled code is kept on disk: a worker that starts loads it,
and never compiles at its first task.
"""

import os
import subprocess
import sys
from pathlib import Path

REPORT = """
import numpy as np
from detection.detectors import walks
from detection.features import kernel
compiled = (kernel.run_kernel, walks.walk_trees, walks.credit_columns)
print([(len(f.stats.cache_hits), len(f.stats.cache_misses), len(f.signatures)) for f in compiled])
"""


def test_a_second_process_compiles_nothing() -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", REPORT],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == "[(1, 0, 1), (1, 0, 1), (1, 0, 1)]"


FEATURES = """
import hashlib
import numpy as np
from detection.features import kernel
from detection.features.compute import compute_features
from detection.features.feature_sets import MARKET14
from tests.unit.detection.features.twin import build_panel, read_real_bars
bars = read_real_bars()["IBM"]
features = compute_features(build_panel(bars), np.zeros(1, np.int64), MARKET14)
digest = hashlib.sha256(features.documented.tobytes()).hexdigest()
print(digest, len(kernel.run_kernel.stats.cache_misses))
"""
# a processor of 2008 (SSE 4.2, no AVX), as numba and as numpy see it
OLD = {
    "NUMBA_CPU_NAME": "nehalem",
    "NUMBA_CPU_FEATURES": "",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3",
}


def test_another_processor_takes_no_code_from_a_copied_cache_and_finds_the_same(
    tmp_path: Path,
) -> None:
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = []
    for environment in ({}, {}, OLD):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FEATURES],
            env={**os.environ, **cache, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(tuple(done.stdout.split()))
    (here, compiled), (again, loaded), (there, compiled_anew) = found
    assert (compiled, loaded, compiled_anew) == ("1", "0", "1")
    assert here == again == there
