"""The bars and the model that every fault test works with."""

import pandas as pd

from detection.models.plan import TrainingPlan
from detection.models.training import train_model
from market.imports.importing import import_frame
from records.analytics.slots import note_slot
from records.database import Db
from records.indexes import ensure_indexes
from tests.faults.trial import TICKERS
from tests.integration.detecting import NOW, make_bars

BARS = 2_500
NEVER = 2**40


def stock(database: Db) -> None:
    """Import the bars and train the champion; nothing runs yet."""
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
    # Metrics are computed where a test asks for them: no slot ever comes.
    note_slot(database, NEVER)
