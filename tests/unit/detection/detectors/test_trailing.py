"""The detectors of returns compared with pandas, SciPy and statistics worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.errors import BadInput
from detection.detectors import mad, moving_average, zscore
from detection.detectors.rows import SeriesRows
from tests.unit.detection.features.twin import read_real_bars

WINDOW, LEAST = 60, 0.01


def draw_returns() -> pd.Series:
    """Return returns in percent: real ones, a run without moves, and a run that seldom moves."""
    real = read_real_bars()["IBM"]["close"].pct_change().dropna().to_numpy() * 100
    random = np.random.default_rng(5)
    seldom = np.where(random.random(400) < 0.2, random.normal(0, 2, 400), 0.0)
    return pd.Series(np.concatenate([real, np.zeros(150), seldom]).astype(np.float32), dtype=float)


def judge(module, returns: pd.Series) -> np.ndarray:
    """Return the scores of all returns that have 60 before them."""
    rows = SeriesRows.of_one(returns.to_numpy(np.float32)[:, None])
    detector = module.load(module.fit(rows, seed=1))
    return detector.score_series(rows.want(np.arange(WINDOW, len(returns))))


def to_score(strangeness: pd.Series, limit: float) -> np.ndarray:
    found = strangeness.to_numpy()[WINDOW:]
    return -found / (found + limit)


def test_zscores_equal_pandas() -> None:
    returns = draw_returns()
    before = returns.shift(1).rolling(WINDOW)
    expected = (returns - before.mean()).abs() / before.std().clip(lower=LEAST)
    np.testing.assert_allclose(judge(zscore, returns), to_score(expected, 3.0), rtol=0, atol=1e-9)


def test_distances_from_the_moving_average_equal_pandas() -> None:
    returns = draw_returns()
    before = returns.shift(1).rolling(WINDOW)
    usual = before.apply(lambda last: np.abs(last - last.mean()).mean(), raw=True)
    expected = (returns - before.mean()).abs() / usual.clip(lower=LEAST)
    found = judge(moving_average, returns)
    np.testing.assert_allclose(found, to_score(expected, 3.0), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_modified_zscores_equal_scipys() -> None:
    returns = draw_returns()
    before = returns.shift(1).rolling(WINDOW)
    median = before.median()
    scale = before.apply(lambda last: stats.median_abs_deviation(last) / 0.6745, raw=True)
    mean = before.apply(lambda last: np.abs(last - np.median(last)).mean() * 1.253314, raw=True)
    assert (scale[WINDOW:] == 0).any()
    expected = (returns - median).abs() / scale.where(scale > 0, mean).clip(lower=LEAST)
    np.testing.assert_allclose(judge(mad, returns), to_score(expected, 3.5), rtol=0, atol=1e-12)


def test_modified_zscores_of_some_rows_equal_those_of_all_to_the_last_bit() -> None:
    """The sorted window that is updated from row to row equals one that is sorted again."""
    returns = draw_returns()
    rows = SeriesRows.of_one(returns.to_numpy(np.float32)[:, None])
    detector, wanted = mad.load(mad.fit(rows, seed=1)), np.arange(WINDOW, len(returns))
    whole = detector.score_series(rows.want(wanted))
    for share in (0.02, 0.5, 0.9):
        some = np.random.default_rng(2).random(len(wanted)) < share
        np.testing.assert_array_equal(detector.score_series(rows.want(wanted[some])), whole[some])


@pytest.mark.parametrize(
    ("module", "limit"),
    [(zscore, 3.0), (mad, 3.5), (moving_average, 3.0)],
    ids=["zscore", "mad", "moving_average"],
)
def test_a_return_at_the_limit_scores_one_half(module, limit: float) -> None:
    # For alternating +1 and -1 the mean and the median are 0, and every distance from them is 1.
    usual = np.tile([1.0, -1.0], 30)
    unit = {zscore: np.sqrt(60 / 59), mad: 1 / 0.6745, moving_average: 1.0}[module]
    returns = pd.Series([*usual, limit * unit])
    np.testing.assert_allclose(judge(module, returns), [-0.5], rtol=0, atol=1e-7)


def test_columns_other_than_the_return_are_refused() -> None:
    rows = SeriesRows.of_one(np.ones((100, 5), np.float32))
    with pytest.raises(BadInput, match="a statistic of returns of 5 columns"):
        zscore.fit(rows, seed=1)
