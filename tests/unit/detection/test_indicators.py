"""The lines of charts compared with pandas; those that are features, with the kernel that documents
them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from detection.features.compute import compute_features
from detection.features.feature_sets import MARKET14
from detection.features.names import FEATURES
from detection.indicators import NAMES, Line, compute_indicator
from market.bars.history import count_history_bars
from market.bars.reading import Bar
from tests.unit.detection.features.twin import (
    build_panel,
    document_all,
    draw_bars,
    read_real_bars,
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, 300)))
    high, low = close * (1 + rng.uniform(0, 0.02, 300)), close * (1 - rng.uniform(0, 0.02, 300))
    return pd.DataFrame({"high": high, "low": low, "close": close})


def compute(frame: pd.DataFrame, name: str) -> dict[str, Line]:
    rows = zip(
        range(len(frame)), frame["close"], frame["high"], frame["low"], frame["close"], strict=True
    )
    return compute_indicator(name, [Bar(*row, 1.0) for row in rows])


def assert_same(line: Line, expected: "pd.Series[float]") -> None:
    np.testing.assert_allclose(
        np.array(line, dtype=float), expected.to_numpy(), rtol=1e-9, atol=1e-9
    )


def test_means_and_bands(frame: pd.DataFrame) -> None:
    window = frame["close"].rolling(20)
    assert_same(compute(frame, "sma")["sma_20"], window.mean())
    bands = compute(frame, "bollinger")
    assert_same(bands["bb_upper"], window.mean() + 2 * window.std(ddof=0))
    assert_same(bands["bb_lower"], window.mean() - 2 * window.std(ddof=0))


def test_exponential_means_and_macd(frame: pd.DataFrame) -> None:
    fast, slow = (frame["close"].ewm(span=span, adjust=False).mean() for span in (12, 26))
    assert_same(compute(frame, "ema")["ema_12"], fast)
    assert_same(compute(frame, "ema")["ema_26"], slow)
    macd = fast - slow
    assert_same(compute(frame, "macd")["MACD"], macd)
    assert_same(compute(frame, "macd")["MACD_hist"], macd - macd.ewm(span=9, adjust=False).mean())


def test_rsi(frame: pd.DataFrame) -> None:
    change = frame["close"].diff().iloc[1:]
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
    line = compute(frame, "rsi")["RSI"]
    assert line[0] is None
    assert_same(line[1:], 100 - 100 / (1 + gain / loss))


def test_atr(frame: pd.DataFrame) -> None:
    before = frame["close"].shift()
    columns = [
        frame["high"] - frame["low"],
        (frame["high"] - before).abs(),
        (frame["low"] - before).abs(),
    ]
    ranges = pd.concat(columns, axis="columns").max(axis="columns")
    assert_same(compute(frame, "atr")["ATR_14"], ranges.ewm(alpha=1 / 14, adjust=False).mean())


def draw_sessions(count: int) -> pd.DataFrame:
    """Return random bars of sessions of seven; among them are bars without volume, before which
    nothing was traded.
    """
    bars = draw_bars(3, count, flat=0.1, idle=0.3)
    return bars.assign(session=np.arange(count) // 7)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize(
    ("bars", "interval"),
    [
        (read_real_bars()["MSFT"], "1d"),
        (draw_bars(1, 900, price=1e-3, flat=0.4, idle=0.4), "1d"),
        (draw_sessions(900), "1h"),
    ],
    ids=["real", "flat and idle", "intraday"],
)
def test_the_line_of_a_feature_has_the_documented_values(
    bars: pd.DataFrame, interval: str, name: str
) -> None:
    first = len(bars) // 2  # As for a chart of the later half.
    history = first - count_history_bars(interval)
    features = compute_features(build_panel(bars, interval=interval), np.array([first]), MARKET14)
    shown = bars.iloc[history:]
    columns = zip(
        range(len(shown)),
        *(shown[column] for column in ("open", "high", "low", "close", "volume")),
        strict=True,
    )
    sessions = list(shown["session"]) if interval == "1h" else None
    line = compute_indicator(name, [Bar(*row) for row in columns], sessions)[name]
    expected = document_all(features)[:, FEATURES.index(name)]
    scale = shown["close"].max() if name not in {"RSI", "zscore_20", "wick_ratio"} else 1.0
    np.testing.assert_allclose(line[first - history :], expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("closes", [[], [5.0], [5.0] * 30])
def test_every_line_has_one_value_a_bar_even_where_nothing_moves(closes: Sequence[float]) -> None:
    bars = [Bar(n, close, close, close, close, 0.0) for n, close in enumerate(closes)]
    for name in NAMES:
        for line in compute_indicator(name, bars).values():
            assert len(line) == len(bars)
    if len(bars) > 1:
        assert compute_indicator("rsi", bars)["RSI"][-1] == 50


def test_a_chart_can_ask_for_every_feature() -> None:
    assert set(FEATURES) < set(NAMES)
