"""LSTM autoencoder: a bar is strange where it is larger than a small recurrent network reconstructs
it.

An encoder reduces a window of 20 bars to 16 numbers (the code), and a decoder reconstructs the
window from these, bar after bar. They are trained on windows of bars that an isolation forest finds
normal, until the reconstruction of the last 15 % of each series' windows no longer improves. The
score is how far the window's last bar lies above its reconstruction, in the deviations of those
held-out windows: columns are sizes in yardsticks, and a smaller bar than expected is not strange.
It fails where a strange bar is reconstructed as easily as a normal one, which only the small code
and a short training prevent; and where there is little to learn from. It learns some 3,600 numbers
in some seconds, and costs 43,000 multiplications a bar and half as many again for its activations.
Source: Malhotra et al., LSTM-based encoder-decoder for multi-sensor anomaly detection (2016); here
the decoder gets the code at each step, and goes forward in time.

jax trains the network (lstm_training.py) where it is installed. The compiled functions here score:
they add each sum in one order, whatever other bars there are, and use no library whose order of
additions differs between machines.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numba import float32, int64, njit, types
from numpy.typing import NDArray

from core.arrays import Bools, Float32, Float64, Int64, freeze
from core.errors import BadInput
from detection.detectors.isolation_forest import FlatForest, fit_forest
from detection.detectors.rows import SeriesRows, score_squares, share_squares

WINDOW = 20
STATES = 16
GATES = 4 * STATES
# The forest that tells which bars are normal, and the share of bars that are not.
TREES, SAMPLE = 100, 512
STRANGE_SHARE = 0.01
# The last share of a series' windows is held out; its loss tells when the training ends.
HELD_SHARE = 0.15
FEWEST_WINDOWS = 20
# A score of -0.5 is a bar so many deviations off.
LIMIT = 3.0

Checkpoint = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class LstmAutoencoder:
    """A trained network over d columns, ready to score.

    Of the 64 gates the first 16 are the input gates, then forget, output and candidate.

    Attributes:
        means, scales: shape (d,), subtracted from each column, then its divisor.
        encoder_inputs, encoder_states, encoder_shifts: shape (d, 64), (16, 64) and (64,).
        decoder_inputs, decoder_states, decoder_shifts: shape (16, 64), (16, 64) and (64,).
        told_states, told_shifts: shape (16, d) and (d,), from the decoder's state to a bar.
        deviations: shape (d,), how far the last bar of a normal window usually lies above its
            reconstruction.
    """

    means: Float32
    scales: Float32
    encoder_inputs: Float32
    encoder_states: Float32
    encoder_shifts: Float32
    decoder_inputs: Float32
    decoder_states: Float32
    decoder_shifts: Float32
    told_states: Float32
    told_shifts: Float32
    deviations: Float32

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:  # noqa: ARG002 - all are as quickly scored
        """Return the score of each wanted row, shape (m,), in (-1, 0]; lower is stranger."""
        return score_squares(np.square(self.compute_excess(rows)), LIMIT)

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in the squared excess, shape (m, d); equal shares where
        no column exceeds its reconstruction.
        """
        return share_squares(np.square(self.compute_excess(rows)))

    def compute_excess(self, rows: SeriesRows) -> Float64:
        """Return how far each wanted row exceeds its reconstruction (m, d), in deviations."""
        network = tuple(getattr(self, field.name) for field in fields(self)[:-1])
        excess: Float32 = tell_last_bars(freeze(rows.inputs), freeze(rows.wanted), network)
        return excess.astype(np.float64) / self.deviations


def fit(
    rows: SeriesRows,
    *,
    windows: int,
    epochs: int,
    seed: int,
    checkpoint: Checkpoint = lambda _fraction: None,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a network (see `LstmAutoencoder`) trained on at most `windows` windows,
    for at most `epochs` epochs.

    On one machine the same rows and seed give the same numbers. Raises BadInput where too few
    windows are normal, and where jax or optax is not installed.
    """
    train = _import_training()
    normal = find_normal(rows, seed, lambda fraction: checkpoint(0.1 * fraction))
    random = np.random.default_rng(seed)
    learned, held = split_by_time(rows, normal)
    learned = _draw(learned, windows, random)
    held = _draw(held, max(FEWEST_WINDOWS, int(windows * HELD_SHARE)), random)
    if min(len(learned), len(held)) < FEWEST_WINDOWS:
        raise BadInput(
            f"asked for an autoencoder of {len(learned)} normal windows of {WINDOW} bars, ended by"
            f" {len(held)} later ones; give at least {FEWEST_WINDOWS} of each",
            reason="not_enough_bars",
        )
    means, scales = rows.inputs[learned].mean(axis=0), rows.inputs[learned].std(axis=0)
    scales[scales == 0.0] = 1.0
    trained = train(
        *(cut_windows((rows.inputs - means) / scales, part) for part in (learned, held)),
        epochs=epochs,
        seed=seed,
        checkpoint=lambda fraction: checkpoint(0.1 + 0.9 * fraction),
    )
    network = load({"means": means, "scales": scales, "deviations": np.ones_like(means), **trained})
    deviations = np.sqrt(np.square(network.compute_excess(rows.want(held))).mean(axis=0))
    deviations[deviations == 0.0] = 1.0
    checkpoint(1.0)
    return asdict(network) | {"deviations": deviations.astype(np.float32)}


def load(fitted: Mapping[str, NDArray[Any]]) -> LstmAutoencoder:
    """Return the network of the stored arrays, ready to score."""
    names = (field.name for field in fields(LstmAutoencoder))
    return LstmAutoencoder(*(np.ascontiguousarray(fitted[name], np.float32) for name in names))


def find_normal(rows: SeriesRows, seed: int, checkpoint: Checkpoint) -> Bools:
    """Return for which wanted rows a forest fitted on these rows finds the whole window normal,
    shape (m,).
    """
    forest = FlatForest.from_sklearn(
        fit_forest(rows.get_wanted(), trees=TREES, sample=SAMPLE, seed=seed, checkpoint=checkpoint)
    )
    scores = forest.score_samples(rows.inputs)
    strange = scores < np.quantile(scores[rows.wanted], STRANGE_SHARE)
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(strange)))
    normal: Bools = before[rows.wanted + 1] == before[rows.wanted + 1 - WINDOW]
    return normal


def split_by_time(rows: SeriesRows, normal: Bools) -> tuple[Int64, Int64]:
    """Return the normal rows to learn from, and the held-out normal rows, which are the last of
    each series. Their windows share no bar with those of the first.
    """
    series = np.searchsorted(rows.offsets, rows.wanted, side="right") - 1
    first, last = np.searchsorted(series, series), np.searchsorted(series, series, side="right")
    place, counts = np.arange(len(series)) - first, last - first
    held_from = np.ceil(counts * (1.0 - HELD_SHARE)).astype(np.int64)
    learned = normal & (place < held_from - WINDOW + 1)
    return rows.wanted[learned], rows.wanted[normal & (place >= held_from)]


def cut_windows(inputs: Float32, chosen: Int64) -> Float32:
    """Return the windows that end with the rows `chosen` (m,), shape (m, 20, d)."""
    windows: Float32 = inputs[chosen[:, None] + np.arange(1 - WINDOW, 1)]
    return windows


def _draw(chosen: Int64, most: int, random: np.random.Generator) -> Int64:
    """Return the rows `chosen`, or `most` of them drawn at random, in their order."""
    if len(chosen) <= most:
        return chosen
    return np.sort(random.choice(chosen, most, replace=False))


def _import_training() -> Callable[..., dict[str, Float32]]:
    try:
        from detection.detectors.lstm_training import train  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise BadInput(
            "asked to train an lstm, which takes jax and optax, and they are not installed where"
            f" trainings run ({error}): .venv/bin/pip install --no-deps --require-hashes -r"
            " requirements-autoencoder.txt and restart the workers, or choose another detector. A"
            " trained model scores without them",
            reason="missing_library",
        ) from error
    return train


# tanh(x) is x P(x^2) / Q(x^2) to within 1e-7, with the coefficients of Eigen and XLA, the highest
# power first. Beyond BOUND it is 1 in float32.
BOUND = np.float32(7.90531110763549805)
P = tuple(
    np.float32(value)
    for value in (
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    )
)
Q = tuple(
    np.float32(value)
    for value in (
        1.19825839466702e-06,
        1.18534705686654e-04,
        2.26843463243900e-03,
        4.89352518554385e-03,
    )
)
ZERO, HALF = np.float32(0.0), np.float32(0.5)


@njit(inline="always")
def _tanh(x: np.float32) -> np.float32:
    x = min(max(x, -BOUND), BOUND)
    s = x * x
    p = (((((P[0] * s + P[1]) * s + P[2]) * s + P[3]) * s + P[4]) * s + P[5]) * s + P[6]
    return x * p / (((Q[0] * s + Q[1]) * s + Q[2]) * s + Q[3])


@njit(inline="always")
def _step(gates: Float32, cell: Float32, state: Float32, weights: Float32) -> None:
    """Take one step of an LSTM cell; on entry `gates` (64,) has the input's part of the gates."""
    for k in range(STATES):
        for j in range(GATES):
            gates[j] += state[k] * weights[k, j]
    for j in range(3 * STATES):
        gates[j] = HALF + HALF * _tanh(HALF * gates[j])
    for j in range(3 * STATES, GATES):
        gates[j] = _tanh(gates[j])
    for j in range(STATES):
        cell[j] = gates[STATES + j] * cell[j] + gates[j] * gates[3 * STATES + j]
        state[j] = gates[2 * STATES + j] * _tanh(cell[j])


_rows = types.Array(float32, 2, "C", readonly=True)
_wanted = types.Array(int64, 1, "C", readonly=True)
_vector, _matrix = float32[::1], float32[:, ::1]
_network = types.Tuple(  # type: ignore[no-untyped-call]  # numba's own
    (_vector, _vector, _matrix, _matrix, _vector, _matrix, _matrix, _vector, _matrix, _vector)
)


@njit(float32[:, ::1](_rows, _wanted, _network), nogil=True, cache=True, error_model="numpy")
def tell_last_bars(inputs: Float32, wanted: Int64, network: Any) -> Float32:
    """Return how far the last bar of each wanted row's window exceeds the network's reconstruction,
    shape (m, d), in scales; 0 where it does not.

    `network` has the attributes of `LstmAutoencoder`, in their order and without the last. A bar's
    part of the encoder's gates is the same in each of its windows, and is computed once.
    """
    means, scales, encode, encode_states, encode_shifts = network[:5]
    decode, decode_states, decode_shifts, told_states, told_shifts = network[5:]
    width = inputs.shape[1]
    found = np.empty((wanted.size, width), np.float32)
    kept = np.empty((WINDOW, GATES), np.float32)
    owners = np.full(WINDOW, -1)
    gates = np.empty(GATES, np.float32)
    cell, state = np.empty(STATES, np.float32), np.empty(STATES, np.float32)
    steady = np.empty(GATES, np.float32)
    for i in range(wanted.size):
        cell[:] = 0.0
        state[:] = 0.0
        for row in range(wanted[i] - WINDOW + 1, wanted[i] + 1):
            slot = row % WINDOW
            if owners[slot] != row:
                owners[slot] = row
                kept[slot] = encode_shifts
                for column in range(width):
                    value = (inputs[row, column] - means[column]) / scales[column]
                    for j in range(GATES):
                        kept[slot, j] += value * encode[column, j]
            gates[:] = kept[slot]
            _step(gates, cell, state, encode_states)
        steady[:] = decode_shifts
        for k in range(STATES):
            for j in range(GATES):
                steady[j] += state[k] * decode[k, j]
        cell[:] = 0.0
        state[:] = 0.0
        for _ in range(WINDOW):
            gates[:] = steady
            _step(gates, cell, state, decode_states)
        for column in range(width):
            told = told_shifts[column]
            for k in range(STATES):
                told += state[k] * told_states[k, column]
            value = (inputs[wanted[i], column] - means[column]) / scales[column]
            found[i, column] = max(value - told, ZERO)
    return found
