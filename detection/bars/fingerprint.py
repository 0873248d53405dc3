"""Fingerprints: SHA-256 over bars, so that it can be said later whether they are still the same."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from detection.bars.buckets import VALUES
from detection.bars.panel import BarPanel


def fingerprint_rows(panel: BarPanel, row_start: int, row_stop: int) -> str:
    """Return the fingerprint of a panel's rows, as they are after adjustment for splits.

    It covers times (int64) then open, high, low, close and volume (float64), each little-endian.
    """
    digest = hashlib.sha256(panel.times[row_start:row_stop].astype("<i8", copy=False).data)
    for name in VALUES:
        digest.update(getattr(panel, name)[row_start:row_stop].astype("<f8", copy=False).data)
    return f"sha256:{digest.hexdigest()}"


def fingerprint_series(bucket_digests: Mapping[str, str], splits: Sequence[Mapping[str, Any]]) -> str:
    """Return the fingerprint of a whole series from its buckets' SHA-256 by year and its splits."""
    digest = hashlib.sha256()
    for year in sorted(bucket_digests):
        digest.update(f"{year}:{bucket_digests[year]}\n".encode())
    for split in sorted(splits, key=lambda split: split["session"]):
        digest.update(f"{split['session']:%Y-%m-%d}/{split['factor']!r}\n".encode())
    return f"sha256:{digest.hexdigest()}"
