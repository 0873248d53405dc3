"""`make demo` as a whole: from an empty folder to a table of anomalies, and again."""

import csv
import gzip
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.request import urlopen

import pytest

from runner.servers import LOOPBACK
from tests.processes import PATIENCE_SECONDS, Runner, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


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


def get(runner: Runner, path: str) -> dict[str, Any]:
    with urlopen(f"http://{LOOPBACK}:{runner.port}{path}", timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


def read_table(output: str) -> list[list[str]]:
    """Return the cells of the table's rows, which begin with a ticker."""
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in output.splitlines()
        if line.startswith("│")
    ]
    return [row for row in rows if row[0]]


def test_the_demo_runs_from_an_empty_folder(first: CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    assert (
        f"Bars: {count_published_bars():,} of 7 tickers, 1999-01-04 to 2018-12-31, imported"
        in first.stdout
    )
    assert re.search(r"Backfill: [\d,]+ bars scored", first.stdout)
    table = read_table(first.stdout)
    assert len(table) == 12
    # A share's worst day that is no split: half its price overnight.
    assert ["AAPL", "2000-09-29", "25.75"] in [row[:3] for row in table]
    assert re.search(r"From start to table: [\d.]+ s", first.stdout)
    assert "Stopping" in first.stdout


@pytest.mark.slow
def test_the_demo_runs_again_in_the_same_folder(
    first: CompletedProcess[str], again: Runner
) -> None:
    assert "Bars: " in again.said()
    assert "are here already" in again.said()
    assert (
        "Backfill: nothing to do, all 7 tickers were detected to their last bar before"
        in again.said()
    )
    assert read_table(again.said()) == read_table(first.stdout)
    # The process would keep its loaded modules in memory as long as the demo serves.
    assert again.pids("runner.demo_bars") == []
    for other in ("celery beat", "celery flower", "--queues control", "'-m feed'"):
        wait_until(lambda other=other: again.pids(other), f"{other} is started after the table")
    runs = get(again, "/py/detection-runs?task=backfill")["items"]
    assert [run["status"] for run in runs] == ["complete"]
    assert sorted(runs[0]["tickers"]) == ["AAPL", "FB", "GOOG", "IBM", "MSFT", "^GSPC", "^IXIC"]
    # The split of 2005-02-28 is in the data, in prices as quoted.
    faults = get(again, "/py/anomalies?ticker=AAPL&kind=fault&limit=500")["items"]
    assert ("2005-02-28T00:00:00Z", "split") in {(f["Datetime"], f["fault"]) for f in faults}
    assert get(again, "/py/anomalies/summary")["total"] == runs[0]["anomalies_found"] > 0
