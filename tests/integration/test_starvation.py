"""While one client floods the API, others are answered, and so are the health probes."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.request import Request, urlopen

import pytest

from api.http.server import LIMITS, Threads
from core.settings import Settings
from records.database import Db, open_database
from records.keys import add_key, revoke_key
from records.migrations import prepare_database
from runner.servers import Servers
from tests.attack import starving
from tests.attack.starving import Answers, ask_as_others
from tests.integration.serving import serve_api
from tests.integration.stored import add_run, add_series
from tests.processes import wait_until

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PROBES = ("/healthz", "/readyz")


@dataclass(frozen=True, slots=True)
class Target:
    """A server of its own, the key of an attacker and the key of a usual client."""

    url: str
    attacker: str
    other: str
    run_id: str
    database: Db


@pytest.fixture(scope="module")
def served(servers: Servers) -> Iterator[Target]:
    """One server for all attacks; after each it must be as before."""
    settings = Settings(
        _env_file=None,
        mongo_url=servers.mongo_url,
        redis_url=servers.redis_url.removesuffix("0") + "1003",
        mongo_database=f"starving_{uuid.uuid4().hex[:12]}",
    )
    database = open_database(settings)
    prepare_database(database, NOW)
    add_series(database, *(f"T{number:04d}" for number in range(500)))
    attacker = add_key(database, "attacker", ["read", "enqueue"], NOW)
    other = add_key(database, "other", ["read"], NOW)
    run_id = add_run(database, "T0001")
    with serve_api(settings) as url:
        yield Target(url, attacker, other, run_id, database)
    database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def target(served: Target) -> Target:
    """The server, once it has recovered from the attack before."""
    paths = ("/py/tickers", *PROBES)
    wait_until(
        lambda: not ask_as_others(served.url, served.other, paths, 3).failed, "others are answered"
    )
    return served


def list_attacks(target: Target) -> dict[str, AbstractContextManager[None]]:
    url, key = target.url, target.attacker
    return {
        "half-sent requests": starving.half_sent_requests(url),
        "silent connections": starving.silent_connections(url),
        "slow bodies": starving.slow_bodies(url, key),
        "slow bodies without a key": starving.slow_bodies(url, "nobody"),
        "deaf readers": starving.deaf_readers(url, key, "/py/tickers?limit=500"),
        "waiting posts": starving.waiting_posts(url, key),
        "event streams": starving.event_streams(url, key, target.run_id),
    }


ATTACKS = (
    "half-sent requests",
    "silent connections",
    "slow bodies",
    "slow bodies without a key",
    "deaf readers",
    "waiting posts",
    "event streams",
)


@pytest.mark.parametrize("name", ATTACKS)
def test_other_clients_are_answered_during_an_attack(target: Target, name: str) -> None:
    attack = list_attacks(target)[name]
    with attack:
        answers = ask_as_others(target.url, target.other, ("/py/tickers?limit=5", *PROBES))
    assert isinstance(answers, Answers)
    assert answers.failed == [], f"{name}: {answers}"


def test_half_a_request_is_ended_in_time(target: Target) -> None:
    piece = b"X-Padding: more\r\n"
    with starving.hold(target.url, 5, b"GET /healthz HTTP/1.1\r\n", piece) as sockets:
        for one in sockets:
            one.settimeout(30)
            with suppress(ConnectionError):
                assert one.recv(1) == b""


def test_a_request_whose_headers_come_in_pieces_is_answered(target: Target) -> None:
    address = starving.refuse_strangers(target.url)
    pieces = (
        b"GET /heal",
        b"thz HTTP/1.1\r\nHost: loc",
        b"alhost\r\n",
        b"Connection: close\r\n\r",
        b"\n",
    )
    with socket.create_connection(address, timeout=20) as one:
        for piece in pieces:
            one.sendall(piece)
            time.sleep(0.15)
        answer = b""
        while content := one.recv(4096):
            answer += content
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_requests_one_after_another_on_one_connection_are_answered(target: Target) -> None:
    connection = HTTPConnection(*starving.refuse_strangers(target.url), timeout=20)
    for _ in range(50):
        connection.request("GET", "/py/tickers?limit=1", headers={"X-API-Key": target.other})
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) > 0) == (200, True)
    connection.close()


def test_no_class_of_requests_may_take_all_threads() -> None:
    assert max(LIMITS.values()) < 64


def test_a_stream_ends_when_its_key_is_revoked(target: Target) -> None:
    key = add_key(target.database, "watcher", ["read"], NOW)
    ask = Request(  # noqa: S310 - as below
        f"{target.url}/py/detection-runs/{target.run_id}/events",
        headers={"X-API-Key": key},
    )
    with urlopen(ask, timeout=30) as stream:  # noqa: S310 - our own address
        assert stream.readline() == b"event: run\n"
        revoke_key(target.database, "watcher", NOW)
        while stream.readline():
            pass  # The stream ends.


def test_a_header_does_not_change_the_path_at_which_the_service_is_mounted(target: Target) -> None:
    ask = Request(f"{target.url}/py/docs/start.js", headers={"SCRIPT_NAME": "/evil"})  # noqa: S310 - as below
    with urlopen(ask, timeout=30) as answer:  # noqa: S310 - our own address
        assert b"evil" not in answer.read()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers_are_sent_with_the_body_or_alone_if_there_is_none(
    target: Target, method: str
) -> None:
    """One call of recv returns what one call of send sent."""
    request = f"{method} /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with socket.create_connection(starving.refuse_strangers(target.url), 10) as connection:
        for _ in range(3):
            connection.sendall(request)
            headers, end, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert headers.startswith(b"HTTP/1.1 200 OK\r\n")
            assert end
            assert body == (b'{"status":"ok"}\n' if method == "GET" else b"")


def test_a_lack_of_threads_ends_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a limit on threads was reached, a burst of requests used to end all processes of the
    API.
    """

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = Threads(8)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        done = [pool.submit(pow, number, 2) for number in range(20)]
        assert [each.result(timeout=10) for each in done] == [number**2 for number in range(20)]
        with pytest.raises(RuntimeError):
            Threads(8)
    pool.shutdown()
