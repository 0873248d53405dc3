"""Named, versioned lists of what a model sees of a bar.

Documents keep the 14 features as they are; a model sees columns which are free of the price's scale
(the definition of each is in `detection/features/kernel.py`). A set never changes: another list is
another version.
"""

from dataclasses import dataclass

from core.errors import BadInput
from market.bars.history import ANCHOR_BARS, count_clock_bars, count_history_bars, find_start


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What a model sees.

    Attributes:
        name, version: `market14`, 1.
        columns: the model's input columns, in order.
        warm_up_bars: bars of the series before the first one that is scored.
        sessions: on how many sessions it looks back for what is usual at a time of day; 0: it does
            not.
        sets_still_aside: whether bars that stand still count as if they were not there.
    """

    name: str
    version: int
    columns: tuple[str, ...]
    warm_up_bars: int
    sessions: int = 0
    sets_still_aside: bool = False

    @property
    def sees_market(self) -> bool:
        """Whether it has the column into which the market's move goes."""
        return EVENT_COLUMN in self.columns

    def count_history_bars(self, interval: str) -> int:
        """Return how many bars before an anchor are needed to compute it."""
        own = count_history_bars(interval)
        bars = own
        if self.sessions:
            # What is unusual lately is measured by bars of the block before; where some are set
            # aside, of any block of the history.
            before = own if self.sets_still_aside else ANCHOR_BARS
            bars = count_clock_bars(interval, self.sessions) + before
        # Whether the first of them stands still, the bar before it tells.
        return bars + self.sets_still_aside

    def reach(self, index: int, interval: str) -> int:
        """Return the position in the stored series from
        which bars are needed to compute the bar at `index`.
        """
        return find_start(index, self.count_history_bars(interval))

    @property
    def label(self) -> str:
        """Return `name/version`, as documents have it."""
        return f"{self.name}/{self.version}"


MARKET14 = FeatureSet(
    name="market14",
    version=1,
    columns=(
        "return_1_atr",
        "return_3_atr",
        "return_6_atr",
        "zscore_20",
        "ATR_14_atr",
        "bb_width_atr",
        "RSI",
        "MACD_atr",
        "MACD_hist_atr",
        "VWAP_atr",
        "body_atr",
        "upper_wick_atr",
        "lower_wick_atr",
        "wick_ratio",
    ),
    warm_up_bars=40,
)
# The ticker's own volatility is the measure, taken twice: the last weeks' forgets a calm past, the
# last year's a shock. A bar that stands still is no evidence: it would pull the yardsticks down.
# Nor is a small range an event: many bars of a thinly traded ticker have one, and whether a feed
# stands still is for the rules of faults.
TWO_YARDSTICKS = FeatureSet(
    name="two_yardsticks",
    version=5,
    columns=("return_fast", "return_slow", "gap_fast", "departure_fast", "departure_slow"),
    warm_up_bars=61,
    sets_still_aside=True,
)
# A session has a shape: it opens with a jump, wide and loud, and is quiet at noon. So each bar is
# measured by what was usual at its time of day in the last 20 sessions; and by that times how
# lively the last 20 bars were for theirs. A gap has no column: only opens have gaps, and trees
# would tell them apart by it. An open's range holds it already.
TIME_OF_DAY = FeatureSet(
    name="time_of_day",
    version=5,
    columns=("clock_return_fast", "clock_return_slow", "clock_span_fast", "clock_span_slow"),
    warm_up_bars=61,
    sessions=20,
    sets_still_aside=True,
)

# Beside the ticker's own days those of its market: in a crisis the ticker's yardsticks have grown,
# and all of its days look usual. In a column of its own the market's usual days would blur the
# ticker's, and those on which it is not known would look strange to a model. So its move is one
# more part of a departure, like volume: it counts where it is the largest, else it changes nothing.
# In both departures it would outweigh the ticker's own days, and flag whole weeks of a crisis.
EVENT_COLUMN = "event_steady"
# Columns that say how far a bar is from what is usual: the larger, the stranger.
DISTANCES = (*TWO_YARDSTICKS.columns, *TIME_OF_DAY.columns, EVENT_COLUMN)
EVENTS = FeatureSet(
    name="events",
    version=6,
    columns=("return_fast", "return_slow", "gap_fast", "departure_fast", EVENT_COLUMN),
    warm_up_bars=TWO_YARDSTICKS.warm_up_bars,
    sets_still_aside=True,
)
# The plain return, for statistics that look back on returns by themselves.
RETURNS = FeatureSet(
    name="returns",
    version=3,
    columns=("return_percent",),
    warm_up_bars=21,
    sets_still_aside=True,
)
# What the members of an ensemble look at: the return, and the forest's columns.
FAMILY = FeatureSet(
    name="family",
    version=7,
    columns=(*RETURNS.columns, *EVENTS.columns),
    warm_up_bars=EVENTS.warm_up_bars,
    sets_still_aside=True,
)
FAMILY_BY_TIME = FeatureSet(
    name="family_by_time",
    version=5,
    columns=(*RETURNS.columns, *TIME_OF_DAY.columns),
    warm_up_bars=TIME_OF_DAY.warm_up_bars,
    sessions=TIME_OF_DAY.sessions,
    sets_still_aside=True,
)

FEATURE_SETS: tuple[FeatureSet, ...] = (
    MARKET14,
    TWO_YARDSTICKS,
    TIME_OF_DAY,
    EVENTS,
    RETURNS,
    FAMILY,
    FAMILY_BY_TIME,
)
DEFAULT_FEATURE_SET = EVENTS


def get_feature_set(label: str) -> FeatureSet:
    """Return the set of a label such as `market14/1`, or the latest version of a name alone.

    Raises BadInput with the choices.
    """
    found = [s for s in FEATURE_SETS if label in (s.label, s.name)]
    if not found:
        choices = ", ".join(feature_set.label for feature_set in FEATURE_SETS)
        raise BadInput(
            f"no feature set {label[:40]!r}; choose one of {choices}", reason="unknown_feature_set"
        )
    return max(found, key=lambda s: s.version)
