"""Which bars nothing traded in, and which repeat the bar before."""

import numpy as np
import pytest

from market.bars.no_trade import mark_no_trade, mark_still

BEFORE = (10.0, 11.0, 9.0, 10.5, 700.0)


@pytest.mark.parametrize(
    ("bar", "idle", "still"),
    [
        pytest.param((10.5, 10.5, 10.5, 10.5, 0.0), True, True, id="flat without volume"),
        pytest.param((9.0, 9.0, 9.0, 9.0, 0.0), True, True, id="flat elsewhere without volume"),
        pytest.param(BEFORE, True, True, id="a copy"),
        pytest.param((*BEFORE[:4], 0.0), True, True, id="a copy without volume"),
        pytest.param((10.5, 10.5, 10.5, 10.5, 100.0), False, True, id="a lone trade at the close"),
        pytest.param((10.4, 10.4, 10.4, 10.4, 100.0), False, False, id="a lone trade elsewhere"),
        pytest.param((10.5, 10.6, 10.5, 10.5, 100.0), False, False, id="back at the close"),
        pytest.param((10.0, 11.0, 9.0, 10.5, 800.0), False, False, id="the same prices, traded"),
    ],
)
def test_idle_and_still_bars(bar: tuple[float, ...], idle: bool, still: bool) -> None:  # noqa: FBT001
    # The second series begins with the same bar, which has no bar before it.
    open_, high, low, close, volume = np.array([BEFORE, bar, bar, BEFORE]).T
    starts = np.array([0, 2])
    prices = (open_, high, low, close)
    flat = bar[1] == bar[2] and bar[4] == 0.0
    assert mark_no_trade(prices, volume, starts).tolist() == [False, idle, flat, bar == BEFORE]
    found = mark_still(prices, volume, starts)
    assert found.tolist() == [False, still, flat, bar == BEFORE]
