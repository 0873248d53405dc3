"""The same feed over NATS JetStream, on a real server where one is installed."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from core.errors import Busy, ServerUnreachable
from core.settings import Settings
from feed.bus import STREAMS, choose_stream, open_bus
from feed.consumer import Consumer
from feed.messages import Head, build_message
from feed.nats_bus import NatsBus
from feed.producing import Producer
from records.database import Db
from records.ticks.positions import find_positions, find_seqs
from records.ticks.trades import find_trades
from runner.servers import free_port, is_port_free
from tests.processes import wait_until

SERVER = shutil.which("nats-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="nats-server is not on PATH")
TICKER, VENUE = "BTC-USD", "COINBASE"
STREAM = choose_stream(TICKER)
START = 1_767_614_400_000


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js"]
        self.process = subprocess.Popen([*command, "-sd", str(self.folder)], stderr=-3, stdout=-3)
        wait_until(lambda: not is_port_free(self.port), "NATS listens")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def bus(server: Server) -> Iterator[NatsBus]:
    bus = NatsBus(server.url, 4)
    yield bus
    bus.close()


def make_trades(first: int, count: int) -> list[dict[str, object]]:
    return [
        {"time": START + n, "id": n, "price": 100, "amount": 1} for n in range(first, first + count)
    ]


def make_consumer(settings: Settings, database: Db, bus: NatsBus, celery: Celery) -> Consumer:
    database.feed_positions.update_many({}, {"$set": {"owner": None}})
    return Consumer(settings, database, bus, celery, "test:nats")


def drain(consumer: Consumer) -> None:
    """Store all there is, as the process does: a server that does not answer is asked again."""

    def is_done() -> bool:
        try:
            return consumer.step() == 0
        except ServerUnreachable:
            consumer._forget()
            return False

    wait_until(is_done, "all is stored")


def ids(database: Db) -> list[int]:
    return [int(trade.id) for trade in find_trades(database, TICKER, VENUE)]


def test_what_is_sent_over_nats_is_stored_once(
    settings: Settings, database: Db, bus: NatsBus, celery: Celery, server: Server
) -> None:
    producer = Producer(bus, "tests", {})
    for n in range(0, 60, 10):
        producer.send("trades", TICKER, make_trades(n, 10), venue=VENUE)
    group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(0, 10)}
    bus.append(STREAM, build_message("trades", [group], Head("tests", 1, 1)))
    bus.append(STREAM, {"kind": "quotes", "data": b"{}"})
    assert bus.count(STREAM) == 8
    drain(make_consumer(settings, database, bus, celery))
    assert ids(database) == list(range(60))
    assert sum(one["doubles"] for one in find_positions(database)) == 1
    assert database.rejected_records.find_one()["reason"] == "unknown_kind"
    assert sum(map(bus.count, STREAMS)) == 0
    named = open_bus(settings.model_copy(update={"feed_url": server.url}))
    named.close()
    assert isinstance(named, NatsBus)


def test_a_server_that_was_killed_has_what_it_took_and_one_that_lost_it_is_sent_it_again(
    settings: Settings, database: Db, bus: NatsBus, celery: Celery, server: Server
) -> None:
    producer = Producer(bus, "tests", {})
    producer.send("trades", TICKER, make_trades(0, 10), venue=VENUE)
    drain(make_consumer(settings, database, bus, celery))
    producer.send("trades", TICKER, make_trades(10, 10), venue=VENUE)
    server.kill()
    assert count_or_none(bus) is None
    server.start()
    wait_until(lambda: count_or_none(bus) == 1, "it is back")
    drain(make_consumer(settings, database, bus, celery))
    assert ids(database) == list(range(20))
    producer.send("trades", TICKER, make_trades(20, 10), venue=VENUE)
    server.kill()
    shutil.rmtree(server.folder)
    server.start()
    wait_until(lambda: count_or_none(bus) == 0, "it is back, and empty")
    again = Producer(bus, "tests", find_seqs(database, "tests"))
    again.send("trades", TICKER, make_trades(20, 10), venue=VENUE)
    drain(make_consumer(settings, database, bus, celery))
    assert ids(database) == list(range(30))


def count_or_none(bus: NatsBus) -> int | None:
    try:
        return bus.count(STREAM)
    except ServerUnreachable:
        return None


def test_a_stream_that_is_full_makes_its_producers_wait(server: Server) -> None:
    bus = NatsBus(server.url, 4, most_bytes=20_000)
    try:
        with pytest.raises(Busy):
            fill(bus)
        assert 0 < bus.count(STREAM) < 20
        bus.trim(STREAM, bus.last_id(STREAM))
        assert bus.count(STREAM) == 0
        bus.append(STREAM, {"kind": "trades", "data": b"x"})
    finally:
        bus.close()


def fill(bus: NatsBus) -> None:
    for _ in range(100):
        bus.append(STREAM, {"kind": "trades", "data": b"x" * 1_000})
