"""The detectors of single series compared with slow, obvious twins, and what all of them
promise.
"""

import json
import math
import statistics
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation
from statsmodels.tsa.seasonal import seasonal_decompose

from core.errors import BadInput
from detection.series import mad, moving_average, seasonal, simple, stream
from detection.series.catalogue import KINDS, choose_parameters, get_kind
from detection.series.contract import Direction, Parameters, SeriesDetectorKind
from detection.series.moments import compute_median, compute_moments

finite = st.floats(-1e150, 1e150, allow_subnormal=False)
histories = st.lists(finite, min_size=3, max_size=60).filter(
    lambda values: min(values) < max(values)
)
moderate = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=3, max_size=60).filter(
    lambda values: max(values) - min(values) > 1e-3
)
directions: st.SearchStrategy[Direction] = st.sampled_from(("above", "below", "both"))


def make_history(kind: SeriesDetectorKind, seed: int = 1, points: int = 240) -> list[float]:
    number = Random(seed)
    return [10 + 3 * math.sin(2 * math.pi * i / 24) + number.gauss(0, 0.5) for i in range(points)]


# --- moments


@given(histories)
def test_moments_are_those_of_exact_arithmetic(values: list[float]) -> None:
    mean, deviation = compute_moments(values)
    exact = [Fraction(value) for value in values]
    center = sum(exact) / len(exact)
    variance = sum((value - center) ** 2 for value in exact) / len(exact)
    size = max(abs(value) for value in values)
    assert mean == pytest.approx(float(center), rel=1e-15, abs=4e-16 * size)
    assert deviation == pytest.approx(statistics.pstdev(values), rel=1e-12)
    assert Fraction(deviation) ** 2 == pytest.approx(variance, rel=1e-11)


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 1e308],
        [1.7e308, 1.7e308, 1.6e308],
        [5e-324, 0.0, 1e-323],
        [1e16, 1e16 + 2, 1e16 + 4, 1e16],
    ],
)
def test_moments_of_extreme_numbers_are_right(values: list[float]) -> None:
    mean, deviation = compute_moments(values)
    exact = [Fraction(value) for value in values]
    center = sum(exact) / len(exact)
    variance = sum((value - center) ** 2 for value in exact) / len(exact)
    assert mean == pytest.approx(float(center), rel=1e-15, abs=5e-324)
    assert (
        abs(
            deviation - math.isqrt(int(variance * 4**1100)) / 2**1100 if deviation < 1e-300 else 0.0
        )
        <= 5e-324
    )
    if deviation >= 1e-300:
        assert Fraction(deviation) ** 2 / variance == pytest.approx(1, rel=1e-14)


@given(histories)
def test_the_median_equals_that_of_statistics(values: list[float]) -> None:
    assert compute_median(values) == statistics.median(values)


def test_the_median_of_huge_values_is_finite() -> None:
    assert compute_median([1.7e308, 1.7e308]) == 1.7e308


# --- each detector against its twin


@given(moderate, st.floats(-2e6, 2e6), st.floats(0.5, 10), directions)
def test_simple_uses_mean_and_population_deviation(
    values: list[float], value: float, k: float, direction: Direction
) -> None:
    mean, deviation = float(np.mean(values)), float(np.std(values))
    distance = (value - mean) / deviation
    assume(abs(abs(distance) - k) > 1e-6)
    said = simple.Simple.fit(range(len(values)), values, Parameters(k, direction)).judge(0, value)
    expected = {"above": distance > k, "below": distance < -k, "both": abs(distance) > k}[direction]
    assert said.anomaly is expected
    assert said.score == pytest.approx(distance, rel=1e-6, abs=1e-6)
    assert (said.upper is None) is (direction == "below")
    assert (said.lower is None) is (direction == "above")


def test_the_default_of_simple_is_one_sided_with_three_population_deviations() -> None:
    detector = simple.Simple.fit(range(4), [10.0, 11.0, 9.0, 10.0], simple.KIND.defaults)
    upper = 10 + 3 * math.sqrt(0.5)
    assert detector.judge(0, math.nextafter(upper, 100)).anomaly
    assert not detector.judge(0, upper).anomaly
    assert not detector.judge(0, -1e300).anomaly


@given(moderate, st.floats(-2e6, 2e6))
def test_mad_is_the_modified_z_score(values: list[float], value: float) -> None:
    deviation = float(median_abs_deviation(values))
    assume(deviation > 1e-6)
    score = 0.6745 * (value - float(np.median(values))) / deviation
    assume(abs(abs(score) - 3.5) > 1e-6)
    said = mad.Mad.fit(range(len(values)), values, mad.KIND.defaults).judge(0, value)
    assert said.score == pytest.approx(score, rel=1e-6, abs=1e-6)
    assert said.anomaly is (abs(score) > 3.5)


def test_mad_flags_two_outliers_that_hide_each_other_from_a_z_score() -> None:
    # Worked by hand: median 2.45, distances .05 .05 .15 .15 .15 .15 .35 .35 5.75 5.85, so MAD .15.
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    detector = mad.Mad.fit(range(10), values, mad.KIND.defaults)
    assert [value for value in values if detector.judge(0, value).anomaly] == [8.2, 8.3]
    assert detector.judge(0, 8.3).score == pytest.approx(0.6745 * (8.3 - 2.45) / 0.15)


def test_if_more_than_half_of_the_values_equal_the_median_the_mean_deviation_is_used() -> None:
    values = [5.0, 5.0, 5.0, 5.0, 9.0]
    said = mad.Mad.fit(range(5), values, mad.KIND.defaults).judge(0, 12.0)
    assert said.score == pytest.approx((12 - 5) / (1.253314 * 0.8))
    assert said.anomaly


@given(moderate, st.integers(2, 20), st.floats(-2e6, 2e6))
def test_moving_average_is_the_z_score_of_the_last_values(
    values: list[float], window: int, value: float
) -> None:
    tail = values[-window:]
    assume(np.std(tail) > 1e-3)
    parameters = Parameters(3.0, "both", window=window)
    said = moving_average.MovingAverage.fit(range(len(values)), values, parameters).judge(0, value)
    distance = (value - np.mean(tail)) / np.std(tail)
    assume(abs(abs(distance) - 3) > 1e-6)
    assert said.anomaly is bool(abs(distance) > 3)
    assert said.expected == pytest.approx(float(np.mean(tail)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("season", [4, 7, 24])
def test_seasonal_decomposes_a_series_as_statsmodels_does(season: int) -> None:
    number = Random(season)
    shape = [number.gauss(0, 2) for _ in range(season)]
    trend = 0.05
    values = [
        100 + trend * i + shape[i % season] + number.gauss(0, 0.05) for i in range(season * 30)
    ]
    fitted = seasonal.Seasonal.fit(
        range(0, 60 * len(values), 60), values, Parameters(3.0, "both", season=season)
    )
    twin = seasonal_decompose(values, period=season)
    assert fitted.season == pytest.approx(tuple(twin.seasonal[:season]), abs=0.06)
    assert fitted.trend == pytest.approx(trend, abs=1e-3)
    assert (fitted.step, fitted.start) == (60, 0)
    assert fitted.deviation == pytest.approx(float(np.nanstd(twin.resid)), rel=0.3)
    ahead = len(values) + 13
    truth = 100 + trend * ahead + shape[ahead % season]
    assert fitted.judge(60 * ahead, truth).expected == pytest.approx(truth, abs=0.2)
    assert not fitted.judge(60 * ahead, truth).anomaly
    assert fitted.judge(60 * ahead, truth + 1).anomaly


def test_seasonal_uses_the_time_of_a_point_if_points_are_missing() -> None:
    known = {i: float(i % 6 == 0) * 10 + i % 2 for i in range(120) if i % 17}
    fitted = seasonal.Seasonal.fit(
        list(known), list(known.values()), Parameters(3.0, "both", season=6)
    )
    assert not fitted.judge(126, 10.0).anomaly
    assert fitted.judge(127, 10.0).anomaly


def test_stream_finds_a_new_pattern_of_known_values() -> None:
    values = [float(i % 10) for i in range(500)]
    values[400:410] = reversed(values[400:410])
    number = Random(2)
    values = [value + number.gauss(0, 0.05) for value in values]
    detector = stream.Stream.fit(range(300), values[:300], stream.KIND.defaults)
    told = [i for i in range(300, 500) if detector.learn(i, values[i]).anomaly]
    assert told
    assert 400 <= told[0] <= 411


def test_stream_expects_the_values_that_followed_its_nearest_neighbours() -> None:
    values = [float(i % 10) for i in range(200)]
    detector = stream.Stream.fit(range(200), values, stream.KIND.defaults)
    for i in range(200, 230):
        assert detector.judge(i, 0.0).expected == i % 10
        detector.learn(i, float(i % 10))


@pytest.mark.parametrize(
    ("points", "k", "said"),
    [(26, None, "send more points"), (500, 3.3, "send more points"), (2_000, 3.4, "a `k` below")],
)
def test_a_stream_that_could_never_flag_anything_is_refused(
    points: int, k: float | None, said: str
) -> None:
    parameters = stream.KIND.defaults if k is None else Parameters(k=k, direction="both")
    values = np.random.default_rng(points).normal(0, 1, points)
    with pytest.raises(BadInput, match=said) as refusal:
        stream.Stream.fit(range(points), values, parameters)
    assert refusal.value.reason == "k_beyond_scores"


def test_stream_flags_with_as_few_points_as_possible() -> None:
    values = np.random.default_rng(2).normal(0, 1, 227)
    detector = stream.Stream.fit(range(27), values[:27], stream.KIND.defaults)
    for time, value in enumerate(values[27:], 27):
        detector.learn(time, value)
    detector.rest = 0
    assert detector.judge(227, 1e6).anomaly
    # In a single request, half of the distances are ranked.
    judged = [
        stream.Stream.fit(range(n), values[:n], stream.KIND.defaults).judge(n, 1e6).anomaly
        for n in (149, 150)
    ]
    assert judged == [False, True]


def test_stream_distances_equal_those_of_all_pairs() -> None:
    number = Random(5)
    values = [number.gauss(0, 1) for _ in range(150)]
    detector = stream.Stream.fit(range(100), values[:100], stream.KIND.defaults)
    for i in range(100, 150):
        detector.learn(i, values[i])
        windows = np.lib.stride_tricks.sliding_window_view(np.array(values[: i + 1]), detector.lags)
        before = windows[:-1][-(detector.memory + detector.lags) :]
        apart = before[: len(before) - detector.lags]
        near = np.sort(np.linalg.norm(apart - windows[-1], axis=1))[: stream.NEIGHBOURS]
        assert detector.distances[-1] == pytest.approx(float(near.mean()), rel=1e-12)


# --- what all detectors promise


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_state_is_json_and_its_copy_answers_the_same(kind: SeriesDetectorKind) -> None:
    history = make_history(kind)
    detector = kind.fit(range(240), history, kind.defaults)
    copy = kind.load(json.loads(json.dumps(detector.to_state(), allow_nan=False)))
    number = Random(9)
    for time in range(240, 300):
        value = number.gauss(10, 4)
        assert copy.judge(time, value) == detector.judge(time, value)
        if kind.learns:
            assert copy.learn(time, value) == detector.learn(time, value)  # type: ignore[attr-defined]
            copy = kind.load(json.loads(json.dumps(copy.to_state())))
    assert copy.to_state() == detector.to_state()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_prediction_changes_nothing(kind: SeriesDetectorKind) -> None:
    detector = kind.fit(range(240), make_history(kind), kind.defaults)
    before = json.dumps(detector.to_state())
    first = [detector.judge(240, value) for value in (0.0, 10.0, 1e9)]
    assert [detector.judge(240, value) for value in (0.0, 10.0, 1e9)] == first
    assert json.dumps(detector.to_state()) == before


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_answer_is_a_number_that_json_can_hold(
    kind: SeriesDetectorKind, value: float
) -> None:
    said = FITTED[kind.name].judge(10**6, value)
    json.dumps(said, allow_nan=False)
    assert isinstance(said.anomaly, bool)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_the_unit_of_the_values_does_not_matter(kind: SeriesDetectorKind, factor: float) -> None:
    history = make_history(kind)
    plain = kind.fit(range(240), history, kind.defaults)
    scaled = kind.fit(range(240), [factor * value for value in history], kind.defaults)
    for time, value in ((240, 3.0), (241, 10.0), (242, 30.0)):
        one, other = plain.judge(time, value), scaled.judge(time, factor * value)
        assert other.anomaly is one.anomaly
        assert other.score == pytest.approx(one.score, rel=1e-9)
        assert other.expected == pytest.approx(factor * one.expected, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_value_far_above_is_an_anomaly_of_every_detector(kind: SeriesDetectorKind) -> None:
    detector = kind.fit(range(240), make_history(kind), kind.defaults)
    said = detector.judge(240, 1_000.0)
    assert said.anomaly
    assert said.score > kind.defaults.k
    assert said.upper is not None
    assert said.upper < 1_000.0


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_least_number_of_points_is_enough(kind: SeriesDetectorKind) -> None:
    points = kind.least_points
    options: dict[str, Any] = {"season": 2} if "season" in kind.options else {}
    values = [float(i % 3) + i for i in range(points)]
    json.dumps(
        kind.fit(range(points), values, choose_parameters(kind, **options)).to_state(),
        allow_nan=False,
    )


def test_a_detector_accepts_only_its_own_options() -> None:
    assert choose_parameters(get_kind("mad"), k=5, direction="below") == Parameters(5, "below")
    with pytest.raises(BadInput, match="has no season"):
        choose_parameters(get_kind("mad"), season=5)
    with pytest.raises(BadInput, match="simple, mad, moving_average, seasonal, stream"):
        get_kind("lstm")


FITTED = {
    name: kind.fit(range(240), make_history(kind), kind.defaults) for name, kind in KINDS.items()
}
