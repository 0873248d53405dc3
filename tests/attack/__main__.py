"""`make attack`: attacks a service on this machine for a minute or two, and reports how other
clients are served meanwhile.

The default target is the service that `make up` runs in the current folder; URL, KEY and REDIS_URL
name another. Only loopback is attacked. Connections, messages and texts are sent that once stopped
the service, while another client sends usual requests. The exit code is 1 if that client is not
answered within 5 s, or if a worker stops working.
"""

import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import redis
from rich.console import Console
from rich.progress import track
from rich.table import Table

from core.settings import Settings, read_settings
from records.database import open_database
from records.keys import add_key, has_keys, revoke_key
from records.work.counters import UNREADABLE, read_counts
from records.work.heartbeats import SWEEPER, find_heartbeats
from records.work.runs import build_query, find_runs
from runner.service import api_url
from tasks.names import ALL_QUEUES
from tests.attack import starving

PROBES = ("/healthz", "/readyz")
SWEEP_PATIENCE_SECONDS = 90
# A text of this size once took half a minute to process.
TEXT_BYTES = 180_000


def main() -> int:
    settings = read_settings()
    url = os.environ.get("URL") or api_url(settings)
    starving.refuse_strangers(url)
    starving.refuse_strangers(settings.redis_url.replace("redis://", "http://"))
    if starving.ask_as_others(url, None, ("/healthz",), rounds=1).failed:
        Console().print(
            f"No service answers at {url}. Start one (`make up`), with the same PORT, or name"
            " another: URL=..."
        )
        return 2
    database = open_database(settings)
    table, console = Table("attack", "how others fared", title=f"Attacking {url}"), Console()
    with database.client:
        before = has_keys(database)
        if not before:
            console.print(
                "No key was made here yet, and one would end open access; attacking without keys."
            )
        names = [f"attack-{uuid4().hex[:8]}", f"other-{uuid4().hex[:8]}"]
        now = datetime.now(UTC)
        keys = (
            [add_key(database, name, ["read", "enqueue"], now) for name in names]
            if before
            else ["", ""]
        )
        runs = find_runs(database, build_query(), limit=1)
        run_id = runs[0]["_id"] if runs else "nowhere"
        try:
            failed = [
                name
                for name, attack in track(
                    list(list_attacks(url, keys[0], run_id, settings).items()), "Attacking"
                )
                if not fare(name, attack, url, keys[1] or None, table)
            ]
            failed += check_workers(settings, table)
        finally:
            for name in names if before else ():
                revoke_key(database, name, datetime.now(UTC))
    console.print(table)
    return 1 if failed else 0


def fare(
    name: str,
    attack: Callable[[], AbstractContextManager[None]],
    url: str,
    key: str | None,
    table: Table,
) -> bool:
    """Send another client's requests during an attack; note the result and return whether all were
    answered.
    """
    paths = ("/py/tickers?limit=5", *PROBES)
    with attack():
        answers = starving.ask_as_others(url, key, paths, rounds=10)
    table.add_row(name, str(answers))
    return not answers.failed


def list_attacks(
    url: str, key: str, run_id: str, settings: Settings
) -> dict[str, Callable[[], AbstractContextManager[None]]]:
    """Return the attacks by name, those by connections first."""
    return {
        f"{starving.HALF_SENT} half-sent requests": lambda: starving.half_sent_requests(url),
        f"{starving.HALF_SENT} silent connections": lambda: starving.silent_connections(url),
        f"{starving.SLOW_BODIES} slow bodies": lambda: starving.slow_bodies(url, key),
        f"{starving.DEAF_READERS} deaf readers": lambda: starving.deaf_readers(
            url, key, "/py/tickers?limit=500"
        ),
        f"{starving.WAITING} waiting POSTs": lambda: starving.waiting_posts(url, key),
        f"{starving.STREAMS} event streams": lambda: starving.event_streams(url, key, run_id),
        "messages that ended workers": lambda: poison(settings),
        f"texts of {TEXT_BYTES:,} bytes": lambda: long_texts(url, key),
    }


@contextmanager
def poison(settings: Settings) -> Iterator[None]:
    """Put messages into each queue that once ended every worker that took them."""
    headers = {"task": "tapewatch.run_batch", "id": str(uuid4()), "timelimit": ["a", "b"]}
    message = {
        "body": b64encode(b'[["nowhere:00000"], {}, {}]').decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": {
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": ""},
            "body_encoding": "base64",
        },
    }
    with redis.Redis.from_url(settings.redis_url) as broker:
        for queue in ALL_QUEUES:
            broker.lpush(queue, json.dumps(message), b"\xffrubbish", b"[]", b"[" * 50_000)
    yield


@contextmanager
def long_texts(url: str, key: str) -> Iterator[None]:
    """Send texts for which filters and error texts once took a time that grew with the square of
    their length.
    """
    for piece in ("://", "a", "http://a:b", " "):
        body = json.dumps({"ticker": piece * (TEXT_BYTES // len(piece))}).encode()
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
        try:
            ask = Request(f"{url}/py/anomalies/backfill", body, headers)  # noqa: S310 - loopback
            with urlopen(ask, timeout=starving.PROBE_SECONDS):  # noqa: S310 - as above
                pass
        except HTTPError as error:
            error.close()
    yield


def check_workers(settings: Settings, table: Table) -> list[str]:
    """Wait until the control worker has swept once more, as it always does, and has counted the bad
    messages.
    """
    database, start = open_database(settings), time.monotonic()
    with database.client:
        while time.monotonic() - start < SWEEP_PATIENCE_SECONDS:
            beat = find_heartbeats(database, [SWEEPER]).get(SWEEPER)
            waited = time.monotonic() - start
            if (
                beat is not None
                and beat["age_seconds"] < waited
                and read_counts(database).get(UNREADABLE)
            ):
                table.add_row(
                    "workers afterwards",
                    f"swept again within {waited:.0f} s, and counted what was unreadable",
                )
                return []
            time.sleep(1)
    table.add_row("workers afterwards", f"did NOT sweep within {SWEEP_PATIENCE_SECONDS} s")
    return ["workers"]


if __name__ == "__main__":
    sys.exit(main())
