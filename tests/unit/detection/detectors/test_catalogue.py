"""One battery of checks over every detector of the catalogue."""

import subprocess
import sys
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from core.errors import BadInput
from detection.detectors.catalogue import DETECTORS, get_detector
from detection.detectors.contract import Detector, DetectorKind
from detection.features.compute import compute_features
from detection.features.feature_sets import FeatureSet, get_feature_set
from detection.models.artefacts import dump_artefact
from tests.unit.detection.features.twin import build_panel, draw_bars, read_real_bars

SEED = 5
# So that the battery is quick, what is counted in trees or rows is a few.
FEW = {"trees": 20, "sample": 128}


def find_feature_set(kind: DetectorKind) -> FeatureSet:
    name, _, version = kind.feature_set.partition("/")
    return get_feature_set(name, int(version))


def choose_parameters(kind: DetectorKind) -> dict[str, int]:
    return kind.read_parameters({name: FEW[name] for name in kind.parameters if name in FEW})


def fit(kind: DetectorKind, rows: np.ndarray) -> Any:
    return kind.fit(rows, seed=SEED, parameters=choose_parameters(kind))


@pytest.fixture(scope="module", params=DETECTORS.values(), ids=list(DETECTORS))
def kind(request: pytest.FixtureRequest) -> DetectorKind:
    found: DetectorKind = request.param
    return found


@pytest.fixture(scope="module")
def rows(kind: DetectorKind) -> np.ndarray:
    """What the detector sees of the demo's real bars."""
    panel = build_panel(*read_real_bars().values())
    return compute_features(panel, panel.offsets[:-1], find_feature_set(kind)).inputs


@pytest.fixture(scope="module")
def detector(kind: DetectorKind, rows: np.ndarray) -> Detector:
    return kind.load(fit(kind, rows))


def test_its_row_of_the_catalogue_is_whole(kind: DetectorKind) -> None:
    assert kind.warm_up_bars >= 0
    assert kind.score_range[0] < kind.score_range[1]
    assert find_feature_set(kind).columns
    for name, parameter in kind.parameters.items():
        assert parameter.low <= parameter.default <= parameter.high, name
        assert parameter.meaning
        for value in (parameter.low - 1, parameter.high + 1, 1.5, True, "1"):
            with pytest.raises(
                BadInput, match=f"{name} .* from {parameter.low} to {parameter.high}"
            ):
                kind.read_parameters({name: value})
    with pytest.raises(BadInput, match="has no parameter 'colour'"):
        kind.read_parameters({"colour": 1})


def test_every_row_has_a_score_within_the_range(
    kind: DetectorKind, detector: Detector, rows: np.ndarray
) -> None:
    scores = detector.score_samples(rows)
    assert scores.shape == (len(rows),)
    assert scores.dtype == np.float64
    assert kind.score_range[0] <= scores.min() < scores.max() <= kind.score_range[1]


def test_one_row_has_the_score_that_it_has_among_many(detector: Detector, rows: np.ndarray) -> None:
    together = detector.score_samples(rows)
    chosen = np.random.default_rng(1).choice(len(rows), 200, replace=False)
    alone = np.array([detector.score_samples(rows[[row]])[0] for row in chosen])
    assert np.array_equal(alone, together[chosen])
    shuffled = np.random.default_rng(2).permutation(len(rows))
    assert np.array_equal(detector.score_samples(rows[shuffled]), together[shuffled])


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_scores_below_a_bound_are_the_same_whether_or_not_others_are_wanted(
    detector: Detector, rows: np.ndarray, share: float
) -> None:
    scores = detector.score_samples(rows)
    bound = float(np.quantile(scores, share))
    found = detector.score_samples(rows, below=bound)
    assert np.array_equal(found < bound, scores < bound)
    assert np.array_equal(found[found < bound], scores[scores < bound])


def test_the_same_rows_and_seed_give_the_same_bytes(kind: DetectorKind, rows: np.ndarray) -> None:
    assert dump_artefact(fit(kind, rows)) == dump_artefact(fit(kind, rows))


def test_what_it_scores_does_not_change_what_it_was_given(
    detector: Detector, rows: np.ndarray
) -> None:
    before = rows.copy()
    detector.score_samples(rows)
    detector.attribute(rows[:50])
    assert np.array_equal(rows, before)


def test_shares_are_parts_of_one(detector: Detector, rows: np.ndarray) -> None:
    strange = rows[np.argsort(detector.score_samples(rows))[:200]]
    shares = detector.attribute(strange)
    assert shares.shape == strange.shape
    assert shares.min() >= 0.0
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    alone = np.array([detector.attribute(strange[[row]])[0] for row in range(20)])
    assert np.array_equal(alone, shares[:20])


def test_a_price_in_another_currency_is_as_strange(kind: DetectorKind, detector: Detector) -> None:
    feature_set = find_feature_set(kind)
    bars = draw_bars(np.random.default_rng(3), 400)
    scaled = bars.copy()
    for name in ("open", "high", "low", "close"):
        scaled[name] = scaled[name] * 1000.0
    one, other = (
        detector.score_samples(compute_features(panel, panel.offsets[:-1], feature_set).inputs)
        for panel in (build_panel(bars), build_panel(scaled))
    )
    assert np.array_equal(one, other)


def test_no_rows_give_no_scores(detector: Detector, rows: np.ndarray) -> None:
    assert detector.score_samples(rows[:0]).shape == (0,)
    assert detector.attribute(rows[:0]).shape == (0, rows.shape[1])


def test_too_few_rows_are_refused(kind: DetectorKind, rows: np.ndarray) -> None:
    with pytest.raises(BadInput):
        fit(kind, rows[:1])


def test_what_is_stored_of_it_is_numbers_and_cannot_execute(
    kind: DetectorKind, detector: Detector, rows: np.ndarray
) -> None:
    """A stored object would run what it says as it is opened;
    and a class of ours could never be renamed.
    """
    fitted = fit(kind, rows)
    assert {array.dtype.kind for array in fitted.values()} <= set("biuf")
    with np.load(BytesIO(dump_artefact(fitted)), allow_pickle=False) as stored:
        again = kind.load({name: stored[name] for name in fitted})
    assert np.array_equal(again.score_samples(rows), detector.score_samples(rows))
    assert np.array_equal(again.attribute(rows[:200]), detector.attribute(rows[:200]))


def test_the_catalogue_is_known_without_the_numeric_stack() -> None:
    program = (
        "import sys, detection.detectors.catalogue; print({'numpy', 'sklearn', 'numba'} &"
        " sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_an_unknown_detector_is_refused_with_the_choices() -> None:
    with pytest.raises(BadInput, match="no detector 'oracle'; choose one of isolation_forest"):
        get_detector("oracle")
