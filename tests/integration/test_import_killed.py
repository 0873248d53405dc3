"""An import that is killed leaves each series complete or absent, and can be repeated."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from market.bars.reading import read_bars
from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED
from records.database import Db
from tests.processes import wait_until
from tests.slow import slow_but_first

ROOT = Path(__file__).parent.parent.parent
BARS = 5_000


@pytest.mark.parametrize("whom", slow_but_first(["import", "reader"]))
def test_a_killed_import_leaves_each_series_complete_or_absent(
    database: Db, environment: dict[str, str], tmp_path: Path, whom: str
) -> None:
    names = [f"K{number}" for number in range(12)]
    frame = make_bars(names, SHIPPED["US"], bars=BARS, end=datetime(2025, 6, 1, tzinfo=UTC), seed=2)
    for name, part in frame.groupby("ticker"):
        part.drop(columns="ticker").assign(time=part["time"].dt.date).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    command = [sys.executable, "-m", "flask", "bars", "import", str(tmp_path), "--json"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: database.series.count_documents({}) >= 2, "two series")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid if whom == "import" else int(children[0]), signal.SIGKILL)
    process.wait()
    stored = list(database.series.find())
    assert stored
    for series in stored:
        assert series["bars"] == BARS
        assert (
            len(read_bars(database, series["ticker"], "1d", start=None, end=None, limit=10**6))
            == BARS
        )
    assert database.bars.distinct("ticker") == sorted(series["ticker"] for series in stored)
    for child in children:
        wait_until(
            lambda child=child: not Path(f"/proc/{child}/cmdline").exists() or _is_zombie(child),
            "its reader",
        )
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert sorted(database.series.distinct("ticker")) == sorted(names)


def _is_zombie(pid: str) -> bool:
    return not Path(f"/proc/{pid}/cmdline").read_bytes()
