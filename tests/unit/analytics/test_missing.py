"""An unknown value is null with its reason, and never 0."""

import json

import numpy as np
import pytest

from analytics.catalogue import CATEGORIES, METRICS, list_metrics
from analytics.metric import REASONS
from analytics.snapshot import compute_snapshots, find_function
from tests.unit.analytics.panels import build, compute, draw_bars, draw_intraday


def test_the_catalogue_lists_51_metrics_and_the_values_beside_them() -> None:
    beside = {"yang_zhang", "plus_di", "minus_di", "regime"}
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names) == 51 + len(beside)
    assert beside < set(names)
    counts = {category: len(list_metrics(category)) for category in CATEGORIES}
    assert counts == {
        "volatility": 5 + 1,
        "volume": 5,
        "spread": 7,
        "trend": 8 + 2,
        "deviation": 10,
        "seasonality": 8,
        "correlation": 8,
        "regime": 1,
    }
    for metric in METRICS:
        assert set(metric.reasons) <= set(REASONS)
        assert metric.formula
        assert metric.source
        if metric.scope != "set":
            assert callable(find_function(metric))


def test_every_value_of_every_bar_is_there_or_explained() -> None:
    for bars in (draw_bars(1, 330), draw_bars(2, 300, flat=1.0, idle=1.0)):
        for snapshot in compute(bars):
            absent = {name for name, value in snapshot.values.items() if value is None}
            assert absent == set(snapshot.missing)
            for name, why in snapshot.missing.items():
                if "reason" in why:
                    assert why["reason"] in REASONS
                else:
                    assert 0 <= why["have"] < why["needed"], (name, why)
            json.dumps(snapshot.values, allow_nan=False)


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if m.scope == "series"], ids=lambda m: m.name
)
def test_the_least_number_of_bars_is_that_in_the_catalogue(metric) -> None:
    bars = draw_intraday(5, 60) if metric.name == "hourly_pattern" else draw_bars(4, 330)
    interval = "1h" if metric.name == "hourly_pattern" else "1d"
    series = {"T": bars, "^GSPC": bars.assign(close=bars["close"] * np.linspace(1, 1.3, len(bars)))}
    series |= {f"O{i}": draw_bars(20 + i, len(bars)).assign(time=bars["time"]) for i in range(3)}
    if interval == "1h":
        series = {"T": bars}
    before = [metric.needed - 2] if metric.needed > 1 else []
    rows = [*before, metric.needed - 1]
    found = list(compute_snapshots(build(series, rows, interval, market="US")))
    if before:
        have = found[0].missing[metric.name].get("have")
        assert found[0].values[metric.name] is None
        assert have == metric.needed - 1
        assert found[0].missing[metric.name]["needed"] == metric.needed
    why = found[-1].missing.get(metric.name, {})
    # A sum over 20 bars of a value that needs 21 needs 20 more, which its own value says;
    # significance is not promised.
    assert "needed" not in why, why
    if (
        metric.name not in {"dominant_cycle", "cross_correlation_lag"}
        and "no_depth" not in metric.reasons
    ):
        assert found[-1].values[metric.name] is not None


def test_a_flat_series_has_reasons_where_a_move_is_needed_and_zeros_elsewhere() -> None:
    last = compute(draw_bars(3, 320, flat=1.0))[-1]
    for name in (
        "z_score",
        "price_range_index",
        "autocorrelation",
        "skewness",
        "kurtosis",
        "crossover_signal",
        "adx",
        "plus_di",
        "minus_di",
        "fourier",
        "dominant_cycle",
        "entropy_index",
        "spectral_density",
        "seasonal_deviation",
        "volume_delta",
        "spread_percentage",
        "regime",
    ):
        assert last.values[name] is None, name
        assert last.missing[name] == {"reason": "flat"}, name
    for name in ("rolling_stddev", "standard_deviation", "rate_of_change", "parkinson"):
        assert last.values[name] == 0.0, name
    assert last.values["rsi"] == 50.0


def test_series_without_volume_says_so() -> None:
    last = compute(draw_bars(3, 320, idle=1.0))[-1]
    for name in ("volume_spike_ratio", "liquidity_ratio", "regime"):
        assert last.missing[name] == {"reason": "no_volume"}, name
    assert last.values["total_volume"] == 0.0


def test_negative_garman_klass_is_null() -> None:
    bars = draw_bars(1, 30)
    bars["open"], bars["low"] = bars["close"] * 0.9, bars["close"] * 0.9
    bars["high"] = bars["close"]
    last = compute(bars)[-1]
    assert last.values["garman_klass"] is not None
    bars["high"], bars["low"] = bars["close"], bars["close"] * 0.999
    assert compute(bars)[-1].missing["garman_klass"] == {"reason": "negative_variance"}


def test_values_by_hour_with_few_sessions_are_null_and_count_sessions() -> None:
    bars = draw_intraday(1, 9, minutes=15)
    last = compute(bars, interval="15m")[-1]
    assert last.missing["hourly_pattern"] == {"needed": 10, "have": 9, "of": "sessions"}


def test_weekly_bars_have_no_weekday() -> None:
    bars = draw_bars(1, 300)
    bars["time"] = bars["time"].iloc[0] + 7 * 86_400 * np.arange(300)
    last = compute(bars, interval="1w")[-1]
    assert last.missing["hourly_pattern"] == {"reason": "daily_bars"}
    assert last.missing["daily_pattern"] == {"reason": "weekly_bars"}
    assert set(last.values["weekly_pattern"]) <= {"1", "2", "3", "4", "5"}
    assert last.values["seasonal_deviation"] is not None
