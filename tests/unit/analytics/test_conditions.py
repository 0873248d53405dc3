"""The words for a market's conditions around a bar."""

from datetime import UTC, datetime

import pytest

from analytics.conditions import describe_conditions

NOW = datetime(2024, 8, 5, tzinfo=UTC)
CALM = {"consolidation": 12, "transitional": 8}
LIVELY = {"breakout_phase": 5, "bearish_acceleration": 9, "transitional": 6}


def bar(regimes: dict[str, int], *, z: float | None = 0.3, breadth: float | None = 0.1) -> dict:
    return {
        "time": NOW,
        "breadth": {"advance_decline": breadth, "above_sma_50": 0.5},
        "return": -0.03 if z and z < 0 else 0.01,
        "z": z,
        "regimes": regimes,
    }


def test_an_ordinary_day_has_no_words() -> None:
    found = describe_conditions([bar(CALM)] * 5, {"regime": "consolidation"}, "1d")
    assert found["words"] == []
    assert found["turbulent_share"] == 0.0
    assert found["regime"] == {"regime": "consolidation"}


@pytest.mark.parametrize(
    ("bars", "words"),
    [
        ([bar(LIVELY)] * 5, ["in a turbulent week for the whole market"]),
        ([bar(LIVELY), *[bar(CALM)] * 4], ["on a turbulent day for the whole market"]),
        ([bar(CALM), *[bar(LIVELY)] * 4], []),
        ([bar(LIVELY)] * 3, ["on a turbulent day for the whole market"]),
        ([bar(CALM, z=-4.2)], ["the whole market fell, 4.2 times its usual move"]),
        ([bar(CALM, breadth=-0.8)], ["90 % of the tickers that moved fell"]),
        ([bar({}, z=None, breadth=None)], []),
    ],
)
def test_unusual_conditions_are_named(bars: list[dict], words: list[str]) -> None:
    assert describe_conditions(bars, None, "1d")["words"] == words


@pytest.mark.parametrize(
    ("interval", "once", "always"),
    [
        ("1h", "on a turbulent bar", "on five turbulent bars in a row"),
        ("1w", "in a turbulent week", "in five turbulent weeks"),
    ],
)
def test_the_length_of_turbulence_is_named_by_the_interval(
    interval: str, once: str, always: str
) -> None:
    for bars, words in ((3, once), (5, always)):
        found = describe_conditions([bar(LIVELY)] * bars, None, interval)
        assert found["words"] == [f"{words} for the whole market"]


def test_without_market_bars_only_the_series_own_regime_is_named() -> None:
    assert describe_conditions([], {"regime": "transitional"}, "1d") == {
        "regime": {"regime": "transitional"},
        "words": [],
    }
