"""The members of an ensemble, the weights by which they vote, and votes; known without numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from core.errors import BadInput

# Which detectors may be members, in the order in which their votes are added.
MEMBERS = (
    "isolation_forest",
    "half_space_trees",
    "pca_window",
    "lstm",
    "zscore",
    "mad",
    "moving_average",
)
NAMED_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "seed": {"lstm": 0.5, "half_space_trees": 0.3, "isolation_forest": 0.2},
    "equal": dict.fromkeys(MEMBERS, 1.0),
}
DEFAULT_WEIGHTS = "seed"
# What takes some twenty times as long as the forest votes only where weights are written out.
SLOW_MEMBERS = frozenset({"lstm"})
# By this name weights are learned from labels at each training, which stores them as numbers.
MEASURED = "measured"
MOST_WEIGHT = 1_000.0
# A member agrees that a bar is strange from this grade on: one bar in a hundred.
AGREES = 50.0


class Vote(TypedDict):
    """What one member of an ensemble said of a bar; `missing` is why it said nothing, else None."""

    detector: str
    weight: float
    score: float | None
    grade: float | None
    missing: str | None


@dataclass(frozen=True, slots=True)
class WeightsParameter:
    """Weights by name, such as `seed`, or each by its member, as `zscore=1,mad=2`."""

    default: str
    choices: tuple[str, ...]
    meaning: str

    def read(self, name: str, value: object) -> str:
        """Return weights that were given, written in one way.

        Raises BadInput where they are none of the named ones, of no member, or all 0.
        """
        if value in self.choices:
            return str(value)
        weights = parse_weights(name, value)
        return ",".join(f"{member}={weight:g}" for member, weight in weights.items())


def find_weights(value: str) -> Mapping[str, float]:
    """Return the weight of each member that has one above 0, in the order of `MEMBERS`."""
    found = NAMED_WEIGHTS.get(value) or parse_weights("weights", value)
    return {member: found[member] for member in MEMBERS if found.get(member, 0.0) > 0.0}


def parse_weights(name: str, value: object) -> dict[str, float]:
    """Read `member=weight` with commas between. Raises BadInput."""
    weights: dict[str, float] = {}
    for part in str(value).split(","):
        member, _, number = (word.strip() for word in part.partition("="))
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if member not in MEMBERS or member in weights or not 0.0 <= weight <= MOST_WEIGHT:
            raise BadInput(
                f"{name} {str(value)[:200]!r} cannot be used, for {part.strip()[:40]!r}: name"
                f" {' or '.join((*NAMED_WEIGHTS, MEASURED))}, or give each member once a weight"
                f" from 0 to {MOST_WEIGHT:,.0f}, as in zscore=1,mad=2. Members are"
                f" {', '.join(MEMBERS)}"
            )
        weights[member] = weight
    if not any(weights.values()):
        raise BadInput(
            f"{name} {str(value)[:200]!r} cannot be used: all weights are 0, so that nobody votes;"
            " give one member at least a weight above 0",
            reason="no_weights",
        )
    return {member: weights[member] for member in MEMBERS if member in weights}


def compute_agreement(votes: Sequence[Vote]) -> float:
    """Return the weight of the members that find a bar strange (grade 50 and above), as a share of
    those that could score it; 0 where nobody could.
    """
    voted = [vote for vote in votes if vote["grade"] is not None]
    total = sum(vote["weight"] for vote in voted)
    agree = sum(v["weight"] for v in voted if v["grade"] is not None and v["grade"] >= AGREES)
    return agree / total if total else 0.0
