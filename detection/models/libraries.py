"""The libraries that a score depends on."""

import platform
from importlib.metadata import version as find_version

LIBRARIES = ("numpy", "scikit-learn", "numba", "joblib")


def find_library_versions() -> dict[str, str]:
    """Return by name the installed version of each of these libraries."""
    return {"python": platform.python_version()} | {name: find_version(name) for name in LIBRARIES}
