"""Steady load: requests as a busy service gets them, in a random order that a seed repeats."""

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
    """Send one request after the other for the length of a `with`; fail if the API does not answer
    for too long.
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
        # A request that conflicts with another one is refused, which is right.
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
    """Request what the dashboard shows of a ticker."""
    trial.api.get("/anomalies", ticker=ticker)
    trial.api.get("/detection-runs", ticker=ticker)
    trial.api.get(f"/tickers/{ticker}/status")
