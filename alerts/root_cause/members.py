"""The members that carry the move of an index or a sector: without them it would be usual."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from alerts.root_cause.factors import ESTIMATION_BARS, MARKET_Z
from alerts.root_cause.kernel import LEAST_BARS, measure_without
from core.arrays import Float64

LEAST_MEMBERS = 3
# More members than this, or a larger share of all, carry no move: then everybody moved.
MOST_TOGETHER, MOST_PART = 3, 0.25
# Weights are estimated from the index's own moves only if its members leave no more of them than
# this unexplained.
MOST_UNEXPLAINED = 0.1


class Carriers(NamedTuple):
    """The members that carry a move.

    Attributes:
        members: the members' numbers, the heaviest first; empty if no member carries the move.
        together: whether all of them must be left out to make the move usual; otherwise leaving out
            any one is enough.
        weighted: whether the move is the index's own and the members' weights were estimated;
            otherwise it is the mean of the members' moves.
    """

    members: list[int]
    together: bool
    weighted: bool


def find_carriers(returns: Float64, index: Float64 | None = None) -> Carriers:
    """Return the members without which the move of all of them is not strange.

    Each alone, the heaviest first; where it takes several, the fewest of the heaviest, a quarter of
    them at the most. Nothing where the move is not strange with all of them, or is with whatever is
    left.

    Args:
        returns: shape (t, n), log returns of n members on t bars, the last of which is explained;
            NaN where there is none.
        index: shape (t,), log returns of the index. If its members' returns with non-negative
            weights explain nearly all of its returns, these weights are used and the index's move
            is explained. Otherwise all weights are equal, and the mean of the members is explained.
    """
    moves = np.ascontiguousarray(returns[-ESTIMATION_BARS - 1 :], np.float64)
    weights = None if index is None else _find_weights(moves, index[-ESTIMATION_BARS - 1 :])
    weighted = weights is not None
    if moves.shape[1] < LEAST_MEMBERS:
        return Carriers([], together=False, weighted=weighted)
    whole = np.zeros(0) if weights is None else np.ascontiguousarray(index[-ESTIMATION_BARS - 1 :])  # type: ignore[index]  # it has weights
    shares = np.ones(moves.shape[1]) if weights is None else weights
    last = np.nan_to_num(moves[-1]) * shares
    total = last.sum() if weights is None else whole[-1]
    ranked = np.argsort(-last * np.sign(total), kind="stable")
    if not _is_strange(measure_without(moves, whole, shares, ranked[:0], together=True)[0]):
        return Carriers([], together=False, weighted=weighted)
    heavy = ranked[last[ranked] * np.sign(total) > 0.0]
    alone = measure_without(moves, whole, shares, heavy, together=False)[1:]
    found = [int(i) for i, z in zip(heavy, alone, strict=True) if not _is_strange(z)]
    if found:
        return Carriers(found, together=False, weighted=weighted)
    few = heavy[: max(MOST_TOGETHER, int(MOST_PART * moves.shape[1]))]
    for count, z in enumerate(measure_without(moves, whole, shares, few, together=True)):
        if 1 < count < moves.shape[1] and not _is_strange(z):
            return Carriers(heavy[:count].tolist(), together=True, weighted=weighted)
    return Carriers([], together=False, weighted=weighted)


def _find_weights(moves: Float64, index: Float64) -> Float64 | None:
    """Return the weights of members in an index by least squares, none negative; None where they
    cannot be told, or leave more than a tenth of its moves' squares.
    """
    known = np.isfinite(index)
    known[-1] = False
    t, n = int(known.sum()), moves.shape[1]
    if t < max(LEAST_BARS, 2 * n) or not np.isfinite(index[-1]):
        return None
    before, own = np.nan_to_num(moves[known]), index[known]
    weights, left = nnls(before, own)
    return weights if left**2 <= MOST_UNEXPLAINED * float(own @ own) else None


def _is_strange(z: float) -> bool:
    return bool(abs(z) >= MARKET_Z)
