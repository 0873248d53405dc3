"""Median and median absolute deviation: a value is strange with a modified z-score beyond `k`.

Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993): .6745 (x - median) / MAD
beyond 3.5. Where more than half of the values equal the median, MAD is 0, and the mean absolute
deviation times 1.253314 takes its place. Half of the training data may be outliers. It fails where
the level moves or where there is a season. A fit sorts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Self

from detection.series.contract import BandDetector, Parameters, SeriesDetectorKind
from detection.series.moments import compute_median

# Of normally distributed values MAD is 0.6745 standard deviations, and the standard deviation is
# 1.253314 mean absolute deviations.
MAD_SHARE = 0.6745
MEAN_DEVIATION_FACTOR = 1.253314


@dataclass(frozen=True, slots=True, kw_only=True)
class Mad(BandDetector):
    """The median of the training values, and how far they lie from it.

    `mad` is the median absolute deviation, `mean_deviation` the mean one, which counts where `mad`
    is 0.
    """

    median: float
    mad: float
    mean_deviation: float

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Learn the two medians. Raises BadInput where the range is not finite."""
        median = compute_median(values)
        distances = [abs(value - median) for value in values]
        n = len(distances)
        return cls(
            median=median,
            mad=compute_median(distances),
            mean_deviation=fsum(distance / n for distance in distances),
            k=parameters.k,
            direction=parameters.direction,
        ).check()

    def measure(self) -> tuple[float, float]:
        """Return the median and the estimated standard deviation."""
        if self.mad:
            return self.median, self.mad / MAD_SHARE
        return self.median, self.mean_deviation * MEAN_DEVIATION_FACTOR


KIND = SeriesDetectorKind(
    name="mad",
    summary="a value whose modified z-score is beyond k",
    defaults=Parameters(k=3.5, direction="both"),
    options=frozenset({"k", "direction"}),
    least_points=2,
    fit=Mad.fit,
    load=Mad.load,
)
