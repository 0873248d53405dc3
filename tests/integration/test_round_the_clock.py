"""A whole leap year of minute bars of a market that never closes: 527,040 bars of one series."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from detection.models.manager import ModelManager
from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from detection.pipeline import detect as pipeline
from detection.pipeline.job import Job
from market.bars.arriving import write_arrival
from market.bars.buckets import Columns
from market.bars.opening import Arrival
from market.bars.reading import read_bars
from market.bars.store import ALL_BARS, load_panel
from market.bars.undoing import undo_import
from market.bars.writing import write_in
from market.imports.importing import import_frame
from market.markets import SHIPPED
from market.sessions.calendar import load_sessions
from records.consistency import find_disagreements
from records.database import Db, in_transaction

CRYPTO = SHIPPED["CRYPTO"]
NOW = datetime(2025, 3, 1, tzinfo=UTC)
FIRST, END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2025))
STRANGE = FIRST + 60 * 527_000
APPENDED = 12_000


@pytest.fixture(scope="module")
def year() -> Columns:
    rng = np.random.default_rng(19)
    times = np.arange(FIRST, END, 60)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0005, len(times))))
    opened = close * np.exp(rng.normal(0, 0.0001, len(times)))
    close[times >= STRANGE] *= 1.2
    opened[times > STRANGE] *= 1.2
    return {
        "times": times,
        "open": opened,
        "high": np.maximum(opened, close) * 1.0002,
        "low": np.minimum(opened, close) * 0.9998,
        "close": close,
        "volume": rng.lognormal(10, 0.3, len(times)).round(),
    }


def append(database: Db, ticker: str, columns: Columns) -> None:
    """Store bars as the feed does, part by part."""
    known = load_sessions(CRYPTO)
    for start in range(0, len(columns["times"]), APPENDED):
        part = {name: values[start : start + APPENDED] for name, values in columns.items()}
        arrival = Arrival(ticker, CRYPTO, "1m", "feed:x", NOW, known, part)
        in_transaction(database, lambda session, one=arrival: write_in(database, one, session))


@pytest.mark.slow
def test_a_leap_year_of_minutes_is_stored_read_detected_and_taken_back(
    database: Db, year: Columns
) -> None:
    count = len(year["times"])
    assert count == 366 * 1_440
    frame = pd.DataFrame({**year, "time": pd.to_datetime(year["times"], unit="s", utc=True)})
    (report,) = import_frame(
        database,
        frame.drop(columns="times"),
        interval="1m",
        source="test",
        ticker="BTC-USD",
        now=NOW,
    ).series
    assert (report.new, report.rejected, report.error) == (count, [], None)
    append(database, "ETH-USD", year)
    imported, appended = database.series.find().sort("_id", 1)
    for name in ("bars", "counts", "digests", "figures", "oddities", "fingerprint", "coverage"):
        assert imported[name] == appended[name], name
    assert imported["coverage"]["gap_count"] == 0
    assert list(find_disagreements(database, NOW)) == []
    panel = load_panel(database, "1m", dict.fromkeys(("BTC-USD", "ETH-USD"), ALL_BARS))
    for s in range(2):
        for name, values in year.items():
            assert np.array_equal(getattr(panel, name)[panel.series(s)], values), name
    at = [datetime.fromtimestamp(STRANGE + 60 * minutes, UTC) for minutes in (-2, 2)]
    bars = read_bars(database, "ETH-USD", "1m", start=at[0], end=at[1], limit=10)
    assert [bar.time for bar in bars] == [STRANGE + 60 * minutes for minutes in range(-2, 3)]

    # A model of the first weeks detects the last hours of the year.
    known = datetime(2024, 1, 20, tzinfo=UTC)
    train_model(database, TrainingPlan("CRYPTO", interval="1m", window_end=known), now=NOW)
    job = Job("r", "backfill", "backfill", "CRYPTO", ("BTC-USD", "ETH-USD"), "1m", "1d", NOW)
    with pipeline.detect(database, ModelManager(database), job, lambda _: None) as parts:
        outcomes = [outcome for part in parts for outcome in part]
    for outcome in outcomes:
        times = {int(anomaly["Datetime"].timestamp()) for anomaly in outcome.found}
        assert STRANGE in times

    # A bar that came late is in the bucket of its own week; it is removed with its import.
    before = database.series.find_one({"_id": "BTC-USD::1m"})
    changed = {name: values[200_000:200_001].copy() for name, values in year.items()}
    changed["volume"] += 1
    late = Arrival(
        "BTC-USD", CRYPTO, "1m", "test", NOW, load_sessions(CRYPTO), changed, import_id="late"
    )
    assert write_arrival(database, late).changed == 1
    after = database.series.find_one({"_id": "BTC-USD::1m"})
    assert len(set(after["digests"].items()) - set(before["digests"].items())) == 1
    (undone,) = undo_import(database, "late", NOW)
    assert (undone.removed, undone.restored, undone.left) == (0, 1, count)
    assert database.series.find_one({"_id": "BTC-USD::1m"})["digests"] == before["digests"]
