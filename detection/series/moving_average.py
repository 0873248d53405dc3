"""Mean and deviation of the last values: strange is a value more than `k` deviations from them.

Source: the rolling z-score, whose window ends where the training data end: fit again as the series
    goes on, or use
`stream`, which does so by itself. It fails on seasons longer than the window. A fit looks at
`window` values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from core.errors import BadInput
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

DEFAULT_WINDOW = 20


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """The tail of the training values."""

    tail: tuple[float, ...]
    k: float
    direction: Direction
    _band: Band = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_band", Band.build(*compute_moments(self.tail), self.k, self.direction)
        )

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Keep the last values.

        Raises BadInput where they are all equal or the range is not finite.
        """
        tail = tuple(values[-(parameters.window or DEFAULT_WINDOW) :])
        if min(tail) == max(tail):
            raise BadInput(
                f"the last {len(tail)} values are all {tail[0]:g}: nothing could be normal but that"
                " value; name a larger `window`, or another detector",
                reason="tail_constant",
            )
        check_range(*compute_moments(tail), parameters.k)
        return cls(tail, parameters.k, parameters.direction)

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back."""
        return cls(tuple(state["tail"]), state["k"], state["direction"])

    def judge(self, _timestamp: int, value: float) -> Judgement:
        """Judge a point by its value alone."""
        return self._band.judge(value)

    def to_state(self) -> State:
        """Return tail and parameters."""
        return {"tail": list(self.tail), "k": self.k, "direction": self.direction}


KIND = SeriesDetectorKind(
    name="moving_average",
    summary="a value more than k standard deviations from the mean of the last values",
    defaults=Parameters(k=3.0, direction="both", window=DEFAULT_WINDOW),
    options=frozenset({"k", "direction", "window"}),
    least_points=2,
    fit=MovingAverage.fit,
    load=MovingAverage.load,
)
