"""One trial: requests to the service while a fault strikes, and the checks after it has
recovered.
"""

import json
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from typing import Any
from urllib.request import urlopen

from pymongo.errors import ConnectionFailure
from pymongo.read_concern import ReadConcern

from records.database import Db, Document
from records.work.heartbeats import SCHEDULER, find_heartbeats
from records.work.runs import OPEN_STATUSES, get_run, has_ended
from runner.client import Api
from runner.service import api_url
from tests.faults.history import EXPLANATION, check_changes, get_operation_time, read_changes
from tests.faults.stack import Stack
from tests.processes import wait_until

TICKERS = tuple(f"T{number:03d}" for number in range(64))
RESULTS = (
    "watchlists",
    "detection_runs",
    "batches",
    "anomalies",
    "detection_metadata",
    "outbox",
    "verifications",
)
# The service promises this with its default lease of 45 s and sweeps every 15 s; here both are far
# shorter.
RECOVERY_SECONDS = float(os.environ.get("RECOVERY_SECONDS", "90"))
OWN = ("detection_run_id", "detection_timestamp", "created_at", "last_detection_run", "updated_at")
POLL_SECONDS = 0.05

Results = dict[str, Document]


@dataclass(frozen=True, slots=True)
class Held:
    """A batch whose holder was frozen in the middle of it."""

    run_id: str
    batch_id: str
    fence: int
    pid: int


class Trial:
    """The runs that were accepted, their progress as it was seen, and the recovery times (in
    seconds, by fault).
    """

    def __init__(self, stack: Stack, reference: Results) -> None:
        self.stack = stack
        self.database = stack.database
        self.api = Api(stack.settings, try_seconds=RECOVERY_SECONDS)
        self.url = api_url(stack.settings) + stack.settings.url_prefix
        self.run_ids: list[str] = []
        self.cancelled: set[str] = set()
        self.recoveries: dict[str, float] = {}
        self._reference = reference
        self._since = get_operation_time(stack.database)
        self._seen: dict[str, list[float]] = defaultdict(list)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch_progress, name="progress")
        self._watcher.start()

    def backfill(self, *tickers: str) -> str:
        """Request a backfill over HTTP and return its run's id."""
        return self.ask("/anomalies/backfill", tickers=list(tickers or TICKERS), max_period="max")

    def ask(self, path: str, **body: object) -> str:
        """Request a run over HTTP and return its id. Raises ApiRefused."""
        self.run_ids.append(self.api.post(path, body)["run_id"])
        return self.run_ids[-1]

    def add_watchlist(self, name: str, *tickers: str, schedule: str) -> None:
        """Create a watchlist, whose tickers are scanned periodically until `end_scans`."""
        self.api.post("/watchlists", {"name": name, "tickers": tickers, "schedule": schedule})

    def end_scans(self) -> list[Document]:
        """Remove all watchlists; return the runs of their scans, which now belong to the trial."""
        self.database.watchlists.delete_many({})
        if self.stack.programs["control"].is_running:
            # After two more ticks have ended, the second of them began after the watchlists were
            # removed.
            for _ in range(2):
                ticked = self._find_last_tick()
                wait_until(lambda last=ticked: self._find_last_tick() != last, "a tick has ended")
        scans = self._find_scans()
        self.run_ids += [scan["_id"] for scan in scans]
        return scans

    def cancel(self, run_id: str) -> None:
        """Request a run's cancellation over HTTP; the run may end otherwise before it notices.
        Raises ApiRefused.
        """
        self.cancelled.add(run_id)
        self.api.post(f"/detection-runs/{run_id}/cancel", {})

    def wait_for_end(self, *run_ids: str, seconds: float = RECOVERY_SECONDS) -> list[Document]:
        """Return the runs (all accepted ones, if none are named) once they have ended."""
        wanted = {"_id": {"$in": list(run_ids or self.run_ids)}}
        deadline = time.monotonic() + seconds
        is_open = wanted | {"status": {"$in": list(OPEN_STATUSES)}}
        while True:
            with suppress(ConnectionFailure):
                if not self.database.detection_runs.count_documents(is_open):
                    return list(self.database.detection_runs.find(wanted))
            assert time.monotonic() < deadline, (
                f"not ended within {seconds:g} s: {self._describe_open()}"
            )
            time.sleep(POLL_SECONDS)

    @contextmanager
    def recovering(self, fault: str) -> Iterator[None]:
        """Measure the time from a fault until all runs have ended; keep the longest if the fault
        strikes again.
        """
        started = time.monotonic()
        yield
        self.wait_for_end()
        self.recoveries[fault] = max(time.monotonic() - started, self.recoveries.get(fault, 0.0))

    def wait_for_lease(self, run_id: str, worker: str | None = None) -> Document:
        """Return a batch of a run as soon as a worker (this one, if named) works on it.

        If the run ended before a lease was seen, the same tickers are requested again, as a new
        run.
        """
        pids = [f":{pid}" for pid in self.stack.pids(worker)] if worker else [""]
        leased = {"state": "leased", "owner": {"$regex": f"({'|'.join(pids)})$"}}
        deadline = time.monotonic() + max(30, RECOVERY_SECONDS)
        while not (batch := self.database.batches.find_one(leased | {"run_id": run_id})):
            assert time.monotonic() < deadline, (
                f"nobody took a batch of {run_id}: {self._describe_open()}"
            )
            if has_ended(self.database, run_id):
                run_id = self.backfill(*get_run(self.database, run_id)["tickers"])
        return batch

    def wait_for_claim(self, run_id: str) -> None:
        """Return once a worker works on a run, or has done so."""
        claimed = {"run_id": run_id, "attempts": {"$gte": 1}}
        wait_until(
            lambda: self.database.batches.find_one(claimed),
            f"{run_id} is worked on",
            RECOVERY_SECONDS,
        )

    def freeze_holder(self, run_id: str, worker: str | None = None) -> Held:
        """Freeze a pool process (of this worker, if named) that is in the middle of a batch of a
        run.
        """
        while True:
            batch = self.wait_for_lease(run_id, worker)
            run_id = batch["run_id"]
            held = Held(
                run_id, batch["_id"], batch["fence"], int(batch["owner"].rpartition(":")[2])
            )
            with suppress(ProcessLookupError):
                os.kill(held.pid, signal.SIGSTOP)
            # A command that the process sent before may still be at work in MongoDB.
            time.sleep(0.1)
            if self.is_held(held):
                return held
            os.kill(held.pid, signal.SIGCONT)

    def is_held(self, held: Held) -> bool:
        """Whether the batch is still as its holder claimed it. The read is linearizable, because a
        majority read is older where members lag.
        """
        claimed = {"_id": held.batch_id, "state": "leased", "fence": held.fence}
        latest = self.database.batches.with_options(read_concern=ReadConcern("linearizable"))
        return latest.find_one(claimed) is not None

    def check(self, *, lost: Collection[str] = (), **statuses: str) -> None:
        """Assert all promises.

        Args:
            lost: tickers that cannot be detected, so that they have no result.
            statuses: the status of each run that does not end complete, by run id.
        """
        scans = {scan["_id"] for scan in self._find_scans()}
        if not scans >= set(self.run_ids):
            wait_until(lambda: self._seen, "something is seen of a run")
        self.stop_watching()
        ended = {run["_id"]: (run["status"], run["error"]) for run in self.wait_for_end(seconds=0)}
        for run_id in self.cancelled - statuses.keys():
            statuses[run_id] = "cancelled" if ended[run_id][0] == "cancelled" else "complete"
        wrong = {
            run_id: how
            for run_id, how in ended.items()
            if how[0] != statuses.get(run_id, "complete")
        }
        assert not wrong
        assert ended.keys() == set(self.run_ids)
        for run in self.database.detection_runs.find({"status": "complete", "run_id": None}):
            assert run["tickers_done"] == run["tickers_total"] == len(run["tickers"]), run["_id"]
        undone = list(self.database.batches.find({"state": {"$in": ["pending", "leased"]}}))
        assert not undone, f"never ended: {undone[:3]}"
        self._check_attempts()
        events = {
            event["run_id"] for event in self.database.outbox.find({"event": "run_completed"})
        }
        assert events == set(self.run_ids), "each run is told to have ended, and nothing else is"
        check_changes(read_changes(self.database, self._since))
        self._check_progress()
        done = set(self.database.batches.distinct("tickers", {"state": "done"})) - set(lost)
        check_same(
            read_results(self.database),
            {key: r for key, r in self._reference.items() if get_ticker(r) in done},
        )

    def stop_watching(self) -> None:
        """Stop polling the progress."""
        self._over.set()
        self._watcher.join()

    def _check_attempts(self) -> None:
        """No ticker of a run was claimed more often than allowed, in all its batches together."""
        claims: Counter[tuple[str, str]] = Counter()
        for batch in self.database.batches.find({}):
            claims.update(
                {(batch["run_id"], ticker): batch["fence"] for ticker in batch["tickers"]}
            )
        most = self.stack.settings.max_attempts
        assert not {ticker: count for ticker, count in claims.items() if count > most}

    def _check_progress(self) -> None:
        for run_id, seen in list(self._seen.items()):
            fell = [(before, after) for before, after in pairwise(seen) if after < before]
            assert not fell, f"the progress of {run_id} fell: {fell}"

    def _watch_progress(self) -> None:
        """Poll the progress of runs as a client does; while the API or MongoDB is down, nothing is
        recorded.
        """
        while not self._over.wait(POLL_SECONDS):
            for run_id in self.run_ids[-3:]:
                address = f"{self.url}/detection-runs/{run_id}"
                with (
                    suppress(OSError, HTTPException),
                    urlopen(address, timeout=2) as answer,  # noqa: S310 -- our own address
                ):
                    self._seen[run_id].append(json.load(answer)["progress"]["percent"])

    def _find_last_tick(self) -> object:
        return find_heartbeats(self.database, [SCHEDULER])[SCHEDULER]["at"]

    def _find_scans(self) -> list[Document]:
        return list(self.database.detection_runs.find({"trigger": "scheduler", "run_id": None}))

    def _describe_open(self) -> list[Any]:
        fields = {
            "state": 1,
            "attempts": 1,
            "owner": 1,
            "lease_until": 1,
            "published_at": 1,
            "error": 1,
        }
        open_batches = self.database.batches.find({"state": {"$in": ["pending", "leased"]}}, fields)
        open_runs = self.database.detection_runs.find(
            {"status": {"$in": list(OPEN_STATUSES)}}, {"status": 1}
        )
        return [*open_runs, *open_batches]


def make_reference(stack: Stack) -> Results:
    """Return the results that a backfill of all tickers stores if nothing goes wrong."""
    reset(stack)
    trial = Trial(stack, {})
    try:
        trial.backfill()
        (run,) = trial.wait_for_end()
        assert run["status"] == "complete", run["error"]
        assert run["anomalies_found"] > len(TICKERS)
    finally:
        trial.stop_watching()
    return read_results(stack.database)


def reset(stack: Stack) -> None:
    """Restore the service to full strength, idle, with its bars and models and nothing else."""
    stack.thaw(*stack.programs)
    stack.start(*stack.programs)
    stack.wait_until_serving()
    for name in RESULTS:
        stack.database[name].delete_many({})


def read_results(database: Db) -> Results:
    """Return the stored results of detections, without the fields that differ by run or clock and
    without the explanations that are added later.
    """
    found: Results = {}
    for collection in ("anomalies", "detection_metadata"):
        for document in database[collection].find({}):
            found[document["_id"]] = {
                name: value
                for name, value in document.items()
                if name not in OWN and name not in EXPLANATION
            }
    return found


def get_ticker(found: Document) -> str:
    """Return the ticker of a result."""
    return str(found.get("Ticker") or found["ticker"])


def check_same(found: Results, expected: Results) -> None:
    """Assert that two sets of results are the same to the last bit."""
    assert not expected.keys() - found.keys(), f"lost: {sorted(expected.keys() - found.keys())[:5]}"
    assert not found.keys() - expected.keys(), (
        f"not in a fault-free run: {sorted(found.keys() - expected.keys())[:5]}"
    )
    for key, document in found.items():
        assert document == expected[key], key
