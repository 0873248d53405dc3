"""Fingerprints: SHA-256 over bars, so that it can be said later whether they are still the same."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from market.bars.buckets import VALUES
from market.bars.history import ANCHOR_BARS
from market.bars.panel import BarPanel


class PanelFingerprints:
    """Fingerprints of stretches of a panel's rows, as the bars are after adjustment for splits.

    A stretch is taken in blocks of 128 bars from its first: its fingerprint is the SHA-256 of the
    blocks' SHA-256. So stretches that begin a multiple of a block apart share most of the work. A
    bar is hashed as its time (int64), open, high, low, close and volume (float64), each
    little-endian.
    """

    def __init__(self, panel: BarPanel) -> None:
        values = [getattr(panel, name).astype("<f8", copy=False).view("<i8") for name in VALUES]
        self._bars = np.column_stack((panel.times.astype("<i8", copy=False), *values))
        self._blocks: dict[int, bytes] = {}

    def compute(self, start: int, stop: int) -> str:
        """Return the fingerprint of the rows from `start` to before `stop`."""
        digest = hashlib.sha256()
        last = stop - (stop - start) % ANCHOR_BARS
        for row in range(start, last, ANCHOR_BARS):
            block = self._blocks.get(row)
            if block is None:
                block = self._blocks[row] = hashlib.sha256(
                    self._bars[row : row + ANCHOR_BARS].data
                ).digest()
            digest.update(block)
        digest.update(hashlib.sha256(self._bars[last:stop].data).digest())
        return f"sha256:{digest.hexdigest()}"


def fingerprint_series(
    bucket_digests: Mapping[str, str], splits: Sequence[Mapping[str, Any]]
) -> str:
    """Return the fingerprint of a whole series from its buckets' SHA-256 by year and its splits."""
    digest = hashlib.sha256()
    for year in sorted(bucket_digests):
        digest.update(f"{year}:{bucket_digests[year]}\n".encode())
    for split in sorted(splits, key=lambda split: split["session"]):
        digest.update(f"{split['session']:%Y-%m-%d}/{split['factor']!r}\n".encode())
    return f"sha256:{digest.hexdigest()}"
