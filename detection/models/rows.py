"""Turns the features of a panel into the rows that a detector takes."""

import numpy as np

from core.arrays import Int64
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features
from detection.features.feature_sets import FeatureSet
from market.bars.panel import BarPanel
from market.bars.segments import find_segments


def lay_out_rows(
    panel: BarPanel, features: Features, feature_set: FeatureSet, wanted: Int64
) -> SeriesRows:
    """Return the rows of a panel's series; those at the positions `wanted` (m,) of the features are
    the rows to score. After a pause of more than a year, also one without a trade, a new series
    begins.
    """
    own = np.searchsorted(features.rows, panel.offsets)
    offsets, _ = find_segments(panel.times[features.rows], own)
    shift = panel.first_index - panel.offsets[:-1] - feature_set.warm_up_bars
    places = features.rows + np.repeat(shift, np.diff(own))
    return SeriesRows(features.inputs, offsets, places, wanted)


def join_rows(portions: list[SeriesRows], columns: int) -> SeriesRows:
    """Return the rows of all portions, which have so many `columns`, as one."""
    counts = [len(portion.inputs) for portion in portions]
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)[: len(portions)]
    return SeriesRows(
        np.concatenate([np.empty((0, columns), np.float32), *(p.inputs for p in portions)]),
        np.concatenate(
            [
                *(p.offsets[:-1] + start for p, start in zip(portions, starts, strict=True)),
                [sum(counts)],
            ]
        ).astype(np.int64),
        np.concatenate([np.empty(0, np.int64), *(p.places for p in portions)]),
        np.concatenate(
            [
                np.empty(0, np.int64),
                *(p.wanted + start for p, start in zip(portions, starts, strict=True)),
            ]
        ),
    )
