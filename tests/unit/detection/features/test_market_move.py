"""The market's columns compared with pandas."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from detection.features.compute import compute_features
from detection.features.feature_sets import EVENTS
from detection.features.kernel import BOUND, GRID
from detection.features.market_move import (
    MarketDays,
    compute_medians,
    compute_ratios,
    compute_returns,
)
from market.bars.panel import BarPanel
from tests.unit.detection.features.twin import build_panel, compute_twin_market, draw_bars

DAY = 86_400


def draw_market(tickers: int, days: int = 400) -> list[pd.DataFrame]:
    """Return series of different lengths that end on the same day, indexed by day."""
    series = [draw_bars(seed, days - 20 * (seed % 4)) for seed in range(tickers)]
    return [bars.set_axis(range(days - len(bars), days)) for bars in series]


def lay_out(series: list[pd.DataFrame]) -> BarPanel:
    panel = build_panel(*series)
    times = np.concatenate([bars.index.to_numpy() for bars in series]) * DAY
    return BarPanel(
        *(
            times.astype(np.int64) if name == "times" else getattr(panel, name)
            for name in BarPanel.__dataclass_fields__
        )
    )


def compute_days(panel: BarPanel) -> MarketDays:
    times, moves, counts = compute_medians(*compute_returns(panel, 0, 10**12))
    return MarketDays("US", times, moves, counts, compute_ratios(moves), 1)


@pytest.mark.parametrize("tickers", [6, 11, 23])
def test_ratios_of_the_market_equal_pandas_rounded_to_the_grid(tickers: int) -> None:
    series = draw_market(tickers)
    days = compute_days(lay_out(series))
    twin = compute_twin_market(series).iloc[1:]
    assert (days.times // DAY).tolist() == twin.index.tolist()
    np.testing.assert_allclose(days.moves, twin["move"], rtol=0, atol=1e-15)
    expected = twin["ratio"].to_numpy().clip(max=BOUND)
    np.testing.assert_allclose(days.ratios, expected, rtol=0, atol=0.5 / GRID + 1e-9)
    assert days.is_known


def test_the_order_of_tickers_changes_no_bit() -> None:
    series = draw_market(12)
    one, other = compute_days(lay_out(series)), compute_days(lay_out(series[::-1]))
    assert one.ratios.tobytes() == other.ratios.tobytes()
    assert one.moves.tobytes() == other.moves.tobytes()


def test_later_days_change_no_earlier_value() -> None:
    series = draw_market(12)
    whole = compute_days(lay_out(series))
    part = compute_days(lay_out([bars.loc[:300] for bars in series]))
    assert whole.ratios[: len(part.ratios)].tobytes() == part.ratios.tobytes()


def test_a_market_of_five_has_no_move() -> None:
    days = compute_days(lay_out(draw_market(5)))
    assert np.isnan(days.moves).all()
    assert not days.ratios.any()
    assert not days.is_known
    assert np.isnan(days.find_moves(days.times[5:6])).all()


def test_a_return_over_a_pause_does_not_count_as_a_days_return() -> None:
    bars = draw_bars(1, 40)
    panel = lay_out([bars.drop(index=range(10, 19)), bars.drop(index=[30])])
    times, returns = compute_returns(panel, 0, 10**12)
    days = (times // DAY).tolist()
    assert days == [*range(1, 10), *range(20, 40), *range(1, 30), *range(31, 40)]
    assert returns[len(times) - 9] == bars["close"][31] / bars["close"][29] - 1


def test_bars_on_which_nothing_traded_have_no_return() -> None:
    bars = draw_bars(1, 40)
    bars.loc[20:22] = bars.loc[19].to_numpy()
    times, returns = compute_returns(lay_out([bars]), 0, 10**12)
    assert (times // DAY).tolist() == [*range(1, 20), *range(23, 40)]
    assert returns[19] == bars["close"][23] / bars["close"][19] - 1


def test_a_feed_error_in_half_of_the_tickers_is_no_move_of_the_market() -> None:
    series = draw_market(14)
    wrong = [bars.copy() for bars in series]
    for bars in wrong[:7]:
        bars.loc[300:301, ["open", "high", "low", "close"]] *= 100
    others, days = compute_days(lay_out(series[7:])), compute_days(lay_out(wrong))
    for day in (300, 302):
        at = np.array([day * DAY])
        assert days.find_moves(at) == others.find_moves(at)
        assert days.counts[np.searchsorted(days.times, at)] == 7
    at = np.array([301 * DAY])
    assert days.find_moves(at) == compute_days(lay_out(series)).find_moves(at)


def test_a_day_that_is_missing_counts_as_no_move() -> None:
    series = draw_market(12)
    panel = lay_out(series)
    days = compute_days(panel)
    missing = MarketDays(
        "US", days.times[:-5], days.moves[:-5], days.counts[:-5], days.ratios[:-5], 1
    )
    features = compute_features(panel, panel.offsets[:-1], EVENTS, missing)
    late = panel.times[features.rows] > missing.times[-1]
    assert late.sum() == 5 * 12
    alone = compute_features(panel, panel.offsets[:-1], EVENTS)
    assert features.inputs[late].tobytes() == alone.inputs[late].tobytes()
    assert features.inputs[~late].tobytes() != alone.inputs[~late].tobytes()


def test_the_market_part_counts_only_where_it_is_the_largest_part_of_a_departure() -> None:
    panel = lay_out(draw_market(12))
    days = compute_days(panel)
    ratios = days.ratios.copy()
    # As many as a departure of 9 needs, and a departure below the least.
    ratios[300], ratios[301] = np.sqrt(20.0), np.sqrt(3.0)
    days = replace(days, ratios=ratios)
    alone = compute_features(panel, panel.offsets[:-1], EVENTS).inputs
    features = compute_features(panel, panel.offsets[:-1], EVENTS, days)
    times = panel.times[features.rows]
    own, event = slice(0, 4), slice(4, 5)
    assert features.inputs[:, own].tobytes() == alone[:, own].tobytes()
    large = times == days.times[300]
    assert large.sum() == 12
    expected = np.maximum(alone[large, event], np.rint(3.0 * GRID) / GRID)
    np.testing.assert_allclose(features.inputs[large, event], expected, rtol=0, atol=1 / GRID)
    small = times == days.times[301]
    assert features.inputs[small].tobytes() == alone[small].tobytes()
    unknown = replace(days, ratios=np.zeros_like(ratios))
    without = compute_features(panel, panel.offsets[:-1], EVENTS, unknown)
    assert without.inputs.tobytes() == alone.tobytes()


def test_an_unknown_day_has_no_ratio_and_changes_no_other() -> None:
    moves = np.random.default_rng(1).standard_normal(100) * 0.01
    lacking = moves.copy()
    lacking[60] = np.nan
    ratios = compute_ratios(lacking)
    assert not ratios[60]
    without = compute_ratios(np.delete(moves, 60))
    np.testing.assert_array_equal(np.delete(ratios, 60), without)
    assert without[20:].any()
