"""Labels bars by their written times, for tests of the result."""

from datetime import UTC, datetime

import pandas as pd

from market.imports.times.labels import label_times
from market.imports.times.read import read_times
from market.markets import SHIPPED


def label(values: object, *, market: str = "US", interval: str = "1d") -> list[datetime | None]:
    """Return the label of each time, None if it cannot be read."""
    labels = label_times(read_times(pd.Series(values)), SHIPPED[market], interval)
    return [
        None if bad else datetime.fromtimestamp(int(seconds), UTC)
        for seconds, bad in zip(labels.seconds, labels.bad, strict=True)
    ]
