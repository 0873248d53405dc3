"""Fingerprints: SHA-256 over bars, so that it can be said later whether they are still the same."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from market.bars.buckets import VALUES
from market.bars.history import ANCHOR_BARS
from market.bars.panel import BarPanel

# Time, four prices and volume of eight bytes each.
BAR_BYTES = 48


class PanelFingerprints:
    """Fingerprints of stretches of a panel's rows, as the bars are after adjustment for splits.

    A stretch is taken in blocks of 128 bars from its first: its fingerprint is the SHA-256 of the
    blocks' SHA-256. So stretches that begin a multiple of a block apart share most of the work. A
    bar is hashed as its time (int64), open, high, low, close and volume (float64), each
    little-endian.
    """

    def __init__(self, panel: BarPanel) -> None:
        self._panel = panel
        self._offsets: list[int] = panel.offsets.tolist()
        self._series: dict[int, memoryview] = {}
        self._blocks: dict[int, bytes] = {}

    def compute(self, start: int, stop: int) -> str:
        """Return the fingerprint of the rows from `start` to before `stop`, all of one series."""
        s = bisect_right(self._offsets, start) - 1
        bars, begin = self._lay_out(s), self._offsets[s]
        last = stop - (stop - start) % ANCHOR_BARS
        digests = []
        for row in range(start, last, ANCHOR_BARS):
            block = self._blocks.get(row)
            if block is None:
                own = bars[(row - begin) * BAR_BYTES : (row - begin + ANCHOR_BARS) * BAR_BYTES]
                block = self._blocks[row] = hashlib.sha256(own).digest()
            digests.append(block)
        rest = bars[(last - begin) * BAR_BYTES : (stop - begin) * BAR_BYTES]
        digests.append(hashlib.sha256(rest).digest())
        return f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}"

    def _lay_out(self, s: int) -> memoryview:
        """Return the bars of a series as they are hashed: of a scan, few are asked for."""
        if s not in self._series:
            panel, rows = self._panel, self._panel.series(s)
            columns = [getattr(panel, name)[rows].astype("<f8", copy=False) for name in VALUES]
            times = panel.times[rows].astype("<i8", copy=False)
            bars = np.column_stack((times, *(each.view("<i8") for each in columns)))
            self._series[s] = bars.data.cast("B")
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
