"""What the web process imports of bars does without the numeric stack."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "cli.bars",
        "market.intervals",
        "market.markets",
        "market.market_rows",
        "market.sessions.freshness",
        "market.bars.deleting",
        "market.bars.reading",
        "market.tickers",
        "records.market.rejected",
        "records.market.revisions",
        "records.market.series",
        "records.market.uploads",
    ],
)
def test_module_loads_no_numeric_package(module: str) -> None:
    program = (
        f"import sys, {module}; print(*({{'numpy', 'pandas', 'pyarrow', 'exchange_calendars'}} &"
        " sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
