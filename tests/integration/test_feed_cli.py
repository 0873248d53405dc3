"""`flask feed`, as a user types it, and the positions that producers read."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery
from flask.testing import FlaskClient

from core.settings import Settings
from feed.bus import STREAMS
from feed.consumer import Consumer
from feed.redis_bus import RedisBus
from records.database import Db
from tests.commands import Command, read_json
from tests.processes import ROOT, wait_until

CSV = "symbol,exchange,timestamp,trade_id,price,qty\n" + "".join(
    f"C{n % 7}-USD,coinbase,{1767614400000 + n},{n},100,0.5\n" for n in range(3_000)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(CSV)
    return path


def drain(settings: Settings, database: Db, celery: Celery) -> None:
    bus = RedisBus(settings.redis_url, 4)
    consumer = Consumer(settings, database, bus, celery, "test:1")
    while consumer.step():
        pass
    bus.close()


def test_a_file_that_is_sent_twice_is_stored_and_shown_once(
    flask: Command,
    path: Path,
    settings: Settings,
    database: Db,
    celery: Celery,
    client: FlaskClient,
) -> None:
    assert "nothing was stored yet" in flask("feed", "status").stdout
    for words in ((), ("--producer", "publish")):
        sent = read_json(flask("feed", "publish", path, "--json", *words))
        assert sent == {"kind": "trades", "sent": 3_000}
        drain(settings, database, celery)
    assert sum(chunk["count"] for chunk in database.trades.find()) == 3_000
    shown = {one["_id"]: one for one in read_json(flask("feed", "status", "--json"))}
    assert shown.keys() == set(STREAMS)
    assert sum(one["records"] for one in shown.values()) == 6_000
    assert all(one["waiting_now"] == 0 for one in shown.values())
    table = flask("feed", "status")
    assert "tw:feed:0" in table.stdout
    assert "publish is stored up to" in table.stdout
    assert "flask data rejected" not in table.stdout
    told = client.get("/py/feed/positions").json["streams"]
    assert [one["stream"] for one in told] == sorted(STREAMS)
    assert [one["producers"] for one in told] == [shown[one["stream"]]["producers"] for one in told]
    assert {one["consumer"] for one in told} == {"test:1"}
    # Rejected records do not count as stored.
    with closing(RedisBus(settings.redis_url, 4)) as bus:
        bus.append(STREAMS[0], {"kind": "trades", "data": b"no json"})
    drain(settings, database, celery)
    table = flask("feed", "status")
    assert "flask data rejected" in table.stdout
    (row,) = (line.split("│") for line in table.stdout.splitlines() if "tw:feed:0" in line)
    stored = {cell.strip() for cell in row[3:5]}
    assert stored == {f"{shown[STREAMS[0]]['records']:,}", "1"}


def test_a_missing_ticker_or_venue_is_asked_for(flask: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,id,price,amount\n1767614400,1,1,1\n")
    refused = flask("feed", "publish", path)
    assert refused.exit_code == 2
    assert "--ticker" in refused.stderr
    assert flask("feed", "publish", path, "--ticker", "A", "--venue", "X").exit_code == 0
    odd = flask("feed", "publish", path, "--ticker", "A", "--venue", "X", "--producer", "a b")
    assert odd.exit_code == 2
    assert "no producer's name" in odd.stderr


def test_ticker_and_venue_in_the_rows_take_precedence_over_the_options(
    flask: Command, tmp_path: Path, settings: Settings, database: Db, celery: Celery
) -> None:
    path = tmp_path / "candles.csv"
    prices = "100,102,98,101,5"
    path.write_text(
        "ticker,interval,time,open,high,low,close,volume,closed\n"
        f"BTC-USD,1h,2026-01-05T12:00:00Z,{prices},true\n"
        f"BTC-USD,1h,2026-01-05T13:00:00Z,{prices},false\n"
        f"BTC-USD,,2026-01-05T13:00:00Z,{prices},\n"
        f"B T C,1h,2026-01-05T12:00:00Z,{prices},true\n"
        f"BTC-USD,2m,2026-01-05T12:00:00Z,{prices},true\n"
        f",1h,2026-01-05T12:00:00Z,{prices},true\n"
    )
    words = ("publish", path, "--kind", "candles", "--interval", "5m", "--json")
    assert read_json(flask("feed", *words)) == {"kind": "candles", "sent": 6}
    drain(settings, database, celery)
    assert {one["_id"]: one["bars"] for one in database.series.find()} == {
        "BTC-USD::1h": 1,
        "BTC-USD::5m": 1,
    }
    assert [one["reason"] for one in database.rejected_records.find()] == ["bad_ticker"] * 3


def test_an_unreachable_redis_is_named(flask: Command, path: Path) -> None:
    for words in (("status",), ("publish", path)):
        failed = flask("feed", *words, REDIS_URL="redis://:secret@127.0.0.1:1/0")
        assert failed.exit_code == 1, failed.output
        assert "127.0.0.1:1" in failed.stderr
        assert "secret" not in failed.stderr


def test_the_process_stores_until_it_is_told_to_stop(
    flask: Command, path: Path, database: Db, environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**environment, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "feed"], cwd=ROOT, env=environment) as process:
        try:
            assert flask("feed", "publish", path, "--most-waiting", "20").exit_code == 0
            wait_until(
                lambda: sum(chunk["count"] for chunk in database.trades.find()) == 3_000,
                "all of it is stored",
            )
            assert (tmp_path / "tapewatch-feed.alive").exists()
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    assert {one["owner"] for one in database.feed_positions.find()} == {None}
