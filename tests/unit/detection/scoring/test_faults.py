"""Each fault that feeds make is found by its rule, and moves of markets are none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from detection.features.compute import compute_features
from detection.features.feature_sets import EVENTS
from detection.features.kernel import MEASURES
from detection.scoring.faults import THRESHOLD, Fault, find_faults
from market.bars.history import ANCHOR_BARS
from tests.slow import slow_but_first
from tests.unit.detection.features.twin import PRICES, build_panel, draw_bars, read_real_bars

BAR = 300


def find(bars: pd.DataFrame, start: int = 0, first: int = 0) -> dict[int, Fault]:
    """Return the faults from position `first` on of a series that is loaded from `start` on."""
    panel = build_panel(bars, start=start)
    wanted = np.arange(panel.times.size) >= first - start
    features = compute_features(panel, np.array([first - start]), EVENTS)
    return {
        row + start: replace(fault, row=row + start)
        for row, fault in find_faults(panel, wanted, features).faults.items()
    }


def draw(count: int = 400) -> pd.DataFrame:
    """Return calm bars without a fault."""
    random = np.random.default_rng(3)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    open_ = np.append(50.0, close[:-1]) * np.exp(random.normal(0, 0.002, count))
    reach = np.abs(random.normal(0, 0.004, (2, count)))
    volume = random.lognormal(12, 0.3, count).round()
    bars = {"open": open_, "high": np.maximum(open_, close) * (1 + reach[0])}
    bars |= {
        "low": np.minimum(open_, close) * (1 - reach[1]),
        "close": close,
        "volume": volume,
    }
    return pd.DataFrame(bars)


def test_calm_bars_have_no_fault() -> None:
    assert find(draw()) == {}


@pytest.mark.parametrize("ratio", [0.01, 0.1, 10.0, 100.0])
def test_bars_at_a_wrong_level_are_faults_until_the_price_returns(ratio: float) -> None:
    bars = draw()
    bars.loc[BAR : BAR + 2, PRICES] *= ratio
    # Within the day, so that it cannot be a split.
    bars.loc[BAR, "open"] /= ratio
    bars.loc[BAR, "high"] = bars.loc[BAR, PRICES].max()
    bars.loc[BAR, "low"] = bars.loc[BAR, PRICES].min()
    found = find(bars)
    off = {row: fault for row, fault in found.items() if fault.name == "level"}
    assert list(off) == [BAR, BAR + 1, BAR + 2]
    assert all(fault.score < THRESHOLD and fault.is_certain for fault in off.values())
    assert all("times" in fault.words for fault in off.values())
    assert set(found) == set(off)


def test_a_level_is_described_in_plain_numbers() -> None:
    """As with a currency of which 1,000 old units became one new unit."""
    bars = draw(8)
    bars[PRICES] = 50.0
    bars.loc[5, PRICES] = 47_321.0
    assert find(bars)[5].words == "close 946 times above its level, which is off"
    bars.loc[5, PRICES] = 1_062_134.0
    assert find(bars)[5].words == "close 21,200 times above its level, which is off"


def test_a_split_after_a_suspension_may_also_be_a_fall() -> None:
    bars = draw()
    bars.loc[BAR:, PRICES] *= 0.5
    assert find(bars)[BAR].is_certain
    panel = build_panel(bars)
    for days, is_certain in ((10, True), (183, False)):
        times = panel.times.copy()
        times[BAR:] += days * 86_400
        paused = replace(panel, times=times)
        features = compute_features(paused, np.zeros(1, np.int64), EVENTS)
        wanted = np.ones(times.size, np.bool_)
        fault = find_faults(paused, wanted, features).faults[BAR]
        assert (fault.name, fault.is_certain) == ("split", is_certain)
    # Each hourly bar begins a day after the one before, as at the start of sessions.
    hourly = replace(panel, interval="1h")
    features = compute_features(hourly, np.zeros(1, np.int64), EVENTS)
    assert find_faults(hourly, wanted, features).faults[BAR].is_certain


def test_faults_in_a_series_of_a_few_bars_are_found_too() -> None:
    bars = draw(8)
    bars.loc[5, ["high", "close"]] = bars.loc[5, "open"] * 100
    ((row, fault),) = find(bars).items()
    assert (row, fault.name) == (5, "level")
    level = bars["close"][:5].median()
    times = f"{bars['close'][5] / level:.3g}"
    assert fault.words == f"close {times} times above its level, which is off"


@pytest.mark.parametrize(
    ("ratio", "told"), [(2.0, "2 for 1"), (0.05, "1 for 20"), (1.5, "1.5 for 1")]
)
def test_a_split_is_distinguished_from_a_crash(ratio: float, told: str) -> None:
    bars = draw()
    bars.loc[BAR:, PRICES] /= ratio
    bars.loc[BAR:, "volume"] *= ratio
    found = find(bars)
    assert list(found) == [BAR]
    assert found[BAR].name == "split"
    assert told in found[BAR].words
    crash = bars.copy()
    crash.loc[BAR, "volume"] *= 9
    assert ratio < 1 or all(fault.name != "split" for fault in find(crash).values())


def test_a_reverse_split_on_a_bad_day_is_recognised() -> None:
    """17.4 times the price, where the day also lost 13 %."""
    bars = draw()
    bars.loc[BAR:, PRICES] *= 17.4
    bars.loc[BAR, "high"] = bars.loc[BAR, PRICES].max() * 1.05
    bars.loc[BAR, "low"] = bars.loc[BAR, PRICES].min() * 0.95
    bars.loc[BAR:, "volume"] /= 20
    fault = find(bars)[BAR]
    assert (fault.name, fault.strength) == ("split", 20.0)


@pytest.mark.parametrize("bars_off", [1, 3, 9])
@pytest.mark.parametrize("ratio", [0.1, 8.0, 10.0, 50.0])
def test_a_wrong_level_that_looks_like_a_split_is_one_fault(ratio: float, bars_off: int) -> None:
    """Only its end distinguishes it from a split: the jump back is neither another split nor an
    event.
    """
    bars = draw()
    bars.loc[BAR : BAR + bars_off - 1, PRICES] *= ratio
    assert [(row, fault.name) for row, fault in find(bars).items()] == [(BAR, "split")]
    panel = build_panel(bars)
    features = compute_features(panel, np.array([0]), EVENTS)
    judged = find_faults(panel, np.ones(len(bars), np.bool_), features)
    assert judged.returned == {BAR + bars_off}


def test_a_second_split_long_after_the_first_is_recognised() -> None:
    bars = draw()
    bars.loc[BAR : BAR + 10, PRICES] *= 10.0
    assert [fault.name for fault in find(bars).values()] == ["split", "split"]


@pytest.mark.parametrize("ratio", [3, 10, 20])
def test_volume_that_a_split_explains_is_no_event(ratio: int) -> None:
    """Ten times as many shares are traded: compared with the mean of the days before, all these
    days have a high volume.
    """
    bars = draw()
    bars.loc[BAR:, PRICES] /= ratio
    bars.loc[BAR:, "volume"] *= ratio
    bars.loc[BAR + 9, "volume"] *= 30.0
    panel = build_panel(bars)
    features = compute_features(panel, np.array([0]), EVENTS)
    judged = find_faults(panel, np.ones(len(bars), np.bool_), features)
    volume = features.measures[:, MEASURES.index("volume")]
    loud = features.rows[(volume > 2.5) & (features.rows > BAR) & (features.rows < BAR + 60)]
    assert loud.size >= 3
    # A volume that is also high compared with the days since the split is an event.
    assert set(loud.tolist()) - judged.returned == {BAR + 9}
    assert BAR + 9 in judged.faults
    # A wrong price that looks like a split and returns explains no volume.
    back = draw()
    back.loc[BAR : BAR + 1, PRICES] /= ratio
    back.loc[BAR + 5, "volume"] *= 6.0
    panel = build_panel(back)
    features = compute_features(panel, np.array([0]), EVENTS)
    judged = find_faults(panel, np.ones(len(back), np.bool_), features)
    assert BAR + 5 not in judged.returned


def test_the_volume_that_a_split_explains_does_not_depend_on_what_is_loaded() -> None:
    bars, split = draw(1_200), 1_000
    bars.loc[split:, PRICES] /= 10
    bars.loc[split:, "volume"] *= 10
    told = []
    begin = EVENTS.reach(split + 3, "1d")
    assert begin > 0
    for start, first in ((0, 0), (0, split + 3), (begin, split + 3)):
        panel = build_panel(bars, start=start)
        wanted = np.arange(panel.times.size) >= first - start
        features = compute_features(panel, np.array([first - start]), EVENTS)
        judged = find_faults(panel, wanted, features)
        told.append({row + start for row in judged.returned if row + start >= split + 3})
    assert told[0]
    assert told[0] == told[1] == told[2]


def test_a_split_is_not_called_a_wrong_level_by_a_run_that_begins_after_it() -> None:
    """A jump whose ratio only the day's range explains is a split whether or not that day is
    scored.
    """
    bars = draw()
    bars.loc[BAR:, PRICES] *= 17.4
    bars.loc[BAR, "low"] *= 0.85
    assert [(row, fault.name) for row, fault in find(bars).items()] == [(BAR, "split")]
    assert find(bars, first=BAR + 1) == {}


def test_the_apple_of_september_2000_crashed_and_did_not_split() -> None:
    bars = read_real_bars()["AAPL"]
    falls = bars["close"].pct_change()
    assert falls.min() < -0.5
    assert "split" not in {f.name for r, f in find(bars).items() if r == int(falls.idxmin())}


@pytest.mark.parametrize(
    ("how", "first"), [("copied", BAR), ("without volume", BAR + 1), ("price alone", BAR + 1)]
)
def test_a_feed_that_repeats_its_bars_is_one_fault(how: str, first: int) -> None:
    bars = draw()
    if how == "copied":
        bars.loc[BAR : BAR + 6] = bars.loc[BAR - 1].to_numpy()
    else:
        bars.loc[BAR : BAR + 6, PRICES] = bars.loc[BAR - 1, "close"]
    if how == "without volume":
        bars.loc[BAR : BAR + 6, "volume"] = 0.0
    found = find(bars)
    assert [(row, fault.name) for row, fault in found.items()] == [(first, "stale")]
    assert -1.0 < found[first].score <= -0.5
    assert 75.0 <= found[first].grade < 100.0


@pytest.mark.parametrize("flat", [1, 3])
def test_flat_bars_from_before_trading_began_are_one_fault(flat: int) -> None:
    bars = draw()
    bars.loc[: flat - 1, PRICES] = bars.loc[flat, "open"]
    bars.loc[: flat - 1, "volume"] = 0.0
    ((row, fault),) = find(bars).items()
    assert (row, fault.name, fault.grade) == (0, "stale", 75.0)
    assert fault.words == "a flat bar from before trading began"


@pytest.mark.parametrize("lone_trades", [True, False])
def test_a_ticker_that_seldom_trades_has_no_stale_fault(lone_trades: bool) -> None:  # noqa: FBT001
    bars = draw_bars(5, 600, flat=0.6, idle=0.0)
    still = bars["high"] == bars["low"]
    if not lone_trades:
        bars.loc[still, "volume"] = 0.0
    assert still.mean() > 0.5
    assert "stale" not in {fault.name for fault in find(bars).values()}


def test_a_price_of_few_ticks_that_often_repeats_is_no_stale_feed() -> None:
    """Each bar has a volume of its own. A stale feed has none, and is soon recognised."""
    bars = draw()
    bars[PRICES] = (bars[PRICES] / 300).round(3)
    bars.loc[BAR : BAR + 5, PRICES] = bars["close"][BAR - 1]
    flat = (bars["high"] == bars["low"]) & (bars["close"] == bars["close"].shift())
    assert 0.01 < flat[:BAR].mean() < 0.5
    assert find(bars) == {}
    bars.loc[BAR : BAR + 5, "volume"] = 0.0
    ((row, fault),) = find(bars).items()
    assert (row, fault.name) == (BAR + 1, "stale")
    # On some of the 250 bars the price repeated, but each had a volume.
    assert fault.words.startswith("2 bars on which nothing new came, and 0 of the 250 before:")


@pytest.mark.parametrize("tick", [1.0, 0.001])
def test_one_tick_of_a_small_price_is_no_split(tick: float) -> None:
    bars = draw()
    bars[PRICES] = (2.5 * bars[PRICES] / bars["close"].mean()).round() * tick
    jumps = (bars["open"] / bars["close"].shift()).round(3)
    assert {0.667, 1.5} <= set(jumps)
    assert "split" not in {fault.name for fault in find(bars).values()}


def test_a_split_at_round_prices_is_recognised() -> None:
    bars = draw()
    bars.loc[BAR - 1, ["high", "close"]] = bars.loc[BAR - 1, PRICES].max().round() + 1
    bars.loc[BAR:, PRICES] /= 2
    bars.loc[BAR, "open"] = bars["close"][BAR - 1] / 2
    bars.loc[BAR, "high"] = bars.loc[BAR, PRICES].max()
    bars.loc[BAR, "low"] = bars.loc[BAR, PRICES].min()
    assert find(bars)[BAR].name == "split"


@pytest.mark.parametrize("volume", [0.0, None])
def test_a_move_in_a_ticker_without_volumes_is_no_fault(volume: float | None) -> None:
    bars = draw()
    bars.loc[BAR:, PRICES] *= 1.08
    bars.loc[BAR, "open"] /= 1.08
    bars.loc[BAR, "low"] /= 1.08
    if volume is not None:
        bars["volume"] = volume
    assert [fault.name for fault in find(bars).values()] == ["move"] * (volume is None)


def test_a_move_without_a_volume_is_a_fault() -> None:
    bars = draw()
    bars.loc[BAR, "volume"] = 0.0
    ((row, fault),) = find(bars).items()
    assert (row, fault.name) == (BAR, "no_volume")
    bars["volume"] = 0.0
    assert find(bars) == {}, "an index without volumes"


def test_wicks_and_volumes_may_be_events() -> None:
    bars = draw()
    bars.loc[BAR, "high"] *= 1.12
    bars.loc[BAR + 50, "volume"] *= 20
    found = find(bars)
    assert {row: fault.name for row, fault in found.items()} == {BAR: "wick", BAR + 50: "volume"}
    assert not any(fault.is_certain for fault in found.values())


def test_an_impossible_price_is_a_fault() -> None:
    bars = draw()
    bars.loc[BAR, "high"] = 5.9e10
    assert find(bars)[BAR].words == "a price of 5.9e+10 cannot be"


@pytest.mark.parametrize("seed", range(6))
def test_neither_the_load_nor_later_bars_change_a_fault(seed: int) -> None:
    random = np.random.default_rng(seed)
    bars = draw_bars(seed, 900, flat=0.05, idle=0.05)
    for row in random.integers(100, 890, 12):
        ratio = random.choice([0.01, 0.06, 0.5, 3.0, 17.4, 100])
        bars.loc[row : row + random.integers(0, 12), PRICES] *= ratio
        bars.loc[row, "low"] *= random.choice([0.85, 1.0])
        bars.loc[row + 2 : row + 5] = bars.loc[row + 1].to_numpy()
    whole = find(bars)
    assert len(whole) > 10
    for first in random.integers(0, 899, 6).tolist():
        start = max(0, first // ANCHOR_BARS * ANCHOR_BARS - EVENTS.count_history_bars("1d"))
        assert find(bars, start, first) == {r: f for r, f in whole.items() if r >= first}
        shorter = find(bars.iloc[: first + 1])
        assert shorter == {r: f for r, f in whole.items() if r <= first}


@pytest.mark.parametrize("seed", slow_but_first(range(6)))
def test_nested_wrong_levels_are_the_same_whatever_bars_are_wanted(seed: int) -> None:
    """Whether a jump leads back depends on the jump before it, whose bar may not be scored."""
    random = np.random.default_rng(seed)
    bars = draw_bars(seed, 600)
    for row in random.integers(3, 590, 60):
        ratio = random.choice([0.01, 0.06, 0.1, 0.5, 3.0, 10.0, 17.4, 100])
        bars.loc[row : row + random.integers(0, 12), PRICES] *= ratio
    whole = find(bars)
    assert len(whole) > 30
    for first in range(3, 600, 7):
        start = max(0, first // ANCHOR_BARS * ANCHOR_BARS - EVENTS.count_history_bars("1d"))
        assert find(bars, start, first) == {r: f for r, f in whole.items() if r >= first}


def test_another_company_with_the_same_ticker_is_no_fault() -> None:
    """After a pause of more than a year, neither level nor split is judged by the bars before
    it.
    """
    bars = draw()
    bars.loc[BAR:, PRICES] *= 20.0
    bars.loc[BAR, "open"] *= 1.3
    bars.loc[BAR, "high"] = bars.loc[BAR, PRICES].max()
    assert BAR in find(bars)
    panel = build_panel(bars)
    days = np.arange(len(bars))
    paused = replace(panel, times=86_400 * (days + np.where(days >= BAR, 366, 0)))
    features = compute_features(paused, np.array([0]), EVENTS)
    found = find_faults(paused, np.ones(len(bars), np.bool_), features)
    assert found.faults == {}
    assert found.returned == frozenset()


def test_a_lone_trade_at_the_price_of_a_year_ago_is_no_fault() -> None:
    bars = draw()
    bars.loc[BAR, PRICES] = bars["close"][BAR - 1]
    panel = build_panel(bars)
    days = np.arange(len(bars))
    paused = replace(panel, times=86_400 * (days + np.where(days >= BAR, 366, 0)))
    features = compute_features(paused, np.array([0]), EVENTS)
    assert find_faults(paused, np.ones(len(bars), np.bool_), features).faults == {}
