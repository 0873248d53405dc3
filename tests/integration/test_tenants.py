"""Two tenants in one installation: neither sees, changes or learns of data of the other."""

import json
import resource
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http.state import get_state
from core.errors import Conflict
from records import tenancy
from records.database import Db, in_transaction
from records.indexes import INDEXES, ensure_tenant_indexes
from records.keys import add_key
from records.tenancy import OWN, PARTED, add_tenant, erase_tenant, find_tenants, of_tenant
from records.work.outbox import add_event
from records.work.watchlists import find_watched
from tasks.periodic import control
from tasks.periodic.notifications import notify
from tasks.process.worker import Worker
from tests.commands import Command
from tests.integration.alerting import NOW, SESSIONS, age, end_run
from tests.integration.document import DOCUMENT
from tests.integration.stored import add_list, add_series
from tests.receiver import Receiver

OPERATIONS = [
    (path, method, described)
    for path, methods in sorted(DOCUMENT["paths"].items())
    for method, described in sorted(methods.items())
    if method in {"get", "put", "post", "patch", "delete"}
]
SHARED = {
    "ticker": "AAPL",
    "anomaly_id": "AAPL::1d::2026-01-05T00:00:00Z",
    "version": "US_model-0.1.0",
    "code": "US",
    "series_id": "sensor_01",
    "timestamp": "1705000010",
    "set_id": "none",
}
# A rule of this name is created for the tenant who asks: it is a different rule.
MAKES_ITS_OWN = {("/py/notifications/rules/{name}", "put")}


@dataclass
class Acme:
    """The documents of a tenant, and words that occur in no other tenant's."""

    run_id: str
    alert_id: str
    mute_id: str
    rule: str
    watchlist: str
    words: tuple[str, ...]


def fill(
    database: Db, worker: Worker, client: FlaskClient, receiver: Receiver, tenant: str
) -> Acme:
    """Create one of everything that can belong to a tenant."""
    add_tenant(database, tenant, NOW)
    own = of_tenant(database, tenant)
    ensure_tenant_indexes(own)
    watchlist, rule = f"{tenant} secret list", f"{tenant} secret rule"
    key = add_key(own, f"{tenant} key", ["admin"], NOW)
    add_list(own, watchlist, "AAPL", "MSFT")
    client.environ_base["HTTP_X_API_KEY"] = key
    made = client.put(
        f"/py/notifications/rules/{rule}", json={"channel": receiver.channel, "min_grade": 0}
    )
    assert made.status_code == 200, made.text
    end_run(own, ("MSFT", SESSIONS[0]), watchlist=watchlist)
    run_id = end_run(own, ("AAPL", SESSIONS[0]), watchlist=watchlist)
    notify(worker)
    ended, held = sorted(a["_id"] for a in own.alerts.find({}))
    for alert_id, text in ((held, "first"), (ended, "second")):
        said = {"text": f"{tenant} secret comment, {text}"}
        assert client.post(f"/py/alerts/{alert_id}/comments", json=said).status_code == 200
    said = {"feedback": "confirmed", "resolution_notes": f"{tenant} secret notes"}
    assert client.patch(f"/py/alerts/{ended}/resolve", json=said).status_code == 200
    soon = datetime.now(UTC) + timedelta(days=9)
    mute = {
        "ticker": "NVDA",
        "until": f"{soon:%Y-%m-%dT%H:%M:%SZ}",
        "reason": f"{tenant} secret why",
    }
    mute_id = client.post("/py/mutes", json=mute).json["_id"]
    age(own, ended, resolved_at=91)
    notify(worker)
    assert own.alert_history.count_documents({}) == own.labels.count_documents({}) == 1
    assert own.deliveries.count_documents({"state": "sent"}) == 2
    return Acme(run_id, held, mute_id, rule, watchlist, (f"{tenant} ", held))


@pytest.fixture
def acme(database: Db, worker: Worker, app: APIFlask, receiver: Receiver) -> Acme:
    """The tenant whose documents the other one asks for."""
    return fill(database, worker, app.test_client(), receiver, "acme")


@pytest.fixture
def globex(database: Db, client: FlaskClient) -> FlaskClient:
    """A client with the other tenant's key, which has all scopes."""
    add_tenant(database, "globex", NOW)
    own = of_tenant(database, "globex")
    client.environ_base["HTTP_X_API_KEY"] = add_key(own, "globex key", ["admin"], NOW)
    return client


def find_leaks(client: FlaskClient, acme: Acme) -> list[str]:
    """Ask every documented route as another tenant; return the routes that gave or changed anything
    of the first.
    """
    leaks = []
    for path, method, described in OPERATIONS:
        names = {p["name"] for p in described.get("parameters", []) if p["in"] == "path"}
        own = {
            "run_id": acme.run_id,
            "alert_id": acme.alert_id,
            "mute_id": acme.mute_id,
            "name": acme.rule if "/rules/" in path else acme.watchlist,
        }
        asked = path.format(**{name: own.get(name) or SHARED.get(name, "x") for name in names})
        queries = [p["name"] for p in described.get("parameters", []) if p["in"] == "query"]
        query = {"watchlist": acme.watchlist} if "watchlist" in queries else {}
        body = _find_body(described, acme) if method in {"put", "post", "patch"} else None
        is_named = bool(names & own.keys()) or "watchlist" in (body or {})
        if method != "get" and not is_named and "ids" not in (body or {}):
            continue
        variants = [query, {}] if query else [{}]
        for each in variants:
            answer = client.open(asked, method=method, query_string=each, json=body)
            told = answer.get_data().decode(errors="replace")
            # A refusal may quote the name that was asked for.
            known = told if answer.status_code < 400 else ""
            where = f"{method} {path} {sorted(each)}: {answer.status_code}"
            if answer.status_code == 403 and "shared_by_tenants" in told:
                continue
            if is_named and (path, method) not in MAKES_ITS_OWN and answer.status_code != 404:
                leaks.append(f"{where}, not 404: {told[:200]}")
            elif any(word in known for word in acme.words) and "ids" not in (body or {}):
                leaks.append(f"{where} tells {told[:200]}")
            assert answer.status_code < 500, (where, told)
    return leaks


def _find_body(described: dict[str, Any], acme: Acme) -> dict[str, Any] | None:
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    if not content:
        return None
    schema = content["schema"]
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    body = dict(content.get("example") or {})
    if "watchlist" in schema.get("properties", {}):
        for chooser in ("ticker", "tickers", "market"):
            body.pop(chooser, None)
        body["watchlist"] = acme.watchlist
    if "ids" in body:
        body["ids"] = [acme.alert_id]
    return body


def test_no_documented_route_lets_a_tenant_reach_anothers_data(
    globex: FlaskClient, acme: Acme, database: Db
) -> None:
    before = dump(of_tenant(database, "acme"))
    assert find_leaks(globex, acme) == []
    assert dump(of_tenant(database, "acme")) == before
    many = {"ids": [acme.alert_id], "action": "acknowledge"}
    answer = globex.post("/py/alerts/bulk", json=many)
    assert answer.json["success"] == []
    assert [each["reason"] for each in answer.json["failed"]] == ["not_found"]


def test_the_leak_test_fails_for_each_collection_that_is_not_separated(
    globex: FlaskClient, acme: Acme, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each collection in turn is taken out of the set of separated ones, and the leak test must
    notice.
    """
    own, state = of_tenant(database, "acme"), get_state(globex.application)  # type: ignore[arg-type]  # an APIFlask
    kept = {name: list(own[name].find({})) for name in OWN}
    for name in sorted(OWN):
        monkeypatch.setattr(tenancy, "OWN", OWN - {name})
        database[name].delete_many({})
        if kept[name]:
            database[name].insert_many(kept[name])
        state.close()  # The database object keeps the collections that it has returned.
        assert find_leaks(globex, acme) != [], name
        monkeypatch.undo()
        database[name].delete_many({})
    monkeypatch.setattr(tenancy, "PARTED", frozenset())
    state.close()
    assert any("detection-runs" in leak for leak in find_leaks(globex, acme))


def dump(own: Db) -> dict[str, Any]:
    return {name: list(own[name].find({}).sort("_id", 1)) for name in (*OWN, "detection_runs")}


def test_a_tenants_key_cannot_change_shared_data_and_open_access_is_the_default_tenants(
    globex: FlaskClient, acme: Acme, database: Db
) -> None:
    refused = globex.post("/py/scheduler/toggle", json={"enabled": False})
    assert (refused.status_code, refused.json["reason"]) == (403, "shared_by_tenants")
    assert globex.get("/metrics").status_code == 403
    assert globex.get("/py/markets").status_code == 200
    globex.environ_base["HTTP_X_API_KEY"] = add_key(database, "operator", ["admin"], NOW)
    assert globex.get("/metrics").status_code == 200
    assert globex.get("/py/alerts").json["items"] == []
    assert globex.get(f"/py/detection-runs/{acme.run_id}").status_code == 404


def test_each_tenant_that_watches_a_ticker_gets_an_alert_by_its_own_watchlist_only(
    database: Db, worker: Worker, receiver: Receiver, globex: FlaskClient
) -> None:
    """The default tenant's scan finds a bar. Another tenant's watchlist of the same name has a
    stricter threshold, and a third tenant's also has the ticker.
    """
    acme = of_tenant(database, "acme")
    add_tenant(database, "acme", NOW)
    add_list(database, "tech", "AAPL")
    add_list(acme, "tech", "AAPL")
    stricter = {"threshold": {"kind": "grade", "value": 99.0}}
    acme.watchlists.update_one({"_id": "tech"}, {"$set": stricter})
    add_list(of_tenant(database, "globex"), "mine", "AAPL", "IBM")
    channel = {"channel": receiver.channel, "min_grade": 0}
    assert globex.put("/py/notifications/rules/r", json=channel).status_code == 200
    end_run(database, ("AAPL", SESSIONS[0]), ("IBM", SESSIONS[0]), watchlist="tech")
    notify(worker)
    held = {
        own: [a["_id"] for a in of_tenant(database, own).alerts.find({})]
        for own in ("default", "acme", "globex")
    }
    bar = "1d::2026-01-05T00:00:00Z"
    assert sorted(held["default"]) == [f"-::IBM::{bar}", f"tech::AAPL::{bar}"]
    assert held["acme"] == []
    assert sorted(held["globex"]) == [f"mine::AAPL::{bar}", f"mine::IBM::{bar}"]
    (message,) = receiver.messages
    assert message["title"] == "mine: 2 anomalies in 1d bars"
    assert "tech" not in json.dumps(message)


def test_watchlists_with_the_same_name_are_scanned_for_each_tenant(
    database: Db, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one tick, at the same slot: without the tenant, their idempotency keys would be equal."""
    add_tenant(database, "acme", NOW)
    acme = of_tenant(database, "acme")
    for own, ticker in ((database, "AAPL"), (acme, "MSFT")):
        add_series(database, ticker)
        add_list(own, "tech", ticker)
    assert find_watched(database) == {("AAPL", "1d"), ("MSFT", "1d")}
    assert find_watched(acme) == find_watched(database)
    monkeypatch.setattr(control, "get_worker", lambda: worker)
    scans = {"task": "incremental"}
    for _ in range(2):
        control.tick()
        assert database.detection_runs.count_documents(scans) == 2
    assert acme.detection_runs.distinct("tickers", scans) == ["MSFT"]
    assert of_tenant(database, None).detection_runs.distinct("tickers", scans) == ["AAPL"]


def test_indexes_of_a_tenants_collections_equal_those_of_the_default_tenant(database: Db) -> None:
    add_tenant(database, "acme", NOW)
    own = of_tenant(database, "acme")
    ensure_tenant_indexes(own)
    for name in OWN:
        wanted = {index.document["name"] for index in INDEXES[name]} | {"_id_"}
        assert own[name].index_information().keys() == wanted
        assert own[name].name == f"tenants.acme.{name}"


def test_a_tenant_is_added_given_a_key_exported_and_erased(
    database: Db,
    acme: Acme,
    tmp_path: Path,
    flask: Command,
) -> None:
    assert flask("tenants", "add", "Initech").exit_code == 2
    assert flask("tenants", "add", "initech").exit_code == 0
    create = ["create", "k", "--scope", "read", "--tenant"]
    assert "there is no tenant 'nowhere'" in flask("keys", *create, "nowhere").output
    key = flask("keys", *create, "initech").output.strip()
    assert key.startswith("tw_")
    assert database.api_keys.find_one({"name": "k"})["tenant"] == "initech"  # type: ignore[index]
    out = tmp_path / "acme.jsonl"
    out.touch(0o644)
    assert flask("tenants", "export", "acme", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600, "it holds the secrets of channels"
    link = tmp_path / "stdout"  # As /dev/stdout is a link.
    link.symlink_to(out)
    assert flask("tenants", "export", "acme", "--out", str(link)).exit_code == 0
    assert link.is_symlink(), "a file is put in its place"
    assert flask("tenants", "export", "acne", "--out", str(out)).exit_code == 2
    kept, before = out.read_text(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        assert flask("tenants", "export", "acme", "--out", str(out)).exit_code != 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert out.read_text() == kept, "a disk that is full takes the export of before too"
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["collection"] for line in lines} == {*OWN, "api_keys", "detection_runs"}
    assert "sha256" not in {name for line in lines for name in line["document"]}
    assert flask("tenants", "erase", "default", given="y").exit_code == 2
    done = flask("tenants", "erase", "acme", "--yes")
    assert done.exit_code == 0, done.output
    assert not [n for n in database.list_collection_names() if n.startswith("tenants.acme.")]
    assert database.detection_runs.count_documents({"tenant": "acme"}) == 0
    assert database.api_keys.count_documents({"tenant": "acme"}) == 0
    assert [tenant["_id"] for tenant in find_tenants(database)] == ["initech"]
    assert database.anomalies.count_documents({}) == 2


def test_a_tenant_of_an_erased_ones_name_sees_nothing_that_was_written_meanwhile(
    database: Db, acme: Acme
) -> None:
    """A request that was admitted before, or a task, may write after the erasure; and alerts would
    be raised of the events that waited.
    """
    own = of_tenant(database, "acme")
    rule = own.notification_rules.find_one({"_id": acme.rule})
    alert = own.alerts.find_one({"_id": acme.alert_id})
    run = own.detection_runs.find_one({"_id": acme.run_id})
    assert rule is not None
    assert alert is not None
    assert run is not None
    payload = {"series_id": "acme secret", "version": 1, "prediction_ids": []}

    def wait() -> None:
        in_transaction(
            database, lambda session: add_event(own, "x", "series_anomalies", payload, NOW, session)
        )

    wait()
    add_key(database, "ops", ["admin"], NOW)
    erase_tenant(database, "acme", NOW)
    assert database.outbox.count_documents({"tenant": "acme"}) == 0
    own.notification_rules.insert_one(rule)
    own.alerts.insert_one(alert)
    own.detection_runs.insert_one(run)
    wait()
    add_tenant(database, "acme", NOW)
    assert database.outbox.count_documents({"tenant": "acme"}) == 0
    assert [name for name in (*OWN, *PARTED) if own[name].find_one({})] == []
    # A tenant that is there keeps what it has.
    add_list(own, "mine", "AAPL")
    with pytest.raises(Conflict):
        add_tenant(database, "acme", NOW)
    assert own.watchlists.count_documents({}) == 1


def test_a_tenant_of_which_an_erasure_was_interrupted_keeps_what_it_has_when_it_is_added(
    database: Db, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    own = of_tenant(database, "acme")
    add_key(database, "ops", ["admin"], NOW)
    with monkeypatch.context() as patch:
        patch.setattr(tenancy, "_remove_own", end)
        with pytest.raises(KeyboardInterrupt):
            erase_tenant(database, "acme", NOW)
    with pytest.raises(Conflict):
        add_tenant(database, "acme", NOW)
    assert own.alerts.find_one({"_id": acme.alert_id}) is not None
    erase_tenant(database, "acme", NOW)
    assert own.alerts.find_one({}) is None


def test_erasing_a_tenant_does_not_make_access_open_again(
    client: FlaskClient, database: Db
) -> None:
    """Its keys were the only ones that were ever created."""
    add_tenant(database, "acme", NOW)
    add_key(of_tenant(database, "acme"), "desk", ["read"], NOW)
    assert client.get("/py/models").status_code == 401
    with pytest.raises(Conflict, match="first make another"):
        erase_tenant(database, "acme", NOW)
    add_key(database, "ops", ["admin"], NOW)
    erase_tenant(database, "acme", NOW)
    assert client.get("/py/models").status_code == 401
