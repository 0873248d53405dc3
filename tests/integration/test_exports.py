"""Exports: tables that other programs read, and that can be imported again."""

import csv
import io
import json
import re
import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http.idempotency import wait_for_end
from api.http.state import get_state
from api.views import exports as views
from core.errors import BadInput, NotFound
from core.settings import Settings
from detection.models.manager import ModelManager
from market.bars.arriving import write_split
from market.exports.folders import verify_folder, write_folder
from market.exports.opening import open_table
from market.exports.tables import FIELDS, TABLES, Asked, Column, Table
from market.exports.writing import write_text
from market.imports.importing import import_frame
from market.markets import load_markets
from market.ticks.fields import unguard
from records.database import Db
from records.leftovers import delete_leftovers
from records.tenancy import of_tenant
from records.work.export_files import find_export_files, open_export_file
from tasks.engine import planning
from tasks.engine.execution import execute_batch
from tasks.process.worker import Worker
from tasks.requests.exports import read_asked, request_export
from tests.commands import Command, read_json
from tests.integration.detecting import make_bars, run, store, train

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
EXACT = [0.1 + 0.2, 1e-7, 123456789.123456789, 2 / 3]


def fill(database: Db, flask: Command, folder: Path) -> None:
    """Store bars of two tickers, one with a split, trades and funding."""
    store(database, "-A-USD", make_bars(300, seed=2))
    # Like a coin whose market was set by hand.
    coin = make_bars(1).assign(date="2024-01-06")
    market = load_markets(database).choose("CRYPTO")
    words = {"interval": "1d", "source": "test", "ticker": "PEPE", "now": NOW}
    assert import_frame(database, coin, market=market, **words).total("new") == 1
    quoted = make_bars(300)
    quoted.loc[:99, ["open", "high", "low", "close"]] *= 2
    store(database, "AAPL", quoted)
    write_split(database, "AAPL", "1d", pd.Timestamp(quoted["date"][100]).date(), 2.0, NOW)
    # An id may look like a spreadsheet formula.
    trades = "time,id,price,amount,side\n" + "".join(
        f"2026-01-05T12:00:{n:02d}.000001Z,-{n},{price!r},{1 + n / 3!r},buy\n"
        for n, price in enumerate(EXACT)
    )
    (folder / "trades.csv").write_text(trades)
    (folder / "funding.csv").write_text(
        "time,rate,mark_price,interval_hours\n2026-01-05T08:00:00Z,0.0001,100.1,8\n"
    )
    for kind in ("trades", "funding"):
        words = ("import", kind, folder / f"{kind}.csv", "--ticker", "BTC-USD", "--venue", "X")
        assert flask("data", *words).exit_code == 0


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_metrics_of_several_parts_are_exported_in_a_column_of_their_own(
    flask: Command, database: Db, tmp_path: Path, form: str
) -> None:
    """Each value is exported as it was computed. No format takes an object where a number
    belongs.
    """
    store(database, "AAPL", make_bars(300))
    regime = {"regime": "balanced_market", "confidence": 0.1 + 0.2}
    values = {"rsi": 2 / 3, "fourier": [{"period_bars": 5.0}], "regime": regime, "adx": None}
    snapshot = {"ticker": "AAPL", "interval": "1d", "time": NOW, "values": values}
    database.analytics.insert_one({"_id": "AAPL::1d", **snapshot})
    read = {
        "csv": lambda path: list(csv.DictReader(path.read_text().splitlines())),
        "ndjson": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        "parquet": lambda path: pq.read_table(path).to_pylist(),
    }[form]
    for layout in ("long", "wide"):
        words = ("--format", form, "--layout", layout, "--json")
        read_json(flask("export", "write", "analytics", tmp_path / layout, *words))
    long = {row["metric"]: row for row in read(tmp_path / "long" / f"analytics-0000.{form}")}
    assert long.keys() == {"rsi", "fourier", "regime"}
    assert float(long["rsi"]["value"]) == 2 / 3
    assert not long["regime"]["value"]
    assert json.loads(unguard(long["regime"]["parts"])) == regime
    assert json.loads(unguard(long["fourier"]["parts"])) == [{"period_bars": 5.0}]
    (wide,) = read(tmp_path / "wide" / f"analytics-0000.{form}")
    assert float(wide["rsi"]) == 2 / 3
    assert json.loads(wide["parts"]) == {"fourier": [{"period_bars": 5.0}], "regime": regime}


def fingerprints(database: Db) -> dict[str, Any]:
    found = database.series.find()
    return {one["_id"]: (one["fingerprint"], one["bars"], one["market"]) for one in found}


def contents(database: Db) -> dict[str, Any]:
    trades = [
        {name: chunk[name] for name in ("times", "prices", "amounts", "sides", "ids")}
        for chunk in database.trades.find()
    ]
    return {"trades": trades, "funding": list(database.funding.find())}


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_an_export_imported_into_an_empty_database_gives_the_same(
    flask: Command, database: Db, tmp_path: Path, form: str
) -> None:
    fill(database, flask, tmp_path)
    # Its market was set by hand, and it lacks the market's suffix.
    assert flask("markets", "assign", "SAP", "DE").exit_code == 0
    store(database, "SAP", make_bars(1))
    before, kept = fingerprints(database), contents(database)
    assert before["SAP::1d"][2] == "DE"
    for table in ("bars", "trades", "funding"):
        manifest = read_json(
            flask("export", "write", table, tmp_path / table, "--format", form, "--json")
        )
        assert manifest["rows"] == {"bars": 602, "trades": 4, "funding": 1}[table]
        if table == "bars":
            assert manifest["fingerprints"] == {k: v for k, (v, *_) in before.items()}
    for name in database.list_collection_names():
        database[name].delete_many({})
    done = flask("bars", "import", tmp_path / "bars", "--json")
    assert done.exit_code == 0, done.output
    for kind in ("trades", "funding"):
        done = flask("data", "import", kind, tmp_path / kind / f"{kind}-0000.{form}")
        assert done.exit_code == 0, done.output
    assert fingerprints(database) == before
    assert contents(database) == kept


def test_trades_of_a_market_need_no_bars(flask: Command, database: Db, tmp_path: Path) -> None:
    fill(database, flask, tmp_path)
    for market, rows in (("CRYPTO", 4), ("US", 0)):
        words = ("write", "trades", tmp_path / market, "--market", market, "--json")
        assert read_json(flask("export", *words))["rows"] == rows


def test_an_export_is_checked_by_its_manifest(flask: Command, database: Db, tmp_path: Path) -> None:
    store(database, "AAPL", make_bars(50))
    folder = tmp_path / "out"
    assert flask("export", "write", "bars", folder, "--format", "csv").exit_code == 0
    assert flask("export", "verify", folder).exit_code == 0
    refused = flask("export", "write", "bars", folder)
    assert refused.exit_code == 2
    assert "is not empty" in refused.stderr
    part = folder / "bars-0000.csv"
    whole = part.read_bytes()
    part.write_bytes(whole.replace(b"AAPL", b"MSFT", 1))
    (folder / "more.csv").write_text("")
    changed = flask("export", "verify", folder)
    assert changed.exit_code == 1
    assert "bars-0000.csv is not what was written" in changed.stderr
    assert "more.csv is no part of the export" in changed.stderr
    part.unlink()
    assert "bars-0000.csv is missing" in flask("export", "verify", folder).stderr
    (folder / "manifest.json").unlink()
    assert flask("export", "verify", folder).exit_code == 2


def test_a_full_disk_is_reported_and_leaves_no_complete_export(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    store(database, "AAPL", make_bars(2_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for form in ("csv", "ndjson", "parquet"):
        folder = tmp_path / form
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
        try:
            failed = flask("export", "write", "bars", folder, "--format", form)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert failed.exit_code == 1, failed.output
        assert f"{folder} cannot be written: File too large" in failed.stderr
        assert "broken off" in flask("export", "verify", folder).stderr
        assert not list(folder.glob(f"*.{form}")), "the half of a table that looks like a whole one"


def test_of_two_simultaneous_exports_to_one_folder_one_is_refused(
    database: Db, tmp_path: Path
) -> None:
    """Both used to write to the same files."""
    store(database, "AAPL", make_bars(50))
    asked, folder = Asked("bars", ("AAPL",)), tmp_path / "out"
    now = datetime.now(UTC)

    def open_slowly(database: Db, asked: Asked) -> Table:
        write_folder(database, asked, "csv", folder, now=now)  # The other export is faster.
        return open_table(database, asked)

    with pytest.raises(BadInput, match="is not empty"):
        write_folder(database, asked, "csv", folder, opener=open_slowly, now=now)
    verify_folder(folder)


def test_a_folder_of_an_export_that_was_broken_off_is_called_that(
    database: Db, tmp_path: Path
) -> None:
    """It only held something: nothing told it from a folder with something of one's own."""
    store(database, "AAPL", make_bars(50))

    def break_off(database: Db, asked: Asked) -> Table:
        table = open_table(database, asked)
        return replace(table, rows=(1 / 0 for _ in table.rows))

    asked, folder, now = Asked("bars", ("AAPL",)), tmp_path / "out", datetime.now(UTC)
    with pytest.raises(ZeroDivisionError):
        write_folder(database, asked, "csv", folder, opener=break_off, now=now)
    with pytest.raises(BadInput, match="holds an export that was broken off, or is being written"):
        write_folder(database, asked, "csv", folder, now=now)


def test_the_parts_of_an_export_follow_each_other(
    flask: Command, database: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.exports.folders.PART_ROWS", 40)
    store(database, "AAPL", make_bars(100))
    for form, rows in (("parquet", [40, 40, 20]), ("csv", [40, 40, 20])):
        words = ("write", "bars", tmp_path / form, "--format", form, "--json")
        manifest = read_json(flask("export", *words))
        assert [part["rows"] for part in manifest["parts"]] == rows
    table = pq.read_table(tmp_path / "parquet" / "bars-0002.parquet")
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert table.num_rows == 20


def test_bars_written_by_column_equal_those_written_by_row(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    fill(database, flask, tmp_path)
    words = ("--start", "2015-03-02", "--end", "2015-11-30")
    names = ("ticker", "interval", "market", "time", *FIELDS, "split")
    asked = [word for name in names for word in ("--column", name)]
    flask("export", "write", "bars", tmp_path / "columns", *words)
    flask("export", "write", "bars", tmp_path / "rows", *words, *asked)
    one, other = (
        pq.read_table(tmp_path / folder / "bars-0000.parquet") for folder in ("columns", "rows")
    )
    assert one.num_rows > 300
    assert one.equals(other)
    assert one.column("split").drop_null().to_pylist() == [2.0]


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_bars_stream_long_and_wide_adjusted_or_not(client: FlaskClient, database: Db) -> None:
    for ticker, seed in (("AAPL", 1), ("MSFT", 2)):
        store(database, ticker, make_bars(60, seed=seed))
    bars = client.get("/py/data/candles?ticker=AAPL&limit=1000").json["items"]
    answer = client.get("/py/export/bars?tickers=AAPL&adjusted=true")
    assert answer.content_type == "text/csv"
    assert 'filename="bars.csv"' in answer.headers["Content-Disposition"]
    found = read_csv(answer.text)
    assert [(row["time"], float(row["close"]), float(row["volume"])) for row in found] == [
        (bar["time"], bar["close"], bar["volume"]) for bar in bars
    ]
    wide = client.get("/py/export/bars?tickers=MSFT,AAPL&layout=wide&format=ndjson")
    rows = [json.loads(line) for line in wide.text.splitlines()]
    assert list(rows[0]) == ["time", "MSFT", "AAPL"]
    assert [(row["time"], row["AAPL"]) for row in rows] == [
        (bar["time"], bar["close"]) for bar in bars
    ]
    some = client.get("/py/export/bars?tickers=AAPL&columns=time,close").text
    assert some.splitlines()[0] == "time,close"
    part = client.get(f"/py/export/bars?tickers=AAPL&start={bars[5]['time']}&end={bars[7]['time']}")
    assert [row["time"] for row in read_csv(part.text)] == [bar["time"] for bar in bars[5:8]]


def test_anomalies_stream_with_their_lineage(client: FlaskClient, database: Db) -> None:
    bars = make_bars(500, shocks=(450,))
    bars.loc[300, ["open", "high", "low", "close"]] *= 100
    store(database, "AAPL", bars)
    train(database)
    run(database, "backfill", "AAPL")
    stored = {one["_id"]: one for one in database.anomalies.find()}
    found = read_csv(client.get("/py/export/anomalies?market=US").text)
    assert {row["id"] for row in found} == stored.keys() != set()
    for row in found:
        one = stored[row["id"]]
        assert (float(row["score"]), row["model_hash"]) == (one["anomaly_score"], one["model_hash"])
        sure = float(row["confidence"]) if row["confidence"] else None
        assert (sure, row["detector"]) == (one.get("confidence"), one["detector"])
    day = bars["date"][300].strftime("%Y-%m-%d")
    told = {row["time"].startswith(day): (row["kind"], row["fault"]) for row in found}
    assert told == {True: ("fault", "level"), False: ("event", "")}


def test_text_that_a_spreadsheet_would_run_as_a_formula_is_guarded() -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "plain", "a=b", "'=1", "it's"]
    texts += ["\n=1", "\uff1d1"]
    columns = (Column("note", "text"), Column("number", "number"))
    table = Table(columns, iter([(text, -1.5) for text in texts]), len(texts))
    found = read_csv(b"".join(write_text(table, "csv")).decode())
    assert [row["note"] for row in found] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "plain", "a=b", "''=1", "it's", "'\n=1",
        "'\uff1d1",
    ]  # fmt: skip
    assert {row["number"] for row in found} == {"-1.5"}
    assert [unguard(row["note"]) for row in found] == texts


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("bars?tickers=AAPL&market=US", 422),
        ("bars?columns=nope", 422),
        ("trades?layout=wide", 422),
        ("alerts?layout=wide", 422),
        ("alerts?severity=critical", 422),
        ("bars?run=12", 422),
        ("anomalies?adjusted=true", 422),
        ("bars?tickers=A%20B", 422),
        ("nothing", 404),
        ("bars?watchlist=nowhere", 404),
        ("bars?tickers=APPL", 404),
        ("features?tickers=APPL&format=parquet", 404),
        ("bars?tickers=AAPL&interval=1h", 404),
    ],
)
def test_an_impossible_export_is_refused_before_anything_is_sent(
    client: FlaskClient, database: Db, path: str, status: int
) -> None:
    assert client.get(f"/py/export/{path}").status_code == status


def test_more_than_a_million_rows_are_refused_with_what_to_do_instead(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, "AAPL", make_bars(60))
    monkeypatch.setattr(views, "MOST_ROWS", 59)
    refused = client.get("/py/export/bars")
    assert (refused.status_code, refused.json["reason"]) == (422, "too_many_rows")
    assert re.search("up to 60 rows.*flask export write bars", refused.json["detail"])


@pytest.fixture
def worker(app: APIFlask, settings: Settings, database: Db) -> Worker:
    return Worker(settings, database, get_state(app).celery, "test:1")


@pytest.fixture
def working(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work of a run when the view waits for its end."""

    def work(run_id: str, seconds: int) -> Any:
        planning.start(worker, run_id)
        return wait_for_end(run_id, seconds)

    monkeypatch.setattr(views, "wait_for_end", work)


def test_scores_and_features_of_every_bar(
    client: FlaskClient, worker: Worker, working: None, flask: Command, database: Db, tmp_path: Path
) -> None:
    store(database, "AAPL", make_bars(500, shocks=(450,)))
    store(database, "MSFT", make_bars(300, seed=2))
    train(database)
    body = {"market": "US", "max_period": "max", "keep_scores": True}
    run_id = client.post("/py/anomalies/backfill", json=body).json["run_id"]
    planning.start(worker, run_id)
    for batch in database.batches.find({"state": "pending"}):
        execute_batch(worker, batch["_id"])
    found = read_csv(client.get("/py/export/scores").text)
    assert len(found) == 500 + 300 - 2 * 61
    assert {row["run_id"] for row in found} == {run_id}
    by_bar = {(row["ticker"], row["time"]): float(row["score"]) for row in found}
    for one in database.anomalies.find({"kind": "event"}):
        time = one["Datetime"].isoformat().replace("+00:00", "Z")
        assert by_bar[one["Ticker"], time] == one["anomaly_score"]
    wide = [
        json.loads(x)
        for x in client.get("/py/export/scores?layout=wide&format=ndjson").text.splitlines()
    ]
    assert {
        (ticker, row["time"]): row[ticker]
        for row in wide
        for ticker in ("AAPL", "MSFT")
        if row[ticker] is not None
    } == by_bar
    assert client.get(f"/py/export/scores?run={run_id}x").text.count("\n") == 1
    # As the model read them: its scores of these inputs are the exported scores.
    answer = client.get("/py/export/features?layout=wide&format=parquet")
    assert answer.status_code == 200, answer.text
    features = pq.read_table(io.BytesIO(answer.data)).to_pandas()
    model = ModelManager(database).get_model("US", "1d")
    inputs = features[list(model.feature_set.columns)].to_numpy("f4")
    times = [time.isoformat().replace("+00:00", "Z") for time in features["time"]]
    scores = model.detector.score_samples(inputs)
    assert dict(zip(zip(features["ticker"], times, strict=True), scores, strict=True)) == by_bar
    manifest = read_json(flask("export", "write", "features", tmp_path / "f", "--json", "--check"))
    assert manifest["rows"] == len(features) * len(model.feature_set.columns)
    assert manifest["models"] == {model.version: model.sha256}
    assert len(manifest["fingerprints"]) == 2


def test_a_worker_writes_what_the_command_line_writes(
    client: FlaskClient, worker: Worker, flask: Command, database: Db, tmp_path: Path
) -> None:
    fill(database, flask, tmp_path)
    body = {"table": "bars", "tickers": ["AAPL"], "start": "2015-03-02T00:00:00Z"}
    accepted = client.post("/py/exports", json=body)
    assert accepted.status_code == 202, accepted.text
    run_id = accepted.json["run_id"]
    assert client.get(f"/py/exports/{run_id}").json["manifest"] is None
    planning.start(worker, run_id)
    written = client.get(f"/py/exports/{run_id}").json
    assert (written["status"], list(written["files"])) == (
        "complete",
        ["bars-0000.parquet", "manifest.json"],
    )
    words = ("--ticker", "AAPL", "--start", "2015-03-02", "--json")
    manifest = read_json(flask("export", "write", "bars", tmp_path / "own", *words))
    assert written["manifest"] | {"made_at": ""} == manifest | {"made_at": ""}
    done = flask("export", "fetch", run_id, tmp_path / "fetched")
    assert (done.exit_code, "as it was exported" in done.stdout) == (0, True)
    name = "bars-0000.parquet"
    part = client.get(written["files"][name])
    assert (
        part.data
        == (tmp_path / "own" / name).read_bytes()
        == (tmp_path / "fetched" / name).read_bytes()
    )
    started = read_json(flask("export", "start", "bars", "--no-wait", "--json"))
    assert (started["task"], started["options"]["format"]) == ("export", "parquet")
    unwritten = flask("export", "fetch", started["_id"], tmp_path / "none")
    assert (unwritten.exit_code, "has written no export" in unwritten.stderr) == (2, True)
    again = client.get(written["files"][name], headers={"If-None-Match": part.headers["ETag"]})
    assert again.status_code == 304
    assert client.get(f"/py/exports/{run_id}/nothing.csv").status_code == 404
    delete_leftovers(database, datetime.now(UTC) + timedelta(days=7, minutes=1))
    gone = client.get(written["files"][name])
    assert (gone.status_code, gone.json["reason"]) == (404, "export_gone")


def test_anomalies_and_alerts_of_all_intervals_are_exported_unless_one_is_named(
    client: FlaskClient, flask: Command, database: Db, tmp_path: Path
) -> None:
    store(database, "AAPL", make_bars(300))
    train(database)
    run(database, "backfill", "AAPL")
    days = database.anomalies.find_one()
    assert days
    quarters = days | {"_id": "AAPL::15m::2026-01-05T14:30:00Z", "interval": "15m"}
    database.anomalies.insert_one(quarters)
    for interval in ("1d", "15m"):
        alert = {"_id": interval, "entity_id": "AAPL", "interval": interval, "bar_time": NOW}
        database.alerts.insert_one(alert)
    for table in ("anomalies", "alerts"):
        for query in ("", "?market=US", "?tickers=AAPL"):
            text = client.get(f"/py/export/{table}{query}").text
            assert {row["interval"] for row in csv.DictReader(io.StringIO(text))} == {"1d", "15m"}
        text = client.get(f"/py/export/{table}?tickers=AAPL&interval=15m").text
        assert [row["interval"] for row in csv.DictReader(io.StringIO(text))] == ["15m"]
        assert flask("export", "write", table, tmp_path / table).exit_code == 0
        written = pd.read_parquet(tmp_path / table / f"{table}-0000.parquet")
        assert set(written["interval"]) == {"1d", "15m"}


def test_alerts_of_a_watchlist_are_its_own(
    client: FlaskClient, flask: Command, worker: Worker, database: Db, tmp_path: Path
) -> None:
    for name in ("mine", "yours"):
        asked = {"name": name, "tickers": ["AAPL"]}
        assert client.post("/py/watchlists", json=asked).status_code == 201
    for name, entity in (("mine", "AAPL"), ("mine", "US"), ("yours", "AAPL"), ("yours", "US")):
        alert = {"_id": f"{name} {entity}", "watchlist": name, "entity_id": entity}
        database.alerts.insert_one(alert | {"interval": "1d", "bar_time": NOW})
    ended = {"_id": "gone", "watchlist": "mine", "entity_id": "MSFT", "interval": "15m"}
    database.alert_history.insert_one(ended | {"bar_time": NOW})
    text = client.get("/py/export/alerts?watchlist=mine&columns=id").text
    assert text.splitlines() == ["id", "mine AAPL", "gone", "mine US"]
    assert (
        flask("export", "write", "alerts", tmp_path / "out", "--watchlist", "mine").exit_code == 0
    )
    written = pd.read_parquet(tmp_path / "out" / "alerts-0000.parquet")
    assert list(written["id"]) == ["mine AAPL", "gone", "mine US"]
    accepted = client.post("/py/exports", json={"table": "alerts", "watchlist": "mine"})
    planning.start(worker, accepted.json["run_id"])
    _, files = find_export_files(database, accepted.json["run_id"])
    with open_export_file(database, files["alerts-0000.parquet"]["id"]) as kept:
        assert list(pd.read_parquet(io.BytesIO(kept.read()))["id"]) == list(written["id"])
    assert client.get("/py/export/alerts?watchlist=none").status_code == 404


def test_an_export_that_was_requested_before_an_upgrade_is_of_its_interval(
    worker: Worker, database: Db
) -> None:
    """Its options had neither the interval nor a watchlist."""
    run = request_export(database, worker.celery, Asked("alerts", (), "1h"), "csv", now=NOW)
    kept = {
        name: run["options"][name] for name in run["options"].keys() - {"interval", "watchlist"}
    }
    assert read_asked({**run, "options": kept}) == read_asked(run)
    assert read_asked(run).interval == "1h"


def test_a_worker_exports_only_data_of_the_tenant_that_requested_it(
    worker: Worker, database: Db
) -> None:
    own, other = (of_tenant(database, name) for name in ("acme", "other"))
    for name, handle in (("mine", own), ("theirs", other), ("default", database)):
        alert = {"_id": name, "entity_id": "AAPL", "interval": "1d", "bar_time": NOW}
        handle.alerts.insert_one(alert)
    run = request_export(own, worker.celery, Asked("alerts", ("AAPL",)), "ndjson", now=NOW)
    planning.start(worker, run["_id"])
    _, files = find_export_files(own, run["_id"])
    with open_export_file(own, files["alerts-0000.ndjson"]["id"]) as kept:
        assert [json.loads(line)["id"] for line in kept] == ["mine"]
    with pytest.raises(NotFound):
        find_export_files(other, run["_id"])


def test_features_without_a_model_are_refused_and_so_are_too_many(
    client: FlaskClient, working: None, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, "AAPL", make_bars(200))
    refused = client.get("/py/export/features")
    assert (refused.status_code, refused.json["reason"]) == (409, "no_model")
    assert "train one" in refused.json["detail"]
    # There are more rows with one for each feature than with one for each bar.
    monkeypatch.setattr(views, "MOST_ROWS", 1_000)
    assert client.get("/py/export/features").json["reason"] == "too_many_rows"


def test_bars_that_a_client_has_are_sent_again_only_after_a_change_or_an_upgrade(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, "AAPL", make_bars(60))
    paths = ("export/bars", "data/candles?ticker=AAPL", "chart?ticker=AAPL")
    asked = {path: {"If-None-Match": client.get(f"/py/{path}").headers["ETag"]} for path in paths}
    for path, headers in asked.items():
        assert client.get(f"/py/{path}", headers=headers).status_code == 304
    other = client.get("/py/export/bars?format=ndjson", headers=asked["export/bars"])
    assert other.status_code == 200
    monkeypatch.setattr("api.http.conditional.get_build", lambda: "upgraded")
    for path, headers in asked.items():
        assert client.get(f"/py/{path}", headers=headers).status_code == 200
    store(database, "AAPL", make_bars(61))
    for path, headers in asked.items():
        assert client.get(f"/py/{path}", headers=headers).status_code == 200


def test_every_table_has_its_columns_even_without_rows(
    client: FlaskClient, working: None, database: Db
) -> None:
    store(database, "AAPL", make_bars(200))
    train(database)
    for table in TABLES:
        asked = f"/py/export/{table}?tickers=AAPL&start=2031-01-01"
        answer = client.get(asked)
        assert answer.status_code == 200, answer.text
        header, *rows = answer.text.splitlines()
        assert "ticker" in header or "entity_id" in header
        assert rows == []
    answer = client.get("/py/export/funding?format=parquet")
    assert pq.read_table(io.BytesIO(answer.data)).num_rows == 0
