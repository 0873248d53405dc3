"""How many bars before a bar must be loaded so that its features do not depend on more bars.

Recursions (EMA, Wilder) never run from the first bar loaded: for the bar at position t of the
stored series they start at `history_start(t)`. So every feature is a function of the stored series
and t alone, to the last bit; and 384 bars of history bring it within 1e-9 of a recursion over the
whole series, since (13/14)^384 < 1e-12. Histories are whole blocks, so that they begin where a
block does.
"""

from market.intervals import DAY_SECONDS, INTERVALS

ANCHOR_BARS = 128
HISTORY_BARS = 3 * ANCHOR_BARS
# VWAP needs all bars of the session; a round-the-clock session has 1,440 bars of 1m.
MINUTE_HISTORY_BARS = 12 * ANCHOR_BARS
# Twenty sessions of six and a half hours at one minute are 7,800 bars.
MOST_CLOCK_BARS = 64 * ANCHOR_BARS


def count_history_bars(interval: str) -> int:
    """Return how many bars before an anchor recursions start, for bars of an interval."""
    return MINUTE_HISTORY_BARS if interval == "1m" else HISTORY_BARS


def count_clock_bars(interval: str, sessions: int) -> int:
    """Return how many bars before an anchor are looked at for what is usual at a time of day.

    They cover so many sessions of a market that is open round the clock; with 1m bars, only those
    of a stock exchange, whose sessions are shorter.
    """
    bars = min(sessions * DAY_SECONDS // INTERVALS[interval], MOST_CLOCK_BARS)
    return max(count_history_bars(interval), -(-bars // ANCHOR_BARS) * ANCHOR_BARS)


def history_start(index: int, interval: str) -> int:
    """Return the position in the stored series of the first bar that is needed to compute the bar
    at `index`.
    """
    return find_start(index, count_history_bars(interval))


def find_start(index: int, history_bars: int) -> int:
    """Return the position `history_bars` before the anchor of the bar at `index`, at least 0."""
    return max(0, index // ANCHOR_BARS * ANCHOR_BARS - history_bars)
