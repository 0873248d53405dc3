"""The demo from an empty folder to its table of anomalies."""

import csv
import gzip
import re
from importlib.util import find_spec
from pathlib import Path

from tests.browser.conftest import Demo
from tests.commands import read_table


def count_published_bars() -> int:
    """Count the rows of the published files, without our own reader."""
    files = {
        "bokeh_sampledata": ["_data/stocks.csv.gz"],
        "arch": ["data/sp500/sp500.csv.gz", "data/nasdaq/nasdaq.csv.gz"],
    }
    total = 0
    for package, names in files.items():
        origin = find_spec(package).origin
        for name in names:
            with gzip.open(Path(origin).parent / name, "rt") as file:
                total += len(list(csv.reader(file))) - 1
    return total


def test_the_demo_says_what_it_imported_and_found(demo: Demo) -> None:
    said = demo.runner.said()
    assert (
        f"Bars: {count_published_bars():,} of 7 tickers, 1999-01-04 to 2018-12-31, imported" in said
    )
    assert re.search(r"Backfill: [\d,]+ bars scored", said)
    table = read_table(said)
    assert len([row for row in table if row[0]]) == 12
    # A share's worst day that is no split: half its price overnight.
    assert ["AAPL", "2000-09-29", "25.75"] in [row[:3] for row in table]
    assert re.search(r"From start to table: [\d.]+ s", said)
