"""The input of detectors: the rows of series, and which of them are to be scored."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from core.arrays import Bools, Float32, Float64, Int64


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """The rows of k series, one series after another, each ascending by time and without gaps.
    After a long pause a new series begins.

    Attributes:
        inputs: shape (n, d), the feature columns of each bar.
        offsets: shape (k + 1,), the row at which each series begins.
        places: shape (n,), the position of each row's bar in the stored series, counted from the
            first bar past the feature set's warm-up. Bars that are set aside count too.
        wanted: shape (m,), ascending, the rows to score; the others are their history.
    """

    inputs: Float32
    offsets: Int64
    places: Int64
    wanted: Int64

    @classmethod
    def of_one(cls, inputs: Float32) -> Self:
        """Return rows of one series, counted from its first bar, all of them wanted."""
        return cls(
            inputs,
            np.array([0, len(inputs)], np.int64),
            np.arange(len(inputs), dtype=np.int64),
            np.arange(len(inputs), dtype=np.int64),
        )

    def get_wanted(self) -> Float32:
        """Return the inputs of the wanted rows, shape (m, d)."""
        if len(self.wanted) == len(self.inputs):
            return self.inputs
        return self.inputs.take(self.wanted, axis=0)

    def find_blocks(self, block: int) -> Int64:
        """Return the first row of each wanted row's block, shape (m,).

        A block is `block` places long, counted in the stored series; it ends early at the end of a
        series. In blocks of one place each row is its own first row.
        """
        if block == 1:
            return self.wanted
        numbers = self.places // block
        begins = np.zeros(len(numbers) + 1, np.bool_)
        begins[1:-1] = numbers[1:] != numbers[:-1]
        begins[self.offsets] = True
        firsts = np.flatnonzero(begins)
        return np.repeat(firsts[:-1], np.diff(firsts))[self.wanted]

    def find_known(self, bars: int, within: int, block: int = 1) -> Bools:
        """Return which wanted rows have `bars` rows of their series before their block, none of
        them more than `within` places before the wanted row, shape (m,).
        """
        if not bars:
            return np.ones(len(self.wanted), np.bool_)
        begin = np.repeat(self.offsets[:-1], np.diff(self.offsets))[self.wanted]
        first = self.find_blocks(block) - bars
        known: Bools = first >= begin
        back = self.places[self.wanted[known]] - self.places[first[known]]
        known[known] = back <= within
        return known

    def want(self, wanted: Int64) -> Self:
        """Return the same rows with others wanted."""
        return replace(self, wanted=wanted)


def score_squares(squares: Float64, limit: float) -> Float64:
    """Return the scores of rows from the squared departures of their columns (m, d), shape (m,), in
    (-1, 0]; lower is stranger, and -0.5 is a root mean square of `limit`.
    """
    # Add one column after another, so that the order of additions does not depend on the rows.
    total: Float64 = sum(squares.T, np.zeros(len(squares)))
    found = np.sqrt(total / squares.shape[1])
    scores: Float64 = 0.0 - found / (found + limit)
    return scores


def share_squares(squares: Float64) -> Float64:
    """Return the share of each column in a row's squared departures, shape (m, d); equal shares
    where all departures are 0.
    """
    totals = squares.sum(axis=1, keepdims=True)
    whole = np.where(totals <= 0.0, 1.0, squares)
    shares: Float64 = whole / whole.sum(axis=1, keepdims=True)
    return shares
