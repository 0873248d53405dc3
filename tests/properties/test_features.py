"""Properties of features for every history: neither the load, nor later bars, nor the scale of
prices make a difference.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detection.detectors.isolation_forest import FlatForest, fit_forest
from detection.features.compute import Features, compute_features
from detection.features.feature_sets import FEATURE_SETS, TWO_YARDSTICKS, FeatureSet
from detection.features.kernel import GRID
from market.bars.history import find_start
from tests.unit.detection.features.twin import (
    build_panel,
    document_all,
    draw_bars,
    read_real_bars,
)

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
histories = st.builds(
    draw_bars,
    st.integers(0, 2**32 - 1),
    st.integers(1, 1500),
    price=st.sampled_from([1e-6, 0.37, 100.0, 1e7]),
    flat=st.sampled_from([0.0, 0.3, 1.0]),
    idle=st.sampled_from([0.0, 0.5, 1.0]),
)
feature_sets = st.sampled_from(FEATURE_SETS)


def compute(bars, feature_set: FeatureSet, interval: str = "1d") -> Features:
    return compute_features(
        build_panel(bars, interval=interval), np.zeros(1, np.int64), feature_set
    )


def assert_identical(some: Features, whole: Features, first: int, shift: int = 0) -> None:
    """Assert that `some` equals `whole`, bit by bit, from stored position `first` on."""
    tail = slice(int(np.searchsorted(whole.rows, first)), None)
    assert (some.rows + shift).tolist() == whole.rows[tail].tolist()
    for name in ("inputs", "measures"):
        assert getattr(some, name).tobytes() == getattr(whole, name)[tail].tobytes(), name
    assert document_all(some).tobytes() == document_all(whole)[tail].tobytes()


@many
@given(histories, feature_sets, st.sampled_from(["1d", "1h", "15m", "1m"]), st.data())
def test_the_loaded_history_does_not_change_a_bit(bars, feature_set, interval, data) -> None:
    bars["session"] = np.arange(len(bars)) // 390
    bars["clock"] = np.arange(len(bars)) % data.draw(st.sampled_from([1, 7, 26, 390]))
    whole = compute(bars, feature_set, interval)
    first = data.draw(st.integers(0, len(bars) - 1))
    start = data.draw(st.integers(0, find_start(first, feature_set.count_history_bars(interval))))
    panel = build_panel(bars, interval=interval, start=start)
    assert_identical(
        compute_features(panel, np.array([first - start]), feature_set), whole, first, start
    )


@many
@given(histories, feature_sets, st.data())
def test_later_bars_change_no_earlier_feature(bars, feature_set, data) -> None:
    last = data.draw(st.integers(0, len(bars) - 1))
    changed = bars.copy()
    changed.loc[last + 1 :, ["open", "high", "low", "close", "volume"]] *= data.draw(
        st.sampled_from([0.0, 3.7, 1e9])
    )
    whole, other = compute(bars, feature_set), compute(changed, feature_set)
    shorter = compute(bars.iloc[: last + 1], feature_set)
    earlier, still_earlier = whole.rows <= last, other.rows <= last
    for name in ("inputs", "measures"):
        expected = getattr(whole, name)[earlier].tobytes()
        assert getattr(other, name)[still_earlier].tobytes() == expected, name
        assert getattr(shorter, name).tobytes() == expected, name
    expected = document_all(whole)[earlier].tobytes()
    assert document_all(other)[still_earlier].tobytes() == expected
    assert document_all(shorter).tobytes() == expected


@many
@given(histories, histories, feature_sets, st.sampled_from(["1d", "1h", "1m"]), st.data())
def test_documented_features_of_a_bar_are_the_same_alone_and_among_others(
    one, two, feature_set, interval, data
) -> None:
    for bars in (one, two):
        bars["session"] = np.arange(len(bars)) // 390
    panel = build_panel(one, two, interval=interval)
    features = compute_features(panel, panel.offsets[:-1], feature_set)
    whole = document_all(features)
    places = st.integers(0, max(len(whole) - 1, 0))
    picked = data.draw(st.lists(places, max_size=20 if len(whole) else 0))
    assert features.document(np.array(picked, np.int64)).tobytes() == whole[picked].tobytes()


@many
@given(histories, histories, feature_sets)
def test_series_in_one_panel_do_not_affect_each_other(one, two, feature_set) -> None:
    panel = build_panel(one, two)
    both = compute_features(panel, panel.offsets[:-1], feature_set)
    second = both.rows >= len(one)
    assert both.inputs[second].tobytes() == compute(two, feature_set).inputs.tobytes()
    assert both.inputs[~second].tobytes() == compute(one, feature_set).inputs.tobytes()


@many
@given(histories, feature_sets, st.integers(-30, 30), st.integers(-8, 8))
def test_a_scale_that_is_a_power_of_two_changes_no_bit_of_the_inputs(
    bars, feature_set, power, of_volume
) -> None:
    scaled = bars * 2.0**power
    scaled["volume"] = bars["volume"] * 2.0**of_volume
    assert (
        compute(scaled, feature_set).inputs.tobytes() == compute(bars, feature_set).inputs.tobytes()
    )


@many
@given(histories, feature_sets, st.floats(1e-6, 1e6))
def test_any_scale_changes_inputs_by_one_step_of_the_grid_at_most(bars, feature_set, scale) -> None:
    scaled = bars * scale
    scaled["volume"] = bars["volume"]
    difference = np.abs(
        compute(scaled, feature_set).inputs.astype(np.float64) - compute(bars, feature_set).inputs
    )
    assert difference.max(initial=0.0) <= 1.0 / GRID
    assert (difference > 0).mean() <= 1e-3 if difference.size else True


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1 / 7, 1.1, np.pi, 1000.0])
def test_any_scale_gives_real_bars_the_same_scores(scale: float) -> None:
    series = list(read_real_bars().values())
    panel = build_panel(*series)
    first = panel.offsets[:-1]
    inputs = compute_features(panel, first, TWO_YARDSTICKS).inputs
    forest = FlatForest.from_sklearn(fit_forest(inputs, trees=100, sample=512, seed=7))
    prices = {name: getattr(panel, name) * scale for name in ("open", "high", "low", "close")}
    scaled = compute_features(replace(panel, **prices), first, TWO_YARDSTICKS).inputs
    assert np.abs(forest.score_samples(scaled) - forest.score_samples(inputs)).max() <= 1e-9
