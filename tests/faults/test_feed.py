"""The feed while its consumer is killed, Redis loses its data and MongoDB's primary changes."""

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import PyMongoError

from core.errors import ServerUnreachable
from feed.bus import STREAMS, choose_stream
from feed.messages import Head, build_message
from feed.redis_bus import RedisBus
from records.database import Db
from records.migrations import prepare_database
from records.ticks.positions import find_positions, find_seqs
from records.ticks.trades import find_trades
from runner.programs import feed_command
from runner.servers import free_port, wait_for_redis
from tests.faults.recoveries import ROWS, Row
from tests.faults.stack import Program, Stack, run_stack
from tests.integration.stored import NOW, add_list
from tests.processes import wait_until

pytestmark = pytest.mark.faults

if TYPE_CHECKING:
    from feed.nats_bus import NatsBus

VENUE = "COINBASE"
TICKERS = tuple(f"C{number}-USD" for number in range(40))
WATCHED = TICKERS[:10]
CONSUMERS = ("feed1", "feed2")
# The number of records a message, and of messages a ticker and kind.
SIZE, MESSAGES = 63, 5
ENDS_SECONDS = 240


@dataclass
class Sent:
    """A producer's messages by stream, in the order of their numbers."""

    producer: str
    messages: dict[str, list[dict[str, str | bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    records: int = 0

    def add(self, kind: Any, ticker: str, records: list[dict[str, Any]]) -> None:
        stream = choose_stream(ticker)
        group = {"ticker": ticker, "venue": VENUE, "interval": "1m", "records": records}
        head = Head(self.producer, len(self.messages[stream]) + 1, 1_000 + self.records)
        self.messages[stream].append(build_message(kind, [group], head))
        self.records += len(records)


def make_messages(seed: int, tickers: Sequence[str] = TICKERS, producer: str = "faults") -> Sent:
    """Return 50,000 records of four kinds and all tickers, with tickers and kinds in random
    order.
    """
    random, sent = Random(seed), Sent(producer)
    start = int(time.time()) // 3_600 * 3_600 - 12 * 3_600
    turns = [(ticker, n) for ticker in tickers for n in range(MESSAGES)]
    random.shuffle(turns)
    for ticker, n in sorted(turns, key=lambda turn: turn[1] + random.random()):
        rows = range(n * SIZE, (n + 1) * SIZE)
        sent.add(
            "trades",
            ticker,
            [
                {"time": (start + k) * 1_000, "id": k, "price": 100, "amount": 1, "side": "buy"}
                for k in rows
            ],
        )
        books = [
            {"time": (start + k) * 1_000, "sequence": k, "bids": [[99, 1]], "asks": [[101, 1]]}
            for k in rows
        ]
        sent.add("depth", ticker, books)
        rates = [{"time": (start + 60 * k) * 1_000, "rate": k / 10**6} for k in rows]
        sent.add("funding", ticker, rates)
        candles = [
            {"time": (start + 60 * k) * 1_000, "open": 100, "high": 102, "low": 99}
            | {"close": 101, "volume": 5}
            for k in rows
        ]
        sent.add("candles", ticker, candles)
    return sent


@pytest.fixture(scope="module")
def servers_and_feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A MongoDB of three members, Redis, and two consumers, one of which holds the streams."""
    with run_stack(tmp_path_factory.mktemp("feed")) as stack:
        for name in CONSUMERS:
            folder = stack.folder / name
            folder.mkdir()
            stack.programs[name] = Program(feed_command(), {"TMPDIR": str(folder)})
        stack.start_servers()
        prepare_database(stack.database, NOW)
        yield stack


def note(request: pytest.FixtureRequest, fault: str, seconds: float | None) -> None:
    promise = " ".join((request.function.__doc__ or "").split())
    request.config.stash.setdefault(ROWS, []).append(Row(fault, promise, seconds))


def ask(stack: Stack, question: Any) -> Any:
    """Return the answer of a database whose primary may just be changing."""

    def answer() -> list[Any]:
        try:
            return [question(stack.database)]
        except PyMongoError:
            return []

    return wait_until(answer, "MongoDB answers")[0]


def test_each_record_is_stored_once_though_consumer_redis_and_primary_fail(
    servers_and_feed: Stack, request: pytest.FixtureRequest
) -> None:
    """50,000 records of four kinds, each message sent twice, while the consumer is killed twenty
    times, Redis loses its data twice and the primary changes: exactly the distinct records are
    stored.
    """
    stack, random = servers_and_feed, Random(5)
    add_list(stack.database, "coins", *WATCHED)
    stack.database.watchlists.update_one({}, {"$set": {"interval": "1m"}})
    sent = make_messages(5)
    total = sum(map(len, sent.messages.values()))
    assert sent.records == 4 * SIZE * MESSAGES * len(TICKERS) >= 50_000
    bus = RedisBus(stack.settings.redis_url, 4)
    stack.start(*CONSUMERS)
    places = dict.fromkeys(STREAMS, 0)
    kills, flushes, stepped, again = 0, 0, False, 0
    while any(places[s] < len(sent.messages[s]) for s in STREAMS):
        stream = random.choice([s for s in STREAMS if places[s] < len(sent.messages[s])])
        message = sent.messages[stream][places[stream]]
        bus.append(stream, message)
        bus.append(stream, message)
        places[stream] += 1
        done = sum(places.values()) + again
        if done > (kills + 1) * total / 22 and kills < 20:
            holder = find_holder(stack)
            stack.kill(holder)
            stack.start(holder)
            kills += 1
        if done > (flushes + 1) * total / 3 and flushes < 2:
            stack.broker.flushall()
            flushes += 1
            before = sum(places.values())
            seqs = ask(stack, lambda database: find_seqs(database, "faults"))
            places = {s: seqs.get(s, 0) for s in STREAMS}
            again += before - sum(places.values())
        if done > total / 2 and not stepped:
            stack.step_down()
            stepped = True
        time.sleep(0.01)
    started = time.monotonic()
    wait_until(
        lambda: (
            ask(stack, lambda database: find_seqs(database, "faults"))
            == {s: len(sent.messages[s]) for s in STREAMS}
        ),
        "all of it is stored",
        ENDS_SECONDS,
    )
    took = time.monotonic() - started
    wait_until(lambda: sum(map(bus.count, STREAMS)) == 0, "the streams are trimmed")
    assert (kills, flushes, stepped) == (20, 2, True)
    check(stack, sent)
    note(request, "feed: 20 kills, 2 FLUSHALL, 1 step-down", took)
    bus.close()


def find_holder(
    stack: Stack, consumers: Sequence[str] = CONSUMERS, stream: str | None = None
) -> str:
    """Return the consumer that holds most streams, or the one that holds a given stream; the first
    consumer if none does.
    """
    found = [one for one in ask(stack, find_positions) if stream in (None, one["_id"])]
    owners = Counter(one["owner"] for one in found if one["owner"])
    pids = {str(stack.pids(name)[0]): name for name in consumers if stack.programs[name].is_running}
    held = [pids.get(owner.rpartition(":")[2]) for owner, _ in owners.most_common()]
    return next((name for name in held if name), consumers[0])


def check(stack: Stack, sent: Sent) -> None:
    database = stack.database
    check_records(database, TICKERS)
    positions = find_positions(database)
    assert sum(one["records"] for one in positions) == sent.records
    assert sum(one["rejected"] for one in positions) == 0
    assert database.rejected_records.count_documents({}) == 0
    wait_until(lambda: not any(one["waiting"] for one in find_positions(database)), "runs accepted")
    runs = list(database.detection_runs.find({"trigger": "feed"}))
    assert len(runs) == sum(one["runs"] for one in find_positions(database))
    assert {ticker for run in runs for ticker in run["tickers"]} == set(WATCHED)
    # A ticker's bars came in five messages, so at most five runs are for them.
    asked = Counter(ticker for run in runs for ticker in run["tickers"])
    assert max(asked.values()) <= MESSAGES


def check_records(database: Db, tickers: Sequence[str]) -> None:
    count = SIZE * MESSAGES
    for ticker in tickers:
        ids = [int(trade.id) for trade in find_trades(database, ticker, VENUE)]
        assert ids == list(range(count)), ticker
        series = database.series.find_one({"_id": f"{ticker}::1m"})
        assert series["bars"] == count, ticker
    of_these = {"ticker": {"$in": list(tickers)}}
    assert database.depth.count_documents(of_these) == count * len(tickers)
    assert database.funding.count_documents(of_these) == count * len(tickers)


def test_a_frozen_consumer_loses_its_streams_and_writes_nothing_more(
    servers_and_feed: Stack, request: pytest.FixtureRequest
) -> None:
    """The other consumer takes over the streams of a frozen one; when it is thawed, the frozen one
    stores nothing twice.
    """
    stack = servers_and_feed
    bus = RedisBus(stack.settings.redis_url, 4)
    stack.start(*CONSUMERS)
    ticker = TICKERS[0]
    before = len(list(find_trades(stack.database, ticker, "KRAKEN")))
    start = int(time.time()) - 3_600
    wait_until(lambda: all(one["owner"] for one in find_positions(stack.database)), "all held")
    # Freeze the consumer that holds this ticker's stream: the other one's streams go on, however
    # short the freeze is.
    stream = choose_stream(ticker)
    holder = find_holder(stack, stream=stream)
    groups = [
        {"ticker": ticker, "venue": "KRAKEN"}
        | {"records": [{"time": start + n, "id": n, "price": 1, "amount": 1}]}
        for n in range(200)
    ]
    for n, group in enumerate(groups):
        bus.append(stream, build_message("trades", [group], Head("f", n + 1, n)))
        if n == 50:
            stack.freeze(holder)
            started = time.monotonic()
    wait_until(
        lambda: len(list(find_trades(stack.database, ticker, "KRAKEN"))) == before + 200,
        "all stored",
    )
    note(request, "feed: consumer frozen past its lease", time.monotonic() - started)
    stack.thaw(holder)
    wait_until(
        lambda: "stream_lost" in stack.said(holder) or find_holder(stack, stream=stream) != holder,
        "noticed",
    )
    time.sleep(1)
    assert len(list(find_trades(stack.database, ticker, "KRAKEN"))) == before + 200
    bus.close()


def test_a_redis_that_is_full_makes_producers_wait(
    servers_and_feed: Stack, request: pytest.FixtureRequest
) -> None:
    """Nothing is trimmed before it is stored: producers wait until there is room."""
    from core.errors import Busy  # noqa: PLC0415 - beside its one use

    stack = servers_and_feed
    bus = RedisBus(stack.settings.redis_url, 4)
    stack.kill(*(name for name in CONSUMERS if stack.programs[name].is_running))
    used = stack.broker.info("memory")["used_memory"]
    stack.broker.config_set("maxmemory", used + 2 * 2**20)
    ticker, sent, waits = TICKERS[1], 0, 0
    start = int(time.time()) - 3_600
    try:
        for n in range(400):
            records = [
                {"time": start, "id": f"{n}-{k}", "price": 1, "amount": 1} for k in range(100)
            ]
            group = {"ticker": ticker, "venue": "KRAKEN", "records": records}
            message = build_message("trades", [group], Head("full", n + 1, n))
            while True:
                try:
                    bus.append(choose_stream(ticker), message)
                except Busy:
                    waits += 1
                    stack.start(CONSUMERS[0])
                    time.sleep(0.1)
                else:
                    break
            sent += len(records)
        wait_until(
            lambda: len(list(find_trades(stack.database, ticker, "KRAKEN"))) == sent, "all stored"
        )
    finally:
        stack.broker.config_set("maxmemory", 0)
        wait_for_redis(stack.redis_port)
        bus.close()
    assert waits
    note(request, "feed: Redis out of memory", None)


def lose_streams(bus: "NatsBus") -> None:
    """Delete all streams; a stream that does not exist counts as lost too."""
    for name in STREAMS:
        with suppress(ServerUnreachable):
            bus._run(bus._js.delete_stream(name.replace(":", "-")))


@pytest.mark.skipif(not shutil.which("nats-server"), reason="nats-server is not on PATH")
def test_each_record_is_stored_once_over_nats_too(
    servers_and_feed: Stack, request: pytest.FixtureRequest
) -> None:
    """The same over NATS JetStream: each message is sent twice, while the consumer is killed ten
    times, the server twice, and all streams are lost once.
    """
    from feed.nats_bus import NatsBus  # noqa: PLC0415 - an extra

    stack, random = servers_and_feed, Random(6)
    stack.kill(*(name for name in CONSUMERS if stack.programs[name].is_running))
    port, consumers = free_port(), ("nats_feed1", "nats_feed2")
    command = ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js"]
    stack.programs["nats"] = Program([*command, "-sd", str(stack.folder / "jetstream")])
    url = f"nats://127.0.0.1:{port}"
    for name in consumers:
        (stack.folder / name).mkdir()
        variables = {"TMPDIR": str(stack.folder / name), "FEED_URL": url}
        stack.programs[name] = Program(feed_command(), variables)
    stack.start("nats", *consumers)
    tickers = tuple(f"N{number}-USD" for number in range(10))
    sent = make_messages(6, tickers, "nats")
    total = sum(map(len, sent.messages.values()))
    bus = NatsBus(url, 4)
    places = dict.fromkeys(STREAMS, 0)
    kills, stops, lost, again = 0, 0, False, 0
    while any(places[s] < len(sent.messages[s]) for s in STREAMS):
        stream = random.choice([s for s in STREAMS if places[s] < len(sent.messages[s])])
        try:
            for _ in range(2):
                bus.append(stream, sent.messages[stream][places[stream]])
        except ServerUnreachable:
            time.sleep(0.1)  # It is sent once more.
            continue
        places[stream] += 1
        done = sum(places.values()) + again
        if done > (kills + 1) * total / 12 and kills < 10:
            holder = find_holder(stack, consumers)
            stack.kill(holder)
            stack.start(holder)
            kills += 1
        if done > (stops + 1) * total / 3 and stops < 2:
            stack.kill("nats")
            stack.start("nats")
            stops += 1
        if done > total / 2 and not lost:
            lose_streams(bus)
            lost, before = True, sum(places.values())
            seqs = ask(stack, lambda database: find_seqs(database, "nats"))
            places = {s: seqs.get(s, 0) for s in STREAMS}
            again += before - sum(places.values())
        time.sleep(0.01)
    started = time.monotonic()
    wait_until(
        lambda: (
            ask(stack, lambda database: find_seqs(database, "nats"))
            == {s: len(sent.messages[s]) for s in STREAMS if sent.messages[s]}
        ),
        "all of it is stored",
        ENDS_SECONDS,
    )
    took = time.monotonic() - started
    assert (kills, stops, lost) == (10, 2, True)
    check_records(stack.database, tickers)
    note(request, "feed over NATS: 10 kills, 2 of the server, its streams lost", took)
    bus.close()
