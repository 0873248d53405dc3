"""Median and median absolute deviation: strange is a modified z-score beyond `k`.

Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993): .6745 (x - median) / MAD
    beyond 3.5. Where more
than half of the values are the median, MAD is 0, and the mean absolute deviation times 1.253314
takes its place. Half of the training data may be outliers. It fails where the level moves or a
season comes round. A fit sorts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Self

from detection.series.contract import (
    Band,
    Direction,
    Judgement,
    Parameters,
    SeriesDetectorKind,
    State,
    check_range,
)
from detection.series.moments import compute_median

# What MAD and mean absolute deviation of normally distributed values are to their standard
# deviation.
MAD_SHARE = 0.6745
MEAN_DEVIATION_FACTOR = 1.253314


@dataclass(frozen=True, slots=True)
class Mad:
    """The median of the training values, and how far they lie from it.

    `mad` is the median absolute deviation, `mean_deviation` the mean one, which counts where `mad`
    is 0.
    """

    median: float
    mad: float
    mean_deviation: float
    k: float
    direction: Direction
    _band: Band = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_band", Band.build(self.median, self._deviation, self.k, self.direction)
        )

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Learn the two medians. Raises BadInput where the range is not finite."""
        median = compute_median(values)
        distances = [abs(value - median) for value in values]
        n = len(distances)
        detector = cls(
            median,
            compute_median(distances),
            fsum(distance / n for distance in distances),
            parameters.k,
            parameters.direction,
        )
        check_range(median, detector._deviation, parameters.k)
        return detector

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back."""
        return cls(**state)

    def judge(self, _timestamp: int, value: float) -> Judgement:
        """Judge a point by its value alone."""
        return self._band.judge(value)

    def to_state(self) -> State:
        """Return medians and parameters."""
        names = ("median", "mad", "mean_deviation", "k", "direction")
        return {name: getattr(self, name) for name in names}

    @property
    def _deviation(self) -> float:
        return self.mad / MAD_SHARE if self.mad else self.mean_deviation * MEAN_DEVIATION_FACTOR


KIND = SeriesDetectorKind(
    name="mad",
    summary="a value whose modified z-score is beyond k",
    defaults=Parameters(k=3.5, direction="both"),
    options=frozenset({"k", "direction"}),
    least_points=2,
    fit=Mad.fit,
    load=Mad.load,
)
