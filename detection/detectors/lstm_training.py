"""Trains the LSTM autoencoder: the only module that imports jax and optax, an optional extra."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from core.arrays import Float32
from detection.detectors.lstm import GATES, STATES

BATCH = 256
RATE = 3e-3
# The training ends after so many epochs in which the held-out loss did not fall.
PATIENCE = 4
# Batches between two checkpoints.
STEP_BATCHES = 10

Network = dict[str, Any]
OPTIMIZER = optax.adam(RATE)


def train(
    learned: Float32,
    held: Float32,
    *,
    epochs: int,
    seed: int,
    checkpoint: Callable[[float], None] = lambda _fraction: None,
) -> dict[str, Float32]:
    """Return the network's weights by name, as of the epoch with the smallest loss on the held-out
    windows `held` (k, 20, d). The network learns from the windows `learned` (n, 20, d).
    """
    random = np.random.default_rng(seed)
    network = draw_network(learned.shape[2], random)
    state = OPTIMIZER.init(network)
    # The last batch is filled up with windows of the first, so that all batches have one shape, and
    # jax compiles once.
    batches = -(-len(learned) // BATCH)
    best, least, waited = network, np.inf, 0
    for epoch in range(epochs):
        order = np.resize(random.permutation(len(learned)), batches * BATCH)
        for number in range(batches):
            batch = learned[order[number * BATCH : (number + 1) * BATCH]]
            network, state = _improve(network, state, batch)
            if number % STEP_BATCHES == 0:
                checkpoint((epoch + number / batches) / epochs)
        loss = _measure(network, held)
        waited = 0 if loss < least else waited + 1
        if loss < least:
            best, least = network, loss
        if waited >= PATIENCE:
            break
    checkpoint(1.0)
    return {name: np.array(values, np.float32) for name, values in best.items()}


def draw_network(width: int, random: np.random.Generator) -> Network:
    """Return an initial network over `width` columns: weights drawn uniformly by Glorot's rule, and
    a bias of 1 for the forget gates.
    """

    def draw(rows: int, columns: int) -> Float32:
        reach = np.sqrt(6.0 / (rows + columns))
        return random.uniform(-reach, reach, (rows, columns)).astype(np.float32)

    shifts = np.zeros(GATES, np.float32)
    shifts[STATES : 2 * STATES] = 1.0
    return {
        "encoder_inputs": draw(width, GATES),
        "encoder_states": draw(STATES, GATES),
        "encoder_shifts": shifts,
        "decoder_inputs": draw(STATES, GATES),
        "decoder_states": draw(STATES, GATES),
        "decoder_shifts": shifts,
        "told_states": draw(STATES, width),
        "told_shifts": np.zeros(width, np.float32),
    }


def tell_windows(network: Network, windows: Any) -> Any:
    """Return the network's reconstruction of `windows` (m, 20, d), same shape."""
    blank = jnp.zeros((windows.shape[0], STATES))

    def encode(before: Any, bars: Any) -> Any:
        gates = network["encoder_shifts"] + bars @ network["encoder_inputs"]
        return _step(gates, before, network["encoder_states"]), None

    (_, code), _ = jax.lax.scan(encode, (blank, blank), windows.swapaxes(0, 1))
    gates = network["decoder_shifts"] + code @ network["decoder_inputs"]

    def decode(before: Any, _none: None) -> Any:
        cell, state = _step(gates, before, network["decoder_states"])
        return (cell, state), state @ network["told_states"] + network["told_shifts"]

    _, told = jax.lax.scan(decode, (blank, blank), None, windows.shape[1])
    return told.swapaxes(0, 1)


def _step(gates: Any, before: tuple[Any, Any], weights: Any) -> tuple[Any, Any]:
    cell, state = before
    gates = gates + state @ weights
    take, keep, show, candidate = jnp.split(gates, 4, axis=1)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(take) * jnp.tanh(candidate)
    return cell, jax.nn.sigmoid(show) * jnp.tanh(cell)


def _compute_loss(network: Network, windows: Any) -> Any:
    return jnp.mean(jnp.square(tell_windows(network, windows) - windows))


@jax.jit  # type: ignore[untyped-decorator]  # jax is read as untyped, installed or not
def _improve(network: Network, state: Any, batch: Any) -> tuple[Network, Any]:
    gradients = jax.grad(_compute_loss)(network, batch)
    updates, state = OPTIMIZER.update(gradients, state)
    return optax.apply_updates(network, updates), state


_measure_batch = jax.jit(_compute_loss)


def _measure(network: Network, held: Float32) -> float:
    """Return the mean loss of the `held` windows, computed in batches of one shape."""
    order = np.resize(np.arange(len(held)), -(-len(held) // BATCH) * BATCH)
    losses = [
        float(_measure_batch(network, held[order[start : start + BATCH]]))
        for start in range(0, len(order), BATCH)
    ]
    return float(np.mean(losses))
