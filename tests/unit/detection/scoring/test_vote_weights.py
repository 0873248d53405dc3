"""Weights learned from labels, compared with the loss written out, and on votes of known value."""

from math import exp, log

import numpy as np
import pytest

from detection.scoring.vote_weights import compute_loss, learn_weights

PRIOR = np.array([0.6, 0.4, 0.0])


def draw(seed: int, labels: int, *, worth: float) -> tuple[np.ndarray, np.ndarray]:
    """Return votes of three members, of which only the last one is informative, and the truth."""
    random = np.random.default_rng(seed)
    is_true = random.permutation(labels) < labels / 2
    grades = np.clip(random.normal(60, 12, (labels, 3)), 0, 100)
    grades[:, 2] = np.clip(grades[:, 2] + worth * np.where(is_true, 1, -1), 0, 100)
    grades[random.random((labels, 3)) < 0.1] = np.nan
    grades[:, 0] = np.where(np.isnan(grades).all(axis=1), 50.0, grades[:, 0])
    return grades, is_true


def test_the_loss_equals_that_of_all_pairs_written_out() -> None:
    grades, is_true = draw(1, 12, worth=5.0)

    def vote(own: np.ndarray) -> float:
        said = [(w, g) for w, g in zip(PRIOR, own, strict=True) if not np.isnan(g)]
        return sum(w * g for w, g in said) / sum(w for w, _ in said)

    said = is_true[:, None] & ~is_true[None, :]
    pairs = [log(1 + exp(-(vote(grades[a]) - vote(grades[b])) / 10)) for a, b in np.argwhere(said)]
    assert compute_loss(PRIOR, grades, is_true) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("seed", range(4))
def test_the_informative_member_gets_the_weight(seed: int) -> None:
    learned = learn_weights(*draw(seed, 200, worth=15.0), PRIOR)
    assert learned.weights.argmax() == 2
    assert learned.weights.sum() == pytest.approx(1.0)
    assert learned.has_gain
    assert learned.ordered > 0.85
    assert learned.ordered_before < 0.65


def test_uninformative_votes_give_no_gain_and_few_labels_change_little() -> None:
    gains = [learn_weights(*draw(seed, 60, worth=0.0), PRIOR).has_gain for seed in range(20)]
    assert sum(gains) <= 4
    grades, is_true = draw(3, 400, worth=15.0)
    few, many = (learn_weights(grades[:n], is_true[:n], PRIOR).weights[2] for n in (40, 400))
    assert 0.0 < few < many
