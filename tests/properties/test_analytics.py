"""Properties of metrics for every history: neither the load, nor later bars, nor neighbours make a
difference.
"""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.regime import REGIMES
from analytics.snapshot import compute_snapshots
from analytics.subject import build_subject, find_first_rows
from tests.unit.analytics.panels import build, build_panel, compute, draw_bars, draw_intraday

many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
histories = st.builds(
    draw_bars,
    st.integers(0, 2**32 - 1),
    st.integers(1, 1500),
    price=st.sampled_from([1e-6, 0.37, 100.0, 1e7]),
    flat=st.sampled_from([0.0, 0.3, 1.0]),
    idle=st.sampled_from([0.0, 0.5, 1.0]),
)


def describe(subject) -> list[str]:
    """Return every value and reason of a subject's bars, to the last bit."""
    return [json.dumps([s.time, s.have, s.values, s.missing]) for s in compute_snapshots(subject)]


@many
@given(histories, st.data())
def test_the_loaded_history_does_not_change_a_bit(bars, data) -> None:
    rows = sorted({data.draw(st.integers(0, len(bars) - 1)), len(bars) - 1})
    whole = build_panel({"T": bars})
    first = int(find_first_rows(whole, np.array(rows), np.zeros(len(rows), np.int64)).min())
    start = data.draw(st.integers(0, first))
    cut = build({"T": bars}, np.array(rows) - start, start=start)
    assert describe(cut) == describe(build({"T": bars}, rows))


@many
@given(st.integers(0, 99), st.data())
def test_the_loaded_history_of_intraday_bars_does_not_change_a_bit(seed, data) -> None:
    bars = draw_intraday(seed, 200, lost=0.05)
    rows = sorted({data.draw(st.integers(0, len(bars) - 1)), len(bars) - 1})
    whole = build_panel({"T": bars}, "1h")
    first = int(find_first_rows(whole, np.array(rows), np.zeros(len(rows), np.int64)).min())
    start = data.draw(st.integers(0, first))
    cut = build({"T": bars}, np.array(rows) - start, "1h", start=start)
    assert describe(cut) == describe(build({"T": bars}, rows, "1h"))


@many
@given(histories, st.data())
def test_later_bars_change_no_earlier_value(bars, data) -> None:
    last = data.draw(st.integers(0, len(bars) - 1))
    changed = bars.copy()
    changed.loc[last + 1 :, ["open", "high", "low", "close", "volume"]] *= 3.7
    alone = describe(build({"T": bars.iloc[: last + 1]}, [last]))
    assert describe(build({"T": bars}, [last])) == describe(build({"T": changed}, [last])) == alone


@many
@given(histories, histories)
def test_series_in_one_panel_do_not_affect_each_other(one, two) -> None:
    last = [len(one) - 1, len(one) + len(two) - 1]
    both = describe(build({"A": one, "B": two}, last))
    assert both == [
        *describe(build({"A": one}, last[:1])),
        *describe(build({"B": two}, [len(two) - 1])),
    ]


@pytest.mark.slow
@many
@given(histories)
def test_every_bar_with_most_of_a_year_before_it_has_one_regime_or_a_reason(bars) -> None:
    for snapshot in compute(bars)[-40:]:
        regime = snapshot.values["regime"]
        if snapshot.have < 271:
            assert snapshot.missing["regime"] == {"needed": 271, "have": snapshot.have}
        elif regime is None:
            assert snapshot.missing["regime"]["reason"] in {"flat", "no_volume"}
        else:
            assert REGIMES.count(regime["regime"]) == 1


def test_a_panel_without_enough_history_is_refused() -> None:
    panel = build_panel({"T": draw_bars(1, 1500)}, start=900)
    with pytest.raises(ValueError, match="T: the panel has bars from position 900 on"):
        build_subject(panel, np.array([599]), bars_per_year=np.full(1, 252.0))
