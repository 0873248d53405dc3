"""Which members carry the move of an index or a sector: those without which it would be none."""

import numpy as np

from alerts.root_cause.factors import ESTIMATION_BARS, MARKET_Z
from alerts.root_cause.kernel import scale_last
from core.arrays import Bools, Float64

LEAST_MEMBERS = 3


def find_carriers(returns: Float64) -> list[int]:
    """Return the members without which the mean move of all of them is not strange.

    Each alone, the heaviest first; where it takes several, the fewest of the heaviest. Nothing
    where the mean is not strange with all of them, or is with whatever is left.

    Args:
        returns: shape (t, n), log returns of n members on t bars, the last of which is explained;
            NaN where there is none. Their weights are taken for equal.
    """
    moves = np.asarray(returns[-ESTIMATION_BARS - 1 :], np.float64)
    present = np.isfinite(moves)
    if moves.shape[1] < LEAST_MEMBERS or not _is_strange(moves, present):
        return []
    last = np.where(present[-1], moves[-1], 0.0)
    direction = np.sign(last.sum())
    ranked = np.argsort(-last * direction, kind="stable")
    heavy = [int(i) for i in ranked if last[i] * direction > 0.0]
    alone = [i for i in heavy if not _is_strange(*_leave_out(moves, present, [i]))]
    if alone:
        return alone
    for count in range(2, min(len(heavy), moves.shape[1] - 1) + 1):
        if not _is_strange(*_leave_out(moves, present, heavy[:count])):
            return heavy[:count]
    return []


def _leave_out(moves: Float64, present: Bools, left: list[int]) -> tuple[Float64, Bools]:
    return np.delete(moves, left, axis=1), np.delete(present, left, axis=1)


def _is_strange(moves: Float64, present: Bools) -> bool:
    count = present.sum(axis=1)
    total = np.where(present, moves, 0.0).sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return bool(abs(scale_last(mean)) >= MARKET_Z)
