"""Each metric equals the result of another library on the same bars."""

import numpy as np
import pandas as pd
import pytest

from analytics.seasonality import compute_fisher_p
from analytics.snapshot import compute_snapshots
from tests.slow import slow_but_first
from tests.unit.analytics import oracles
from tests.unit.analytics.panels import (
    build,
    column,
    compute,
    draw_bars,
    draw_intraday,
    read_real_bars,
)

REAL = {
    ticker: read_real_bars()[ticker].iloc[:450].reset_index(drop=True) for ticker in ("AAPL", "FB")
}
GAPPED = (
    draw_bars(5, 400).drop(index=range(230, 260)).drop(index=[3, 70, 71]).reset_index(drop=True)
)
SERIES = {
    **REAL,
    "random": draw_bars(1, 420),
    "still": draw_bars(2, 420, flat=0.4, idle=0.3),
    "gapped": GAPPED,
    "cheap": draw_bars(3, 300, price=1e-4),
    "dear": draw_bars(4, 300, price=4e7),
    "hourly": draw_intraday(6, 45),
    "short": draw_bars(7, 45),
}
# TA-Lib keeps running sums and squares, which lose digits where prices hardly move.
CANCELLED = {"standard_deviation", "variance", "bollinger_upper", "bollinger_lower"}


@pytest.mark.parametrize("name", slow_but_first(SERIES))
def test_numbers_of_one_series_equal_their_oracle(name: str) -> None:
    bars = SERIES[name]
    snapshots = compute(bars, interval="1h" if name == "hourly" else "1d")
    expected = oracles.compute_series_oracles(bars)
    expected["spread_percentage"] = 100 * expected.pop("edge")
    bulk = expected.pop("bulk")
    found = {
        metric: column(snapshots, metric) for metric in expected if metric != "spread_percentage"
    }
    found["spread_percentage"] = _part(snapshots, "spread_percentage", "value")
    still = (bars["close"].rolling(60).max() == bars["close"].rolling(60).min()).to_numpy()
    for metric, values in expected.items():
        _compare(metric, found[metric], np.asarray(values, float), bars, loose=still)
    whole = pd.Series(bulk).rolling(20).apply(np.sum, raw=True)
    _compare("delta", _part(snapshots, "volume_delta", "last"), np.asarray(bulk), bars, loose=still)
    _compare(
        "delta 20", _part(snapshots, "volume_delta", "sum_20"), whole.to_numpy(), bars, loose=still
    )


def _part(snapshots: list, metric: str, part: str) -> np.ndarray:
    rows = [s.values[metric] for s in snapshots]
    return np.array([np.nan if r is None or r[part] is None else r[part] for r in rows], float)


def _compare(
    metric: str, found: np.ndarray, expected: np.ndarray, bars: pd.DataFrame, *, loose
) -> None:
    close = bars["close"]
    still = (close.rolling(20).max() == close.rolling(20).min()).to_numpy()
    both = np.isfinite(found) & np.isfinite(expected)
    # A value that only one side has belongs to bars on which nothing moved or traded.
    for t in np.flatnonzero(np.isfinite(found) != np.isfinite(expected)):
        window = bars.iloc[max(0, t - 60) : t + 1]
        quiet = (
            (window["volume"] == 0).any()
            or still[t]
            or loose[t]
            or window["close"].diff().eq(0).any()
        )
        assert quiet or (metric in {"adx", "plus_di", "minus_di"} and t < 28), (metric, t)
    scale = np.abs(expected)
    if metric in CANCELLED:
        # TA-Lib's rounding error is relative to the squares of the price.
        scale = scale + 1e-4 * close.to_numpy() ** (2 if metric == "variance" else 1)
    if metric == "rsi":
        both &= ~(found == 50.0)
    if metric in {"z_score", "autocorrelation", "skewness", "kurtosis", "delta", "delta 20"}:
        scale = scale + 1e-3 * np.nanmax(np.abs(expected), initial=0.0)
    off = np.abs(found - expected)[both] / np.maximum(scale[both], 1e-300)
    worst = off.max(initial=0.0)
    assert (off <= 1e-9)[scale[both] > 0].all(), (metric, worst, np.flatnonzero(both)[off.argmax()])
    if len(bars) > 60 and metric not in {"garman_klass"}:
        assert both.sum() > 100, metric


@pytest.mark.parametrize("name", slow_but_first(SERIES))
def test_crossovers_equal_two_means_of_talib(name: str) -> None:
    import talib  # noqa: PLC0415

    bars = SERIES[name]
    close = bars["close"].to_numpy()
    found = [
        s.values["crossover_signal"]
        for s in compute(bars, interval="1h" if name == "hourly" else "1d")
    ]
    difference = talib.SMA(close, 20) - talib.SMA(close, 50)
    last = None
    for t, signal in enumerate(found):
        if np.isnan(difference[t]):
            assert signal is None
            continue
        if t and difference[t] * difference[t - 1] < 0:
            last = t
        if signal is None or abs(difference[t]) < 1e-9 * close[t]:
            continue
        assert signal["state"] == ("bullish" if difference[t] > 0 else "bearish")
        if name in ("still",):
            continue
        ago = None if last is None or t - last > 250 else t - last
        assert signal["bars_since"] == ago
        assert signal["crossed"] == (ago == 0)
    assert any(signal is not None for signal in found) == (len(bars) > 50)


def _season(bars: pd.DataFrame, t: int, interval: str) -> pd.DataFrame:
    """Return the rows of bar t's season, each with its return."""
    frame = bars.iloc[: t + 1].assign(r=np.log(bars["close"] / bars["close"].shift(1))).iloc[1:]
    if interval == "1d":
        return frame.iloc[-756:]
    return frame[frame["time"] > bars["time"].iloc[t] - 90 * 86_400]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bars", "interval"),
    [
        (read_real_bars()["IBM"].iloc[:1_600].reset_index(drop=True), "1d"),
        (draw_bars(11, 200, flat=0.2), "1d"),
        (GAPPED, "1d"),
        (draw_intraday(12, 140), "1h"),
        (draw_intraday(13, 40, minutes=15, lost=0.1), "15m"),
    ],
    ids=["real", "random", "gapped", "hourly", "15m with gaps"],
)
def test_seasons_equal_pandas_scipy_and_antropy(bars: pd.DataFrame, interval: str) -> None:
    last = len(bars) - 1
    for snapshot in compute_snapshots(build({"T": bars}, [last // 2 + 30, last], interval)):
        t = snapshot.have - 1
        frame = _season(bars, t, interval)
        when = pd.to_datetime(frame["clock"] if "clock" in frame else frame["time"], unit="s")
        weekday = when.dt.day_name().str.lower()
        values = snapshot.values
        moves = frame["r"].abs().to_numpy()
        _assert_buckets(values["daily_pattern"], weekday, frame)
        if interval == "1d":
            assert snapshot.missing["hourly_pattern"] == {"reason": "daily_bars"}
            buckets, weekly = weekday, ((when.dt.day - 1) // 7 + 1).astype(str)
        else:
            buckets, weekly = when.dt.hour.astype(str), weekday + " " + when.dt.strftime("%H")
            _assert_buckets(values["hourly_pattern"], buckets, frame)
        if len(frame) >= 249:
            _assert_buckets(values["weekly_pattern"], weekly, frame)
        own = pd.Series(moves)[(buckets == buckets.iloc[-1]).to_numpy()]
        assert values["seasonal_deviation"] == pytest.approx(
            (moves[-1] - own.mean()) / own.std(), rel=1e-9
        )
        peaks = [(p["period_bars"], p["power_share"]) for p in values["fourier"]]
        assert np.array(peaks) == pytest.approx(np.array(oracles.find_peaks(moves)), rel=1e-9)
        assert values["entropy_index"] == pytest.approx(oracles.measure_entropy(moves), rel=1e-9)
        bands = oracles.measure_bands(moves)
        assert np.array(values["spectral_density"]) == pytest.approx(bands, rel=1e-9)
        _assert_cycle(snapshot, moves)


def _assert_buckets(found: dict, names: pd.Series, frame: pd.DataFrame) -> None:
    expected = oracles.describe_buckets(names, frame["r"], frame["volume"])
    assert found.keys() == expected.keys()
    for name, bucket in expected.items():
        if bucket is None:
            assert found[name] is None
        else:
            assert found[name] == pytest.approx(bucket, rel=1e-9, abs=1e-16)


def _assert_cycle(snapshot, moves: np.ndarray) -> None:
    import scipy.signal  # noqa: PLC0415

    frequencies, power = scipy.signal.periodogram(moves, detrend="linear")
    inner = slice(1, (moves.size - 1) // 2 + 1)
    p = oracles.compute_fisher_p_exactly(power[inner])
    if p < 0.05:
        expected = 1 / frequencies[inner][power[inner].argmax()]
        assert snapshot.values["dominant_cycle"] == pytest.approx(expected, rel=1e-9)
    else:
        assert snapshot.missing["dominant_cycle"] == {"reason": "not_significant"}


def test_fishers_p_equals_exact_arithmetic() -> None:
    random = np.random.default_rng(1)
    power = random.exponential(size=(40, 100))
    power[np.arange(40), 3] += np.linspace(0.0, 25.0, 40)
    found = compute_fisher_p(power)
    exact = np.array([oracles.compute_fisher_p_exactly(row) for row in power])
    small = exact < 0.5
    assert found[small] == pytest.approx(exact[small], rel=1e-9)
    assert (found[~small] > 0.4).all()


@pytest.mark.slow
def test_white_noise_has_a_cycle_in_five_of_a_hundred_trials() -> None:
    random = np.random.default_rng(7)
    trials = 2_000
    close = 100 * np.exp(np.cumsum(0.01 * random.standard_normal((trials, 300)), axis=1))
    found = 0
    for some in np.array_split(close, 20):
        series = {}
        for i, path in enumerate(some):
            bars = draw_bars(0, 300)
            bars[["open", "high", "low", "close"]] = np.repeat(path[:, None], 4, axis=1)
            series[f"T{i}"] = bars
        rows = 300 * np.arange(1, len(some) + 1) - 1
        found += sum(
            s.values["dominant_cycle"] is not None for s in compute_snapshots(build(series, rows))
        )
    # The share is binomial: five standard errors around .05, minus an allowance for skewed moves.
    assert 0.03 <= found / trials <= 0.07


def test_a_planted_cycle_of_moves_is_found() -> None:
    random = np.random.default_rng(8)
    moves = 0.01 * (1.5 + np.sin(2 * np.pi * np.arange(500) / 20)) * random.standard_normal(500)
    bars = draw_bars(9, 500)
    for name in ("open", "high", "low", "close"):
        bars[name] = 100 * np.exp(np.cumsum(moves))
    values = compute(bars)[-1].values
    assert values["dominant_cycle"] == pytest.approx(20.0, rel=0.02)
    assert values["fourier"][0]["period_bars"] == pytest.approx(20.0, rel=0.02)
