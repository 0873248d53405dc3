"""Level, trend and season: a value is strange whose residual is beyond `k` deviations of the
training residuals.

The training values are decomposed as in a classical additive decomposition, but with medians in
place of means, so that single outliers change nothing: the trend is the median difference of values
half of the history apart, the season the median of each phase. A point's phase follows from its
time, so gaps do no harm. It fails where the season changes. A fit costs three sorts; finding the
season costs two more Fourier transforms.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import fsum, ldexp
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
from detection.series.moments import compute_median, compute_moments, scale_down
from detection.series.period import find_period

# Where values repeat exactly, rounding leaves residuals of this share of the values' spread.
LEAST_DEVIATION_SHARE = 1e-9
LEAST_CYCLES = 2
# To find the season, there may be at most so many time steps for each point.
MOST_PLACES_A_POINT = 4


@dataclass(frozen=True, slots=True)
class Seasonal:
    """The value that is expected at a time, and how far values usually differ from it.

    Attributes:
        start: time of the first training point, in the unit of the timestamps.
        step: median distance of two points, in the same unit.
        level: expected value at the start, without season.
        trend: change of the level by step.
        season: deviations from the level by phase, one a step; their mean is 0.
        deviation: population standard deviation of the training residuals.
    """

    start: int
    step: float
    level: float
    trend: float
    season: tuple[float, ...]
    deviation: float
    k: float
    direction: Direction

    @classmethod
    def fit(
        cls, timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Decompose the values; find the season where none is given.

        Raises BadInput where the season is longer than half of the data, none is found, or a phase
        has no point.
        """
        start = timestamps[0]
        step = compute_median([after - before for before, after in pairwise(timestamps)])
        places = [round((time - start) / step) for time in timestamps]
        scaled, exponent = scale_down(values)
        season = parameters.season or _find_season(places, scaled)
        if places[-1] + 1 < LEAST_CYCLES * season:
            raise BadInput(
                f"a season of {season} points needs {LEAST_CYCLES * season} at least, and there are"
                f" {places[-1] + 1} steps of {step:g}; send more, or name a shorter `season`",
                reason="season_too_long",
            )
        trend = _compute_trend(dict(zip(places, scaled, strict=True)), season)
        level, phases = _compute_season(
            places, [v - trend * p for v, p in zip(scaled, places, strict=True)], season
        )
        residuals = [
            v - level - trend * p - phases[p % season] for v, p in zip(scaled, places, strict=True)
        ]
        deviation = max(
            compute_moments(residuals)[1], LEAST_DEVIATION_SHARE * compute_moments(scaled)[1]
        )
        detector = cls(
            start,
            step,
            ldexp(level, exponent),
            ldexp(trend, exponent),
            tuple(ldexp(phase, exponent) for phase in phases),
            ldexp(deviation, exponent),
            parameters.k,
            parameters.direction,
        )
        check_range(detector._expect(timestamps[-1]), detector.deviation, parameters.k)
        return detector

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back."""
        return cls(**{**state, "season": tuple(state["season"])})

    def judge(self, timestamp: int, value: float) -> Judgement:
        """Judge a point by the value that is expected at its time."""
        return Band.build(self._expect(timestamp), self.deviation, self.k, self.direction).judge(
            value
        )

    def to_state(self) -> State:
        """Return all components and parameters."""
        return asdict(self)

    def _expect(self, timestamp: int) -> float:
        place = round((timestamp - self.start) / self.step)
        return self.level + self.trend * place + self.season[place % len(self.season)]


def _find_season(places: Sequence[int], values: Sequence[float]) -> int:
    if places[-1] >= MOST_PLACES_A_POINT * len(places):
        raise BadInput(
            "the points are too far from regular to find their season; name it as `season`, in"
            " points",
            reason="no_season",
        )
    known = dict(zip(places, values, strict=True))
    dense, last = [], values[0]
    for place in range(places[-1] + 1):
        last = known.get(place, last)
        dense.append(last)
    period = find_period(dense)
    if period is None:
        raise BadInput(
            f"no period repeats significantly in these {len(values)} points; name one as `season`,"
            " in points, send at least three cycles, or use another detector, such as `mad`",
            reason="no_season",
        )
    return period


def _compute_trend(known: Mapping[int, float], season: int) -> float:
    """Return the change for each step: the median over all pairs that are half of the history
    apart, in whole seasons.

    That distance estimates the trend best, as in the test of Cox and Stuart (1955).
    """
    lag = season * max(1, (max(known) + 1) // season // 2)
    changes = [known[place + lag] - value for place, value in known.items() if place + lag in known]
    return compute_median(changes) / lag if changes else 0.0


def _compute_season(
    places: Sequence[int], values: Sequence[float], season: int
) -> tuple[float, list[float]]:
    """Return the level and, by phase, the deviation from it; the deviations have the mean 0."""
    by_phase: dict[int, list[float]] = defaultdict(list)
    for place, value in zip(places, values, strict=True):
        by_phase[place % season].append(value)
    missing = next((phase for phase in range(season) if phase not in by_phase), None)
    if missing is not None:
        raise BadInput(
            f"no point falls on place {missing + 1} of the season's {season}; name a shorter"
            " `season`",
            reason="season_has_gaps",
        )
    medians = [compute_median(by_phase[phase]) for phase in range(season)]
    level = fsum(medians) / season
    return level, [median - level for median in medians]


KIND = SeriesDetectorKind(
    name="seasonal",
    summary="a value more than k deviations from level, trend and season",
    defaults=Parameters(k=3.0, direction="both"),
    options=frozenset({"k", "direction", "season"}),
    least_points=4,
    fit=Seasonal.fit,
    load=Seasonal.load,
)
