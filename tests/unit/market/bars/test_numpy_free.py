"""The modules about bars that the web process imports do not load the numeric stack."""

import subprocess
import sys

MODULES = (
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
)
PROGRAM = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
    loaded = {"numpy", "pandas", "pyarrow", "exchange_calendars"} & sys.modules.keys()
    assert not loaded, (name, loaded)
"""


def test_no_module_of_these_loads_a_numeric_package() -> None:
    """One process imports them all: a package that it has not loaded, no module loads."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
