"""A uniform sample of a stream of rows, or of a market's series, in bounded memory."""

from collections.abc import Sequence

import numpy as np

from core.arrays import Float32, Float64
from records.market.documents import SeriesDocument


class RowSample:
    """Keeps at most `capacity` of the added rows, each with the same probability, in their order.

    Every row draws a random key, and the rows with the smallest keys stay (bottom-k sampling: Cohen
    and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). So the sample depends on the
    seed and on the rows and their order, but not on the portions in which they came. Memory is that
    of 1.5 x `capacity` rows.
    """

    def __init__(self, capacity: int, columns: int, seed: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng(seed)
        self._rows: list[Float32] = [np.empty((0, columns), np.float32)]
        self._keys: list[Float64] = [np.empty(0)]
        self._held = 0
        self._bound = 1.0

    def add(self, rows: Float32) -> None:
        """Add further rows, shape (m, columns)."""
        keys = self._random.random(len(rows))
        self.seen += len(rows)
        stays = keys < self._bound
        self._rows.append(rows[stays])
        self._keys.append(keys[stays])
        self._held += int(stays.sum())
        if self._held > 1.5 * self.capacity:
            self._shrink()

    def get_rows(self) -> Float32:
        """Return the sample, shape (at most capacity, columns)."""
        self._shrink()
        return self._rows[0]

    def _shrink(self) -> None:
        rows, keys = np.concatenate(self._rows), np.concatenate(self._keys)
        if len(keys) > self.capacity:
            self._bound = float(np.partition(keys, self.capacity)[self.capacity])
            stays = keys < self._bound
            rows, keys = rows[stays], keys[stays]
        self._rows, self._keys, self._held = [rows], [keys], len(keys)


def draw_series(
    series: Sequence[SeriesDocument], most_bars: int, seed: int
) -> list[SeriesDocument]:
    """Return series drawn at random, in their order, with at most `most_bars` bars in all; at least
    one series.
    """
    order = np.random.default_rng(seed).permutation(len(series))
    bars = np.cumsum([series[position]["bars"] for position in order])
    count = max(1, int(np.searchsorted(bars, most_bars, side="right")))
    return [series[position] for position in sorted(order[:count])]
