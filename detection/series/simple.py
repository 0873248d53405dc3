"""Mean and standard deviation: strange is a value more than `k` deviations above the mean.

Source: Shewhart's control chart, with the population deviation and, as the contract of this API has
    it, one-sided
unless `direction` says otherwise. It fails where the training data hold outliers, which widen the
range (`mad` stays), and where the level moves. A fit costs three passes, a judgement a comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
from detection.series.moments import compute_moments


@dataclass(frozen=True, slots=True)
class Simple:
    """The two moments of the training values."""

    mean: float
    std: float
    k: float
    direction: Direction
    _band: Band = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_band", Band.build(self.mean, self.std, self.k, self.direction))

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Learn the two moments. Raises BadInput where the range is not finite."""
        mean, std = compute_moments(values)
        check_range(mean, std, parameters.k)
        return cls(mean, std, parameters.k, parameters.direction)

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back."""
        return cls(**state)

    def judge(self, _timestamp: int, value: float) -> Judgement:
        """Judge a point by its value alone."""
        return self._band.judge(value)

    def to_state(self) -> State:
        """Return mean, deviation and parameters."""
        return {"mean": self.mean, "std": self.std, "k": self.k, "direction": self.direction}


KIND = SeriesDetectorKind(
    name="simple",
    summary="a value more than k standard deviations above the mean",
    defaults=Parameters(k=3.0, direction="above"),
    options=frozenset({"k", "direction"}),
    least_points=2,
    fit=Simple.fit,
    load=Simple.load,
)
