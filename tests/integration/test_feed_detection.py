"""From a candle on the bus to its anomaly, with a real worker."""

import time
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from feed.consumer import Consumer
from feed.producing import Producer
from feed.redis_bus import RedisBus
from market.imports.importing import import_frame
from tasks.process.broker import build_celery
from tests.integration.conftest import Live
from tests.integration.stored import add_list
from tests.processes import wait_until

COINS = ("BTC-USD", "ETH-USD", "SOL-USD")
BARS = 24 * 60


def make_hours(seed: int, last: int) -> pd.DataFrame:
    """Return hourly bars up to the one that starts at `last`, in seconds."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, BARS)))
    opened = close * np.exp(rng.normal(0, 0.001, BARS))
    seconds = last - 3_600 * np.arange(BARS)[::-1]
    return pd.DataFrame(
        {
            "time": pd.to_datetime(seconds, unit="s", utc=True),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": rng.lognormal(10, 0.3, BARS).round(),
        }
    )


def test_a_strange_candle_becomes_an_anomaly_by_one_run(live: Live) -> None:
    now = datetime.now(UTC)
    closed = int(now.timestamp()) // 3_600 * 3_600 - 3_600
    for seed, ticker in enumerate(COINS):
        frame = make_hours(seed, closed - 3_600)
        import_frame(live.database, frame, interval="1h", source="test", ticker=ticker, now=now)
    train_model(live.database, TrainingPlan("CRYPTO", interval="1h"), now=now)
    add_list(live.database, "coins", *COINS)
    live.database.watchlists.update_one({}, {"$set": {"interval": "1h"}})
    bus = RedisBus(live.settings.redis_url, 4)
    with build_celery(live.settings) as celery:
        consumer = Consumer(live.settings, live.database, bus, celery, "test:1")
        producer = Producer(bus, "tests", {})
        candle = {"time": closed * 1_000, "open": 100, "high": 160, "low": 60, "close": 150}
        for _ in range(2):
            producer.send("candles", "ETH-USD", [{**candle, "volume": 10**7}], interval="1h")
        wait_until(
            lambda: [consumer.step(), live.database.detection_runs.find_one({"trigger": "feed"})][
                1
            ],
            "a run is accepted",
        )
        time_of_bar = datetime.fromtimestamp(closed, UTC)
        found = wait_until(
            lambda: live.database.anomalies.find_one({"Datetime": time_of_bar}), "it is found"
        )
        time.sleep(0.6)  # By now a run for the second message would have been accepted.
        consumer.step()
    bus.close()
    (run,) = live.database.detection_runs.find({"trigger": "feed", "run_id": None})
    assert (found["Ticker"], found["detection_run_id"]) == ("ETH-USD", run["_id"])
    assert run["tickers"] == ["ETH-USD"]
