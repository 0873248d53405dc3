"""The threshold and grades of one market in a model of all markets."""

import numpy as np

from core.arrays import Float64
from detection.models.fitting import ROWS_OF_MARKET, grade_markets
from detection.models.plan import ThresholdPolicy

ASKED = ThresholdPolicy("contamination", 0.01)
OWN, OTHERS = 6_000, 200_000


def draw(rows: int, scale: float) -> Float64:
    """Return evenly spaced scores with an exponential tail below -0.4, strangest first."""
    return -0.4 + scale * np.log((np.arange(rows) + 0.5) / rows)


def test_a_market_reaches_grades_as_often_as_they_promise() -> None:
    """For example coins, which have no gaps: their strangest bars are less strange than those of
    others.
    """
    own, others = draw(OWN, 0.030), draw(OTHERS, 0.033)
    scores = np.concatenate((own, others))
    owners = np.repeat([0, 1], [OWN, OTHERS])
    found = grade_markets(ASKED, scores, owners, ["CRYPTO", "US"])
    later = draw(1_000_000, 0.030)
    threshold, table = found["CRYPTO"]
    assert 0.0067 < (later < threshold).mean() < 0.015
    assert 0.0067 < (table.compute(later) >= 50).mean() < 0.015
    assert 0.00067 < (table.compute(later) >= 75).mean() < 0.0015


def test_one_crisis_among_few_bars_does_not_set_a_markets_grades() -> None:
    """60 of 2,100 bars belong to a crisis: by its own bars alone, only bars as strange
    as these would be the strangest hundredth.
    """
    calm, crisis = draw(2_040, 0.030), np.linspace(-0.9, -0.7, 60)
    scores = np.concatenate((calm, crisis, draw(OTHERS, 0.030)))
    owners = np.repeat([0, 1], [2_100, OTHERS])
    threshold, _ = grade_markets(ASKED, scores, owners, ["US", "LSE"])["US"]
    alone = np.quantile(np.concatenate((calm, crisis)), 0.01)
    assert alone < -0.7
    assert threshold > alone


def test_a_market_with_few_bars_has_no_grades_of_its_own() -> None:
    scores = draw(10_000, 0.030)
    owners = np.repeat([0, 1], [ROWS_OF_MARKET - 1, 10_001 - ROWS_OF_MARKET])
    assert grade_markets(ASKED, scores, owners, ["US", "LSE"]).keys() == {"LSE"}
