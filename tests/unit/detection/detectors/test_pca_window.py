"""The residual of windows compared with scikit-learn's PCA, and the detection of a planted bar."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from detection.detectors import pca_window
from detection.detectors.pca_window import EXPLAINED, LIMIT, WINDOW
from detection.detectors.rows import SeriesRows
from detection.features.compute import compute_features
from detection.features.feature_sets import TWO_YARDSTICKS
from tests.unit.detection.features.twin import build_panel, read_real_bars


@pytest.fixture(scope="module")
def rows() -> SeriesRows:
    panel = build_panel(read_real_bars()["IBM"])
    shown = SeriesRows.of_one(compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS).inputs)
    return shown.want(shown.wanted[WINDOW - 1 :])


def test_scores_and_shares_equal_scikit_learns(rows: SeriesRows) -> None:
    detector = pca_window.load(pca_window.fit(rows, seed=1))
    width = rows.inputs.shape[1]
    windows = np.array(
        [rows.inputs[row - WINDOW + 1 : row + 1].ravel() for row in rows.wanted], np.float64
    )
    scaled = StandardScaler().fit_transform(windows)
    pca = PCA(EXPLAINED, svd_solver="full").fit(scaled)
    assert 1 < pca.n_components_ < windows.shape[1] / 2
    left = (scaled - pca.inverse_transform(pca.transform(scaled)))[:, -width:]
    # A bar that is smaller than its reconstruction does not count as strange.
    off = np.maximum(left / left.std(axis=0), 0)
    assert ((off == 0).all(axis=1)).any()
    distance = np.sqrt((off**2).mean(axis=1))
    expected = -distance / (distance + LIMIT)
    np.testing.assert_allclose(detector.score_series(rows), expected, rtol=0, atol=1e-9)
    off[(off == 0).all(axis=1)] = 1
    shares = off**2 / (off**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(detector.attribute_series(rows), shares, rtol=0, atol=1e-6)


def test_only_the_last_bar_of_a_window_counts(rows: SeriesRows) -> None:
    detector = pca_window.load(pca_window.fit(rows, seed=1))
    planted = rows.inputs.copy()
    planted[2000, 2] = 15.0
    scores = detector.score_series(SeriesRows.of_one(planted).want(rows.wanted))
    assert rows.wanted[np.argmin(scores)] == 2000
    # The next 19 bars, whose windows contain it, are far less strange.
    after = scores[2001 - WINDOW + 1 : 2020 - WINDOW + 1]
    assert after.min() > scores.min() + 0.15
    (shares,) = detector.attribute_series(SeriesRows.of_one(planted).want(np.array([2000])))
    assert shares.argmax() == 2


def test_the_sample_of_windows_depends_only_on_the_seed(rows: SeriesRows) -> None:
    one, other, third = (pca_window.draw_rows(rows, seed, most=100) for seed in (1, 1, 2))
    assert one.tolist() == other.tolist() == sorted(set(one.tolist()))
    assert one.tolist() != third.tolist()
    assert set(one.tolist()) <= set(rows.wanted.tolist())
