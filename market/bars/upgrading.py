"""Completes series after an upgrade of the database: adds what earlier versions did not store."""

from collections.abc import Iterator
from datetime import datetime
from time import monotonic

from market.bars.oddities import sum_up_stored
from records.database import Db
from records.market.series import find_uncovered

# Tens of thousands of series take minutes: a message comes once in so many seconds.
TOLD_SECONDS = 15.0
AT_ONCE = 100


def complete_series(database: Db, now: datetime) -> Iterator[str]:
    """Compute the oddities and the coverage that series' documents lack; yield messages that say
    what was done, and meanwhile how many series are left.

    It may run beside processes that store bars, and may be killed and run again at any time.
    """
    if summed := sum_up_stored(database):
        yield f"what looks odd in the bars of {summed:,} series was summed up"
    if uncovered := find_uncovered(database):
        from market.bars.ledger import measure_series  # noqa: PLC0415 - loads the numeric stack

        torn, told_at = [], float("-inf")
        for done in range(0, len(uncovered), AT_ONCE):
            if (left := len(uncovered) - done) > AT_ONCE and monotonic() - told_at > TOLD_SECONDS:
                yield f"what {left:,} series lack is still to be counted"
                told_at = monotonic()
            torn += measure_series(database, uncovered[done : done + AT_ONCE], now)
        yield from torn
        if counted := len(uncovered) - len(torn):
            yield f"what {counted:,} series lack was counted"
