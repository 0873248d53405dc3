"""`flask mcp` with a real MCP client over stdio, in front of an API that requires a key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters

from records.keys import add_key
from runner.servers import free_port
from tests.conftest import ROOT
from tests.integration.conftest import Live
from tests.integration.detecting import make_bars, store, train
from tests.integration.serving import serve_api
from tests.processes import BEHIND_PROXY

SHOCKS = (400, 520, 640)
COMMAND = ["-m", "flask", "--app", "wsgi", "mcp"]


class Assistant:
    """An MCP client with its own server process, as an assistant has."""

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal
        self.instructions = client.instructions

    def ask(self, tool: str, **arguments: Any) -> tuple[str, bool]:
        result = self._portal.call(self._client.call_tool, tool, arguments)
        return result.content[0].text, bool(result.is_error)

    def read(self, tool: str, **arguments: Any) -> Any:
        text, is_error = self.ask(tool, **arguments)
        assert not is_error, text
        return json.loads(text)

    def list_tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self._portal.call(self._client.list_tools).tools}


@contextmanager
def start_assistant(url: str, key: str) -> Iterator[Assistant]:
    server = StdioServerParameters(
        command=sys.executable,
        args=[*COMMAND, "--url", url],
        env={**os.environ, **BEHIND_PROXY, "TAPEWATCH_KEY": key},
        cwd=ROOT,
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server)) as client,
    ):
        yield Assistant(client, portal)


@pytest.fixture(scope="module")
def url(live: Live) -> Iterator[str]:
    with serve_api(live.settings) as url:
        yield url


@pytest.fixture(scope="module")
def assistant(live: Live, url: str) -> Iterator[Assistant]:
    store(live.database, "AAA", make_bars(800, shocks=SHOCKS))
    train(live.database)
    run = live.post("/py/anomalies/backfill", json={"ticker": "AAA", "max_period": "max"})
    assert run.json["status"] == "complete"
    key = add_key(live.database, "assistant", ["read"], datetime.now(UTC))
    with start_assistant(url, key) as assistant:
        yield assistant


def test_its_tools_are_the_read_only_routes(assistant: Assistant, live: Live) -> None:
    tools = assistant.list_tools()
    assert {"list_anomalies", "get_one_anomaly", "get_chart", "get_ticker_status"} <= tools.keys()
    document = live.client.get("/py/openapi.json").json
    reading = {
        operation["get"]["operationId"]
        for operation in document["paths"].values()
        if "get" in operation
    }
    assert tools.keys() <= reading
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert tools["get_one_anomaly"].input_schema["required"] == ["anomaly_id"]
    properties = tools["list_anomalies"].input_schema["properties"]
    assert "in UTC where no zone is named" in properties["start"]["description"]
    assert "one bar in a hundred" in properties["min_grade"]["description"]
    assert "/markets" in properties["market"]["description"]
    for name, tool in tools.items():
        for parameter, schema in tool.input_schema["properties"].items():
            assert schema["description"], (name, parameter)
    assert "what was strange" in assistant.instructions.replace("\n", " ")


def test_an_assistant_can_ask_what_was_strange_on_a_day_and_why(assistant: Assistant) -> None:
    assert "sort=-grade" in assistant.instructions
    asked = {"sort": "-grade", "kind": "event", "limit": 1}
    (strangest,) = assistant.read("list_anomalies", **asked)["items"]
    day = datetime.fromisoformat(strangest["Datetime"])
    found = assistant.read(
        "list_anomalies",
        start=day.isoformat(),
        end=(day + timedelta(hours=23)).isoformat(),
        fields="Ticker,grade,reasons",
    )["items"]
    assert [each["Ticker"] for each in found] == ["AAA"]
    assert found[0]["reasons"]
    whole = assistant.read("get_one_anomaly", anomaly_id=strangest["_id"])
    assert whole["attribution"]
    assert "market_conditions" in whole


def test_a_refusal_has_the_text_of_the_problem_document(assistant: Assistant, url: str) -> None:
    said, is_error = assistant.ask("get_candles", ticker="AAAA")
    assert is_error
    assert said.startswith("404 no_bars: ")
    assert "AAAA" in said
    said, is_error = assistant.ask("list_anomalies", colour="red")
    assert is_error
    assert "colour" in said
    with start_assistant(url, "wrong") as stranger:
        said, is_error = stranger.ask("list_anomalies")
    assert is_error
    assert said.startswith("401")


@pytest.mark.parametrize("name", [None, "", " ", ".", "..", []])
def test_an_empty_or_invalid_name_is_asked_for(assistant: Assistant, name: object) -> None:
    """Such a name used to lead to another route, which did not exist or accepted only DELETE."""
    said, is_error = assistant.ask("get_ticker_status", ticker=name)
    assert (said, is_error) == ("get_ticker_status needs 'ticker'", True)
    assert assistant.read("get_ticker_status", ticker=["AAA"])["ticker"] == "AAA"


def test_an_unknown_argument_is_reported_with_the_known_ones(assistant: Assistant) -> None:
    said, is_error = assistant.ask("list_anomalies", filters={"ticker": "AAA"})
    assert is_error
    assert said.startswith("list_anomalies takes no 'filters'; it takes limit, cursor, start, end")


def test_a_list_without_a_limit_is_short_enough_to_be_passed_on(
    assistant: Assistant, live: Live
) -> None:
    """The first question of an assistant used to be refused as too long: a hundred items are too
    many.
    """
    kept = live.database.anomalies.find_one()
    assert kept is not None
    day = datetime(1990, 1, 1, tzinfo=UTC)
    copies = [
        {**kept, "_id": f"COPY{n}", "Ticker": "COPY", "Datetime": day + timedelta(days=n)}
        for n in range(100)
    ]
    live.database.anomalies.insert_many(copies)
    try:
        page = assistant.read("list_anomalies", ticker="COPY")
    finally:
        live.database.anomalies.delete_many({"Ticker": "COPY"})
    assert len(page["items"]) == 10
    assert page["next_cursor"] is not None
    schema = assistant.list_tools()["list_anomalies"].input_schema
    assert schema["properties"]["limit"]["default"] == 10


def test_the_latest_metrics_are_a_list_only_if_one_is_asked_for(assistant: Assistant) -> None:
    """They always used to be a list: for a series without metrics an empty one instead of the
    reason.
    """
    said, is_error = assistant.ask("get_trend", ticker="AAA")
    assert (said.startswith("404"), is_error) == (True, True), said
    assert assistant.read("get_trend", ticker="AAA", limit=2)["items"] == []
    schema = assistant.list_tools()["get_trend"].input_schema
    assert schema["properties"]["limit"]["default"] == 1


def test_arguments_that_cannot_stand_in_an_address_are_refused(assistant: Assistant) -> None:
    said, is_error = assistant.ask("list_anomalies", ticker=["AAA"] * 20_000)
    assert (said, is_error) == (
        "the arguments are too long for an address: name fewer at once",
        True,
    )


def test_an_answer_that_is_too_long_says_how_to_ask_for_less(assistant: Assistant) -> None:
    said, is_error = assistant.ask("get_candles", ticker="AAA", limit=500)
    assert is_error
    assert "ask for less" in said


def test_it_says_so_and_ends_if_there_is_no_api() -> None:
    done = subprocess.run(
        [sys.executable, *COMMAND, "--url", f"http://127.0.0.1:{free_port()}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "--url" in done.stderr
    assert done.stdout == ""
