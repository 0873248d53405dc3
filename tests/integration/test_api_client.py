"""The OpenAPI document as others use it: in a validator, and in a client that a generator writes
from it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store, train
from tests.integration.serving import serve_api
from tests.processes import wait_until

SHOCKS = (400, 520, 640)


@pytest.fixture(scope="module")
def document(live: Live) -> dict[str, Any]:
    found: dict[str, Any] = live.client.get("/py/openapi.json").json
    return found


@pytest.fixture(scope="module")
def generated(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    """The package that openapi-python-client writes from the document; any warning of the generator
    fails the tests.
    """
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    # The generator does not know streams of JSON lines; this setting makes it treat them as files.
    lines_as_files = {
        "content_type_overrides": {"application/x-ndjson": "application/octet-stream"}
    }
    (folder / "config.json").write_text(json.dumps(lines_as_files))
    programs = Path(sys.executable).parent
    made = subprocess.run(
        [
            *(
                programs / "openapi-python-client",
                "generate",
                "--path",
                "openapi.json",
                "--config",
                "config.json",
            ),
            *("--output-path", "generated_client", "--meta", "none", "--fail-on-warning"),
        ],
        cwd=folder,
        # The generator formats its output with ruff.
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stdout.strip()) == (0, "Generating generated_client"), (
        made.stdout + made.stderr
    )
    sys.path.insert(0, str(folder))
    yield import_module("generated_client")
    sys.path.remove(str(folder))


@pytest.mark.slow
def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)  # type: ignore[arg-type]  # it takes a Schema, which a document is


def test_each_tag_and_each_schema_is_there_exactly_once(document: dict[str, Any]) -> None:
    names = [tag["name"] for tag in document["tags"]]
    assert len(names) == len(set(names))
    used = {
        tag
        for path in document["paths"].values()
        for operation in path.values()
        for tag in operation["tags"]
    }
    assert used == set(names)
    schemas = document["components"]["schemas"]
    assert {"Anomaly", "AnomalyPage", "Run", "Progress", "Opinion"} <= schemas.keys()
    assert [name for name in schemas if "." in name] == []
    assert [name for name, schema in schemas.items() if "$defs" in schema] == []


@pytest.mark.slow
def test_a_generated_client_starts_a_backfill_follows_it_and_lists_what_it_found(
    live: Live, generated: ModuleType
) -> None:
    store(live.database, "AAA", make_bars(800, shocks=SHOCKS))
    train(live.database)
    api, types = f"{generated.__name__}.api", import_module(f"{generated.__name__}.models")
    call = {
        name: import_module(f"{api}.{name}").sync
        for name in (
            "detections.start_backfill",
            "runs.get_detection_run",
            "anomalies.list_anomalies",
        )
    }
    with serve_api(live.settings) as url, generated.Client(url.removesuffix("/py")) as client:
        body = types.BackfillBody(ticker="AAA", max_period="max")
        accepted = call["detections.start_backfill"](client=client, body=body)
        assert isinstance(accepted, types.Accepted)

        def find_ended() -> Any:
            run = call["runs.get_detection_run"](accepted.run_id, client=client)
            assert isinstance(run, types.Run)
            return run if run.progress.percent == 100 and run.completed_at else None

        run = wait_until(find_ended, "the backfill ends")
        assert (run.status, run.ticker) == (types.RunStatus.COMPLETE, "AAA")
        page = call["anomalies.list_anomalies"](client=client, ticker="AAA", limit=500)
        assert isinstance(page, types.AnomalyPage)
        assert sorted(anomaly.field_id for anomaly in page.items) == sorted(run.anomaly_ids)
        assert {anomaly.detection_run_id for anomaly in page.items} == {accepted.run_id}
        assert len(page.items) >= len(SHOCKS)
        refused = call["runs.get_detection_run"]("nowhere", client=client)
        assert (refused.status, refused.reason) == (404, "not_found")
