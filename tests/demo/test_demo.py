"""`make demo` once more in the folder where it was before."""

import json
import sys
from subprocess import CompletedProcess
from typing import Any
from urllib.request import urlopen

import pytest

from runner.servers import LOOPBACK
from tests.commands import read_table
from tests.processes import PATIENCE_SECONDS, Runner, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def get(runner: Runner, path: str) -> dict[str, Any]:
    with urlopen(f"http://{LOOPBACK}:{runner.port}{path}", timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


def test_the_demo_runs_again_in_the_same_folder(
    first: CompletedProcess[str], again: Runner
) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Stopping" in first.stdout
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
