"""Weights of an ensemble's members, learned from the labels of its anomalies.

A vote E is the mean of the members' grades by weight. Weights are good where true anomalies have
higher votes than false alarms. The loss is the mean of log(1 + exp(-(E true - E false) / 10)) over
all pairs of a true anomaly and a false alarm (a logistic pairwise loss, as in Burges et al.,
Learning to Rank using Gradient Descent, 2005; 10 grades are a factor of 2.5 in rarity). A prior
pulls towards the default weights as strongly as 20 labels. Learned weights are better than the
default ones only where they order more pairs correctly, of labels that they were not learned from:
by cross-validation in five parts, each judged by weights learned from the other four.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from core.arrays import Bools, Float64

GRADES_A_NAT = 10.0
PRIOR_LABELS = 20.0
FOLDS = 5
# Learned weights must beat the default ones by more than so many standard errors.
LEAST_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class LearnedWeights:
    """Weights learned from labels, with how good they are.

    Attributes:
        weights: shape (m,), of each member; they add up to 1.
        ordered, ordered_before: the share of held-out pairs that are in order by learned weights
            and by the default weights; means over the parts of the cross-validation.
        error: standard error of the difference of the two.
    """

    weights: Float64
    ordered: float
    ordered_before: float
    error: float

    @property
    def has_gain(self) -> bool:
        """Return whether they beat the default weights by more than chance makes likely."""
        return self.ordered - self.ordered_before > LEAST_ERRORS * self.error


def learn_weights(grades: Float64, is_true: Bools, prior: Float64) -> LearnedWeights:
    """Return the weights learned from labelled anomalies.

    Args:
        grades: shape (n, m), by time, the members' votes; NaN where a member has none.
        is_true: shape (n,), at least `FOLDS` of either kind.
        prior: shape (m,), the default weights.
    """
    prior = prior / prior.sum()
    parts = np.empty(len(is_true), np.int64)
    for kind in (True, False):
        own = np.flatnonzero(is_true == kind)
        parts[own] = np.arange(own.size) * FOLDS // own.size
    ordered = np.empty((2, FOLDS))
    for part in range(FOLDS):
        held = parts == part
        learned = _fit(grades[~held], is_true[~held], prior)
        for row, weights in enumerate((learned, prior)):
            ordered[row, part] = count_ordered(weights, grades[held], is_true[held])
    gains = ordered[0] - ordered[1]
    return LearnedWeights(
        _fit(grades, is_true, prior),
        float(ordered[0].mean()),
        float(ordered[1].mean()),
        float(gains.std(ddof=1) / np.sqrt(FOLDS)),
    )


def compute_loss(weights: Float64, grades: Float64, is_true: Bools) -> float:
    """Return the mean loss over all pairs of a true anomaly and a false alarm."""
    votes = _count_votes(weights, grades)
    apart = votes[is_true][:, None] - votes[~is_true][None, :]
    return float(np.logaddexp(0.0, -apart / GRADES_A_NAT).mean())


def count_ordered(weights: Float64, grades: Float64, is_true: Bools) -> float:
    """Return the share of all pairs whose true anomaly has the higher vote; ties count half."""
    votes = _count_votes(weights, grades)
    apart = votes[is_true][:, None] - votes[~is_true][None, :]
    return float((apart > 0.0).mean() + (apart == 0.0).mean() / 2.0)


def _fit(grades: Float64, is_true: Bools, prior: Float64) -> Float64:
    weight_of_prior = PRIOR_LABELS / len(is_true)

    def count(weights: Float64) -> float:
        shares = weights / weights.sum()
        away = float(np.square(shares - prior).sum())
        return compute_loss(shares, grades, is_true) + weight_of_prior * away

    # Start with some weight for each member: one whose default weight is 0 may have to gain some.
    begin = 0.9 * prior + 0.1 / prior.size
    found = minimize(count, begin, method="L-BFGS-B", bounds=[(1e-6, 1.0)] * prior.size)
    weights: Float64 = found.x / found.x.sum()
    return weights


def _count_votes(weights: Float64, grades: Float64) -> Float64:
    """Return the vote E of each row of `grades` (n, m) over the members that have one, shape (n,);
    0 where none has.
    """
    said = ~np.isnan(grades)
    total = np.where(said, weights, 0.0).sum(axis=1)
    votes: Float64 = np.where(said, np.nan_to_num(grades) * weights, 0.0).sum(axis=1)
    votes /= np.maximum(total, 1e-12)
    return votes
