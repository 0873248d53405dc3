"""The list of compiled modules: `python -m tasks.kernels` compiles all that are not in a cache on
disk.

A machine does this once, at installation, so that the first process that needs one does not have
to.
"""

from importlib import import_module
from multiprocessing import Pool

# Those that take longest come first.
MODULES = (
    "detection.features.kernel",
    "alerts.root_cause.kernel",
    "analytics.kernels",
    "detection.detectors.walks",
    "detection.detectors.half_space_trees",
    "detection.detectors.pca_window",
    "market.bars.kernel",
    "detection.detectors.lstm",
    "detection.detectors.mad",
    "detection.detectors.trailing",
)


def load(module: str) -> None:
    """Compile what a module compiles when it is loaded."""
    import_module(module)


if __name__ == "__main__":
    with Pool() as pool:
        pool.map(load, MODULES, chunksize=1)
