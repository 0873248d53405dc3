"""Fingerprints: SHA-256 over bars, which tell later whether the bars are still the same."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from market.bars.buckets import VALUES
from market.bars.history import ANCHOR_BARS
from market.bars.panel import BarPanel

# A bar as it is hashed.
BAR = np.dtype([("times", "<i8"), *((name, "<f8") for name in VALUES)])


class PanelFingerprints:
    """Fingerprints of stretches of a panel's rows, as the bars are after adjustment for splits.

    A stretch is cut into blocks of 128 bars, counted from its first bar; its fingerprint is the
    SHA-256 of the blocks' SHA-256. So stretches that begin a multiple of a block apart share most
    of the work. A bar is hashed as its time (int64), open, high, low, close and volume (float64),
    each little-endian.
    """

    def __init__(self, panel: BarPanel) -> None:
        self._panel = panel
        self._offsets: list[int] = panel.offsets.tolist()
        self._series: dict[int, memoryview] = {}
        self._blocks: dict[int, bytes] = {}
        self._begun, self._first, self._hashed = hashlib.sha256(), -1, -1

    def compute(self, start: int, stop: int) -> str:
        """Return the fingerprint of the rows from `start` to before `stop`, all of one series."""
        s = bisect_right(self._offsets, start) - 1
        bars, begin = self._lay_out(s), self._offsets[s]
        last = stop - (stop - start) % ANCHOR_BARS
        digests = []
        for row in range(start, last, ANCHOR_BARS):
            block = self._blocks.get(row)
            if block is None:
                block = self._blocks[row] = self._hash(bars, begin, row, row + ANCHOR_BARS)
            digests.append(block)
        digests.append(self._hash(bars, begin, last, stop))
        return f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}"

    def _hash(self, bars: memoryview, begin: int, first: int, stop: int) -> bytes:
        """Return the SHA-256 of the rows from `first` to before `stop`, of the `bars` of a series
        whose first row is `begin`.

        Fingerprints are mostly asked for in order. So where `first` is that of the last call, the
        hash goes on from there.
        """
        if first != self._first or stop < self._hashed:
            self._begun, self._first, self._hashed = hashlib.sha256(), first, first
        self._begun.update(
            bars[(self._hashed - begin) * BAR.itemsize : (stop - begin) * BAR.itemsize]
        )
        self._hashed = stop
        return self._begun.digest()

    def _lay_out(self, s: int) -> memoryview:
        """Return the bars of a series in the form in which they are hashed.

        They are laid out on request, as a scan needs those of few series.
        """
        if s not in self._series:
            rows = self._panel.series(s)
            bars = np.empty(rows.stop - rows.start, BAR)
            for name in ("times", *VALUES):
                bars[name] = getattr(self._panel, name)[rows]
            self._series[s] = bars.view(np.uint8).data
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
