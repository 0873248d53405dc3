"""Tickers whose bars kill a process, and bars that are broken."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from market.bars.buckets import COLUMNS, build_bucket
from market.bars.spans import build_bucket_id
from market.bars.store import ALL_BARS, load_panel
from records.database import Db, Document
from records.market.series import build_series_id
from records.work.runs import get_run
from tests.faults.memory import count_resident_bytes
from tests.faults.stack import WORKERS, Stack
from tests.faults.trial import TICKERS, Trial
from tests.integration.detecting import NOW
from tests.integration.stored import change_bars, tear_bars

SOUND = TICKERS[:13]
KILLER = "KILLER"
POISON = (KILLER, "TORN", "NAN")
YEARS = range(2001, 2011)
# As many bars as a document of 16 MB holds. Ten years of them need far more memory than the limit
# to detect.
BARS_A_YEAR = 300_000
LIMIT_BYTES = 450_000_000
# A user who is not root gets the right to this in a namespace of his own.
ALONE = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")


@pytest.fixture
def poison(trial: Trial) -> Iterator[None]:
    """Three tickers that cannot be detected: one too large for its process, one whose bars are cut
    short, one with a value that is not a number.
    """
    database = trial.database
    add_copy(database, "KILLER", counts={str(year): BARS_A_YEAR for year in YEARS})
    panel = load_panel(database, "1d", {TICKERS[0]: ALL_BARS})
    long = {name: np.resize(getattr(panel, name), BARS_A_YEAR) for name in COLUMNS}
    for year in YEARS:
        long["times"] = int(np.datetime64(f"{year}-01-01", "s").astype(int)) + 100 * np.arange(
            BARS_A_YEAR
        )
        database.bars.replace_one(
            {"_id": build_bucket_id("KILLER", "1d", str(year))},
            build_bucket("KILLER", "1d", str(year), long, NOW),
            upsert=True,
        )
    for ticker in ("TORN", "NAN"):
        add_copy(database, ticker)
        # In each of their years: a year of sound bars would count in the market's move.
        for bucket in database.bars.find({"ticker": TICKERS[0]}):
            own = {"_id": build_bucket_id(ticker, "1d", bucket["span"]), "ticker": ticker}
            database.bars.insert_one(bucket | own)
            if ticker == "TORN":
                tear_bars(database, own)
            else:
                change_bars(database, own, "close", -1, np.nan)
    yield
    for name in ("bars", "series"):
        database[name].delete_many({"ticker": {"$in": POISON}})


@pytest.mark.faults
def test_tickers_that_kill_or_break_cost_only_themselves(trial: Trial, poison: None) -> None:
    """A run with such tickers ends partial and names them; the other tickers of their batches are
    detected.
    """
    tickers = [name for pair in zip(SOUND, POISON, strict=False) for name in pair]
    with (
        out_of_memory_killer(trial.stack) as killed,
        trial.recovering("bars that kill, are torn or not a number"),
    ):
        run_id = trial.backfill(*tickers, *SOUND[len(POISON) :])
    failures = {
        failure["ticker"]: failure["reason"]
        for failure in get_run(trial.database, run_id)["failures"]
    }
    assert failures == {
        "KILLER": "attempts_exhausted",
        "TORN": "attempts_exhausted",
        "NAN": "bad_bars",
    }
    assert killed
    trial.check(lost=POISON, **{run_id: "partial"})


@pytest.fixture
def contained(stack: Stack) -> Iterator[Stack]:
    """The service with each worker in a process namespace of its own, as in a container: no worker
    sees another one die.
    """
    saved = {name: stack.programs[name].command for name in WORKERS}
    for name in WORKERS:
        stack.stop(name)
        stack.programs[name].command = [*ALONE, *saved[name]]
    stack.start(*WORKERS)
    stack.wait_until_serving()
    yield stack
    for name in WORKERS:
        stack.kill(name)
        stack.programs[name].command = saved[name]


@pytest.mark.faults
def test_a_ticker_that_takes_its_container_down_costs_only_itself(
    trial: Trial, poison: None, contained: Stack
) -> None:
    """A ticker whose container is lost at each attempt is given up by name within 90 s; the rest of
    its batch is done.
    """
    with contained.supervised(), container_killer(trial, KILLER) as lost:
        with trial.recovering("a ticker that takes its whole container down each time"):
            run_id = trial.backfill(KILLER, *SOUND)
        failures = {
            failure["ticker"]: failure["reason"]
            for failure in get_run(trial.database, run_id)["failures"]
        }
    assert failures == {KILLER: "attempts_exhausted"}
    assert len(lost) == 3
    trial.check(lost=POISON, **{run_id: "partial"})


@contextmanager
def container_killer(trial: Trial, ticker: str) -> Iterator[list[str]]:
    """Kill the container that holds a batch with this ticker, with all its processes, and note
    which it was.
    """
    over = threading.Event()
    lost: list[str] = []
    stack, held = trial.stack, {"state": "leased", "tickers": ticker}

    def watch() -> None:
        while not over.wait(0.002):
            for batch in trial.database.batches.find(held, {"owner": 1}):
                namespace = batch["owner"].partition("/")[0].rpartition("-")[2]
                for name in WORKERS:
                    if namespace in {find_namespace(pid) for pid in stack.pids(name)[1:]}:
                        stack.kill(name)
                        lost.append(name)

    thread = threading.Thread(target=watch, name="container-killer")
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()


def find_namespace(pid: int) -> str | None:
    """Return the id of a process's PID namespace, as its batches' signature has it; None if the
    process has ended.
    """
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").stat().st_ino)
    return None


@contextmanager
def out_of_memory_killer(stack: Stack) -> Iterator[list[int]]:
    """Kill pool processes that grow past a limit, as the kernel would, and note which they were."""
    over = threading.Event()
    killed: list[int] = []

    def watch() -> None:
        while not over.wait(0.005):
            for pid in (pid for worker in WORKERS for pid in stack.pids(worker)[1:]):
                if count_resident_bytes(pid) > LIMIT_BYTES:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)

    thread = threading.Thread(target=watch, name="oom-killer")
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def add_copy(database: Db, ticker: str, *, counts: dict[str, int] | None = None) -> None:
    """Add a series document that is a copy of the first ticker's, or one that claims this many bars
    in these years.
    """
    series = database.series.find_one({"_id": build_series_id(TICKERS[0], "1d")})
    assert series is not None
    series |= {"_id": build_series_id(ticker, "1d"), "ticker": ticker}
    if counts is not None:
        series |= {"counts": counts, "bars": sum(counts.values())}
    database.series.insert_one(series)


def get_bucket(database: Db, bucket_id: str) -> Document:
    bucket = database.bars.find_one({"_id": bucket_id})
    assert bucket is not None
    return bucket
