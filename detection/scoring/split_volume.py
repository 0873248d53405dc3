"""How much of a bar's volume a split explains for which the bars are not adjusted: the bars before
it, by which volume is measured, are of fewer shares.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Float64, Int64
from detection.features.kernel import VOLUME_TENS
from market.bars.panel import BarPanel

VOLUME_BARS = 10 * VOLUME_TENS


@dataclass(frozen=True, slots=True)
class SeemingSplit:
    """A bar that opens as after a split: how many shares one became, and from which row on that is
    known to have been a wrong price.
    """

    shares: float
    until: int = sys.maxsize


def find_explained_volume(
    panel: BarPanel, rows: Int64, begins: Int64, splits: Mapping[int, SeemingSplit]
) -> Float64:
    """Return by which factor the mean volume of the 60 bars before each of some `rows` (m,) of a
    panel, ascending, would be larger, were they adjusted for `splits`; at least 1.

    Args:
        panel: with the bars before.
        rows: of bars that have features.
        begins: shape (m,), where the series of each begins.
        splits: by row.
    """
    factors = np.ones(rows.size)
    places = {
        place
        for split in splits
        for place in range(*rows.searchsorted((split, split + VOLUME_BARS)).tolist())
    }
    for place in places:
        row, begin = int(rows[place]), int(begins[place])
        first = max(begin, row - VOLUME_BARS)
        shares = np.ones(row - first)
        for split in range(max(first, begin + 1), row + 1):
            if split in splits and row < splits[split].until:
                shares[: split - first] *= splits[split].shares
        volume = panel.volume[first:row]
        if volume.any():
            factors[place] = max(1.0, float((volume * shares).sum() / volume.sum()))
    return factors
