"""The gunicorn worker: threads are only used for requests that can be answered, are shared fairly,
and health checks have their own.

gunicorn's own worker gives a thread to each connection as soon as it is open. A client that sends
nothing, sends slowly or does not read the answer keeps that thread. Here the main loop, which costs
nothing, waits until a request's headers have arrived; bodies and answers must move at a minimum
pace; and no single key or address can hold all threads.
"""

import re
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from errno import ECONNRESET
from functools import partial
from hashlib import sha256
from selectors import EVENT_READ
from time import monotonic
from typing import Any

import structlog
from gunicorn.workers.gthread import TConn, ThreadWorker

log = structlog.get_logger()

# How long a client has to send all headers of a request, and an idle client to send its first byte.
HEADER_SECONDS = 10.0
LARGEST_HEADERS = 32 * 1024
HEADERS_END = b"\r\n\r\n"
STATUS_LINE = b"HTTP/1."
# How often partly received headers are checked again.
LOOK_SECONDS = 0.1
# The time for a body or an answer: this long, plus as long as it takes at the minimum pace.
PATIENCE_SECONDS = 20.0
LEAST_BYTES_PER_SECOND = 64 * 1024
# After the last answer a client has this long to close the connection.
LINGER_SECONDS = 2.0
UNWANTED_SECONDS = 0.05

# Limits for one client, out of 512 connections and 64 threads a process (gunicorn.conf.py), so that
# others always find some free.
MOST_CONNECTIONS_PER_ADDRESS = 384
MOST_THREADS_PER_ADDRESS = 56
MOST_THREADS_PER_KEY = 32
# Clients may send bodies slowly; the other threads answer reading requests meanwhile.
MOST_THREADS_WITH_BODY = 40
PROBES = re.compile(rb"(?:GET|HEAD) /(?:healthz|readyz)[ ?]")
PROBE_THREADS = 4
BODY = re.compile(rb"^(?:content-length|transfer-encoding):", re.IGNORECASE | re.MULTILINE)
KEY = re.compile(rb"^(?:authorization|x-api-key):([^\r\n]*)", re.IGNORECASE | re.MULTILINE)

Owner = tuple[str, str]
LIMITS = {
    "key": MOST_THREADS_PER_KEY,
    "address": MOST_THREADS_PER_ADDRESS,
    "body": MOST_THREADS_WITH_BODY,
}


class PacedSocket(socket.socket):
    """A socket on which no call in a thread can take for ever.

    It is always non-blocking, so that what can be done at once takes one call; it waits only for
    what cannot.
    """

    deadline = 0.0
    _is_in_thread = False
    _head = b""

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as in the socket
        """Say whether a thread uses it, which may wait, or the main loop, which never does."""
        self._is_in_thread = flag

    def start(self) -> None:
        """Begin a request: from now on its body must arrive at the minimum pace."""
        self.deadline = monotonic() + PATIENCE_SECONDS

    def recv(self, *args: Any) -> bytes:
        """Return the next bytes.

        Raises ConnectionResetError where the body comes too slowly.
        """
        try:
            content = super().recv(*args)
        except BlockingIOError:
            if not self._is_in_thread:
                raise
            with self._wait(max(self.deadline - monotonic(), 0.001), "the request came in"):
                content = super().recv(*args)
        self.deadline += len(content) / LEAST_BYTES_PER_SECOND
        return content

    def sendall(self, data: Any, *args: Any) -> None:
        """Send all of it; headers with the body that follows them, or with `end`.

        Raises ConnectionResetError where the client takes it too slowly.
        """
        if not self._head and data.startswith(STATUS_LINE) and data.endswith(HEADERS_END):
            self._head = data
            return
        head, self._head = self._head, b""
        try:
            sent = self.sendmsg((head, data))
        except BlockingIOError:
            sent = 0
        if sent < len(head) + len(data):
            rest = memoryview(head + data)[sent:]
            seconds = PATIENCE_SECONDS + len(rest) / LEAST_BYTES_PER_SECOND
            with self._wait(seconds, "the answer was taken"):
                super().sendall(rest, *args)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file. Raises ConnectionResetError where the client reads nothing for a while."""
        self.end()
        with self._wait(PATIENCE_SECONDS, "the answer was taken"):
            return super().sendfile(file, offset, count)

    def end(self) -> None:
        """Send the headers of an answer that has no body."""
        if self._head:
            self.sendall(b"")

    @contextmanager
    def _wait(self, seconds: float, what: str) -> Iterator[None]:
        self.settimeout(seconds)
        try:
            yield
        except TimeoutError as error:
            raise ConnectionResetError(ECONNRESET, f"{what} too slowly") from error
        finally:
            self.settimeout(0.0)


class Threads(ThreadPoolExecutor):
    """A thread pool that continues with its present threads if the system grants no more
    (`ulimit -u`, a limit of a container). The error would end the process, and with it all requests
    that it is answering.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.submit(int)  # there is at least one thread, or the process would not have started

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise
            log.warning("no_more_threads", threads=len(self._threads))


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """One client's connection."""

    def __init__(self, worker: "Worker", sock: PacedSocket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, client, server)
        self.worker = worker
        self.address = str(client[0]) if client else ""
        self.owners: tuple[Owner, ...] = ()
        self.headers_due = 0.0
        self.is_closed = False

    def close(self, graceful: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn calls it so
        """Close the connection. If an answer may still be on its way, close it when the client has
        closed, without waiting.
        """
        if graceful and not self.is_closed:
            self.worker.linger(self)
            return
        if not self.is_closed:
            self.is_closed = True
            self.worker.forget(self)
            super().close()


class Worker(ThreadWorker):  # type: ignore[misc]  # as above
    """gunicorn's threaded worker, which assigns threads as described above.

    All methods but `handle` run in the main loop.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: Counter[str] = Counter()
        self._busy: Counter[Owner] = Counter()
        # Connections whose headers have partly arrived, those that wait for their share, and those
        # whose client has to close.
        self._partial: deque[Connection] = deque()
        self._awaited: deque[tuple[float, Connection]] = deque()
        self._waiting: deque[Connection] = deque()
        self._lingering: deque[tuple[float, Connection]] = deque()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Create the threads of this process, including those for health checks."""
        self._probes = Threads(PROBE_THREADS, thread_name_prefix="probe")
        return Threads(self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        """Accept a new connection, unless its address has too many."""
        if self.cfg.is_ssl:
            raise RuntimeError("this worker speaks no TLS: put a reverse proxy before it")
        try:
            accepted, client = listener.accept()
        except OSError as error:
            # Mostly there is no further connection. Too many open files are temporary, and must not
            # end the process.
            self.log.debug("not accepted: %s", error)
            return
        sock = PacedSocket(fileno=accepted.detach())
        sock.settimeout(0.0)
        conn = Connection(self, sock, client, listener.getsockname())
        self.nr_conns += 1
        self._open[conn.address] += 1
        if self._open[conn.address] > MOST_CONNECTIONS_PER_ADDRESS:
            self._drop(conn)
            return
        self._await_headers(conn)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Continue with a kept connection on which a further request arrives."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_headers(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """Continue with a connection of which more than the last request was read: only if the
        headers are complete.
        """
        content = conn.parser.unreader.buf.getvalue()
        if HEADERS_END in content:
            self._dispatch(conn, content)
        else:
            self._drop(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for the next event, and handle connections that take too long."""
        super().wait_for_and_dispatch_events(
            min(timeout, LOOK_SECONDS) if self._partial else timeout
        )
        now = monotonic()
        for _ in range(len(self._partial)):
            self._look(self._partial.popleft())
        while self._awaited and self._awaited[0][0] < now:
            due, conn = self._awaited.popleft()
            if (
                conn.headers_due == due and not conn.is_closed
            ):  # otherwise the headers have arrived, or it is another request by now
                self._unregister(conn)
                self._drop(conn)
        while self._lingering and self._lingering[0][0] < now:
            self._end(self._lingering.popleft()[1])

    def handle(self, conn: Connection) -> Any:
        """Answer a request, in a thread; its headers are complete."""
        conn.data_ready = True
        conn.sock.start()
        try:
            return super().handle(conn)
        finally:
            with suppress(OSError):
                conn.sock.end()

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Keep the connection or close it; then give the thread to a request that waits for its
        share.
        """
        self._busy.subtract(conn.owners)
        conn.owners = ()
        super().finish_request(conn, fs)
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if self._submit(waiting):
                break

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        """Whether the connection can be kept: not if an unread body would have to be waited for."""
        if ("body", "") not in conn.owners:
            return bool(keepalive)
        return bool(keepalive) and bool(
            conn.parser.finish_body(deadline=monotonic() + UNWANTED_SECONDS)
        )

    def linger(self, conn: Connection) -> None:
        """Tell the client that nothing more comes, and wait in the main loop until it has
        closed.
        """
        try:
            conn.sock.setblocking(flag=False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, KeyError, ValueError):
            conn.close()
            return
        self._lingering.append((monotonic() + LINGER_SECONDS, conn))

    def forget(self, conn: Connection) -> None:
        """Remove a connection from the counts."""
        self._open[conn.address] -= 1
        if self._open[conn.address] <= 0:
            del self._open[conn.address]

    def _await_headers(self, conn: Connection) -> None:
        conn.sock.setblocking(flag=False)
        conn.headers_due = monotonic() + HEADER_SECONDS
        self._awaited.append((conn.headers_due, conn))
        self._look(conn)

    def _look(self, conn: Connection) -> None:
        """Continue with a connection as far as the received bytes allow."""
        if conn.is_closed:
            return
        try:
            content = conn.sock.recv(LARGEST_HEADERS, socket.MSG_PEEK)
        except BlockingIOError:
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_first_bytes, conn))
        except OSError:
            self._drop(conn)
        else:
            if not content:
                self._drop(conn)
            elif HEADERS_END in content or len(content) >= LARGEST_HEADERS:
                conn.headers_due = 0.0
                self._dispatch(conn, content)
            else:
                self._partial.append(conn)

    def _on_first_bytes(self, conn: Connection, client: socket.socket) -> None:
        self.poller.unregister(client)
        self._look(conn)

    def _dispatch(self, conn: Connection, content: bytes) -> None:
        """Give a request to a thread as soon as its key and its address hold fewer than they
        may.
        """
        headers = content.partition(HEADERS_END)[0]
        key = KEY.search(headers)
        owners: list[Owner] = [("address", conn.address)]
        if key is not None:
            owners.append(("key", sha256(key[1].strip()).hexdigest()))
        has_body = BODY.search(headers) is not None
        if has_body:
            owners.append(("body", ""))
        if PROBES.match(headers) and not has_body:
            self._start(conn, self._probes)
            return
        conn.owners = tuple(owners)
        self._submit(conn)

    def _submit(self, conn: Connection) -> bool:
        """Give a request to a thread; False where it has to wait for its share."""
        if any(self._busy[owner] >= LIMITS[owner[0]] for owner in conn.owners):
            self._waiting.append(conn)
            return False
        self._busy.update(conn.owners)
        self._start(conn, self.tpool)
        return True

    def _start(self, conn: Connection, pool: ThreadPoolExecutor) -> None:
        done: Callable[[Future[Any]], None] = partial(self._note_done, conn)
        pool.submit(self.handle, conn).add_done_callback(done)

    def _note_done(self, conn: Connection, future: "Future[Any]") -> None:
        self.method_queue.defer(self.finish_request, conn, future)

    def _drain(self, conn: Connection, client: socket.socket) -> None:
        try:
            if client.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end(conn)

    def _end(self, conn: Connection) -> None:
        self._unregister(conn)
        conn.close()

    def _drop(self, conn: Connection) -> None:
        conn.headers_due = 0.0
        self.nr_conns -= 1
        conn.close()

    def _unregister(self, conn: Connection) -> None:
        with suppress(KeyError, ValueError, OSError):
            self.poller.unregister(conn.sock)
