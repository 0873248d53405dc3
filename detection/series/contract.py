"""The contract of detectors of single series."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from sys import float_info
from typing import Any, Literal, NamedTuple, Protocol, Self, get_args

from core.errors import BadInput

Direction = Literal["above", "below", "both"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

# A detector's state as JSON values: objects, lists, strings, numbers.
State = dict[str, Any]


class Judgement(NamedTuple):
    """A detector's judgement of one point.

    Attributes:
        anomaly: whether the value lies outside the normal range.
        score: distance from the expected value in the detector's own deviations, with its sign.
        expected: the value that was expected, in the unit of the values.
        lower: the least normal value; None where nothing is too low.
        upper: the greatest normal value; None where nothing is too high.
    """

    anomaly: bool
    score: float
    expected: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a caller may choose.

    Attributes:
        k: how many deviations from the expected value are still normal.
        direction: on which side of the normal range a value is strange.
        season: how many points a cycle has; None: find it.
        window: how many of the last values count.
    """

    k: float
    direction: Direction
    season: int | None = None
    window: int | None = None


class SeriesDetector(Protocol):
    """A fitted detector."""

    def judge(self, timestamp: int, value: float) -> Judgement:
        """Judge a point; the detector stays as it is."""
        ...

    def to_state(self) -> State:
        """Return the detector's state, which `load` of its kind reads."""
        ...


class LearningDetector(SeriesDetector, Protocol):
    """A fitted detector that goes on learning from what it judges."""

    def learn(self, timestamp: int, value: float) -> Judgement:
        """Judge a point and learn it. Raises BadInput where it is not later than the last one."""
        ...


@dataclass(frozen=True, slots=True)
class SeriesDetectorKind:
    """A kind of detector: one entry of the catalogue.

    Attributes:
        name: its name in requests.
        summary: what it finds strange, in one sentence.
        defaults: the parameters that count where the caller gives none.
        options: the parameters that the caller may give.
        least_points: the fewest points that it can be fitted to.
        fit: learns from timestamps and values, each of shape (n,), checked by
            `rules.check_training`.
        load: the inverse of `to_state`.
        learns: whether its detectors are `LearningDetector`s.
    """

    name: str
    summary: str
    defaults: Parameters
    options: frozenset[str]
    least_points: int
    fit: Callable[[Sequence[int], Sequence[float], Parameters], SeriesDetector]
    load: Callable[[State], SeriesDetector]
    learns: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A normal range of `k` deviations about an expected value."""

    expected: float
    deviation: float
    lower: float | None
    upper: float | None

    @classmethod
    def build(cls, expected: float, deviation: float, k: float, direction: Direction) -> Self:
        """Return the range; it is open on a side on which no value is strange."""
        reach = k * deviation
        lower = clip(expected - reach) if direction != "above" else None
        upper = clip(expected + reach) if direction != "below" else None
        return cls(expected, deviation, lower, upper)

    def judge(self, value: float) -> Judgement:
        """Judge a value by the range."""
        lower, upper = self.lower, self.upper
        is_strange = (upper is not None and value > upper) or (lower is not None and value < lower)
        score = divide(value - self.expected, self.deviation)
        return Judgement(is_strange, score, self.expected, lower, upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandDetector(ABC):
    """A detector whose normal range is the same for every point; its fields are its whole state."""

    k: float
    direction: Direction
    _band: Band = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_band", Band.build(*self.measure(), self.k, self.direction))

    @abstractmethod
    def measure(self) -> tuple[float, float]:
        """Return the expected value and the deviation."""

    def check(self) -> Self:
        """Return the detector. Raises BadInput where its range is not finite."""
        check_range(*self.measure(), self.k)
        return self

    @classmethod
    def load(cls, state: State) -> Self:
        """Read the detector back."""
        return cls(**state)

    def to_state(self) -> State:
        """Return the detector's fields."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    def judge(self, _timestamp: int, value: float) -> Judgement:
        """Judge a point by its value alone."""
        return self._band.judge(value)


def check_range(expected: float, deviation: float, k: float) -> None:
    """Raise BadInput where a normal range is not finite."""
    reach = k * deviation
    if not (isfinite(expected - reach) and isfinite(expected + reach)):
        raise BadInput(
            f"the normal range of these values, {expected:g} and {k:g} deviations of {deviation:g}"
            f" to both sides, is beyond what a number can hold ({float_info.max:.1e}); scale the"
            " values down",
            reason="range_not_finite",
        )


def clip(value: float) -> float:
    """Return the value, or the largest finite number in its place where it is infinite, as JSON has
    no infinity.
    """
    return max(-float_info.max, min(value, float_info.max))


def divide(distance: float, deviation: float) -> float:
    """Return a distance in deviations, as a number that JSON can hold; 0 of 0 is 0."""
    if distance == 0:
        return 0.0
    if deviation == 0:
        return clip(distance * float("inf"))
    share = distance / deviation
    return share if isfinite(share) else clip(share)
