"""Known faults planted in copies of bars: the same for each model, and found by rules."""

from dataclasses import replace

import numpy as np

from detection.planted import KINDS, plant_faults
from market.bars.history import history_start
from tests.unit.detection.features.twin import build_panel, draw_bars


def test_each_fault_is_planted_in_a_copy_with_enough_history() -> None:
    panel = build_panel(*(draw_bars(seed, 900) for seed in (1, 2)))
    panel = replace(panel, times=np.tile(np.arange(900) * 86_400, 2))
    before = panel.close.copy()
    rows = np.flatnonzero(np.arange(1_800) % 900 > 600)
    planted = plant_faults(panel, rows, history_start)
    assert np.array_equal(panel.close, before)
    assert len(planted.first) == 140
    copies = planted.panel
    assert np.array_equal(copies.offsets[:-1] < planted.first, np.ones(140, bool))
    names = set()
    for s, first in enumerate(planted.first.tolist()):
        own = copies.series(s)
        position = int(copies.first_index[s]) + first - own.start
        series = panel.series(panel.tickers.index(copies.tickers[s]))
        assert int(copies.first_index[s]) <= history_start(position, "1d")
        assert copies.times[first] == panel.times[series.start + position]
        intact = slice(series.start + int(copies.first_index[s]), series.start + position)
        assert np.array_equal(copies.close[own.start : first], panel.close[intact])
        changed = (copies.open, copies.high, copies.low, copies.close, copies.volume)
        stored = (panel.open, panel.high, panel.low, panel.close, panel.volume)
        at = series.start + position
        told = [one[first] != other[at] for one, other in zip(changed, stored, strict=True)]
        assert any(told)
        names.add((own.stop - first, *told))
    assert len(names) >= len(KINDS) - 1
    # A call with fewer rows plants the same faults in these rows.
    some = plant_faults(panel, rows[rows > 700], history_start)
    keys, others = (
        set(zip(each.panel.tickers, each.panel.times[each.first].tolist(), strict=True))
        for each in (planted, some)
    )
    assert {key for key in keys if key[0] != "T0" or key[1] > 700 * 86_400} < others
    assert plant_faults(panel, rows[:0], history_start).panel.times.size == 0
