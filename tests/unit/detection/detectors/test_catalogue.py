"""One battery of checks, run on every detector of the catalogue."""

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from detection.detectors.catalogue import DETECTORS, get_detector
from detection.detectors.contract import (
    Detector,
    DetectorKind,
    SeriesDetector,
    attribute_rows,
    score_rows,
)
from detection.detectors.rows import SeriesRows
from detection.detectors.weights import WeightsParameter
from detection.features.compute import compute_features
from detection.features.feature_sets import FeatureSet, get_feature_set
from detection.models.artefacts import dump_artefact
from detection.models.rows import lay_out_rows
from market.bars.panel import BarPanel
from tests.unit.detection.features.twin import build_panel, draw_bars, read_real_bars

SEED = 5
# Small parameters, so that the battery is quick; the network is no member of the ensemble here.
FEW = {
    "trees": 20,
    "sample": 128,
    "windows": 400,
    "epochs": 2,
    "weights": "isolation_forest=0.2,half_space_trees=0.3",
}


def find_feature_set(kind: DetectorKind) -> FeatureSet:
    return get_feature_set(kind.feature_set)


def choose_parameters(kind: DetectorKind) -> dict[str, int]:
    return kind.read_parameters({name: FEW[name] for name in kind.parameters if name in FEW})


def fit(kind: DetectorKind, rows: SeriesRows) -> Any:
    return kind.fit(rows, seed=SEED, parameters=choose_parameters(kind))


def show(kind: DetectorKind, *series: pd.DataFrame) -> SeriesRows:
    """Return the detector's rows of these bars; all that it can score are wanted."""
    return show_panel(kind, build_panel(*series))


def show_panel(kind: DetectorKind, panel: BarPanel, first: int = 0) -> SeriesRows:
    feature_set = find_feature_set(kind)
    features = compute_features(panel, panel.offsets[:-1] + first, feature_set)
    shown = lay_out_rows(panel, features, feature_set, np.arange(features.rows.size))
    return shown.want(np.flatnonzero(kind.find_known(shown, kind.get_defaults())))


def show_one(kind: DetectorKind, rows: SeriesRows, row: int) -> SeriesRows:
    """Return one row with only the history that the detector may look back on."""
    series = int(np.searchsorted(rows.offsets, row, side="right")) - 1
    within = rows.places[rows.offsets[series] : row + 1] >= rows.places[row] - kind.history_bars
    start = int(rows.offsets[series] + within.argmax())
    return SeriesRows(
        inputs=rows.inputs[start : row + 1].copy(),
        offsets=np.array([0, row + 1 - start]),
        places=rows.places[start : row + 1].copy(),
        wanted=np.array([row - start]),
    )


@pytest.fixture(scope="module", params=DETECTORS.values(), ids=list(DETECTORS))
def kind(request: pytest.FixtureRequest) -> DetectorKind:
    found: DetectorKind = request.param
    return found


@pytest.fixture(scope="module")
def rows(kind: DetectorKind) -> SeriesRows:
    """The detector's rows of the demo's real bars."""
    return show(kind, *read_real_bars().values())


@pytest.fixture(scope="module")
def detector(kind: DetectorKind, rows: SeriesRows) -> Detector | SeriesDetector:
    return kind.load(fit(kind, rows))


def test_its_row_of_the_catalogue_is_complete(kind: DetectorKind) -> None:
    assert kind.warm_up_bars >= 0
    assert kind.score_range[0] < kind.score_range[1]
    assert find_feature_set(kind).columns
    assert kind.describe()["name"] == kind.name
    for name, parameter in kind.parameters.items():
        if isinstance(parameter, WeightsParameter):
            continue
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
    kind: DetectorKind, detector: Any, rows: SeriesRows
) -> None:
    scores = score_rows(detector, rows)
    assert scores.shape == rows.wanted.shape
    assert scores.dtype == np.float64
    assert kind.score_range[0] <= scores.min() < scores.max() <= kind.score_range[1]


def test_a_row_has_the_same_score_alone_and_among_many(
    kind: DetectorKind, detector: Any, rows: SeriesRows
) -> None:
    """However little history is loaded, and whatever rows stand beside it."""
    together = score_rows(detector, rows)
    chosen = np.random.default_rng(1).choice(len(rows.wanted), 200, replace=False)
    alone = [score_rows(detector, show_one(kind, rows, int(row)))[0] for row in rows.wanted[chosen]]
    assert np.array_equal(alone, together[chosen])
    few = rows.want(np.sort(rows.wanted[chosen]))
    assert np.array_equal(score_rows(detector, few), together[np.sort(chosen)])


def test_series_score_the_same_in_another_order(kind: DetectorKind, detector: Any) -> None:
    bars = list(read_real_bars().values())[:3]
    forth = score_rows(detector, show(kind, *bars))
    back = score_rows(detector, show(kind, *reversed(bars)))
    parts = [score_rows(detector, show(kind, one)) for one in bars]
    assert np.array_equal(forth, np.concatenate(parts))
    assert np.array_equal(back, np.concatenate(parts[::-1]))


def test_later_bars_change_no_earlier_score(kind: DetectorKind, detector: Any) -> None:
    bars = draw_bars(8, 1200)
    whole = score_rows(detector, show(kind, bars))
    shorter = score_rows(detector, show(kind, bars.iloc[:1000]))
    assert len(shorter) == len(whole) - 200
    assert np.array_equal(shorter, whole[: len(shorter)])


@pytest.mark.parametrize("pause", [150, 700])
def test_it_starts_again_after_a_pause_of_more_than_a_year(
    kind: DetectorKind, detector: Any, pause: int
) -> None:
    """The bars before the pause may be another company's, and how many of them are loaded must not
    matter.
    """
    bars = draw_bars(3, 2_400)
    other = bars.copy()
    other.loc[: pause - 1, ["open", "high", "low", "close"]] *= np.linspace(1, 9, pause)[:, None]
    days = np.arange(len(bars))
    times = 86_400 * (days + np.where(days >= pause, 366, 0))

    def score(bars: pd.DataFrame, start: int) -> dict[int, float]:
        panel = replace(build_panel(bars, start=start), times=times[start:])
        rows = show_panel(kind, panel, 512 if start else 0)
        places = (rows.places[rows.wanted] + find_feature_set(kind).warm_up_bars).tolist()
        return dict(zip(places, score_rows(detector, rows).tolist(), strict=True))

    whole, changed = score(bars, 0), score(other, 0)
    after = {place: each for place, each in whole.items() if place >= pause}
    assert after == {place: each for place, each in changed.items() if place >= pause}
    # Counted from the first bar past the warm-up; a whole block, if it needs one, lies after the
    # pause.
    first = pause + kind.find_warm_up_bars(kind.get_defaults())
    first = -(-first // kind.block_bars) * kind.block_bars
    assert min(after) == find_feature_set(kind).warm_up_bars + first
    assert max(after) == len(bars) - 1
    for start in (pause, pause + 1):
        part = score(bars, start)
        later = [place for place in after if place >= start + 512 + kind.history_bars]
        assert later
        assert [part[place] for place in later] == [after[place] for place in later]


def thin_out(bars: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return bars with others between them on which nothing traded, three in ten, and a hundred in
    a row; and which bars these are.
    """
    random = np.random.default_rng(4)
    idle = np.zeros(len(bars) * 10 // 7 + 100, np.bool_)
    idle[1 + random.choice(len(idle) - 1, len(idle) - len(bars) - 100, replace=False)] = True
    at = int(np.flatnonzero(~idle)[len(bars) // 2])
    idle = np.insert(idle, at, np.ones(100, np.bool_))[: len(bars) + idle.sum()]
    thin = bars.iloc[np.cumsum(~idle) - 1].reset_index(drop=True)
    for name in ("open", "high", "low"):
        thin.loc[idle, name] = thin.loc[idle, "close"]
    thin.loc[idle, "volume"] = 0.0
    return thin, idle


def test_bars_without_a_trade_are_ignored_whatever_is_loaded(
    kind: DetectorKind, detector: Any
) -> None:
    """A score depends neither on how much is loaded nor on the ignored bars, and a bar is not
    strange because it is the first with a trade after others without.
    """
    traded = draw_bars(3, 1_500)
    bars, idle = thin_out(traded)
    feature_set = find_feature_set(kind)

    def score(start: int, first: int, stop: int) -> dict[int, float]:
        panel = build_panel(bars.iloc[:stop], start=start)
        rows = show_panel(kind, panel, max(0, first - kind.history_bars - start))
        places = (rows.places[rows.wanted] + feature_set.warm_up_bars).tolist()
        scores = score_rows(detector, rows).tolist()
        return {place: each for place, each in zip(places, scores, strict=True) if first <= place}

    whole = score(0, 0, len(bars))
    places = np.array(list(whole))
    assert len(places) > 1_000
    assert not idle[places].any()
    resumed = int(np.flatnonzero(idle[1:] < idle[:-1])[-1])
    (begin,) = np.flatnonzero(np.convolve(idle, np.ones(100), "valid") == 100)[:1]
    near = [*range(begin - 2, begin + 130, 6), *range(300, resumed, 61), len(bars) - 1]
    for place in near:
        start = feature_set.reach(max(0, place - kind.history_bars), "1d")
        alone = score(start, place, place + 1)
        assert alone == ({place: whole[place]} if place in whole else {}), place
    full = show(kind, traded)
    dense = dict(
        zip(
            (full.places[full.wanted] + feature_set.warm_up_bars).tolist(),
            score_rows(detector, full).tolist(),
            strict=True,
        )
    )
    number = np.cumsum(~idle) - 1
    first = [place for place in whole if idle[place - 1] and number[place] in dense]
    bound = np.quantile(list(whole.values()), 0.05)
    alarms = sum(whole[place] < bound for place in first)
    assert 0 < alarms <= 1.3 * sum(dense[number[place]] < bound for place in first)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_scores_below_a_bound_do_not_depend_on_which_rows_are_wanted(
    detector: Any, rows: SeriesRows, share: float
) -> None:
    scores = score_rows(detector, rows)
    bound = float(np.quantile(scores, share))
    found = score_rows(detector, rows, below=bound)
    assert np.array_equal(found < bound, scores < bound)
    assert np.array_equal(found[found < bound], scores[scores < bound])


def test_the_same_rows_and_seed_give_the_same_bytes(kind: DetectorKind, rows: SeriesRows) -> None:
    assert dump_artefact(fit(kind, rows)) == dump_artefact(fit(kind, rows))


def test_scoring_does_not_change_its_inputs(detector: Any, rows: SeriesRows) -> None:
    before = rows.inputs.copy()
    score_rows(detector, rows)
    attribute_rows(detector, rows.want(rows.wanted[:50]))
    assert np.array_equal(rows.inputs, before)
    assert rows.inputs.flags.writeable
    assert rows.wanted.flags.writeable


def test_the_shares_of_an_attribution_sum_to_one(
    kind: DetectorKind, detector: Any, rows: SeriesRows
) -> None:
    strange = rows.wanted[np.sort(np.argsort(score_rows(detector, rows))[:200])]
    shares = attribute_rows(detector, rows.want(strange))
    assert shares.shape == (200, rows.inputs.shape[1])
    assert shares.min() >= 0.0
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    alone = [attribute_rows(detector, show_one(kind, rows, int(row)))[0] for row in strange[:20]]
    assert np.array_equal(alone, shares[:20])


def test_scores_do_not_depend_on_the_currency(kind: DetectorKind, detector: Any) -> None:
    bars = draw_bars(3, 900)
    scaled = bars.copy()
    for name in ("open", "high", "low", "close"):
        scaled[name] = scaled[name] * 1000.0
    one, other = (score_rows(detector, show(kind, series)) for series in (bars, scaled))
    assert len(one)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("flat", [0.3, 0.5])
def test_prices_that_do_not_move_have_a_finite_score(
    kind: DetectorKind, detector: Any, flat: float
) -> None:
    scores = score_rows(detector, show(kind, draw_bars(4, 900, flat=flat)))
    assert len(scores)
    assert kind.score_range[0] <= scores.min() <= scores.max() <= kind.score_range[1]


def test_no_rows_give_no_scores(detector: Any, rows: SeriesRows) -> None:
    none = rows.want(rows.wanted[:0])
    assert score_rows(detector, none).shape == (0,)
    assert attribute_rows(detector, none).shape == (0, rows.inputs.shape[1])


def test_too_few_rows_are_refused(kind: DetectorKind, rows: SeriesRows) -> None:
    with pytest.raises(BadInput):
        fit(kind, rows.want(rows.wanted[:1]))


def test_fitting_calls_checkpoints_that_rise_to_the_end(
    kind: DetectorKind, rows: SeriesRows
) -> None:
    """A cancellation is noticed at a checkpoint: at least one is called, and the last one reports
    the end.
    """
    fractions: list[float] = []
    kind.fit(rows, seed=SEED, parameters=choose_parameters(kind), checkpoint=fractions.append)
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


def test_its_stored_form_is_numbers_and_cannot_execute_code(
    kind: DetectorKind, detector: Any, rows: SeriesRows
) -> None:
    """A pickled object could run code when it is opened, and our classes could never be renamed."""
    fitted = fit(kind, rows)
    assert {array.dtype.kind for array in fitted.values()} <= set("biuf")
    with np.load(BytesIO(dump_artefact(fitted)), allow_pickle=False) as stored:
        again = kind.load({name: stored[name] for name in fitted})
    assert np.array_equal(score_rows(again, rows), score_rows(detector, rows))
    few = rows.want(rows.wanted[:200])
    assert np.array_equal(attribute_rows(again, few), attribute_rows(detector, few))


def test_an_unsuitable_feature_set_is_refused(kind: DetectorKind) -> None:
    kind.check_feature_set(kind.feature_set, "1d")
    if kind.only_its_sets:
        with pytest.raises(BadInput, match=f"{kind.name} looks at the columns of"):
            kind.check_feature_set("market14/1", "1d")


def test_the_catalogue_is_imported_without_the_numeric_stack() -> None:
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
