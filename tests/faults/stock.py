"""The bars and the model that all fault tests use."""

import time

import pandas as pd

from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.imports.importing import import_frame
from records.database import Db
from records.indexes import ensure_indexes
from records.work.slots import take_slot
from tests.faults.stack import ANALYTICS_SECONDS
from tests.faults.trial import TICKERS
from tests.integration.detecting import NOW, make_bars

BARS = 2_500


def stock(database: Db) -> None:
    """Import the bars and train the champion; no process of the service runs yet."""
    ensure_indexes(database)
    frames = [
        make_bars(BARS, seed=n, shocks=(700, 1_500)).assign(ticker=name)
        for n, name in enumerate(TICKERS)
    ]
    report = import_frame(
        database, pd.concat(frames), interval="1d", source="test", now=NOW, synthetic=True
    )
    assert not any(series.rejected for series in report.series)
    train_model(database, TrainingPlan("US"), now=NOW)
    # Metrics are computed only where a test asks for them: the slots of today and tomorrow count as
    # done.
    tomorrow = (int(time.time()) // ANALYTICS_SECONDS + 1) * ANALYTICS_SECONDS
    take_slot(database, "analytics", tomorrow, step=ANALYTICS_SECONDS)
