"""Steady load: what a busy service is asked for, in a random order that a seed repeats."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from runner.client import ApiRefused
from tests.faults.trial import TICKERS, Trial

ASK_EVERY_SECONDS = 0.7
REQUEST_TICKERS = 8


@contextmanager
def steady_load(trial: Trial, seed: int) -> Iterator[None]:
    """Ask for one thing after the other for the length of a `with`;
    fail where the API is away for too long.
    """
    over = threading.Event()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="load") as pool:
        load = pool.submit(_ask, trial, random.Random(seed), over)
        try:
            yield
        finally:
            over.set()
        load.result()


def _ask(trial: Trial, chance: random.Random, over: threading.Event) -> None:
    while not over.wait(ASK_EVERY_SECONDS):
        tickers = chance.sample(TICKERS, REQUEST_TICKERS)
        kind = chance.random()
        # What is in the way of another is refused.
        with suppress(ApiRefused):
            if kind < 0.35:
                trial.ask("/anomalies/backfill", tickers=tickers, max_period="max")
            elif kind < 0.6:
                trial.ask("/anomalies/incremental", tickers=tickers)
            elif kind < 0.75:
                trial.ask("/anomalies/verify", ticker=tickers[0])
            elif kind < 0.9:
                _read(trial, tickers[0])
            elif trial.run_ids:
                trial.cancel(chance.choice(trial.run_ids[-3:]))


def _read(trial: Trial, ticker: str) -> None:
    """Look at what the dashboard shows of a ticker."""
    trial.api.get("/anomalies", ticker=ticker)
    trial.api.get("/detection-runs", ticker=ticker)
    trial.api.get(f"/tickers/{ticker}/status")
