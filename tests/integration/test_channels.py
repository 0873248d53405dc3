"""Which addresses messages may be sent to, what is shown of an address, and what a channel cannot
make this host do.
"""

import gzip
import json
import logging
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO

import pytest
from flask.testing import FlaskClient

from alerts import channels
from alerts.addresses import is_public
from alerts.channels import check_channel, name_channel, send_message
from core.errors import BadInput, Transient
from records.database import Db
from tests.receiver import run_receiver
from tests.slow import slow_but_first

SECRET = "T0K3N-of-mine"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - told apart, not bound
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        # A site's own, and those that a network translates to IPv4 by a prefix of its own.
        "fec0::1",
        "64:ff9b:1::7f00:1",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "192.0.0.8",
    ],
)
def test_private_addresses_are_recognised(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "channel",
    [
        "json://127.0.0.1/",
        "jsons://localhost/x",
        "xml://10.0.0.1/",
        "form://[::1]/",
        "json://169.254.169.254/latest",
        "json://0x7f.1/",
        "json://metadata.internal/",
    ],
)
def test_a_private_channel_is_refused_unless_it_is_allowed(channel: str) -> None:
    if "0x7f" not in channel:  # A name: it is checked only when it is resolved.
        with pytest.raises(BadInput, match="PRIVATE_CHANNELS=1"):
            check_channel(channel, allow_private=False)
    with pytest.raises(Transient):
        send_message(channel, "a title", "a body", allow_private=False)


def test_a_name_that_resolves_to_this_host_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check is of the address that is connected to, so a name cannot resolve to another one in
    between.
    """
    with run_receiver() as receiver:
        channel = f"json://localhost.localdomain.test:{receiver.server_port}/alerts"
        import socket  # noqa: PLC0415 - only here

        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **kw: resolve(
                "127.0.0.1" if host.endswith(".test") else host, *rest, **kw
            ),
        )
        from alerts import (  # noqa: PLC0415 - its guard is put up anew over the resolver of this test
            addresses,
        )

        addresses._guard_resolving.cache_clear()
        with pytest.raises(Transient) as refusal:
            send_message(channel, "a title", "a body", allow_private=False)
        addresses._guard_resolving.cache_clear()
        assert receiver.messages == []
        assert "***" in refusal.value.message or "internet" in refusal.value.message


@pytest.mark.parametrize(
    "channel",
    [
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "macosx://",
        "windows://",
        "exec://whoami",
        "http://example.com/",
        "apprise://example.com/token",
        "nobody-knows://x",
        "json",
        "",
        "msteams://a@b/c/d?template=/etc/passwd",
        "msteams://a@b/c/d?%74emplate=/etc/passwd",
        "msteams://a@b/c/d?TEMPLATE=/etc/passwd",
        "jsons://example.com/?verify=no",
        "jsons://example.com/?redirect=yes",
        "jsons://example.com/?attach=/etc/passwd",
        "jsons://example.com/?rto=100000",
        "jsons://example.com/?+Host=other",
        "mailtos://user:pw@example.com?pgp=yes&pgpkey=/etc/passwd",
        "json://example.com/\x1b[2J",
    ],
)
def test_only_known_schemes_with_plain_options_are_accepted(channel: str) -> None:
    with pytest.raises(BadInput):
        check_channel(channel, allow_private=True)


@pytest.mark.parametrize("channel", ["slack://TOKEN_A/TOKEN_B/TOKEN_C", "json://u:secret@a b/x"])
def test_an_incomplete_address_is_refused_in_one_sentence(
    channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(logged)])
    scheme = channel.partition(":")[0]
    with pytest.raises(BadInput, match=f"this {scheme} address is not whole"):
        check_channel(channel, allow_private=True)
    assert logged.getvalue() == ""


@pytest.mark.parametrize(
    "channel",
    [
        "jsons://user:secret@example.com:8443/path?+X-Token=secret",
        "mailtos://user:secret@example.com?to=me@example.com&smtp=mail.example.com",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "ntfys://topic?priority=high",
    ],
)
def test_useful_channels_are_accepted_and_only_their_kind_is_shown(channel: str) -> None:
    check_channel(channel, allow_private=False)
    assert name_channel(channel) == channel.partition("://")[0]


def test_a_reader_is_shown_nothing_of_an_address(client: FlaskClient, database: Db) -> None:
    channel = f"json://me:{SECRET}@127.0.0.1:9/{SECRET}/hook?+X-Token={SECRET}"
    assert client.put("/py/notifications/rules/ops", json={"channel": channel}).status_code == 200
    told = client.post("/py/notifications/rules/ops/test").json
    assert told["sent"] is False
    # As an earlier version stored it.
    database.notification_rules.update_one(
        {}, {"$set": {"shown_channel": f"json://me:****@127.0.0.1/{SECRET}/"}}
    )
    shown = json.dumps([told, client.get("/py/notifications/rules").json])
    assert SECRET not in shown
    assert '"shown_channel":"json"' in client.get("/py/notifications/rules").text.replace(" ", "")


class Redirecting(BaseHTTPRequestHandler):
    """Redirects every request to another address."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.server.target}/alerts")  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def redirecting() -> Iterator[ThreadingHTTPServer]:
    yield from serve(Redirecting)


@pytest.fixture
def dripping() -> Iterator[ThreadingHTTPServer]:
    yield from serve(Dripping)


def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """Run a server in a thread, yield it, and stop it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_channel_that_redirects_is_not_followed(redirecting: ThreadingHTTPServer) -> None:
    with run_receiver() as receiver:
        redirecting.target = receiver.server_port  # type: ignore[attr-defined]
        with pytest.raises(Transient):
            send_message(
                f"json://127.0.0.1:{redirecting.server_port}/",
                "a title",
                "a body",
                allow_private=True,
            )
        assert receiver.messages == []


class Dripping(BaseHTTPRequestHandler):
    """Accepts the message, and never finishes the headers of its answer."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with suppress(OSError):  # The client has closed the connection.
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(300):
                self.wfile.write(b"X-%d: more\r\n" % (number % 50))
                sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize("scheme", ["json", "form"])
def test_a_channel_that_answers_a_byte_at_a_time_does_not_block_its_sender(
    scheme: str, dripping: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, so no library's own timeout ends it."""
    channel = f"{scheme}://127.0.0.1:{dripping.server_port}/"
    with monkeypatch.context() as patch:
        patch.setattr(channels, "MESSAGE_SECONDS", 0.5)
        began = monotonic()
        with pytest.raises(Transient, match=r"within 0\.5 s"):
            send_message(channel, "a title", "a body", allow_private=True)
        # Its 300 headers would take 30 s.
        assert monotonic() - began < 15
    with run_receiver() as receiver:
        send_message(receiver.channel, "a title", "a body", allow_private=True)
        assert len(receiver.messages) == 1


class Late(BaseHTTPRequestHandler):
    """Accepts each message after longer than apprise, or a webhook, once waited for an answer."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sleep(10.5)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize("scheme", slow_but_first(["form", "json"]))
def test_a_channel_has_twenty_seconds_to_accept_a_message(scheme: str) -> None:
    """Otherwise what it accepts is sent again, and arrives up to eight times."""
    for server in serve(Late):
        channel = f"{scheme}://127.0.0.1:{server.server_port}/"
        send_message(channel, "a title", "a body", allow_private=True)


def answer_plain(sent: BinaryIO) -> None:
    """Answer a post with far more bytes than are read."""
    sent.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1_000):
        sent.write(bytes(1_000_000))


def answer_packed(sent: BinaryIO) -> None:
    """Answer a post with a megabyte that decompresses to a thousand."""
    packer = gzip.compress(bytes(10_000_000)) * 100
    length = b"Content-Length: %d\r\n\r\n" % len(packer)
    sent.write(b"HTTP/1.1 500 Oh\r\nContent-Encoding: gzip\r\n" + length + packer)


def answer_mail(sent: BinaryIO) -> None:
    """Answer SMTP commands line by line without end."""
    for _ in range(1_000):
        sent.write((b"220-" + b"x" * 994 + b"\r\n") * 1_000)


@contextmanager
def run_flood(answer: Callable[[BinaryIO], None]) -> Iterator[int]:
    """Answer one connection until the client has closed it; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve_one() -> None:
            connection, _ = listening.accept()
            # Sending the rest while closing may fail too.
            with suppress(OSError), connection, connection.makefile("wb") as sent:
                answer(sent)

        thread = threading.Thread(target=serve_one)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("form://127.0.0.1:{}/", answer_plain),
        ("form://127.0.0.1:{}/", answer_packed),
        ("mailto://me:pass@example.com:{}?smtp=127.0.0.1&to=me@example.com", answer_mail),
    ],
)
def test_a_channel_that_answers_without_end_does_not_fill_memory(
    address: str, answer: Callable[[BinaryIO], None]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with run_flood(answer) as port, pytest.raises(Transient, match="more than 4 MiB"):
        send_message(address.format(port), "a title", "a body", allow_private=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # In KiB; each channel would send a gigabyte.
    assert grown < 300_000


def test_an_address_is_one_channel_whatever_characters_it_has(tmp_path: Path) -> None:
    with run_receiver() as receiver, run_receiver() as other:
        channel = (
            f"json://127.0.0.1:{receiver.server_port}/a,json://127.0.0.1:{other.server_port}/b"
        )
        send_message(channel, "a title", "a body", allow_private=True)
        assert other.messages == []
