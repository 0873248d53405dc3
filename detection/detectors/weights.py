"""The members of an ensemble, their weights and votes; importable without numpy."""

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
# Members that take some twenty times as long as the forest. They vote only where the weights name
# each member (`lstm=1,zscore=2`), not where they have a name (`seed`).
SLOW_MEMBERS = frozenset({"lstm"})
# Weights of this name are learned from labels at each training, which stores them as numbers.
MEASURED = "measured"
MOST_WEIGHT = 1_000.0
# From this grade on (one bar in a hundred) a member agrees that a bar is strange.
AGREES = 50.0


class Vote(TypedDict):
    """One member's vote on a bar; `missing` is the reason where the member has none, else None."""

    detector: str
    weight: float
    score: float | None
    grade: float | None
    missing: str | None


@dataclass(frozen=True, slots=True)
class WeightsParameter:
    """Weights as a parameter: by a name such as `seed`, or a number each, as `zscore=1,mad=2`."""

    default: str
    choices: tuple[str, ...]
    meaning: str

    def read(self, name: str, value: object) -> str:
        """Return the given weights in their canonical form.

        Raises BadInput where they are neither a known name nor weights of members, or all 0.
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
    """Return the weights of a text such as `zscore=1,mad=2`.

    Raises BadInput on an unknown or repeated member, on a weight out of range, and where all are 0.
    """
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
    the weight of those that could score it; 0 where none could.
    """
    voted = [vote for vote in votes if vote["grade"] is not None]
    total = sum(vote["weight"] for vote in voted)
    agree = sum(v["weight"] for v in voted if v["grade"] is not None and v["grade"] >= AGREES)
    return agree / total if total else 0.0
