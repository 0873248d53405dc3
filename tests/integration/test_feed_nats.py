"""The feed over NATS JetStream, with a real server where one is installed."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from celery import Celery
from pydantic_core import to_json

from core.errors import BadInput, Busy, ServerUnreachable
from core.settings import Settings
from feed.bus import STREAMS, choose_stream
from feed.consumer import Consumer
from feed.messages import Head, build_message
from feed.nats_bus import NatsBus
from feed.opening import open_bus
from feed.producing import Producer
from records.database import Db
from records.ticks.positions import find_positions, find_seqs
from records.ticks.trades import find_trades
from runner.servers import free_port, is_port_free
from tests.processes import ROOT, wait_until

SERVER = shutil.which("nats-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="nats-server is not on PATH")
TICKER, VENUE = "BTC-USD", "COINBASE"
STREAM = choose_stream(TICKER)
START = 1_767_614_400_000


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"nats://127.0.0.1:{self.port}"

    def start(self, options: str = "") -> None:
        config = self.folder.with_suffix(".conf")
        config.write_text(options)
        command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js"]
        command += ["-sd", str(self.folder), "-c", str(config)]
        self.process = subprocess.Popen(command, stderr=-3, stdout=-3)
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
    """Store all that waits, as the process does: if the server does not answer, it is asked
    again.
    """

    def is_done() -> bool:
        try:
            return consumer.step() == 0
        except ServerUnreachable:
            consumer._forget()
            return False

    wait_until(is_done, "all is stored")


def ids(database: Db) -> list[int]:
    return [int(trade.id) for trade in find_trades(database, TICKER, VENUE)]


def test_records_sent_over_nats_are_stored_once(
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


def test_a_bad_message_affects_only_itself_over_nats_too(
    settings: Settings, database: Db, server: Server, celery: Celery
) -> None:
    server.kill()
    server.start("max_payload: 64MB")
    bus = NatsBus(server.url, 4)
    good = {"ticker": TICKER, "venue": VENUE, "records": make_trades(0, 1)}
    bad = {
        # JetStream cannot send a message of 32 MiB again.
        "too_large": b"[" + b" " * 20 * 2**20 + b"]",
        "not_json": b"\xff no JSON",
        "unknown_kind": b"{}",
        "unknown_version": b"{}",
        "bad_ticker": b'{"ticker": "A B", "venue": "X", "records": [{}]}',
        "too_many_records": to_json(good | {"records": make_trades(0, 1_001)}),
    }
    for reason, data in bad.items():
        kind = "quotes" if reason == "unknown_kind" else "trades"
        version = "9" if reason == "unknown_version" else "1"
        bus.append(STREAM, {"v": version, "kind": kind, "data": data})
    later = 1_800_000_000_000
    for seq, sent in ((7, 10), (3, 20)):
        records = [{"time": START, "id": f"s{seq}", "price": 1, "amount": 1}]
        bus.append(
            STREAM,
            build_message("trades", [{**good, "records": records}], Head("other", seq, sent)),
        )
    amiss = [
        {"time": START, "id": "n", "price": 1, "amount": -1},
        {"time": later * 1_000, "id": "f", "price": 1, "amount": 1},
    ]
    book = {"time": START, "bids": [[101, 1]], "asks": [[100, 1]]}
    producer = Producer(bus, "tests", {})
    producer.send("trades", TICKER, [*amiss, *make_trades(0, 1)], venue=VENUE)
    producer.send("depth", TICKER, [book], venue=VENUE)
    consumer = make_consumer(settings, database, bus, celery)
    # A message of this size takes more than a moment to arrive.
    wait_until(lambda: not consumer.step() and not bus.count(STREAM), "all is stored")
    bus.close()
    assert sorted(trade.id for trade in find_trades(database, TICKER, VENUE)) == ["0", "s7"]
    kept = [one["reason"] for one in database.rejected_records.find()]
    assert sorted(kept) == sorted(
        [*bad, "seq_jumped_back", "non_positive_amount", "in_future", "crossed_book"]
    )


def test_a_message_that_the_client_dropped_is_read_again(bus: NatsBus) -> None:
    for text in (b"a", b"b", b"c"):
        bus.append(STREAM, {"data": text})
    # A reader that never received the first message.
    bus._readers[STREAM] = (bus._run(bus._open_reader(STREAM, 2)), 1)
    found = bus.read({STREAM: "0-0"}, count=10, wait_seconds=20)[STREAM]
    assert [entry.fields[b"data"] for entry in found] == [b"a", b"b", b"c"]


def test_a_message_too_large_for_nats_is_sent_in_parts(bus: NatsBus) -> None:
    levels = [[price, 1.25] for price in range(50)]
    books = [{"time": START + n, "bids": levels[::-1], "asks": levels} for n in range(1_000)]
    Producer(bus, "tests", {}).send("depth", TICKER, books, venue=VENUE)
    assert bus.count(STREAM) > 1
    with pytest.raises(BadInput, match="larger than the 1,048,576 that NATS takes"):
        bus.append(STREAM, {"kind": "depth", "data": b" " * (2**20 + 1)})


@pytest.mark.slow
def test_a_killed_server_keeps_its_messages_and_one_that_lost_them_is_sent_them_again(
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


def test_an_unreachable_server_is_reported_in_time() -> None:
    """It used to be tried sixty times, and then the error said that it took too long."""
    bus = NatsBus(f"nats://127.0.0.1:{free_port()}", 2)
    start = time.monotonic()
    with pytest.raises(ServerUnreachable, match=r"did not answer: .*Connect call failed"):
        bus.count(STREAM)
    bus.close()
    assert time.monotonic() - start < 10


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


LITTLE = "jetstream { max_file_store: 10MB }"
NOBODY = "accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a"
LOCKED = "authorization { user: a, password: b }"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LITTLE, "refuses it: insufficient storage .* sets 256 MiB aside: give JetStream more"),
        (NOBODY, "refuses it: JetStream not enabled for account; switch JetStream on"),
        (LOCKED, "lets nobody in: .*Authorization Violation.*; correct FEED_URL"),
    ],
)
def test_an_error_of_nats_is_reported_in_its_own_words(
    server: Server, bus: NatsBus, options: str, said: str
) -> None:
    server.kill()
    server.start(options)
    with pytest.raises(ServerUnreachable, match=said):
        bus.count(STREAM)


def test_a_limit_on_messages_set_by_the_streams_owner_makes_producers_wait_too(
    server: Server, bus: NatsBus
) -> None:
    async def make() -> None:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(
            name=STREAM.replace(":", "-"),
            subjects=[STREAM.replace(":", ".")],
            max_msgs=1,
            discard="new",
        )
        await client.close()

    asyncio.run(make())
    bus.append(STREAM, {"kind": "trades", "data": b"x"})
    with pytest.raises(Busy, match="maximum messages exceeded"):
        bus.append(STREAM, {"kind": "trades", "data": b"x"})
    bus.trim(STREAM, bus.last_id(STREAM))
    bus.append(STREAM, {"kind": "trades", "data": b"x"})


def fill(bus: NatsBus) -> None:
    for _ in range(100):
        bus.append(STREAM, {"kind": "trades", "data": b"x" * 1_000})


def test_the_process_ends_without_a_traceback(
    database: Db, environment: dict[str, str], server: Server, tmp_path: Path
) -> None:
    """Whatever the client is doing when it is told to stop, after a restart of NATS."""
    log = tmp_path / "feed.log"
    told = {**environment, "FEED_URL": server.url, "TMPDIR": str(tmp_path)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "feed"], cwd=ROOT, env=told, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until(lambda: len(find_positions(database)) == len(STREAMS), "it reads")
            server.kill()
            wait_until(lambda: "feed_waits" in log.read_text(), "it waits")
            server.start()
            groups = [{"ticker": TICKER, "venue": VENUE, "records": make_trades(0, 5)}]
            bus = NatsBus(server.url, 4)
            bus.append(STREAM, build_message("trades", groups, Head(None, 0, 0)))
            bus.close()
            wait_until(lambda: len(list(find_trades(database, TICKER, VENUE))) == 5, "it stores")
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()
    assert "pending" not in log.read_text(), log.read_text()


@pytest.mark.parametrize(
    ("name", "value"), [("MONGO_URL", "mongodb://:bad@@"), ("FEED_URL", "redis://h:port/0")]
)
def test_an_invalid_address_is_reported_in_one_line(
    environment: dict[str, str], name: str, value: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "feed"],
        cwd=ROOT,
        env={**environment, name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be used" in done.stderr
