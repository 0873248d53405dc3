"""Faults as clients meet them: requests that hang, are cancelled, or lose their server."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from runner.client import Json
from tests.faults.trial import RECOVERY_SECONDS, TICKERS, Trial
from tests.processes import wait_until

ANSWER_SECONDS = 7


@pytest.mark.faults
def test_a_post_while_redis_is_frozen_is_accepted_once_for_its_key(trial: Trial) -> None:
    """While Redis is frozen a POST is answered 202 within 7 s; a repetition with the same key
    returns the same run.
    """
    key = uuid4().hex
    with trial.stack.frozen("redis"):
        first, second = post(trial, key), post(trial, key)
    with trial.recovering("Redis frozen during a POST, then woken"):
        trial.run_ids.append(first)
        trial.wait_for_end()
    assert second == first
    assert post(trial, key) == first
    trial.check()


@pytest.mark.faults
def test_a_post_while_the_primary_is_frozen_is_answered_in_time_and_accepted_once_for_its_key(
    trial: Trial,
) -> None:
    """While MongoDB's primary is frozen a POST is answered within 7 s; repetitions with the same
    key become one run.
    """
    key = uuid4().hex
    primary = trial.stack.find_primary()
    with trial.recovering("MongoDB's primary frozen during a POST"):
        with trial.stack.frozen(primary):
            answers = [try_post(trial, key)]
            assert answers[0] is None, "nobody else was primary yet"
            while answers[-1] is None:
                answers.append(try_post(trial, key))
        run_id = str(answers[-1])
        trial.run_ids.append(run_id)
        trial.wait_for_end()
    assert post(trial, key) == run_id
    trial.check()


@pytest.mark.faults
def test_a_cancel_that_races_a_kill_ends_the_run_once(trial: Trial) -> None:
    """If a run is cancelled while its worker is killed, the run ends: cancelled, or complete if all
    was already done. What was done is whole.
    """
    held = trial.freeze_holder(trial.backfill())
    with trial.recovering("cancelled while its worker is killed"):
        killer = threading.Thread(target=trial.stack.kill, args=(trial.stack.name_of(held.pid),))
        killer.start()
        trial.cancel(held.run_id)
        killer.join()
    trial.check()


@pytest.mark.faults
def test_an_api_killed_between_insert_and_publish_has_accepted_the_run(trial: Trial) -> None:
    """A run that was written when the API died is done, though nobody sent its message."""
    key = uuid4().hex
    with trial.stack.frozen("redis"):
        # Its publish waits for the frozen Redis.
        asker = threading.Thread(target=ignore_hang_up, args=(trial, key))
        asker.start()
        run = wait_until(
            lambda: trial.database.detection_runs.find_one({"status": "queued"}),
            "the run is written",
        )
        trial.stack.kill("api")
        asker.join()
    assert run["published_at"] is None
    with trial.recovering("API killed (-9) between insert and publish"):
        trial.run_ids.append(run["_id"])
        trial.stack.start("api")
        trial.wait_for_end()
    trial.stack.wait_until_serving()
    assert post(trial, key) == run["_id"]
    trial.check()


def ignore_hang_up(trial: Trial, key: str) -> None:
    with pytest.raises(OSError, match=r"refused|reset|closed"):
        post(trial, key)


def try_post(trial: Trial, key: str) -> str | None:
    """Send the request as `post` does; return None if the answer, which must come in time, is to
    try again.
    """
    started = time.monotonic()
    try:
        return post(trial, key)
    except HTTPError as error:
        refused = error
    assert (refused.code, json.load(refused)["reason"]) == (503, "server_unreachable")
    assert refused.headers["Retry-After"]
    assert time.monotonic() - started < ANSWER_SECONDS
    return None


def post(trial: Trial, key: str) -> str:
    """Request a backfill with a key and return its run's id; it must be accepted in time."""
    body = json.dumps({"tickers": TICKERS, "max_period": "max"}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    started = time.monotonic()
    with urlopen(Request(f"{trial.url}/anomalies/backfill", body, headers), timeout=30) as answer:  # noqa: S310 -- ours
        run_id: str = json.load(answer)["run_id"]
        assert answer.status == 202
    assert time.monotonic() - started < ANSWER_SECONDS
    return run_id


@pytest.mark.faults
def test_a_stream_cut_by_an_api_restart_goes_on_where_it_was(trial: Trial) -> None:
    """A client that follows a run, and reconnects when the API is back, sees each state once, to
    the end.
    """
    held = trial.freeze_holder(trial.backfill())
    stream = Stream(trial, held.run_id)
    wait_until(lambda: stream.events, "the first event")
    with trial.recovering("API killed (-9) under an event stream, started again"):
        trial.stack.kill("api")
        trial.stack.start("api")
        trial.stack.wait_until_serving()
        os.kill(held.pid, signal.SIGCONT)
        trial.wait_for_end()
    stream.join(timeout=30)
    assert stream.connections > 1
    assert stream.events[-1][1]["status"] == "complete"
    versions = [version for version, _ in stream.events]
    assert len(set(versions)) == len(versions), "none came twice"
    percents = [run["progress"]["percent"] for _, run in stream.events]
    assert percents == sorted(percents)
    trial.check()


class Stream(threading.Thread):
    """A client that follows a run's events as a browser does, and reconnects when it is cut off."""

    def __init__(self, trial: Trial, run_id: str) -> None:
        super().__init__(name="stream")
        self.events: list[tuple[str, Json]] = []
        self.connections = 0
        self._address = f"{trial.url}/detection-runs/{run_id}/events"
        self.start()

    def run(self) -> None:
        deadline = time.monotonic() + RECOVERY_SECONDS
        while not self._has_ended() and time.monotonic() < deadline:
            headers = {"Last-Event-ID": self.events[-1][0]} if self.events else {}
            request = Request(self._address, headers=headers)  # noqa: S310 -- our own address
            with (
                suppress(OSError, HTTPException),
                urlopen(request, timeout=30) as answer,  # noqa: S310 -- the same
            ):
                self.connections += 1
                self._read(answer)
            time.sleep(0.1)

    def _read(self, lines: Iterable[bytes]) -> None:
        version = ""
        for line in lines:
            name, _, value = line.decode().strip().partition(": ")
            if name == "id":
                version = value
            elif name == "data":
                self.events.append((version, json.loads(value)))

    def _has_ended(self) -> bool:
        return bool(self.events) and self.events[-1][1]["completed_at"] is not None
