"""The compiled features compared with pandas and TA-Lib."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import talib

from detection.detectors.catalogue import DEFAULT_DETECTOR, get_detector
from detection.detectors.contract import score_rows
from detection.detectors.rows import SeriesRows
from detection.features.compute import Features, compute_features
from detection.features.feature_sets import (
    EVENTS,
    FEATURE_SETS,
    MARKET14,
    RETURNS,
    TIME_OF_DAY,
    TWO_YARDSTICKS,
    FeatureSet,
)
from detection.features.kernel import BOUND, GRID, MEASURES
from detection.features.names import FEATURES
from market.bars.history import ANCHOR_BARS, HISTORY_BARS, find_start
from tests.slow import slow_but_first
from tests.unit.detection.features.twin import (
    PRICES,
    build_panel,
    compute_twin,
    compute_twin_clock_inputs,
    compute_twin_inputs,
    document_all,
    draw_bars,
    draw_sessions,
    mark_twin_still,
    read_real_bars,
)

REAL = read_real_bars()
# A difference of prices is as exact as the rounding of these prices.
FLOORS = dict.fromkeys(
    ("zscore_20", "RSI", "return_1", "return_3", "return_6", "wick_ratio"), 1e-13
)
PRICE_FLOOR = 1e-13


def assert_same(
    found: np.ndarray, expected: pd.DataFrame, close: np.ndarray, relative: float = 1e-9
) -> None:
    for position, name in enumerate(FEATURES):
        floor = FLOORS.get(name, PRICE_FLOOR * close)
        error = np.abs(found[:, position] - expected[name].to_numpy())
        bound = relative * np.abs(expected[name].to_numpy()) + floor
        assert (error <= bound).all(), (name, float((error / bound).max()))


@pytest.mark.parametrize("ticker", sorted(REAL))
def test_features_of_real_bars_equal_pandas_over_the_whole_series(ticker: str) -> None:
    bars = REAL[ticker]
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), MARKET14)
    assert len(features.rows) == len(bars) - MARKET14.warm_up_bars
    expected = compute_twin(bars).iloc[features.rows]
    # A recursion that starts 384 bars back differs from one over the whole series by 1e-13 of older
    # price levels.
    assert_same(document_all(features), expected, 100 * bars["close"].to_numpy()[features.rows])


@pytest.mark.parametrize("price", [1e-6, 1.0, 1e7])
@pytest.mark.parametrize(("flat", "idle"), [(0.0, 0.0), (0.7, 0.5), (0.98, 1.0), (1.0, 1.0)])
def test_features_of_random_bars_equal_pandas_from_the_start_of_their_block(
    price: float, flat: float, idle: float
) -> None:
    bars = draw_bars(3, 900, price=price, flat=flat, idle=idle)
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), MARKET14)
    for t in (40, 41, 127, 128, 399, 527, 528, 640, 899):
        history = bars.iloc[find_start(t, HISTORY_BARS) : t + 1]
        position = np.searchsorted(features.rows, [t])
        expected = compute_twin(history).iloc[[-1]]
        assert_same(features.document(position), expected, history["close"].to_numpy()[-1:])


@pytest.mark.parametrize(("interval", "per_session"), [("15m", 26), ("1h", 7), ("1m", 390)])
def test_intraday_vwap_runs_from_the_open_of_the_session(interval: str, per_session: int) -> None:
    bars = draw_bars(5, 2000, idle=0.4)
    bars["session"] = np.arange(2000) // per_session
    bars.loc[bars["session"] == 3, "volume"] = 0.0
    features = compute_features(
        build_panel(bars, interval=interval), np.zeros(1, np.int64), MARKET14
    )
    expected = compute_twin(bars, intraday=True).iloc[features.rows]
    assert_same(document_all(features), expected, 100 * bars["close"].to_numpy()[features.rows])


def test_features_equal_talib_where_definitions_coincide() -> None:
    bars = REAL["IBM"]
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), MARKET14)
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    macd, _, macd_hist = talib.MACD(close, 12, 26, 9)
    expected = {
        "return_1": talib.ROCP(close, 1),
        "return_6": talib.ROCP(close, 6),
        "bb_width": upper - lower,
        "ATR_14": talib.ATR(high, low, close, 14),
        "RSI": talib.RSI(close, 14),
        "MACD": macd,
        "MACD_hist": macd_hist,
    }
    documented = document_all(features)
    settled = features.rows > 600  # TA-Lib starts its recursions with a mean.
    for name, values in expected.items():
        found = documented[settled, FEATURES.index(name)]
        # TA-Lib computes its bands from running sums of squares, which lose half the digits of the
        # price.
        floor = 1e-6 if name == "bb_width" else 1e-10
        np.testing.assert_allclose(
            found, values[features.rows[settled]], rtol=1e-9, atol=floor, err_msg=name
        )


@pytest.mark.parametrize("feature_set", [TWO_YARDSTICKS, EVENTS], ids=lambda s: s.label)
@pytest.mark.parametrize("ticker", sorted(REAL))
def test_inputs_of_real_bars_equal_pandas_rounded_to_the_grid(
    ticker: str, feature_set: FeatureSet
) -> None:
    bars = REAL[ticker]
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), feature_set)
    expected = compute_twin_inputs(bars)[list(feature_set.columns)].iloc[features.rows]
    # Rounding to the grid is half a step; the fast yardstick's recursion and the square root add
    # rounding errors.
    np.testing.assert_allclose(
        features.inputs, expected.to_numpy().clip(max=BOUND), rtol=0, atol=0.5 / GRID + 1e-9
    )


@pytest.mark.parametrize("ratio", [100.0, 0.01])
@pytest.mark.parametrize("feature_set", [EVENTS, MARKET14], ids=lambda s: s.label)
def test_a_wrong_price_does_not_spoil_the_yardstick_of_later_bars(
    ratio: float, feature_set: FeatureSet
) -> None:
    """It counts as three usual ranges, and so does the return to the right price: together a third
    more.
    """
    bars = draw_bars(8, 400)
    off = bars.copy()
    off.loc[300, PRICES] *= ratio
    found, expected = (
        compute_features(build_panel(each), np.zeros(1, np.int64), feature_set).measures
        for each in (bars, off)
    )
    after = slice(302 - feature_set.warm_up_bars, 340 - feature_set.warm_up_bars)
    shares = expected[after, 0] / found[after, 0]
    assert (shares > 0.76).all()
    assert (shares <= 1.0 + 1e-9).all()


@pytest.mark.parametrize("ratio", [1e9, 1e4])
def test_an_impossible_price_does_not_spoil_the_slow_yardsticks_of_the_next_year(
    ratio: float,
) -> None:
    """Even the fourth root of its range was hundreds of times that of a usual one."""
    bars = draw_bars(8, 600)
    off = bars.copy()
    off.loc[300, PRICES] *= ratio
    found, expected = (
        compute_features(build_panel(each), np.zeros(1, np.int64), EVENTS) for each in (bars, off)
    )
    after = found.rows > 302
    for name in ("return_slow", "event_steady"):
        column = EVENTS.columns.index(name)
        large = after & (found.inputs[:, column] > 1.0)
        assert (expected.inputs[large, column] > 0.75 * found.inputs[large, column]).all()


def test_an_impossible_price_does_not_spoil_the_yardstick_of_its_time_of_day() -> None:
    """Otherwise the bars after that time look strange in each of the next twenty sessions."""
    bars = draw_sessions(4, 100, 26)
    off = bars.copy()
    off.loc[1_500, PRICES] *= 1e9
    found, expected = (
        compute_features(build_panel(each, interval="15m"), np.zeros(1, np.int64), TIME_OF_DAY)
        for each in (bars, off)
    )
    after = found.rows > 1_500 + 26
    column = TIME_OF_DAY.columns.index("clock_span_fast")
    shares = expected.inputs[after, column] / found.inputs[after, column]
    assert (shares < 1.1).all()


def test_an_unadjusted_split_does_not_spoil_the_yardstick_of_later_bars() -> None:
    bars = draw_bars(8, 400)
    split = bars.copy()
    split.loc[300:, PRICES] /= 20.0
    found, expected = (
        compute_features(build_panel(each), np.zeros(1, np.int64), EVENTS).measures
        for each in (bars, split)
    )
    shares = expected[301 - 61 :, 0] / found[301 - 61 :, 0]
    assert (shares > 0.87).all()
    assert (shares <= 1.0 + 1e-9).all()


@pytest.mark.parametrize(
    ("interval", "per_session", "sessions"),
    slow_but_first([("4h", 6, 200), ("1h", 7, 130), ("15m", 26, 100)]),
)
def test_inputs_by_time_of_day_equal_pandas(interval: str, per_session: int, sessions: int) -> None:
    bars = draw_sessions(4, sessions, per_session)
    bars = bars.drop(index=[*range(200, 203), 350]).reset_index(drop=True)  # Some bars are missing.
    bars.loc[420:430, "volume"] = 0.0
    features = compute_features(
        build_panel(bars, interval=interval), np.zeros(1, np.int64), TIME_OF_DAY
    )
    window = TIME_OF_DAY.count_history_bars(interval) - ANCHOR_BARS
    expected = compute_twin_clock_inputs(bars, window).iloc[features.rows]
    np.testing.assert_allclose(
        features.inputs, expected.to_numpy().clip(max=BOUND), rtol=0, atol=0.5 / GRID + 1e-9
    )


@pytest.mark.parametrize(("interval", "per_session"), slow_but_first([("1h", 7), ("15m", 26)]))
def test_inputs_by_time_of_day_ignore_repeated_bars(interval: str, per_session: int) -> None:
    bars = draw_sessions(4, 110, per_session)
    random = np.random.default_rng(2)
    for row in random.integers(100, len(bars), len(bars) // 8):
        bars.loc[row, ["open", "high", "low", "close"]] = bars.loc[row - 1, "close"]
        bars.loc[row, "volume"] = 0.0
    aside = mark_twin_still(bars)
    features = compute_features(
        build_panel(bars, interval=interval), np.zeros(1, np.int64), TIME_OF_DAY
    )
    assert features.still.tolist() == [aside.sum()]
    assert not aside[features.rows].any()
    # The whole of so short a history lies within each bar's window.
    traded = bars[~aside].reset_index(drop=True)
    twin = compute_twin_clock_inputs(traded, len(bars))
    places = np.flatnonzero(~aside).searchsorted(features.rows)
    np.testing.assert_allclose(
        features.inputs,
        twin.to_numpy()[places].clip(max=BOUND),
        rtol=0,
        atol=0.5 / GRID + 1e-9,
    )


@pytest.mark.parametrize(("flat", "idle"), [(0.3, 0.5), (0.6, 1.0), (0.0, 0.3), (1.0, 1.0)])
def test_repeated_bars_change_no_inputs_of_others(flat: float, idle: float) -> None:
    bars = draw_bars(6, 900, flat=flat, idle=idle)
    bars.loc[300:310] = bars.loc[299].to_numpy()
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), TWO_YARDSTICKS)
    aside = mark_twin_still(bars)
    known = []
    for t in range(len(bars)):
        history = bars.iloc[find_start(t, HISTORY_BARS) : t + 1]
        traded = history[~aside[history.index]]
        if aside[t] or len(traded) <= TWO_YARDSTICKS.warm_up_bars:
            continue
        known.append(t)
        if t % 37 and t not in (299, 311, 127, 128):
            continue
        twin = compute_twin_inputs(traded.reset_index(drop=True))
        expected = twin[list(TWO_YARDSTICKS.columns)].iloc[-1].clip(upper=BOUND)
        found = features.inputs[np.searchsorted(features.rows, t)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.5 / GRID + 1e-9)
    assert features.rows.tolist() == known
    assert features.still.tolist() == [aside.sum()]
    assert features.warm_up.tolist() == [len(bars) - len(known) - aside.sum()]


def test_a_time_of_day_with_fewer_than_ten_sessions_is_taken_as_usual() -> None:
    bars = draw_sessions(4, 40, 26)
    bars.loc[30 * 26 + 10, "clock"] = 7
    features = compute_features(
        build_panel(bars, interval="15m"), np.zeros(1, np.int64), TIME_OF_DAY
    )
    odd = np.searchsorted(features.rows, 30 * 26 + 10)
    assert features.inputs[odd].tolist() == [1.0] * 4
    early = features.rows < 10 * 26
    assert (features.inputs[early] == 1.0).all()


@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda s: s.label)
@pytest.mark.parametrize("seed", range(3))
def test_inputs_stay_finite_and_on_the_grid_whatever_the_bars(
    feature_set: FeatureSet, seed: int
) -> None:
    bars = draw_bars(
        seed,
        700,
        price=10.0 ** (7 * seed - 6),
        flat=(0.0, 0.5, 1.0)[seed],
        idle=(0.0, 0.5, 1.0)[seed],
    )
    bars.loc[300, ["high", "close"]] *= 1e6
    bars.loc[500, "volume"] = 1e15
    features = compute_features(build_panel(bars), np.zeros(1, np.int64), feature_set)
    assert np.isfinite(features.inputs).all()
    assert np.abs(features.inputs).max(initial=0) <= BOUND
    assert (
        features.inputs.astype(np.float64) * GRID
        == np.rint(features.inputs.astype(np.float64) * GRID)
    ).all()


@pytest.mark.parametrize("count", [1, 2, 40, 61, 62])
def test_bars_of_the_warm_up_are_counted_and_not_scored(count: int) -> None:
    panel = build_panel(draw_bars(1, count), draw_bars(2, 300))
    features = compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS)
    warm_up = TWO_YARDSTICKS.warm_up_bars
    assert features.warm_up.tolist() == [min(count, warm_up), warm_up]
    assert features.rows.tolist() == [*range(warm_up, count), *range(count + warm_up, count + 300)]
    assert len(features.inputs) == len(features.measures) == len(features.rows)


def test_only_wanted_rows_come_back() -> None:
    panel = build_panel(draw_bars(1, 300), draw_bars(2, 300), draw_bars(3, 300))
    features = compute_features(panel, np.array([299, 600, 650]), TWO_YARDSTICKS)
    assert features.rows.tolist() == [299, *range(661, 900)]
    assert features.warm_up.tolist() == [0, 0, 11]


def test_a_panel_without_enough_history_is_refused_by_ticker() -> None:
    bars = draw_bars(1, 1000)
    first = 900
    start = find_start(first, HISTORY_BARS)
    assert start == 900 // ANCHOR_BARS * ANCHOR_BARS - 384
    panel = build_panel(bars, start=start + 1)
    with pytest.raises(ValueError, match=f"T0: bars from position {start} on are needed"):
        compute_features(panel, np.array([first - start - 1]), MARKET14)


def test_a_bad_bar_does_not_affect_other_series() -> None:
    good = draw_bars(1, 300)
    bad = good.copy()
    bad.loc[100, "close"] = np.nan
    alone = compute_features(build_panel(good), np.zeros(1, np.int64), TWO_YARDSTICKS)
    panel = build_panel(bad, good)
    beside = compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS)
    assert beside.inputs[beside.rows >= 300].tobytes() == alone.inputs.tobytes()


def test_an_empty_panel_gives_no_rows() -> None:
    panel = build_panel(draw_bars(1, 0))
    features = compute_features(panel, panel.offsets[:-1], TWO_YARDSTICKS)
    assert features.inputs.shape == (0, 5)


CLOCK_SIZES = ("clock_return", "clock_range", "clock_wick", "clock_volume")


@pytest.mark.slow
@pytest.mark.parametrize(("interval", "per_session", "sessions"), [("5m", 78, 120), ("1h", 7, 400)])
def test_the_open_of_a_session_is_flagged_hardly_more_often_than_other_bars(
    interval: str, per_session: int, sessions: int
) -> None:
    kind = get_detector(DEFAULT_DETECTOR)
    panel = build_panel(
        *(draw_sessions(seed, sessions, per_session) for seed in range(4)), interval=interval
    )
    shares = {}
    for feature_set in (TWO_YARDSTICKS, TIME_OF_DAY):
        features = compute_features(panel, panel.offsets[:-1], feature_set)
        fitted = kind.fit(
            SeriesRows.of_one(features.inputs), seed=7, parameters=kind.get_defaults()
        )
        scores = score_rows(kind.load(fitted), SeriesRows.of_one(features.inputs))
        is_alarm = scores < np.quantile(scores, 0.01)
        if feature_set is TIME_OF_DAY:
            # There are few of the calmest bars too, and these are not strange.
            sizes = np.abs(features.measures[:, [MEASURES.index(name) for name in CLOCK_SIZES]])
            assert not (is_alarm & (sizes < 1).all(axis=1)).any()
        is_open = panel.clocks[features.rows] == 100
        shares[feature_set.label] = is_alarm[is_open].mean() / is_alarm[~is_open].mean()
    assert shares["two_yardsticks/5"] > 10
    assert shares["time_of_day/5"] < 2


def test_the_plain_return_is_in_percent() -> None:
    for bars in REAL.values():
        features = compute_features(build_panel(bars), np.zeros(1, np.int64), RETURNS)
        expected = 100 * bars["close"].pct_change().to_numpy()[features.rows]
        np.testing.assert_allclose(
            features.inputs[:, 0], expected.clip(max=BOUND), rtol=0, atol=0.5 / GRID + 1e-9
        )


@pytest.mark.parametrize("pause", [400, 511, 512])
@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda each: each.label)
def test_a_series_starts_again_after_a_pause_of_more_than_a_year(
    feature_set: FeatureSet, pause: int
) -> None:
    """Bars before the pause may be another company's; the load for bar 900 begins at 511."""
    bars = draw_bars(5, 1_000, flat=0.05, idle=0.05)
    # A lone trade at the last price before the pause, which is not the other company's price.
    bars.loc[pause, [*PRICES, "volume"]] = [bars["close"][pause - 1]] * 4 + [100.0]
    other = bars.copy()
    other.loc[: pause - 1, PRICES] *= 70.0
    other.loc[: pause - 1, "volume"] = other["volume"][:pause].to_numpy()[::-1]
    days = np.arange(len(bars))
    times = 86_400 * (days + np.where(days >= pause, 366, 0))

    def compute(bars: pd.DataFrame, start: int, first: int) -> Features:
        panel = replace(build_panel(bars, start=start), times=times[start:])
        return compute_features(panel, np.array([first - start]), feature_set)

    whole, changed = compute(bars, 0, 0), compute(other, 0, 0)
    after = whole.rows >= pause
    assert whole.rows[after].min() >= pause + feature_set.warm_up_bars
    assert (whole.rows < pause).sum() > 200
    documented, other_documented = document_all(whole), document_all(changed)
    assert not np.array_equal(documented[~after], other_documented[changed.rows < pause])
    np.testing.assert_array_equal(other_documented[changed.rows >= pause], documented[after])
    for name in ("rows", "inputs", "measures"):
        expected = getattr(whole, name)[after]
        np.testing.assert_array_equal(getattr(changed, name)[changed.rows >= pause], expected)
    for first in (pause - 1, pause, pause + 50, pause + 100, 899, 900):
        start = feature_set.reach(first, "1d")
        part = compute(bars, start, first)
        later = whole.rows >= first
        np.testing.assert_array_equal(part.rows + start, whole.rows[later])
        np.testing.assert_array_equal(document_all(part), documented[later])
        for name in ("inputs", "measures"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[later])
        assert int(part.warm_up[0] + part.still[0] + part.rows.size) == len(bars) - first
