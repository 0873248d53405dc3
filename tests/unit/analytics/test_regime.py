"""Every regime can be reached, every bar has exactly one, and the scale of prices makes no
difference.
"""

import numpy as np
import pandas as pd
import pytest

from analytics.regime import REGIMES, compute_confidence
from tests.slow import slow_but_first
from tests.unit.analytics.panels import compute, draw_bars, read_real_bars


def classify_twin(v: float, q: float, u: float) -> str:
    """Return the regime by the table of conditions; the first one that holds counts."""
    table = [
        ("bullish_acceleration", v >= 0.7 and q >= 0.7 and u > 1),
        ("bearish_acceleration", v >= 0.7 and q >= 0.7 and u < -1),
        ("breakout_phase", v >= 0.7 and q >= 0.7),
        ("turbulent_illiquidity", v >= 0.7 and q <= 0.3),
        ("stable_accumulation", v <= 0.3 and q >= 0.7),
        ("consolidation", v <= 0.3 and q <= 0.3),
        ("balanced_market", 0.3 < v < 0.7 and 0.3 < q < 0.7),
    ]
    return next((name for name, holds in table if holds), "transitional")


def place_twin(bars: pd.DataFrame) -> pd.DataFrame:
    """Return v, q and u of each bar, with pandas."""
    r = np.log(bars["close"]).diff()
    s = r.rolling(20).apply(lambda x: x.std(ddof=1), raw=True)
    volume = bars["volume"].rolling(5).apply(np.mean, raw=True)

    def rank(values: pd.Series) -> pd.Series:
        return (values.rolling(250).rank() - 1) / 249

    u = np.log(bars["close"] / bars["close"].shift(10)) / (s * np.sqrt(10))
    return pd.DataFrame({"v": rank(s), "q": rank(volume), "u": u})


@pytest.mark.parametrize("ticker", slow_but_first(["IBM", "AAPL", "random"]))
def test_regimes_and_their_ages_are_those_of_the_table(ticker: str) -> None:
    bars = draw_bars(1, 900) if ticker == "random" else read_real_bars()[ticker].iloc[:900]
    found = [s.values["regime"] for s in compute(bars)]
    twin = place_twin(bars)
    names = [None if t < 270 else classify_twin(*row) for t, row in enumerate(twin.to_numpy())]
    assert [f and f["regime"] for f in found] == names
    level = {0: "low", 1: "medium", 2: "high"}
    for t in range(270, len(bars)):
        v, q, u = twin.iloc[t]
        now = found[t]
        assert now["volatility_level"] == level[(v > 0.3) + (v >= 0.7)]
        assert now["volume_level"] == level[(q > 0.3) + (q >= 0.7)]
        assert now["trend_direction"] == (
            "bullish" if u > 1 else "bearish" if u < -1 else "neutral"
        )
        age = next((k for k in range(1, t - 269) if names[t - k] != names[t]), None)
        assert now["since"] == (None if age is None or age > 101 else age - 1)


@pytest.mark.slow
def test_every_regime_is_reached_and_confidence_stays_in_bounds() -> None:
    seen = set()
    for seed in range(8):
        for snapshot in compute(draw_bars(seed, 800))[270:]:
            regime = snapshot.values["regime"]
            assert regime["regime"] in REGIMES
            assert 0.5 <= regime["confidence"] <= 1.0
            seen.add(regime["regime"])
    assert seen == set(REGIMES)


@pytest.mark.parametrize(
    ("v", "q", "u", "confidence"),
    [
        (0.7, 0.9, 5.0, 0.5),
        (0.95, 0.95, 9.0, 1.0),
        (0.95, 0.95, 1.2, 0.5 + 0.5 * 0.05 / 0.2),
        (0.8, 0.95, -9.0, 0.75),
        (0.5, 0.5, 9.0, 1.0),
        (0.5, 0.4, 0.0, 0.75),
        (0.1, 0.1, 1.0, 1.0),
        (0.95, 0.5, 0.0, 1.0),
        (0.95, 0.65, 0.0, 0.5 + 0.5 * 0.05 / 0.2),
    ],
)
def test_confidence_is_the_distance_to_the_nearest_boundary(v, q, u, confidence) -> None:
    found = compute_confidence(np.array([v]), np.array([q]), np.array([u]))
    assert found[0] == pytest.approx(confidence, rel=1e-9)


@pytest.mark.parametrize(
    ("of_price", "of_volume"), slow_but_first([(1e-3, 7.0), (1000.0, 1.0), (1.0, 1e6)])
)
def test_the_scale_of_prices_makes_no_difference(of_price: float, of_volume: float) -> None:
    bars = read_real_bars()["IBM"].iloc[:600]
    scaled = bars.copy()
    scaled[["open", "high", "low", "close"]] *= of_price
    scaled["volume"] *= of_volume
    one, other = compute(bars), compute(scaled)
    for a, b in zip(one, other, strict=True):
        assert (a.values["regime"] or {}).get("regime") == (b.values["regime"] or {}).get("regime")
