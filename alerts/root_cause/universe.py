"""The moves of many tickers, aligned on all bars that any of them has."""

from collections.abc import Sequence

import numpy as np

from core.arrays import Float64, Int64


def align_returns(
    times: Sequence[Int64],
    closes: Sequence[Float64],
    *,
    longest_pause: int,
    largest_return: float,
) -> tuple[Int64, Float64]:
    """Return all bar times, shape (t,), and the log returns of k series on them, shape (t, k).

    A return is from the series' own bar before. It is NaN if the series has no bar, or none within
    so many seconds before: a move over a longer pause must not be compared with one bar of the
    market. It is also NaN if a close is so many times the one before, or so small a part of it:
    prices that are a hundred times off on one day would look like moves of a sector, and spoil
    betas for months.
    """
    bars = np.unique(np.concatenate([*times, np.zeros(0, np.int64)]))
    returns = np.full((bars.size, len(closes)), np.nan)
    for k, (own, close) in enumerate(zip(times, closes, strict=True)):
        if own.size > 1:
            with np.errstate(invalid="ignore", divide="ignore"):
                moves = np.diff(np.log(close))
            is_off = np.abs(moves) >= np.log(largest_return)
            moves[is_off | (np.diff(own) > longest_pause)] = np.nan
            returns[np.searchsorted(bars, own[1:]), k] = np.where(np.isfinite(moves), moves, np.nan)
    return bars, returns
