"""The network's compiled scores compared with jax, its training, and its error without jax."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput
from detection.detectors import lstm, lstm_training
from detection.detectors.catalogue import DETECTORS
from detection.detectors.ensemble import Ensemble
from detection.detectors.lstm import FEWEST_WINDOWS, LIMIT, WINDOW, LstmAutoencoder
from detection.detectors.rows import SeriesRows
from detection.detectors.weights import DEFAULT_WEIGHTS
from detection.features.compute import compute_features
from detection.features.feature_sets import FAMILY, TWO_YARDSTICKS
from tests.unit.detection.features.twin import build_panel, read_real_bars

SMALL = {"windows": 1_000, "epochs": 30}
WRITTEN_OUT = "lstm=0.5,half_space_trees=0.3,isolation_forest=0.2"


def show(bars: int = 3_000) -> SeriesRows:
    panel = build_panel(read_real_bars()["IBM"].iloc[:bars])
    shown = SeriesRows.of_one(compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS).inputs)
    return shown.want(shown.wanted[WINDOW - 1 :])


@pytest.fixture(scope="module")
def rows() -> SeriesRows:
    return show()


@pytest.fixture(scope="module")
def network(rows: SeriesRows) -> LstmAutoencoder:
    return lstm.load(lstm.fit(rows, seed=1, **SMALL))


def test_scores_and_shares_equal_those_of_jax(network: LstmAutoencoder, rows: SeriesRows) -> None:
    scaled = (rows.inputs - network.means) / network.scales
    windows = lstm.cut_windows(scaled, rows.wanted)
    told = np.asarray(lstm_training.tell_windows(asdict(network), windows), np.float64)
    off = np.maximum((windows - told)[:, -1], 0.0) / network.deviations
    distance = np.sqrt((off**2).mean(axis=1))
    expected = -distance / (distance + LIMIT)
    assert expected.std() > 0.05
    np.testing.assert_allclose(network.score_series(rows), expected, rtol=0, atol=1e-5)
    some = (off > 0.05).any(axis=1)
    assert some.mean() > 0.8
    shares = off[some] ** 2 / (off[some] ** 2).sum(axis=1, keepdims=True)
    found = network.attribute_series(rows.want(rows.wanted[some]))
    np.testing.assert_allclose(found, shares, rtol=0, atol=1e-3)


def test_the_hyperbolic_tangent_equals_numpys() -> None:
    values = np.linspace(-20, 20, 4001, dtype=np.float32)
    found = [lstm._tanh(value) for value in values]
    np.testing.assert_allclose(found, np.tanh(values.astype(np.float64)), rtol=0, atol=3e-7)


def test_training_reconstructs_normal_windows_better_than_at_its_start(
    network: LstmAutoencoder, rows: SeriesRows
) -> None:
    begun = lstm_training.draw_network(5, np.random.default_rng(1))
    windows = lstm.cut_windows((rows.inputs - network.means) / network.scales, rows.wanted)
    before, after = (
        np.square(lstm_training.tell_windows(numbers, windows) - windows).mean()
        for numbers in (begun, asdict(network))
    )
    assert after < 0.9 * before


def test_a_planted_bar_is_found_and_attributed_to_its_column(
    network: LstmAutoencoder, rows: SeriesRows
) -> None:
    planted = rows.inputs.copy()
    planted[2000, 2] = 15.0
    shown = SeriesRows.of_one(planted)
    scores = network.score_series(shown.want(rows.wanted))
    assert rows.wanted[np.argmin(scores)] == 2000
    (shares,) = network.attribute_series(shown.want(np.array([2000])))
    assert shares.argmax() == 2


def test_it_is_trained_on_windows_without_a_strange_bar(rows: SeriesRows) -> None:
    planted = rows.inputs.copy()
    planted[[500, 1500]] = 15.0
    normal = lstm.find_normal(SeriesRows.of_one(planted).want(rows.wanted), 1, lambda _: None)
    strange = {row + later for row in (500, 1500) for later in range(WINDOW)}
    assert not strange & set(rows.wanted[normal].tolist())
    assert normal.mean() > 0.7


def test_validation_uses_the_last_windows_of_each_series_which_share_no_bar_with_the_others() -> (
    None
):
    inputs, offsets = np.zeros((419, 1), np.float32), np.array([0, 219, 419])
    wanted = np.array([*range(19, 219), *range(319, 419)])
    rows = SeriesRows(inputs, offsets, np.arange(len(inputs)), wanted)
    learned, held = lstm.split_by_time(rows, np.ones(300, np.bool_))
    assert held.tolist() == [*range(189, 219), *range(404, 419)]
    assert learned.tolist() == [*range(19, 170), *range(319, 385)]


@pytest.mark.slow
def test_training_ends_once_the_validation_windows_are_reconstructed_no_better() -> None:
    rounds: list[float] = []
    # The better it reconstructs the constant 3, the worse the constant 0.
    learned, held = (np.full((50, WINDOW, 1), value, np.float32) for value in (3.0, 0.0))
    lstm_training.train(learned, held, epochs=60, seed=1, checkpoint=rounds.append)
    assert len(rounds) == 1 + lstm_training.PATIENCE + 1


def test_too_few_windows_are_refused() -> None:
    with pytest.raises(BadInput, match=f"give at least {FEWEST_WINDOWS} of each") as refusal:
        lstm.fit(show(200), seed=1, **SMALL)
    assert refusal.value.reason == "not_enough_bars"


WITHOUT = """
import sys
sys.modules["jax"] = None
import numpy as np
from core.errors import BadInput
from detection.detectors import lstm
from detection.detectors.rows import SeriesRows
shown = SeriesRows.of_one(np.load(sys.argv[1])["inputs"])
shown = shown.want(shown.wanted[19:])
with np.load(sys.argv[1], allow_pickle=False) as stored:
    print(lstm.load(stored).score_series(shown).tobytes().hex())
try:
    lstm.fit(shown, windows=100, epochs=1, seed=1)
except BadInput as error:
    print(error.reason, error.message)
"""


def test_without_jax_a_trained_network_still_scores_and_training_names_what_to_install(
    network: LstmAutoencoder, rows: SeriesRows, tmp_path: Path
) -> None:
    np.savez(tmp_path / "network.npz", inputs=rows.inputs, **asdict(network))
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "network.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores, said = done.stdout.splitlines()
    assert scores == network.score_series(rows).tobytes().hex()
    assert said.startswith("missing_library asked to train an lstm")
    assert "pip install --no-deps --require-hashes -r requirements-autoencoder.txt" in said


@pytest.mark.slow
def test_the_ensemble_uses_its_vote_and_without_jax_only_those_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel = build_panel(read_real_bars()["IBM"].iloc[:900])
    inputs = compute_features(panel, panel.offsets[:-1], FAMILY).inputs
    kind, rows = DETECTORS["ensemble"], SeriesRows.of_one(inputs)
    last = rows.want(rows.wanted[-1:])

    def vote(weights: str = WRITTEN_OUT) -> dict[str, tuple[float, str | None]]:
        fitted = kind.fit(rows, seed=1, parameters={"weights": weights})
        ensemble = kind.load(fitted)
        assert isinstance(ensemble, Ensemble)
        (votes,) = ensemble.describe_votes(last)
        return {each["detector"]: (each["weight"], each["missing"]) for each in votes}

    others = {"isolation_forest": (0.2, None), "half_space_trees": (0.3, None)}
    assert vote() == others | {"lstm": (0.5, None)}
    # By default the network is no member: it would take most of the time.
    assert vote(DEFAULT_WEIGHTS) == others | {"lstm": (0.5, "too_slow")}
    monkeypatch.setitem(sys.modules, "detection.detectors.lstm_training", None)
    assert vote() == others | {"lstm": (0.5, "missing_library")}
