"""Mean and standard deviation: a value is strange more than `k` deviations above the mean.

Source: Shewhart's control chart, with the population deviation and, as the contract of this API has
it, one-sided unless `direction` says otherwise. It fails where the training data contain outliers,
which widen the range (that of `mad` stays), and where the level moves. A fit costs three passes, a
judgement a comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from detection.series.contract import BandDetector, Parameters, SeriesDetectorKind
from detection.series.moments import compute_moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple(BandDetector):
    """The mean and the standard deviation of the training values."""

    mean: float
    std: float

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Learn mean and deviation. Raises BadInput where the range is not finite."""
        mean, std = compute_moments(values)
        return cls(mean=mean, std=std, k=parameters.k, direction=parameters.direction).check()

    def measure(self) -> tuple[float, float]:
        """Return mean and deviation."""
        return self.mean, self.std


KIND = SeriesDetectorKind(
    name="simple",
    summary="a value more than k standard deviations above the mean",
    defaults=Parameters(k=3.0, direction="above"),
    options=frozenset({"k", "direction"}),
    least_points=2,
    fit=Simple.fit,
    load=Simple.load,
)
