"""How much of a bar's volume is explained by a split for which the bars are not adjusted.

After a split of 2 for 1 the same trading is twice as many shares. The usual volume, by which a
bar's volume is measured, is still that of the bars before the split.
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
    """A bar that opens as after a split.

    Attributes:
        shares: how many shares one share became.
        until: the row from which on the price is known to have been wrong, not split.
    """

    shares: float
    until: int = sys.maxsize


def find_explained_volume(
    panel: BarPanel, rows: Int64, begins: Int64, splits: Mapping[int, SeemingSplit]
) -> Float64:
    """Return the factor by which the mean volume of the 60 bars before each row would be larger if
    these bars were adjusted for `splits`, shape (m,); at least 1.

    Args:
        panel: the bars of the rows, and those before them.
        rows: shape (m,), ascending, rows of the panel.
        begins: shape (m,), the first row of each row's series.
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
