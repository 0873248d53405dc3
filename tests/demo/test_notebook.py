"""Runs `docs/notebook.ipynb` against the demo, as its reader does. `WRITE_NOTEBOOK=1` stores it
with its output.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from runner.servers import LOOPBACK
from tests.conftest import ROOT
from tests.processes import Runner

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
CELL_SECONDS = 240
MOST_BYTES = 300_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    # A warning of jupyter's own packages.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def run(folder: Path, again: Runner) -> Iterator[Any]:
    """The notebook, run from top to bottom."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(ROOT / "clients" / "python"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("TAPEWATCH_URL", f"http://{LOOPBACK}:{again.port}")
        patch.setenv("IPYTHONDIR", str(folder))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(folder)}},
            coalesce_streams=True,
            record_timing=False,
        ).execute()
        if os.environ.get("WRITE_NOTEBOOK"):
            nbformat.write(notebook, NOTEBOOK)
        yield notebook


def find_outputs(notebook: Any, kind: str) -> list[str]:
    return [
        output["data"][kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if kind in output.get("data", {})
    ]


def test_the_notebook_runs_to_its_end_and_shows_what_it_says(run: Any) -> None:
    texts = find_outputs(run, "text/plain")
    assert any(re.fullmatch(r"{'verdicts': {'identical': [1-9]\d*}}", text) for text in texts)
    assert texts[-1] == "True", "the rollback brings back what the first champion found"
    assert len(find_outputs(run, "image/png")) == 3
    streams = [
        output["text"]
        for cell in run.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    assert [
        word
        for word in ("verify", "train", "backfill")
        if f"{word} complete 100%" in "".join(streams)
    ] == ["verify", "train", "backfill"]


def test_the_stored_notebook_has_the_code_and_output_of_a_run(run: Any) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell["execution_count"] for cell in stored.cells if cell["cell_type"] == "code"] == [
        cell["execution_count"] for cell in run.cells if cell["cell_type"] == "code"
    ], "WRITE_NOTEBOOK=1 make test ARGS='-k notebook' stores it with what it shows"
    assert len(find_outputs(stored, "image/png")) == len(find_outputs(run, "image/png"))
    # Compare the tables that follow from the bars; times and drawings may differ.
    assert find_outputs(stored, "text/html") == find_outputs(run, "text/html")


def test_the_stored_notebook_is_small_and_names_no_machine() -> None:
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    text = re.sub(r'"image/png": "[^"]+"', "", Path(NOTEBOOK).read_text())
    assert not re.search(r"site-packages|/(home|root|tmp|usr)/|Traceback", text)
