"""How many bars must lie before a bar so that its features do not depend on how much was loaded.

Recursions (EMA, Wilder) never run from the first bar loaded: for the bar at position t of the stored series they
start at `history_start(t)`. So every feature is a function of the stored series and t alone, to the last bit; and
384 bars of history bring it within 1e-9 of a recursion over the whole series, since (13/14)^384 < 1e-12. Histories
are whole blocks, so that they begin where a block does.
"""

ANCHOR_BARS = 128
HISTORY_BARS = 3 * ANCHOR_BARS
# The bars of one session are all needed for its VWAP, and at one minute a round-the-clock session has 1,440.
MINUTE_HISTORY_BARS = 12 * ANCHOR_BARS


def count_history_bars(interval: str) -> int:
    """Return how many bars before an anchor the recursions of `interval` start."""
    return MINUTE_HISTORY_BARS if interval == "1m" else HISTORY_BARS


def history_start(index: int, interval: str) -> int:
    """Return the position in the stored series from which bars are needed to compute the bar at `index`."""
    return max(0, index // ANCHOR_BARS * ANCHOR_BARS - count_history_bars(interval))
