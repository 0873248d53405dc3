"""Times that would fit an exchange's sessions if they were all moved by the same hours:
another zone's, most likely.
"""

import numpy as np

from core.arrays import Bools
from core.errors import BadInput
from market.imports.times import ReadTimes
from market.intervals import is_intraday
from market.markets import Market
from market.sessions.calendar import Sessions, find_closes

HOUR_SECONDS = 3_600
STEP_SECONDS = HOUR_SECONDS // 2
MOST_HOURS = 15
# Fewer rows prove nothing; more than these are sampled.
LEAST_ROWS = 2
MOST_ROWS = 20_000
# Refused are sources of which less than half lies in sessions, where a shift brings in nearly all.
MOST_HELD = 0.5
LEAST_FITTING = 0.95


def check_shift(
    labels: ReadTimes,
    held: Bools,
    market: Market,
    interval: str,
    known: Sessions,
    *,
    is_zoned: bool,
) -> None:
    """Raise BadInput where most intraday bars lie outside the sessions,
    and a constant shift would bring them in.
    """
    good = np.flatnonzero(~labels.bad)
    if not is_intraday(interval) or len(good) < LEAST_ROWS or held[good].mean() >= MOST_HELD:
        return
    sample = labels.seconds[good[:: max(1, len(good) // MOST_ROWS)]]
    shifts = [step * STEP_SECONDS for step in range(-MOST_HOURS * 2, MOST_HOURS * 2 + 1) if step]
    shares = {
        shift: find_closes(sample + shift, market, interval, known)[0].mean() for shift in shifts
    }
    most = max(shares.values())
    if most < LEAST_FITTING:
        return
    fitting = [shift for shift, share in shares.items() if share == most]
    fitting = [shift for shift in fitting if shift % HOUR_SECONDS == 0] or fitting
    shift = min(fitting, key=abs)
    outside = len(good) - int(np.count_nonzero(held[good]))
    hours = f"{abs(shift) / HOUR_SECONDS:g} hour{'s' * (abs(shift) != HOUR_SECONDS)}"
    if len(fitting) > 1:
        least, largest = (
            abs(s) / HOUR_SECONDS for s in (min(fitting, key=abs), max(fitting, key=abs))
        )
        hours = f"{least:g} to {largest:g} hours" if least != largest else hours
    direction = "earlier" if shift < 0 else "later"
    advice = (
        "they name their zone themselves: is it the right one?"
        if is_zoned
        else (
            "are they UTC, or a broker's? Say which zone they are of, such as UTC or Europe/Athens"
        )
    )
    raise BadInput(
        f"{outside:,} of {len(good):,} times lie outside the sessions of market {market.code}, and"
        f" all but a few would lie inside if they were {hours} {direction}: {advice}"
    )
