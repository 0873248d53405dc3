"""The metrics that a series has because of its market: benchmark, breadth, correlations."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint

from analytics.market import align_benchmark, arrange, describe_market
from analytics.regime import REGIMES
from analytics.sets import compute_cointegration, compute_correlation_matrix
from analytics.snapshot import compute_snapshots
from tests.unit.analytics import oracles
from tests.unit.analytics.panels import build, build_panel, column, draw_bars, list_weekdays


def draw_market(count: int, bars: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return series that share a factor, some of which miss bars."""
    random = np.random.default_rng(seed)
    factor = random.standard_t(4, bars) * 0.01
    series = {}
    for i in range(count):
        own = draw_bars(seed + i + 1, bars)
        path = 50 * np.exp(
            np.cumsum((0.3 + 0.1 * i) * factor + 0.01 * random.standard_normal(bars))
        )
        own[["open", "high", "low", "close"]] *= (path / own["close"].to_numpy())[:, None]
        kept = np.ones(bars, bool)
        if i % 4 == 3:
            kept[random.integers(0, bars, 8)] = False
        series[f"T{i}"] = own[kept].reset_index(drop=True)
    return series


def frame_returns(series: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            ticker: pd.Series(
                np.log(bars["close"] / bars["close"].shift(1)).to_numpy(), bars["time"]
            )
            for ticker, bars in series.items()
        }
    ).sort_index()


def test_benchmark_without_an_index_is_the_median_of_the_others() -> None:
    series = draw_market(9, 120)
    panel = build_panel(series)
    found = align_benchmark(arrange(panel, "US", 0), panel)
    returns = frame_returns(series)
    for s, ticker in enumerate(series):
        others = returns.drop(columns=ticker).median(axis=1)
        times = panel.times[panel.series(s)]
        assert found[panel.series(s)] == pytest.approx(
            others[times].to_numpy(), rel=1e-12, nan_ok=True
        )


def test_two_other_tickers_are_too_few_for_a_benchmark() -> None:
    series = draw_market(3, 300)
    subject = build(series, [299], market="US")
    (snapshot,) = compute_snapshots(subject)
    for metric in (
        "rolling_correlation",
        "beta",
        "cross_correlation_lag",
        "volatility_correlation",
    ):
        assert snapshot.values[metric] is None
        assert snapshot.missing[metric] == {"reason": "no_benchmark"}
    assert snapshot.missing["market_breadth"] == {"needed": 10, "have": 3, "of": "tickers"}


def test_an_index_series_is_the_benchmark_and_has_none_itself() -> None:
    series = draw_market(5, 300)
    series["^GSPC"] = draw_bars(99, 300)
    panel = build_panel(series)
    found = align_benchmark(arrange(panel, "US", 0), panel)
    index = frame_returns(series)["^GSPC"]
    assert found[panel.series(0)] == pytest.approx(index.to_numpy(), rel=1e-12, nan_ok=True)
    assert np.isnan(found[panel.series(5)]).all()


def test_metrics_with_the_market_equal_pandas_and_statsmodels() -> None:
    series = draw_market(3, 420)
    series["^GSPC"] = draw_bars(77, 420)
    index = frame_returns(series)["^GSPC"]
    panel = build_panel(series)
    for s in range(3):
        own = frame_returns(series)[f"T{s}"].dropna()
        times = panel.times[panel.series(s)]
        own = own.reindex(times)
        expected = oracles.compute_market_oracles(own, index[times])
        rows = np.arange(panel.offsets[s], panel.offsets[s + 1])
        snapshots = list(compute_snapshots(build(series, rows, market="US")))
        for metric, values in expected.items():
            found = column(snapshots, metric)
            needed = {"beta": 61, "rolling_correlation": 31}.get(
                metric, 151 if "stab" in metric else 141
            )
            assert np.isfinite(found[needed - 1 :]).all(), metric
            assert np.isnan(found[: needed - 1]).all(), metric
            tail = np.asarray(values)[needed - 1 :]
            assert found[needed - 1 :] == pytest.approx(tail, rel=1e-9, abs=1e-12), metric


@pytest.mark.parametrize("lead", [-4, 0, 2, 7])
def test_the_lag_says_which_of_two_series_leads(lead: int) -> None:
    random = np.random.default_rng(3)
    market = 0.01 * random.standard_normal(320)
    own = np.roll(market, lead) + 0.004 * random.standard_normal(320)
    series = {}
    for ticker, returns in (("T", own[20:-20]), ("^GSPC", market[20:-20])):
        bars = draw_bars(1, 280)
        for name in ("open", "high", "low", "close"):
            bars[name] = 100 * np.exp(np.cumsum(returns))
        series[ticker] = bars
    (snapshot,) = compute_snapshots(build(series, [279], market="US"))
    expected = oracles.find_lag(own[20:-20][-250:], market[20:-20][-250:])
    assert snapshot.values["cross_correlation_lag"] == expected == (lead or None)
    if not lead:
        assert snapshot.missing["cross_correlation_lag"] == {"reason": "not_significant"}


def test_breadth_counts_only_tickers_with_that_bar() -> None:
    series = draw_market(14, 90)
    returns = frame_returns(series)
    panel = build_panel(series)
    closes = pd.DataFrame(
        {t: pd.Series(b["close"].to_numpy(), b["time"]) for t, b in series.items()}
    )
    means = pd.DataFrame(
        {
            t: pd.Series(b["close"].rolling(50).mean().to_numpy(), b["time"])
            for t, b in series.items()
        }
    )
    for snapshot in compute_snapshots(build(series, [60, 75, 89], market="US")):
        now = returns.loc[snapshot.time].dropna()
        breadth = snapshot.values["market_breadth"]
        up, down = (now > 0).sum(), (now < 0).sum()
        assert breadth["advance_decline"] == pytest.approx((up - down) / (up + down), rel=1e-12)
        known = means.loc[snapshot.time].dropna()
        above = (closes.loc[snapshot.time, known.index] > known).mean()
        assert breadth["above_sma_50"] == pytest.approx(above, rel=1e-12)
    (bar,) = describe_market(arrange(panel, "US", 0), panel.times[-1:])
    medians = returns.median(axis=1)
    assert bar.market_return == pytest.approx(medians.iloc[-1], rel=1e-12)
    assert bar.z == pytest.approx(medians.iloc[-1] / medians.iloc[-61:-1].std(), rel=1e-9)


def test_the_regimes_of_a_market_are_those_of_its_series() -> None:
    series = draw_market(12, 330)
    panel = build_panel(series)
    last = panel.offsets[1:] - 1
    snapshots = list(compute_snapshots(build(series, last, market="US")))
    expected = dict.fromkeys(REGIMES, 0)
    for snapshot in snapshots:
        if snapshot.time == panel.times[-1]:
            expected[snapshot.values["regime"]["regime"]] += 1
    (bar,) = describe_market(arrange(panel, "US", 0), panel.times[-1:])
    assert bar.regimes == {name: n for name, n in expected.items() if n}


def test_matrix_equals_pandas() -> None:
    series = draw_market(12, 200)
    series["YOUNG"] = draw_bars(50, 200).iloc[-25:].reset_index(drop=True)
    series["FLAT"] = draw_bars(51, 200, flat=1.0)
    panel = build_panel(series)
    found = compute_correlation_matrix(panel, int(panel.times.max()))
    expected = frame_returns(series).iloc[-60:].corr(min_periods=30).to_numpy()
    assert np.isnan(found.matrix[12]).all()
    assert np.isnan(found.matrix[13]).all()
    kept = np.r_[0:12]
    assert found.matrix[np.ix_(kept, kept)] == pytest.approx(
        expected[np.ix_(kept, kept)], rel=1e-9, abs=1e-12
    )
    assert sorted(found.order.tolist()) == list(range(14))


def test_clusters_contain_tickers_that_move_together() -> None:
    random = np.random.default_rng(4)
    series = {}
    for group in range(2):
        factor = 0.01 * random.standard_normal(100)
        for i in range(3):
            bars = draw_bars(1, 100)
            returns = factor + 0.002 * random.standard_normal(100)
            for name in ("open", "high", "low", "close"):
                bars[name] = 100 * np.exp(np.cumsum(returns))
            series[f"{'AB'[group]}{i}"] = bars
    # The groups alternate, so the order must bring them together.
    series = {t: series[t] for t in ("A0", "B0", "A1", "B1", "A2", "B2")}
    panel = build_panel(series)
    found = compute_correlation_matrix(panel, int(panel.times.max()))
    assert len(set(found.clusters[[0, 2, 4]])) == 1
    assert len(set(found.clusters[[1, 3, 5]])) == 1
    assert found.clusters[0] != found.clusters[1]
    assert {frozenset(found.order[:3].tolist()), frozenset(found.order[3:].tolist())} == {
        frozenset({0, 2, 4}),
        frozenset({1, 3, 5}),
    }


def test_pairs_are_tested_as_by_statsmodels() -> None:
    random = np.random.default_rng(5)
    walk = np.cumsum(0.01 * random.standard_normal(300))
    spread = np.zeros(300)
    for t in range(1, 300):
        spread[t] = 0.8 * spread[t - 1] + 0.005 * random.standard_normal()
    paths = {
        "A": walk * 1.5 + spread,
        "B": walk,
        "C": np.cumsum(0.01 * random.standard_normal(300)),
    }
    series = {}
    for ticker, path in paths.items():
        series[ticker] = draw_bars(1, 300)
        series[ticker]["close"] = 100 * np.exp(path)
    panel = build_panel(series)
    found = compute_cointegration(panel, int(panel.times.max()))
    assert [pair["tickers"] for pair in found] == [["A", "B"], ["A", "C"], ["B", "C"]]
    for pair in found:
        one, other = (np.log(series[t]["close"].to_numpy())[-250:] for t in pair["tickers"])
        assert pair["p_value"] == pytest.approx(coint(one, other)[1], rel=1e-9)
        assert pair["hedge_ratio"] == pytest.approx(np.polyfit(other, one, 1)[0], rel=1e-9)
    assert found[0]["p_value"] < 0.01
    assert found[0]["half_life"] == pytest.approx(np.log(0.5) / np.log(0.8), rel=0.5)
    assert found[1]["p_value"] > 0.05


def test_pairs_that_cannot_be_tested_say_why() -> None:
    series = {"A": draw_bars(1, 300), "YOUNG": draw_bars(2, 300).iloc[-40:].reset_index(drop=True)}
    series |= {"FLAT": draw_bars(3, 300, flat=1.0), "TWIN": draw_bars(1, 300)}
    panel = build_panel(series)
    found = {tuple(p["tickers"]): p for p in compute_cointegration(panel, int(panel.times.max()))}
    assert found["A", "YOUNG"]["missing"] == {"needed": 100, "have": 40}
    assert found["A", "FLAT"]["missing"] == {"reason": "flat"}
    assert found["A", "TWIN"]["missing"] == {"reason": "flat"}
    assert found["A", "TWIN"]["p_value"] is None


def test_more_than_45_pairs_are_refused() -> None:
    panel = build_panel({f"T{i}": draw_bars(i, 20) for i in range(11)})
    with pytest.raises(ValueError, match="55 pairs"):
        compute_cointegration(panel, int(list_weekdays(20)[-1]))
