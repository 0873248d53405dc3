"""Generated requests to every operation of the OpenAPI document: no server error, and no answer
that the document does not describe.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from api import create_app
from api.http.state import get_state
from core.settings import Settings
from records.database import open_database
from records.keys import add_key
from records.migrations import prepare_database
from records.work.endings import request_cancel
from records.work.watchlists import add_watchlist
from runner.servers import Servers
from tasks.periodic.notifications import notify
from tasks.process.worker import Worker
from tests.integration.alerting import SESSIONS, end_run
from tests.integration.detecting import make_bars, run, store, train
from tests.integration.document import DOCUMENT
from tests.integration.stored import NOW, add_run
from tests.slow import slow_but_first

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    (path, method) for path, operations in DOCUMENT["paths"].items() for method in operations
]
WATCHED = {"schedule": "after_close", "delay_minutes": 5, "threshold": None, "enabled": True}


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: object, value: object) -> bytes:
    """Send a body of lines unchanged."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def api_schema(servers: Servers) -> Iterator[Any]:
    """The document of an API over a database that has a document of every kind; no worker runs."""
    config = Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=servers.redis_url.removesuffix("0") + "1001",
        mongo_database=f"schema_{uuid.uuid4().hex[:12]}",
    )
    database = open_database(config)
    prepare_database(database, NOW)
    store(database, "AAPL", make_bars(400, shocks=(300,)))
    train(database)
    run(database, "backfill", "AAPL")
    run_id = add_run(database, "AAPL", task="incremental")
    request_cancel(database, run_id, NOW)
    anomaly = database.anomalies.find_one()
    assert anomaly is not None
    add_watchlist(
        database, "tech", {"tickers": ["AAPL"], "markets": ["US"], "interval": "1d"} | WATCHED, NOW
    )
    app = create_app(config)
    end_run(database, ("MSFT", SESSIONS[0]))
    notify(Worker(config, database, get_state(app).celery, "test"))
    alert = database.alerts.find_one()
    assert alert is not None
    known = {
        "ticker": "AAPL",
        "run_id": run_id,
        "anomaly_id": anomaly["_id"],
        "alert_id": alert["_id"],
        "version": anomaly["model_version"],
        "name": "tech",
        "key": add_key(database, "tester", ["admin"], NOW),
    }
    yield schemathesis.openapi.from_wsgi("/py/openapi.json", app), known
    get_state(app).close()
    database.client.drop_database(database.name)
    database.client.close()


@pytest.mark.parametrize("is_known", slow_but_first([True, False]))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_server_error_and_no_undocumented_answer(
    api_schema: tuple[Any, dict[str, str]], path: str, method: str, *, is_known: bool
) -> None:
    schema, known = api_schema

    @given(case=schema[path][method.upper()].as_strategy())
    @settings(
        max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def ask(case: schemathesis.Case) -> None:
        if is_known:  # Random names exist nowhere.
            for given_names in (case.path_parameters, case.query):
                given_names.update(
                    {name: known[name] for name in given_names.keys() & known.keys()}
                )
        case.headers.pop("Authorization", None)
        case.headers["Accept-Encoding"] = "identity"  # This client does not decompress answers.
        case.headers["X-API-Key"] = known["key"]
        case.query.pop("wait", None)  # No worker runs here that would end a run.
        case.call_and_validate(checks=CHECKS)

    ask()
