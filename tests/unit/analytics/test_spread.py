"""Metrics of an order book and trades, computed by hand or by brute force."""

import numpy as np
import pytest

from analytics.snapshot import compute_snapshots
from analytics.spread import estimate_slippage
from analytics.subject import Depth
from analytics.volume import sum_trades
from tests.unit.analytics.panels import build, draw_bars

BOOK = Depth(
    bid_prices=np.array([99.9, 99.5, 98.9, 98.0]),
    bid_amounts=np.array([10.0, 20.0, 30.0, 40.0]),
    ask_prices=np.array([100.1, 100.5, 101.0, 103.0]),
    ask_amounts=np.array([5.0, 5.0, 10.0, 100.0]),
)


def test_book_gives_spread_depth_and_imbalance() -> None:
    (snapshot,) = compute_snapshots(build({"T": draw_bars(1, 80)}, [79], depth=[BOOK]))
    values = snapshot.values
    assert values["bid_ask_spread"] == pytest.approx(0.2, rel=1e-9)
    assert values["spread_percentage"] == {"value": pytest.approx(0.2, rel=1e-9), "method": "depth"}
    # The middle is 100: bids down to 99, asks up to 101.
    assert values["market_depth_bid"] == pytest.approx(
        {"quantity": 30.0, "notional": 2989.0}, rel=1e-9
    )
    assert values["market_depth_ask"] == pytest.approx(
        {"quantity": 20.0, "notional": 2013.0}, rel=1e-9
    )
    assert values["order_book_imbalance"] == pytest.approx((100 - 120) / 220, rel=1e-9)
    assert values["slippage_estimate"]["size"] > 0


def test_only_ten_levels_count_for_the_imbalance() -> None:
    deep = Depth(
        np.linspace(99, 90, 12),
        np.full(12, 2.0),
        np.linspace(101, 110, 12),
        np.r_[np.ones(10), 900, 900],
    )
    (snapshot,) = compute_snapshots(build({"T": draw_bars(1, 30)}, [29], depth=[deep]))
    assert snapshot.values["order_book_imbalance"] == pytest.approx((20 - 10) / 30, rel=1e-9)


def test_slippage_is_that_of_filling_level_by_level() -> None:
    found = estimate_slippage(BOOK, 1000.0)
    # Buying for 1,000: 5 at 100.1 (500.5), the rest of 499.5 at 100.5.
    shares = 5 + 499.5 / 100.5
    assert found["buy"] == pytest.approx(100 * (1000 / shares - 100) / 100, rel=1e-9)
    # Selling for 1,000: 10 at 99.9 (999), 1 at 99.5.
    assert found["sell"] == pytest.approx(100 * (100 - 1000 / (10 + 1 / 99.5)) / 100, rel=1e-9)
    assert found["unfilled_buy"] == found["unfilled_sell"] == 0.0


def test_a_book_that_is_too_small_says_what_is_left_to_fill() -> None:
    found = estimate_slippage(BOOK, 1e6)
    asks = float((BOOK.ask_prices * BOOK.ask_amounts).sum())
    assert found["unfilled_buy"] == pytest.approx(100 * (1 - asks / 1e6), rel=1e-9)
    assert found["buy"] == pytest.approx(asks / 120 - 100, rel=1e-9)


def test_without_a_book_there_is_a_reason_and_no_number() -> None:
    (snapshot,) = compute_snapshots(build({"T": draw_bars(1, 80)}, [79]))
    for metric in (
        "bid_ask_spread",
        "market_depth_bid",
        "market_depth_ask",
        "slippage_estimate",
        "order_book_imbalance",
    ):
        assert snapshot.values[metric] is None
        assert snapshot.missing[metric] == {"reason": "no_depth"}
    assert snapshot.values["spread_percentage"]["method"] == "edge"
    assert snapshot.values["volume_delta"]["method"] == "bulk"


def test_one_ticker_with_a_book_and_one_without() -> None:
    subject = build({"A": draw_bars(1, 80), "B": draw_bars(2, 80)}, [79, 159], depth=[None, BOOK])
    one, other = compute_snapshots(subject)
    assert one.missing["bid_ask_spread"] == {"reason": "no_depth"}
    assert "bid_ask_spread" not in other.missing


def test_trades_are_counted_by_the_takers_side() -> None:
    random = np.random.default_rng(1)
    bars = draw_bars(3, 60)
    opens = bars["time"].to_numpy()
    closes = opens + 86_400
    times = np.sort(random.integers(opens[30], closes[-1], 5_000))
    amounts, takers = random.exponential(10.0, 5_000), random.integers(-1, 2, 5_000)
    taken = sum_trades(times, amounts, takers, opens, closes)
    (snapshot,) = compute_snapshots(build({"T": bars}, [59], taken=taken))
    expected = [
        sum(a * t for time, a, t in zip(times, amounts, takers, strict=True) if o <= time < c)
        for o, c in zip(opens[40:], closes[40:], strict=True)
    ]
    delta = snapshot.values["volume_delta"]
    assert delta["method"] == delta["method_20"] == "trades"
    assert delta["last"] == pytest.approx(expected[-1], rel=1e-9)
    assert delta["sum_20"] == pytest.approx(sum(expected), rel=1e-9)
    (mixed,) = compute_snapshots(build({"T": bars}, [45], taken=taken))
    assert mixed.values["volume_delta"]["method"] == "trades"
    assert mixed.values["volume_delta"]["method_20"] == "mixed"
