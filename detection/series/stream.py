"""A detector that learns as it goes: a point is strange whose pattern is unlike the nearest of the
remembered patterns.

The pattern of a point is the point with the values before it. Its distance is the mean distance to
its nearest neighbours among the remembered patterns. The score is the share of the latest distances
that were smaller, converted to the standard deviations of a normal variable with that share below.
After an anomaly the detector rests, so that one event is reported once. The expected value is the
one that followed the neighbours of the values before the point.

Source: conformal nearest-neighbour detection (Burnaev and Ishimtsev 2016), with plain Euclidean
distances. It fails where something strange comes so slowly that it is learned. A judgement costs
one distance for each remembered pattern, at most a thousand; a fit costs as much for each of the
last thousand points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from math import ceil, copysign, dist, fsum, hypot, sqrt
from operator import sub
from statistics import NormalDist
from typing import Self

from core.errors import BadInput
from detection.series.contract import Judgement, Parameters, SeriesDetectorKind, State, clip

MOST_LAGS = 19
POINTS_A_LAG = 4
NEIGHBOURS = 10
MOST_MEMORY = 1_000
REST_SHARE = 0.2
# A distance is ranked among so many times as many distances as there are remembered patterns.
RANKED_SHARE = 2.5
# The number of deviations that a normal variable exceeds 15 times in a thousand.
NORMAL = NormalDist()
DEFAULT_K = NORMAL.inv_cdf(0.985)


@dataclass(slots=True)
class Stream:
    """The detector's memory, which changes as it learns; `load` of its state makes a copy.

    Attributes:
        values: the latest values, enough for `memory` patterns apart from the latest ones.
        distances: of the latest points, some more than `memory`, the oldest first.
        rest: for how many more points no anomaly is reported.
        last_timestamp: time of the last point learned.
        lags: points of a pattern.
        memory: how many patterns are remembered.
        k: the score beyond which a point is an anomaly.
    """

    values: list[float]
    distances: list[float]
    rest: int
    last_timestamp: int
    lags: int
    memory: int
    k: float
    _contexts: list[tuple[float, ...]] = field(init=False)

    def __post_init__(self) -> None:
        width = self.lags - 1
        starts = range(len(self.values) - width + 1)
        self._contexts = [tuple(self.values[start : start + width]) for start in starts]

    @classmethod
    def fit(
        cls, timestamps: Sequence[int], values: Sequence[float], parameters: Parameters
    ) -> Self:
        """Learn the last points of a history one after the other.

        Raises BadInput where no point could ever be strange.
        """
        memory = min(len(values), MOST_MEMORY)
        _check_rank(memory, parameters.k)
        lags = min(MOST_LAGS, memory // POINTS_A_LAG)
        seed = len(values) - memory + lags
        detector = cls(
            list(values[seed - lags : seed]),
            [],
            0,
            timestamps[seed - 1],
            lags,
            memory,
            parameters.k,
        )
        for timestamp, value in zip(timestamps[seed:], values[seed:], strict=True):
            detector.learn(timestamp, value)
        detector.rest = 0
        # While few patterns are remembered, all points are far from them. These early distances
        # would hide strange points later.
        del detector.distances[: len(detector.distances) // 2]
        return detector

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back; it shares nothing with the state."""
        return cls(
            **{**state, "values": list(state["values"]), "distances": list(state["distances"])}
        )

    def to_state(self) -> State:
        """Return the detector's memory and parameters."""
        names = ("values", "distances", "rest", "last_timestamp", "lags", "memory", "k")
        return {name: getattr(self, name) for name in names}

    def judge(self, _timestamp: int, value: float) -> Judgement:
        """Judge a point as if it came next."""
        return self._judge(value)[0]

    def learn(self, timestamp: int, value: float) -> Judgement:
        """Judge a point and remember it.

        Raises BadInput where it is not later than the last one.
        """
        if timestamp <= self.last_timestamp:
            raise BadInput(
                f"the point of {timestamp} is not later than the last one learned, of"
                f" {self.last_timestamp}; a detector that learns as it goes takes points in order"
                " of time",
                reason="timestamp_not_later",
            )
        judgement, distance = self._judge(value)
        self.rest = int(REST_SHARE * self.memory) if judgement.anomaly else max(0, self.rest - 1)
        self.last_timestamp = timestamp
        self.values.append(value)
        self._contexts.append(tuple(self.values[-self.lags + 1 :]))
        self.distances.append(distance)
        surplus = len(self._contexts) - (self.memory + self.lags + 1)
        if surplus > 0:
            del self.values[:surplus], self._contexts[:surplus]
        if len(self.distances) > RANKED_SHARE * self.memory:
            del self.distances[0]
        return judgement

    def _judge(self, value: float) -> tuple[Judgement, float]:
        """Return the judgement and the distance of the pattern that ends with `value`."""
        context = self._contexts[-1]
        # Patterns that overlap with this one are near only because they share values with it.
        apart = len(self._contexts) - 1 - self.lags
        count = apart if apart > NEIGHBOURS else len(self._contexts) - 1
        followers = self.values[self.lags - 1 :]
        befores = list(map(partial(dist, context), self._contexts[:count]))
        wholes = map(hypot, befores, map(sub, repeat(value), followers))
        distance = _average(sorted(wholes)[:NEIGHBOURS])
        nearest = sorted(befores)[:NEIGHBOURS]
        likely = [
            after
            for before, after in zip(befores, followers, strict=False)
            if before <= nearest[-1]
        ]
        expected = _average(likely)
        score = copysign(self._rank(distance), value - expected) + 0.0
        reach = self._reach(_average(nearest))
        is_strange = abs(score) > self.k and self.rest == 0
        return (
            Judgement(is_strange, score, expected, clip(expected - reach), clip(expected + reach)),
            distance,
        )

    def _rank(self, distance: float) -> float:
        """Return how rare a distance is among the latest ones, in deviations of a normal variable,
        at least 0.
        """
        share = sum(map(distance.__gt__, self.distances)) / (len(self.distances) + 1)
        return NORMAL.inv_cdf(share) if share > 0.5 else 0.0

    def _reach(self, nearest: float) -> float:
        """Return how far from the expected value a value is still normal, where the nearest context
        before it has the distance `nearest`.
        """
        if not self.distances:
            return 0.0
        ordered = sorted(self.distances)
        place = ceil(NORMAL.cdf(self.k) * (len(ordered) + 1)) - 1
        farthest = ordered[min(place, len(ordered) - 1)]
        return sqrt(farthest - nearest) * sqrt(farthest + nearest) if farthest > nearest else 0.0


def _check_rank(memory: int, k: float) -> None:
    """Raise BadInput where even the largest distance could not have a score beyond `k`."""
    if _find_highest(memory) > k:
        return
    message = f"no point could ever be strange: of {memory} points the highest score is"
    message += f" {_find_highest(memory):.2f}, and `k` is {k:.2f}"
    most = _find_highest(MOST_MEMORY)
    raise BadInput(
        f"{message}; send more points, or name a smaller `k`"
        if most > k
        else f"{message}; name a `k` below {most:.2f}, or use another detector, such as `mad`",
        reason="k_beyond_scores",
    )


def _find_highest(memory: int) -> float:
    """Return the score of a distance that is larger than all ranked ones."""
    ranked = int(RANKED_SHARE * memory)
    return NORMAL.inv_cdf(ranked / (ranked + 1))


def _average(numbers: Sequence[float]) -> float:
    """Return the mean of a few numbers, which may be so large that their sum is infinite."""
    return clip(fsum(clip(number) / len(numbers) for number in numbers)) if numbers else 0.0


KIND = SeriesDetectorKind(
    name="stream",
    summary=(
        "a pattern of values unlike the nearest of those seen before; it learns from stored"
        " predictions"
    ),
    defaults=Parameters(k=DEFAULT_K, direction="both"),
    options=frozenset({"k"}),
    least_points=27,  # With fewer points no distance can be rarer than the default `k`.
    fit=Stream.fit,
    load=Stream.load,
    learns=True,
)
