"""Named, versioned lists of what a model sees of a bar.

Documents have the 14 features in units of the price; a model sees columns that are free of the
price's scale (`detection/features/kernel.py` defines each). A set never changes: a changed list of
columns is a new version.
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
        warm_up_bars: how many bars of the series lie before the first one that is scored.
        sessions: of how many past sessions bars of the same time of day are the measure of a bar;
            0 where the time of day does not count.
        sets_still_aside: whether bars that stand still are treated as if they were not there.
    """

    name: str
    version: int
    columns: tuple[str, ...]
    warm_up_bars: int
    sessions: int = 0
    sets_still_aside: bool = False

    @property
    def sees_market(self) -> bool:
        """Return whether the set has `EVENT_COLUMN`, into which the market's move goes."""
        return EVENT_COLUMN in self.columns

    def count_history_bars(self, interval: str) -> int:
        """Return how many bars before an anchor are needed to compute the set's columns."""
        own = count_history_bars(interval)
        bars = own
        if self.sessions:
            # How lively the last 20 bars were takes, of each of them, what was usual at its time.
            # These bars lie in the block before the anchor; where some bars are set aside, they may
            # lie in any block of the history.
            before = own if self.sets_still_aside else ANCHOR_BARS
            bars = count_clock_bars(interval, self.sessions) + before
        # The bar before the first of them tells whether that one stands still.
        return bars + self.sets_still_aside

    def reach(self, index: int, interval: str) -> int:
        """Return the position in the stored series of the first bar that is needed to compute the
        bar at `index`.
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
# A bar is measured by the ticker's own volatility, taken twice: that of the last weeks has adapted
# to a change of the last year, and that of the last year hardly moves with a recent shock. A bar
# that stands still says nothing of volatility, and would pull both yardsticks down. A small range
# is no event: many bars of a thinly traded ticker have one, and a feed that stands still is found
# by the rules of faults.
TWO_YARDSTICKS = FeatureSet(
    name="two_yardsticks",
    version=5,
    columns=("return_fast", "return_slow", "gap_fast", "departure_fast", "departure_slow"),
    warm_up_bars=61,
    sets_still_aside=True,
)
# A session has a shape: its open jumps, with a wide range and much volume, and its noon is quiet.
# So each bar is measured by what was usual at its time of day in the last 20 sessions (the slow
# yardstick), and by that times how lively the last 20 bars were for their times of day (the fast
# one). There is no column for the gap: only the first bar of a session has one, and trees would
# single these bars out by it. The true range of that bar contains its gap.
TIME_OF_DAY = FeatureSet(
    name="time_of_day",
    version=5,
    columns=("clock_return_fast", "clock_return_slow", "clock_span_fast", "clock_span_slow"),
    warm_up_bars=61,
    sessions=20,
    sets_still_aside=True,
)

# The set `events` also sees the market's move: in a crisis the ticker's yardsticks have grown, and
# all of its days look usual. The move has no column of its own: the market's usual days would blur
# the ticker's, and days on which the move is not known would look strange to a model. So it is one
# more part of a departure, as volume is: it counts where it is the largest part, else it changes
# nothing. It is part of one departure only: in both it would outweigh the ticker's own moves, and
# flag whole weeks of a crisis.
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
# The plain return, for detectors that compute their own statistics of past returns.
RETURNS = FeatureSet(
    name="returns",
    version=3,
    columns=("return_percent",),
    warm_up_bars=21,
    sets_still_aside=True,
)
# The columns of all members of an ensemble: the return, and those of the forest.
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
