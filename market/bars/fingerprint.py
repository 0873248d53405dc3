"""Fingerprints: SHA-256 over bars, so that it can be said later whether they are still the same."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.arrays import Int64
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
        self._panel = panel
        self._series: dict[int, Int64] = {}
        self._blocks: dict[int, bytes] = {}

    def compute(self, start: int, stop: int) -> str:
        """Return the fingerprint of the rows from `start` to before `stop`, all of one series."""
        digest = hashlib.sha256()
        s = int(self._panel.offsets.searchsorted(start, side="right")) - 1
        bars, begin = self._lay_out(s), int(self._panel.offsets[s])
        last = stop - (stop - start) % ANCHOR_BARS
        for row in range(start, last, ANCHOR_BARS):
            block = self._blocks.get(row)
            if block is None:
                own = bars[row - begin : row - begin + ANCHOR_BARS]
                block = self._blocks[row] = hashlib.sha256(own.data).digest()
            digest.update(block)
        digest.update(hashlib.sha256(bars[last - begin : stop - begin].data).digest())
        return f"sha256:{digest.hexdigest()}"

    def _lay_out(self, s: int) -> Int64:
        """Return the bars of a series as they are hashed, shape (n, 6): of a scan, few are asked
        for.
        """
        if s not in self._series:
            panel, rows = self._panel, self._panel.series(s)
            columns = [getattr(panel, name)[rows].astype("<f8", copy=False) for name in VALUES]
            times = panel.times[rows].astype("<i8", copy=False)
            self._series[s] = np.column_stack((times, *(each.view("<i8") for each in columns)))
        return self._series[s]


def fingerprint_series(
    bucket_digests: Mapping[str, str], splits: Sequence[Mapping[str, Any]]
) -> str:
    """Return the fingerprint of a whole series from its buckets' SHA-256 by span and its splits."""
    digest = hashlib.sha256()
    for span in sorted(bucket_digests):
        digest.update(f"{span}:{bucket_digests[span]}\n".encode())
    for split in sorted(splits, key=lambda split: split["session"]):
        digest.update(f"{split['session']:%Y-%m-%d}/{split['factor']!r}\n".encode())
    return f"sha256:{digest.hexdigest()}"
