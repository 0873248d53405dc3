"""How long after a strange candle of the feed its anomaly is stored; consumer and worker are
separate processes, as the service starts them.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.settings import Settings
from detection.models.plan import TrainingPlan
from detection.models.signing import make_key
from detection.models.training import train_model
from feed.producing import Producer
from feed.redis_bus import RedisBus
from market.imports.importing import import_frame
from market.imports.sources.synthetic import make_bars
from market.markets import SHIPPED
from records.database import Db
from records.work.outbox import find_undelivered, is_delivered
from records.work.runs import OPEN_STATUSES, get_run
from records.work.watchlists import add_watchlist
from runner.programs import ROOT, worker_command
from runner.servers import die_with_parent
from tasks.names import WORK_QUEUES
from tasks.process.broker import build_celery
from tasks.requests.detections import Backfill, request_detection
from tasks.requests.selection import Selection

MARKET, INTERVAL, SECONDS = "CRYPTO", "5m", 300
BARS = 600
POLL_SECONDS = 0.02
LONGEST_SECONDS = 60.0
TOLD_SECONDS = 15.0


def measure_detection(
    settings: Settings, database: Db, bus: RedisBus, folder: Path, *, quick: bool
) -> dict[str, float]:
    """Return the 50th and 99th percentile, in milliseconds, of the time from publishing a candle to
    its anomaly. Each ticker gets a candle a round, all within a second; half of the candles are
    strange.

    The consumer must be running already.
    """
    tickers = [f"L{number}-USD" for number in range(200 if quick else 1_000)]
    rounds = 3 if quick else 10
    os.environ["ARTEFACT_KEYS"] = make_key()
    now = datetime.now(UTC)
    first = int(now.timestamp()) // SECONDS * SECONDS - (rounds + 1) * SECONDS
    frame = make_bars(
        tickers,
        SHIPPED.choose(MARKET),
        bars=BARS + 2 * 86_400 // SECONDS,
        end=datetime.fromtimestamp(first // 86_400 * 86_400 + 86_400, UTC),
        seed=1,
        interval=INTERVAL,
    )
    frame = frame[frame["time"] < datetime.fromtimestamp(first, UTC)]
    import_frame(database, frame, interval=INTERVAL, source="bench", now=now)
    closes = frame.groupby("ticker")["close"].last()
    train_model(database, TrainingPlan(MARKET, interval=INTERVAL), now=now)
    fields = {"tickers": tickers, "markets": [MARKET], "interval": INTERVAL, "enabled": True}
    others = {"schedule": "after_close", "delay_minutes": 5, "threshold": None}
    with run_worker(settings, folder):
        detect_history(settings, database)
        add_watchlist(database, "bench", {**fields, **others}, now)  # type: ignore[typeddict-item]  # all there are
        time.sleep(2)  # The consumer checks once a second which tickers are watched.
        producer, late = Producer(bus, "detection", {}), []
        for number in range(rounds):
            late += measure_round(database, producer, closes.to_dict(), first + number * SECONDS)
            # Real candles come every few minutes; by then the messages about earlier ones are sent.
            # Events that reach the notifier while it works wait for a tick, which does not come
            # here.
            deadline = time.perf_counter() + TOLD_SECONDS
            while time.perf_counter() < deadline and find_undelivered(database, limit=1):
                time.sleep(POLL_SECONDS)
    return {
        "anomaly_p50_ms": 1_000 * float(np.percentile(late, 50)),
        "anomaly_p99_ms": 1_000 * float(np.percentile(late, 99)),
    }


def measure_round(
    database: Db, producer: Producer, closes: dict[str, float], at: int
) -> list[float]:
    """Send each ticker's candle and return how late each anomaly was, in seconds."""
    sent: dict[str, float] = {}
    strange = set()
    began = time.perf_counter()
    for number, (ticker, close) in enumerate(closes.items()):
        factor = 0.8 if (number + at // SECONDS) % 2 else 1.0
        moved = close * factor
        candle = {"time": at, "open": close, "high": close * 1.001, "low": moved * 0.999}
        candle |= {"close": moved, "volume": 1e8 if factor < 1 else 1e5}
        sent[ticker] = time.perf_counter()
        producer.send("candles", ticker, [candle], interval=INTERVAL)
        if factor < 1:
            strange.add(ticker)
        time.sleep(max(0.0, began + number / len(closes) - time.perf_counter()))
    late: dict[str, float] = {}
    query = {"Datetime": datetime.fromtimestamp(at, UTC), "kind": "event"}
    while len(late) < len(strange) and time.perf_counter() < began + LONGEST_SECONDS:
        for found in database.anomalies.find(query, ["Ticker"]):
            ticker = found["Ticker"]
            late.setdefault(ticker, time.perf_counter() - sent[ticker])
        time.sleep(POLL_SECONDS)
    if len(late) < len(strange) / 2:
        raise RuntimeError(f"{len(late)} of {len(strange)} strange candles became anomalies")
    return list(late.values())


def detect_history(settings: Settings, database: Db) -> None:
    """Detect the stored bars, so that each round scores one candle a ticker."""
    with build_celery(settings) as celery:
        run = request_detection(
            database,
            celery,
            Selection(market=MARKET),
            interval=INTERVAL,
            period="1d",
            backfill=Backfill(),
            now=datetime.now(UTC),
        )
    # Sending the messages also keeps a process of the worker busy for a while.
    while get_run(database, run["_id"])["status"] in OPEN_STATUSES or not is_delivered(
        database, run["_id"], "run_completed"
    ):
        time.sleep(POLL_SECONDS)


@contextmanager
def run_worker(settings: Settings, folder: Path) -> Iterator[None]:
    """Run a worker of two processes."""
    given = {"MONGO_URL": settings.mongo_url, "REDIS_URL": settings.redis_url}
    queues = ",".join(WORK_QUEUES)
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            die_with_parent(worker_command("bench", queues, 2)),
            cwd=ROOT,
            env={**os.environ, **given},
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()
