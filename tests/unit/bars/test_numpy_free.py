"""What the web process imports of bars does without the numeric stack."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "cli.bars",
        "detection.bars.intervals",
        "detection.bars.markets",
        "detection.bars.reading",
        "detection.bars.tickers",
        "detection.records.rejected",
        "detection.records.revisions",
        "detection.records.series",
        "detection.records.uploads",
    ],
)
def test_module_loads_no_numeric_package(module: str) -> None:
    program = (
        f"import sys, {module}; print(*({{'numpy', 'pandas', 'pyarrow', 'exchange_calendars'}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
