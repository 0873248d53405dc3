"""Compiled code is kept on disk: a worker that starts loads it, and never compiles at its first task."""

import os
import subprocess
import sys

REPORT = """
import numpy as np
from detection.detectors import trees
from detection.features import kernel
compiled = (kernel.run_kernel, trees.walk_trees, trees.credit_columns)
print([(len(f.stats.cache_hits), len(f.stats.cache_misses), len(f.signatures)) for f in compiled])
"""


def test_a_second_process_compiles_nothing() -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", REPORT], env=os.environ, capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "[(1, 0, 1), (1, 0, 1), (1, 0, 1)]"
