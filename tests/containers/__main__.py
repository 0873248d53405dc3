"""`make containers`: runs the services of docker-compose.yml in real containers, undisturbed and
then with faults.

The same work is done twice: once undisturbed and, after its results were deleted, once more while a
worker's container is killed, another is cut off from the network, and Redis and MongoDB are
stopped. The results must be the same, to the last bit.

IMAGE=NAME uses an existing image instead of building one.
"""

import io
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED
from records.work.runs import OPEN_STATUSES
from runner.servers import free_port
from tests.containers.engine import DEMANDED, OURS, ContainersFailed, Engine, wait_until

PROJECT = "tapewatch-check"
WORKERS = 3
FILES, TICKERS = 4, 200  # The number of files, and of tickers in each file.
BARS = 2_500
LAST_BAR = datetime(2025, 6, 30, 23, tzinfo=UTC)
BATCH_TICKERS = 10
# The service promises this; the same as on one machine.
PROMISED_SECONDS = 90.0
RUN_SECONDS = 600.0
RESULTS = ("detection_runs", "batches", "anomalies", "detection_metadata", "outbox")
AWAY_SECONDS = 15.0
COUNTS = ("tickers_total", "tickers_done", "rows_processed", "anomalies_found")
# Fields of a run or of the clock, which differ in the second run of the same work.
OWN = ("detection_run_id", "detection_timestamp", "created_at", "updated_at")
# Fields of an anomaly that are added after it was stored.
TOLD_LATER = ("inputs", "scope", "root_cause", "root_causes", "review")

Json = dict[str, Any]
say = Console(soft_wrap=True, highlight=False, markup=False).print


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a backfill of everything: the counts of its run, and all anomalies."""

    counts: Json
    anomalies: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long the work took, in seconds, after a fault and after the stopped part was back."""

    fault: str
    effect: str
    seconds: float


class Client:
    """A client of the API with a key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def ask(self, method: str, path: str, **how: Any) -> Json:
        """Return the answer. Raises ContainersFailed if the request is refused."""
        answer = self._session.request(method, self._url + path, timeout=60, **how)
        if not answer.ok:
            raise ContainersFailed(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        document: Json = answer.json()
        return document

    def get_run(self, run_id: str) -> Json | None:
        """Return a run; None while the API does not answer, as when MongoDB is stopped."""
        try:
            return self.ask("GET", f"/py/detection-runs/{run_id}")
        except (requests.RequestException, ContainersFailed):
            return None

    def follow(self, run_id: str, seconds: float = RUN_SECONDS) -> Json:
        """Return a run once it is complete. Raises ContainersFailed if it ends otherwise, or too
        late.
        """
        run: Json = {}

        def has_ended() -> bool:
            run.update(self.get_run(run_id) or {})
            return bool(run) and run["status"] not in OPEN_STATUSES

        wait_until(
            has_ended,
            lambda: f"run {run_id} is {run.get('status')}, {run.get('progress')}",
            seconds,
        )
        if run["status"] != "complete":
            raise ContainersFailed(
                f"run {run_id} ended {run['status']}: {run['error']} {run['failures'][:3]}"
            )
        return run

    def find_anomalies(self) -> dict[str, Json]:
        """Return all anomalies by ticker and time, without the fields of a run."""
        found: dict[str, Json] = {}
        cursor: dict[str, str] = {}
        while True:
            page = self.ask("GET", "/py/anomalies", params={"limit": 500, **cursor})
            for item in page["items"]:
                found[f"{item['Ticker']} {item['Datetime']}"] = {
                    k: v for k, v in item.items() if k not in (*OWN, *TOLD_LATER)
                }
            if not page.get("next_cursor"):
                return found
            cursor = {"cursor": page["next_cursor"]}


class Check:
    """One whole check: the engine, the settings of its services, and the measurements."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.port = free_port()
        self.recoveries: list[Recovery] = []
        self._settings = {
            **{name: secrets.token_hex(32) for name in DEMANDED},
            "PORT": str(self.port),
            "FLOWER_PORT": str(free_port()),
            "BATCH_TICKERS": str(BATCH_TICKERS),
        }

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start all services with an empty database."""
        self.engine.configure(self._settings)
        self.engine.compose(
            "up", "--detach", "--no-build", "--scale", f"worker={WORKERS}", seconds=900
        )

    def make_first_key(self) -> Client:
        """Wait until the API has reported that it lacks a key, and was not restarted; create the
        key.
        """
        said: list[Json] = []

        def has_said() -> bool:
            try:
                answer = requests.get(f"{self.url}/readyz", timeout=10)
            except requests.RequestException:
                return False
            said[:] = [answer.json()]
            return answer.status_code == 503

        wait_until(has_said, lambda: f"the API without a key says {said}", 120)
        if said[0].get("reason") != "no_key":
            raise ContainersFailed(f"the API without a key says {said[0]}")
        (api,) = self.engine.find_containers("api")
        if api["RestartCount"] or not api["State"]["Running"]:
            raise ContainersFailed(
                f"the API was restarted {api['RestartCount']} times for want of a key"
            )
        key = self.engine.compose(
            "exec", "-T", "api", "flask", "keys", "create", "check", "--scope", "admin"
        ).strip()
        return Client(self.url, key)

    def stock(self, client: Client) -> None:
        """Import the bars over HTTP, and train the model."""
        for number in range(FILES):
            bars = make_bars(
                name_tickers(number), SHIPPED["US"], bars=BARS, end=LAST_BAR, seed=number
            )
            file = io.BytesIO()
            bars.to_parquet(file)
            upload = {"file": ("bars.parquet", file.getvalue())}
            run_id = client.ask("POST", "/py/data/import", files=upload, data={"interval": "1d"})[
                "run_id"
            ]
            client.follow(run_id)
        client.follow(client.ask("POST", "/py/models/train", json={"market": "US"})["run_id"])

    def detect(
        self, client: Client, strike: Callable[["Check", Client, str], None] | None = None
    ) -> Found:
        """Backfill everything, and cause a fault as soon as the work has begun; return the
        result.
        """
        body = {"market": "US", "max_period": "max"}
        run_id = client.ask("POST", "/py/anomalies/backfill", json=body)["run_id"]
        if strike is not None:
            wait_until(
                lambda: is_on_its_way(client, run_id), lambda: f"run {run_id} did not begin", 120
            )
            strike(self, client, run_id)
        run = client.follow(run_id)
        return Found({name: run["progress"][name] for name in COUNTS}, client.find_anomalies())

    def note(self, fault: str, effect: str, since: float, client: Client, run_id: str) -> None:
        """Measure the time until a run that was hit by a fault is complete, by the monotonic
        clock.
        """
        client.follow(run_id)
        self.recoveries.append(Recovery(fault, effect, time.monotonic() - since))
        say(f"  {fault}: {effect}; complete after {self.recoveries[-1].seconds:.1f} s.")

    def count_held(self, container: Json) -> int:
        """Return how many batches the workers of a container hold, according to MongoDB."""
        owner = f"/{container['Config']['Hostname']}:/"
        return int(
            self._ask_mongo(f"db.batches.countDocuments({{state: 'leased', owner: {owner}}})")
        )

    def forget_results(self) -> None:
        """Delete the results of detections, so that all the work has to be done again."""
        self._ask_mongo(f"{json.dumps(RESULTS)}.forEach(name => db[name].deleteMany({{}}))")

    def _ask_mongo(self, script: str) -> str:
        command = ("mongosh", "--quiet", "tapewatch", "--eval", script)
        # Before its answer redis-cli may print that it cannot keep a history.
        return self.engine.compose("exec", "-T", "mongo", *command).strip().rpartition("\n")[2]


def name_tickers(number: int) -> list[str]:
    """Return the tickers of a file."""
    return [f"C{number}{ticker:03d}" for ticker in range(TICKERS)]


def is_on_its_way(client: Client, run_id: str) -> bool:
    """Whether a part of a run is done, and most of it is not; fail if all is done, because then the
    work is too little.
    """
    run = client.get_run(run_id)
    done = run["progress"]["percent"] if run else 0
    if done >= 80:
        raise ContainersFailed(
            f"run {run_id} was {done} % done before anybody looked: give this machine more work"
        )
    return done > 0


def kill_worker(check: Check, client: Client, run_id: str) -> None:
    """Kill the container of a worker that holds batches; other workers do them."""
    container = check.engine.find_containers("worker")[0]
    lose_worker(check, container, check.engine.kill, "a worker's container killed", client, run_id)
    check.engine.start(container)


def cut_worker_off(check: Check, client: Client, run_id: str) -> None:
    """Cut a worker that holds batches off from Redis and MongoDB; other workers do them."""
    container = check.engine.find_containers("worker")[1]
    lose_worker(
        check, container, check.engine.cut_off, "a worker cut off from the network", client, run_id
    )
    check.engine.reconnect(container)


def lose_worker(
    check: Check,
    container: Json,
    lose: Callable[[Json], None],
    fault: str,
    client: Client,
    run_id: str,
) -> None:
    """Lose a worker, check that it held a batch, and measure the time until others have done it."""
    since = time.monotonic()
    lose(container)
    held = check.count_held(container)
    if not held:
        raise ContainersFailed(f"{fault}: it held nothing, so that nothing was tried")
    check.note(fault, f"it held {held} batches", since, client, run_id)


def stop_redis(check: Check, client: Client, run_id: str) -> None:
    """Stop Redis for a while."""
    stop_server(check, "redis", "Redis", client, run_id)


def stop_mongo(check: Check, client: Client, run_id: str) -> None:
    """Stop MongoDB for a while."""
    stop_server(check, "mongo", "MongoDB", client, run_id)


def stop_server(check: Check, service: str, name: str, client: Client, run_id: str) -> None:
    """Stop a server, start it again after a while, and measure the time from then on."""
    check.engine.compose("stop", service)
    time.sleep(AWAY_SECONDS)
    since = time.monotonic()
    check.engine.compose("start", service)
    check.note(
        f"{name} stopped for {AWAY_SECONDS:g} s", "counted from its start", since, client, run_id
    )


FAULTS = (kill_worker, cut_worker_off, stop_redis, stop_mongo)


def do_all(check: Check) -> None:
    """Do the work undisturbed and then with faults, and compare. Raises ContainersFailed."""
    engine = check.engine
    say("Starting all services, without a key.")
    check.start()
    engine.wait_until_healthy(but=["api"])
    client = check.make_first_key()
    engine.wait_until_healthy()
    engine.compose("exec", "-T", "api", "flask", "doctor")
    say("All healthy, the API since it has a key; its doctor finds nothing that fails.")
    say(f"Importing {FILES * TICKERS * BARS:,} bars, training, and detecting in peace.")
    check.stock(client)
    expected = check.detect(client)
    if not expected.anomalies:
        raise ContainersFailed("nothing was found in peace, so that there is nothing to compare")
    say(f"{len(expected.anomalies):,} anomalies in peace. The same again, under each fault.")
    for strike in FAULTS:
        check.forget_results()
        if client.find_anomalies():
            raise ContainersFailed("what was found before is still there")
        compare(check.detect(client, strike), expected)
    engine.wait_until_healthy()
    said = engine.compose("exec", "-T", "api", "flask", "db", "check").strip()
    say(f"All containers are healthy again. db check: {said}.")


def compare(found: Found, expected: Found) -> None:
    """Raise ContainersFailed if two backfills of the same bars found different anomalies."""
    keys = sorted(found.anomalies.keys() | expected.anomalies.keys())
    differing = [key for key in keys if found.anomalies.get(key) != expected.anomalies.get(key)]
    if differing:
        first = differing[0]
        there, here = expected.anomalies.get(first), found.anomalies.get(first)
        raise ContainersFailed(
            f"{len(differing)} anomalies differ, the first {first}: {there} in peace, {here} here"
        )
    if found.counts != expected.counts:
        raise ContainersFailed(f"the run counts {found.counts}, in peace {expected.counts}")
    say(f"  {len(found.anomalies):,} anomalies, the same to the last bit.")


def show(recoveries: list[Recovery]) -> None:
    """Print the measurements beside the promises."""
    table = Table("fault", "what it struck", "complete after", f"promised: {PROMISED_SECONDS:g} s")
    for one in recoveries:
        kept = "kept" if one.seconds <= PROMISED_SECONDS else "not kept"
        table.add_row(one.fault, one.effect, f"{one.seconds:.1f} s", kept)
    Console(markup=False).print(table)


def main() -> int:
    """Run all checks and remove everything. Returns 1 if a check failed."""
    image = os.environ.get("IMAGE") or ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            engine = Engine(PROJECT, Path(folder), image or "tapewatch-check")
            say(f"Engine: {engine.describe()}")
        except ContainersFailed as error:
            say(str(error))
            return 1
        check = Check(engine)
        engine.configure(check._settings)
        try:
            engine.remove()  # Left by a check that was killed.
            if image:
                say(f"Image: {image} is taken as it is; the build of the Dockerfile is skipped.")
            else:
                say("Image: building it from the Dockerfile.")
                engine.build()
            do_all(check)
            for line in engine.describe_images():
                say(f"Stands on {line}")
            show(check.recoveries)
        except (ContainersFailed, requests.RequestException) as error:
            say(f"Failed: {error}")
            with suppress(ContainersFailed):
                say(engine.logs(*OURS))
            return 1
        finally:
            say("Taking all down.")
            engine.remove()
    return int(any(one.seconds > PROMISED_SECONDS for one in check.recoveries))


if __name__ == "__main__":
    sys.exit(main())
