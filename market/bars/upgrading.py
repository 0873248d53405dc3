"""Completes series after an upgrade of the database: adds what earlier versions did not store."""

from collections.abc import Iterator
from datetime import datetime

from market.bars.oddities import sum_up_stored
from records.database import Db
from records.market.series import find_uncovered


def complete_series(database: Db, now: datetime) -> Iterator[str]:
    """Compute the oddities and the coverage that series' documents lack; yield messages that say
    what was done.

    It may run beside processes that store bars, and may be killed and run again at any time.
    """
    if summed := sum_up_stored(database):
        yield f"what looks odd in the bars of {summed:,} series was summed up"
    if uncovered := find_uncovered(database):
        from market.bars.ledger import measure_series  # noqa: PLC0415 - loads the numeric stack

        torn = measure_series(database, uncovered, now)
        yield from torn
        if counted := len(uncovered) - len(torn):
            yield f"what {counted:,} series lack was counted"
