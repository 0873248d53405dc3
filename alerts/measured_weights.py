"""The weights of an ensemble measured from labels; used only if they improve on the default
ones.
"""

from dataclasses import dataclass

import numpy as np

from alerts.learned import find_enough_votes
from core.errors import BadInput
from detection.detectors.weights import DEFAULT_WEIGHTS, MEMBERS, NAMED_WEIGHTS
from detection.scoring.vote_weights import LearnedWeights, learn_weights
from records.database import Db

# A member that voted on a smaller share of the labelled anomalies gets no weight.
LEAST_VOTED = 0.5


@dataclass(frozen=True, slots=True)
class MeasuredWeights:
    """Weights measured from labels, as a training takes them, and how they were evaluated."""

    weights: str
    labels: int
    learned: LearnedWeights


def measure_weights(database: Db, market: str, interval: str) -> MeasuredWeights:
    """Return the weights that the labels of a market's anomalies suggest."""
    votes = find_enough_votes(database, market, interval)
    members = [
        member
        for member in MEMBERS
        if sum(member in grades for grades, _ in votes) >= LEAST_VOTED * len(votes)
    ]
    grades = np.array([[own.get(member, np.nan) for member in members] for own, _ in votes])
    is_true = np.array([is_true for _, is_true in votes], np.bool_)
    prior = np.array([NAMED_WEIGHTS[DEFAULT_WEIGHTS].get(member, 0.0) for member in members])
    learned = learn_weights(grades, is_true, prior if prior.any() else np.ones(len(members)))
    rounded = zip(members, learned.weights.round(3).tolist(), strict=True)
    weights = ",".join(f"{member}={weight:g}" for member, weight in rounded if weight > 0.0)
    return MeasuredWeights(weights, len(votes), learned)


def choose_measured_weights(database: Db, market: str, interval: str) -> str:
    """Return measured weights as a training takes them.

    Raises NotFound where too few anomalies of an ensemble are labelled, and BadInput where the
    weights are no gain over the default ones.
    """
    measured = measure_weights(database, market, interval)
    learned = measured.learned
    if not learned.has_gain:
        raise BadInput(
            f"weights measured by {measured.labels} labels are no gain: of pairs of labels that"
            f" they were not learned from they bring {100 * learned.ordered:.0f} % into order,"
            f" {DEFAULT_WEIGHTS} {100 * learned.ordered_before:.0f} %. Train with --weights"
            f" {DEFAULT_WEIGHTS}, or label more",
            reason="no_gain",
        )
    return measured.weights
