"""Creates bars and a model, and runs detections without Celery, for tests of detection."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from uuid import uuid4

import exchange_calendars as xc
import numpy as np
import pandas as pd
from pymongo.client_session import ClientSession

from detection.models.manager import ModelManager
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.pipeline import detect as pipeline
from detection.pipeline.commit import commit
from detection.pipeline.job import Job, Outcome
from market.imports.importing import import_frame
from records.database import Db, Document

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_MODELS: dict[int, tuple[Db, ModelManager]] = {}


def make_bars(bars: int, seed: int = 1, *, shocks: Sequence[int] = ()) -> pd.DataFrame:
    """Return daily bars of real sessions from 2015 on, with a close of 12 standard deviations at
    each position in `shocks`.
    """
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, bars) * 0.01
    returns[list(shocks)] = 0.12
    close = 50 * np.exp(np.cumsum(returns))
    opened = close * np.exp(rng.normal(0, 0.003, bars))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.004, bars)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.004, bars)))
    sessions = xc.get_calendar("XNYS", start="2015-01-02", end="2024-12-31").sessions[:bars]
    volume = rng.lognormal(13, 0.4, bars).round()
    return pd.DataFrame(
        {
            "date": sessions,
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
        }
    )


def store(database: Db, ticker: str, frame: pd.DataFrame) -> None:
    """Import bars of one ticker; fail if one is rejected."""
    report = import_frame(database, frame, interval="1d", source="test", ticker=ticker, now=NOW)
    assert not any(series.rejected for series in report.series), report


def train(database: Db) -> None:
    """Train the US market's first champion from the stored bars."""
    train_model(database, TrainingPlan("US"), now=NOW)


def run(
    database: Db,
    task: str,
    *tickers: str,
    period: str = "max",
    run_id: str | None = None,
    watchlist: str | None = None,
    market: str = "US",
) -> list[Document]:
    """Detect and commit as one batch does, and return the result of each ticker."""
    job, outcomes = detect(
        database, task, *tickers, period=period, run_id=run_id, watchlist=watchlist, market=market
    )

    def finish(_session: ClientSession, _counts: Document) -> None:
        """Do nothing: there is no batch to end."""

    _, results = commit(database, job, lambda: nullcontext([outcomes]), finish)
    return results


def open_models(database: Db) -> ModelManager:
    """Return the model manager of a test, which keeps models open from run to run, as a worker
    does; opening a model takes as long as detecting with it.
    """
    # Compare by identity: two clients of the same server are equal, though one may be closed.
    if id(database) not in _MODELS:
        _MODELS.clear()
        _MODELS[id(database)] = database, ModelManager(database)
    return _MODELS[id(database)][1]


def detect(
    database: Db,
    task: str,
    *tickers: str,
    period: str = "max",
    run_id: str | None = None,
    watchlist: str | None = None,
    market: str = "US",
) -> tuple[Job, list[Outcome]]:
    now = datetime.now(UTC)
    job = Job(run_id or str(uuid4()), task, task, market, tickers, "1d", period, now, watchlist)
    with pipeline.detect(database, open_models(database), job, lambda _fraction: None) as parts:
        return job, [outcome for part in parts for outcome in part]


def read_anomalies(database: Db, ticker: str) -> list[Document]:
    """Return a ticker's anomalies, by time, without the fields that differ by ticker, run or
    clock.
    """
    own = ("_id", "Ticker", "detection_run_id", "detection_timestamp", "created_at")
    found = database.anomalies.find({"Ticker": ticker}).sort("Datetime", 1)
    return [
        {name: value for name, value in document.items() if name not in own} for document in found
    ]
