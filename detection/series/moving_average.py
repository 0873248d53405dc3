"""Mean and deviation of the last values: a value is strange more than `k` deviations from the mean.

Source: the rolling z-score. The window ends where the training data end: fit again as the series
goes on, or use `stream`, which learns as it goes. It fails on seasons longer than the window. A fit
looks at `window` values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from core.errors import BadInput
from detection.series.contract import BandDetector, Parameters, SeriesDetectorKind
from detection.series.moments import compute_moments

DEFAULT_WINDOW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingAverage(BandDetector):
    """The last training values, by their mean and deviation."""

    tail: list[float]

    @classmethod
    def fit(
        cls, _timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Keep the last values.

        Raises BadInput where they are all equal or the range is not finite.
        """
        tail = list(values[-(parameters.window or DEFAULT_WINDOW) :])
        if min(tail) == max(tail):
            raise BadInput(
                f"the last {len(tail)} values are all {tail[0]:g}: nothing could be normal but that"
                " value; name a larger `window`, or another detector",
                reason="tail_constant",
            )
        return cls(tail=tail, k=parameters.k, direction=parameters.direction).check()

    def measure(self) -> tuple[float, float]:
        """Return mean and deviation of the tail."""
        return compute_moments(self.tail)


KIND = SeriesDetectorKind(
    name="moving_average",
    summary="a value more than k standard deviations from the mean of the last values",
    defaults=Parameters(k=3.0, direction="both", window=DEFAULT_WINDOW),
    options=frozenset({"k", "direction", "window"}),
    least_points=2,
    fit=MovingAverage.fit,
    load=MovingAverage.load,
)
