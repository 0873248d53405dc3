"""One trace covers a request from the POST to the commit of its batches."""

import json
import subprocess
import sys
from typing import Any

import pytest

from core.errors import BadInput
from core.settings import Settings
from records.database import Db
from tasks.process import traces
from tests.integration.detecting import make_bars, store, train
from tests.processes import ROOT


@pytest.mark.slow
def test_one_trace_covers_the_post_and_the_commit(
    database: Db, environment: dict[str, str]
) -> None:
    for seed, ticker in enumerate(("AAA", "BBB"), 1):
        store(database, ticker, make_bars(400, seed, shocks=[300]))
    train(database)
    body = json.dumps({"tickers": ["AAA", "BBB"], "max_period": "max"})
    command = [sys.executable, "-m", "tests.integration.traced", "/py/anomalies/backfill", body]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    spans: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    (post,) = [span for span in spans if span["name"].startswith("POST") and span["parent"] is None]
    traced = {span["id"]: span for span in spans if span["trace"] == post["trace"]}
    commits = [span for span in traced.values() if "commitTransaction" in span["name"]]
    assert len(commits) >= 2, "the run's split and each of two batches end in a transaction"
    paths = [path_to_root(span, traced) for span in commits]
    assert all(path[-1] == post["name"] for path in paths)
    assert any(
        "run/tapewatch.run_batch" in path and "run/tapewatch.backfill" in path for path in paths
    )


def path_to_root(span: dict[str, Any], traced: dict[int, dict[str, Any]]) -> list[str]:
    names = [span["name"]]
    while span["parent"] is not None:
        span = traced[span["parent"]]
        names.append(span["name"])
    return names


def test_traces_are_off_by_default_and_a_missing_package_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traces.start_traces(Settings(_env_file=None), "api")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    asked = Settings(_env_file=None, otel_exporter_otlp_endpoint="http://127.0.0.1:4318")
    with pytest.raises(BadInput, match=r"requirements-traces\.txt"):
        traces.start_traces(asked, "api")
