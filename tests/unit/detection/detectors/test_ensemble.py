"""The ensemble's votes compared with its members asked one by one, and its errors for bad
weights.
"""

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from detection.detectors.catalogue import DETECTORS
from detection.detectors.contract import attribute_rows, score_rows
from detection.detectors.ensemble import OF_RETURNS, Ensemble, Member
from detection.detectors.rows import SeriesRows
from detection.detectors.weights import MEMBERS, compute_agreement, find_weights
from detection.features.compute import compute_features
from detection.features.feature_sets import FAMILY, get_feature_set
from detection.models.rows import lay_out_rows
from tests.unit.detection.features.twin import build_panel, draw_bars, read_real_bars

KIND = DETECTORS["ensemble"]
WEIGHTS = "isolation_forest=1,half_space_trees=2,mad=0.5,zscore=0"


def show(*series: pd.DataFrame) -> SeriesRows:
    panel = build_panel(*series)
    features = compute_features(panel, panel.offsets[:-1], FAMILY)
    return lay_out_rows(panel, features, FAMILY, np.arange(features.rows.size))


def fit(rows: SeriesRows, weights: str) -> Ensemble:
    detector = KIND.load(
        KIND.fit(rows, seed=3, parameters=KIND.read_parameters({"weights": weights}))
    )
    assert isinstance(detector, Ensemble)
    return detector


@pytest.fixture(scope="module")
def rows() -> SeriesRows:
    return show(read_real_bars()["IBM"], draw_bars(1, 1200))


@pytest.fixture(scope="module")
def ensemble(rows: SeriesRows) -> Ensemble:
    return fit(rows, WEIGHTS)


def grade_slowly(scores: np.ndarray) -> np.ndarray:
    """Return 25 x -log10 of the share of scores at least as strange, up to 100."""
    ordered = np.sort(scores)
    shares = np.searchsorted(ordered, scores, side="right") / len(scores)
    return np.minimum(-25 * np.log10(shares), 100.0)


def test_its_votes_equal_those_of_its_members_asked_one_by_one(
    ensemble: Ensemble, rows: SeriesRows
) -> None:
    votes, weights = np.zeros(len(rows.wanted)), np.zeros(len(rows.wanted))
    for name, weight in (("isolation_forest", 1.0), ("half_space_trees", 2.0), ("mad", 0.5)):
        kind = DETECTORS[name]
        columns = slice(0, 1) if name in OF_RETURNS else slice(1, None)
        own = SeriesRows(
            np.ascontiguousarray(rows.inputs[:, columns]),
            rows.offsets,
            rows.places,
            np.flatnonzero(rows.places >= kind.warm_up_bars),
        )
        detector = kind.load(kind.fit(own, seed=3, parameters=kind.get_defaults()))
        votes[own.wanted] += weight * grade_slowly(score_rows(detector, own))
        weights[own.wanted] += weight
    found = score_rows(ensemble, rows)
    # The grade table has ranks that lie 1 % apart: 0.11 of a grade.
    np.testing.assert_allclose(found, -votes / weights / 100, rtol=0, atol=0.0025)


def test_the_weight_of_a_member_that_cannot_score_a_bar_goes_to_the_others(
    ensemble: Ensemble, rows: SeriesRows
) -> None:
    early, late = ensemble.describe_votes(rows.want(np.array([10, 2000])))
    assert [vote["missing"] for vote in early] == [None, "not_enough_bars", "not_enough_bars"]
    assert [vote["missing"] for vote in late] == [None, None, None]
    assert [vote["detector"] for vote in late] == ["isolation_forest", "half_space_trees", "mad"]
    (score,) = score_rows(ensemble, rows.want(np.array([10])))
    assert early[0]["grade"] is not None
    assert score == pytest.approx(-early[0]["grade"] / 100)
    assert early[1]["score"] is early[1]["grade"] is None


# Only the network can score a bar without its market's move.
@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "lstm"])
def test_a_member_gets_only_the_columns_that_it_reads(name: str) -> None:
    own, member = DETECTORS[name], Member(DETECTORS[name], 1.0)
    for whole, alone in (
        (KIND.feature_set, own.feature_set),
        (KIND.intraday_feature_set, own.intraday_feature_set),
    ):
        seen = get_feature_set(whole).columns[member.columns]
        assert seen == get_feature_set(alone).columns


def test_score_and_votes_agree(ensemble: Ensemble, rows: SeriesRows) -> None:
    some = rows.want(rows.wanted[::300])
    for votes, score in zip(ensemble.describe_votes(some), score_rows(ensemble, some), strict=True):
        voted = [(v["weight"], v["grade"]) for v in votes if v["grade"] is not None]
        expected = sum(w * g for w, g in voted) / sum(w for w, _ in voted)
        assert score == pytest.approx(-expected / 100, abs=1e-12)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_members_that_are_skipped_could_not_have_changed_the_result(
    ensemble: Ensemble, rows: SeriesRows, share: float
) -> None:
    scores = ensemble.score_series(rows)
    bound = float(np.quantile(scores, share))
    found = ensemble.score_series(rows, below=bound)
    np.testing.assert_array_equal(found < bound, scores < bound)
    np.testing.assert_array_equal(found[found < bound], scores[scores < bound])


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_the_forest_scores_only_bars_whose_cell_allows_a_low_enough_score(
    rows: SeriesRows, share: float
) -> None:
    detector = fit(rows, "seed")
    scores = detector.score_series(rows)
    bounds = np.full(len(scores), np.quantile(scores, share))
    bounds[::7] = 0.0  # All of these rows are scored exactly.
    found = detector.score_series(rows, below=bounds)
    np.testing.assert_array_equal(found < bounds, scores < bounds)
    np.testing.assert_array_equal(found[found < bounds], scores[scores < bounds])
    ballot = detector.vote(rows, needed=-100 * float(np.quantile(scores, 0.01)))
    assert np.isfinite(ballot.scores[0]).mean() < 0.1


def test_agreement_is_the_weight_of_members_with_grade_50_or_more() -> None:
    def vote(weight: float, grade: float | None) -> dict:
        return {"detector": "mad", "weight": weight, "score": 0.0, "grade": grade, "missing": None}

    assert compute_agreement([vote(0.5, 80.0), vote(0.3, 49.9), vote(0.2, 50.0)]) == pytest.approx(
        0.7
    )
    assert compute_agreement([vote(0.5, None), vote(0.3, 60.0)]) == 1.0
    assert compute_agreement([vote(0.5, None)]) == 0.0


def test_a_planted_shock_is_found_and_attributed_to_its_column(ensemble: Ensemble) -> None:
    bars = draw_bars(1, 1200)
    bars.loc[1000, ["close", "high"]] = bars.loc[999, "close"] * 1.6
    planted = show(bars)
    scores = score_rows(ensemble, planted)
    at = 1000 - FAMILY.warm_up_bars
    assert np.argmin(scores) in (at, at + 1)
    (shares,) = attribute_rows(ensemble, planted.want(np.array([at])))
    assert shares.sum() == pytest.approx(1.0)
    by_column = dict(zip(FAMILY.columns, shares, strict=True))
    assert by_column["gap_fast"] == shares.min()
    assert by_column["return_percent"] > 0.1


def test_members_with_too_few_bars_are_named_and_having_none_left_is_an_error() -> None:
    young = show(draw_bars(2, 200))
    votes = fit(young, "isolation_forest=1,half_space_trees=1").describe_votes(young)
    assert votes[0][1]["missing"] == "not_enough_bars"
    with pytest.raises(BadInput, match="no member of the ensemble could be fitted; half_space"):
        fit(young, "half_space_trees=1")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("zscore=0,mad=0", "all weights are 0"),
        ("oracle=1", "name seed or equal or measured, or give each member once"),
        ("zscore=1,zscore=2", "for 'zscore=2'"),
        ("zscore=-1", "a weight from 0 to 1,000"),
        ("zscore=nan", "a weight from 0 to 1,000"),
        ("zscore", "for 'zscore'"),
        ("", "for ''"),
        ("democracy", "for 'democracy'"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        KIND.read_parameters({"weights": weights})


def test_weights_are_read_in_the_order_of_the_members() -> None:
    assert KIND.read_parameters({"weights": " mad = 2 , isolation_forest=.5 "}) == {
        "weights": "isolation_forest=0.5,mad=2"
    }
    assert find_weights("isolation_forest=0.5,mad=2,zscore=0") == {
        "isolation_forest": 0.5,
        "mad": 2.0,
    }
    assert list(find_weights("equal")) == list(MEMBERS)
    assert KIND.find_warm_up_bars({"weights": "mad=1,half_space_trees=1"}) == 60
