"""Jumps that look like splits, and shocks that do not."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from detection.scoring.suspected_split import find_suspected_split, is_few_ticks
from tests.unit.detection.features.twin import PRICES, build_panel, read_real_bars


@pytest.mark.parametrize(
    ("ticker", "previous_close", "open_"),
    [("AAPL", 101.25, 50.5), ("AAPL", 88.99, 44.68), ("MSFT", 48.30, 24.62)],
)
def test_real_splits_are_suspected(ticker: str, previous_close: float, open_: float) -> None:
    bars = read_real_bars()[ticker]
    day = bars.index[bars["open"] == open_][0]
    assert bars["close"][day - 1] == previous_close
    assert find_suspected_split(previous_close, open_) == 2.0


def test_the_only_suspected_splits_of_all_real_bars_are_real() -> None:
    suspected = [
        (ticker, open_)
        for ticker, bars in read_real_bars().items()
        for before, open_ in zip(bars["close"], bars["open"][1:], strict=False)
        if find_suspected_split(before, open_)
    ]
    # Apple's profit warning of 2000-09-29, a fall from 53.50 to 28.19 at the open, is not
    # suspected.
    assert set(suspected) == {("AAPL", 50.5), ("AAPL", 44.68), ("MSFT", 24.62)}


@pytest.mark.parametrize(
    ("jump", "ratio"),
    [
        (2.0, 2.0),
        (1.97, 2.0),
        (3.05, 3.0),
        (7.0, 7.0),
        (0.1, 0.1),
        (0.05, 0.05),
        (1.5, 1.5),
        (20.3, 20.0),
    ],
)
def test_ratios_are_recognised_both_ways(jump: float, ratio: float) -> None:
    assert find_suspected_split(100.0, 100.0 / jump) == pytest.approx(ratio)


@pytest.mark.parametrize("jump", [1.0, 1.05, 0.95, 1.2, 1.3, 1.75, 0.8, 500.0, 0.002])
def test_jumps_of_other_ratios_are_not_suspected(jump: float) -> None:
    assert find_suspected_split(100.0, 100.0 / jump) is None


@pytest.mark.parametrize(("previous_close", "open_"), [(0.0, 1.0), (1.0, 0.0)])
def test_invalid_prices_give_no_ratio(previous_close: float, open_: float) -> None:
    assert find_suspected_split(previous_close, open_) is None


@pytest.mark.parametrize(
    ("prices", "is_one"),
    [
        ([3, 3, 3, 2], True),  # In yen.
        ([0.003, 0.003, 0.002], True),
        (np.float32([1000.23, 0.03, 0.02]), True),  # 32 bits hold no 1000.23.
        ([1e301, 3e-5, 2e-5], True),
        ([1500, 1500, 750], False),
        # The price of a coin is less than a thousandth of each tick down to the fourth decimal.
        ([0.00012341, 0.00012337, 0.00006169], False),
        ([1.2341e-5, 1.2337e-5, 6.169e-6], False),
        ([1.2341e-9, 1.2337e-9, 6.169e-10], False),
    ],
)
def test_a_jump_of_few_ticks_is_distinguished_from_a_split(
    prices: Sequence[float], *, is_one: bool
) -> None:
    bars = pd.DataFrame({name: np.asarray(prices, np.float64) for name in [*PRICES, "volume"]})
    assert is_few_ticks(build_panel(bars), 0, len(prices) - 1) is is_one
