"""The examples in the README and in the OpenAPI document are what the service answers."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from market.imports.importing import import_frame
from market.imports.sources.demo import read_demo
from records.work.runs import has_ended
from tasks.process.broker import build_celery
from tasks.requests.analytics import request_analytics
from tasks.requests.selection import Selection
from tests.integration.conftest import ROOT, Live
from tests.integration.detecting import NOW, train
from tests.integration.examples import ANOMALY_ID, Examples, collect_examples, list_keys
from tests.integration.serving import serve_api
from tests.processes import wait_until

EXAMPLES = ROOT / "api" / "examples.json"
ADDRESS = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def demo(live: Live) -> Live:
    """A worker, the demo's bars of AAPL, a model of them, and the metrics of three series."""
    bars = read_demo()

    def store(*tickers: str) -> None:
        own = bars[bars["Ticker"].isin(tickers)]
        import_frame(live.database, own, interval="1d", source="demo", now=NOW)

    store("AAPL")
    train(live.database)
    store("IBM", "MSFT")
    with build_celery(live.settings) as celery:
        (run,) = request_analytics(
            live.database, celery, Selection(market="US"), interval="1d", bars=2, now=NOW
        )
    wait_until(lambda: has_ended(live.database, run["_id"]), "the metrics are computed")
    return live


@pytest.fixture(scope="module")
def answers(demo: Live) -> Examples:
    """The service's answers; they are written as the new examples if WRITE_EXAMPLES is set."""
    found = collect_examples(demo.client)
    if os.environ.get("WRITE_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return found


@pytest.fixture(scope="module")
def document(live: Live) -> dict[str, Any]:
    found: dict[str, Any] = live.client.get("/py/openapi.json").json
    return found


def find_responses(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the JSON answers of each operation by its id and the status."""
    return {
        (operation["operationId"], status): response["content"]["application/json"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if "application/json" in response.get("content", {})
    }


def test_the_examples_have_the_keys_of_real_answers(answers: Examples) -> None:
    examples = json.loads(EXAMPLES.read_text())
    assert examples.keys() == answers.keys(), (
        "write them anew: WRITE_EXAMPLES=1 make test ARGS='-k examples'"
    )
    for operation, by_status in answers.items():
        for status, answer in by_status.items():
            assert list_keys(examples[operation][status]) == list_keys(answer), operation


def test_the_examples_are_in_the_document_and_valid_by_its_schemas(
    document: dict[str, Any],
) -> None:
    responses = find_responses(document)
    for operation, by_status in json.loads(EXAMPLES.read_text()).items():
        for status, example in by_status.items():
            described = responses[operation, status]
            assert described["example"] == example
            schema = {**described["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(example)


def read_commands() -> str:
    """Return the commands in the README's section on the API."""
    section = (
        (ROOT / "README.md").read_text().partition("## The API by example")[2].partition("\n## ")[0]
    )
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(commands)


def test_the_readmes_commands_do_what_the_readme_says(demo: Live, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('fail-with-body\nsilent\nshow-error\nwrite-out = "\\n"\n')
    with serve_api(demo.settings) as url:
        script = read_commands().replace(ADDRESS, url)
        assert url in script
        environment = {**os.environ, "CURL_HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    events = [
        json.loads(line.removeprefix("data: "))
        for line in done.stdout.splitlines()
        if line.startswith("data: ")
    ]
    assert events[-1]["status"] == "complete"
    strangest, one, comparison, chart, status = (
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    )
    assert len(strangest["items"]) == 3
    assert strangest["items"][0]["grade"] >= strangest["items"][1]["grade"]
    assert one["_id"] == comparison["anomaly_id"] == ANOMALY_ID
    assert comparison["verdict"] == "identical"
    assert len(chart["bars"]) > 100
    assert chart["markers"]
    assert status["reason"] in {"up_to_date", "behind"}
