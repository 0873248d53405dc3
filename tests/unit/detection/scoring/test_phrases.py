"""The words for an anomaly agree with its features."""

from dataclasses import replace

import numpy as np
import pytest

from detection.features.compute import compute_features
from detection.features.feature_sets import FEATURE_SETS, TWO_YARDSTICKS, FeatureSet
from detection.features.kernel import COLUMNS, MEASURES
from detection.features.names import FEATURES
from detection.scoring.phrases import PHRASES, build_reasons, weigh_parts
from tests.unit.detection.features.twin import build_panel, draw_bars

USUAL = dict.fromkeys(FEATURES, 0.0) | {"VWAP": 100.0, "ATR_14": 2.0}
CALM = dict(
    zip(
        MEASURES,
        (0.1, 0.0, 0.9, 0.2, 1.0, 1.0, 0.1, 0.9, 0.2, 1.0, 1.0, 1.0),
        strict=True,
    )
)


@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda s: s.label)
def test_every_column_of_every_set_has_words(feature_set: FeatureSet) -> None:
    assert set(feature_set.columns) <= set(COLUMNS) == set(PHRASES)
    for column in feature_set.columns:
        assert build_reasons(USUAL, CALM, {column: 1.0}, close=100.0)[0]


@pytest.mark.parametrize(
    ("column", "documented", "measures", "words"),
    [
        ("return_fast", {"return_1": -0.0004}, {"return": -0.03}, "close hardly changed"),
        ("event_steady", {}, {"range": 0.01, "wick": 0.0, "volume": 0.0}, "hardly any range"),
        (
            "return_fast",
            {"return_1": -0.0004},
            {"return": -3.1},
            "fell 0.04 %, 3.1 times its usual range",
        ),
        (
            "return_fast",
            {"return_1": 1e-5},
            {"return": 4.0},
            "rose less than 0.01 %, 4.0 times its usual range",
        ),
        ("gap_fast", {}, {"gap": 0.04}, "opened next to the last close"),
        ("return_3_atr", {"return_3": 0.0}, {}, "close as 3 bars before"),
    ],
)
def test_a_tiny_value_is_described_in_words_and_not_as_a_rounded_zero(
    column: str, documented: dict[str, float], measures: dict[str, float], words: str
) -> None:
    assert build_reasons(USUAL | documented, CALM | measures, {column: 1.0}, close=100.0) == [words]


def test_the_market_is_mentioned_where_its_move_is_the_largest_part_of_a_departure() -> None:
    moved = CALM | {"market_move": -0.061, "market_fast": 11.0}
    told = build_reasons(USUAL, moved, {"event_steady": 1.0}, close=100.0)
    assert told == ["the market fell 6.1 %, 11 times its usual lately"]
    loud = moved | {"volume": 9.0}
    told = build_reasons(USUAL, loud, {"event_steady": 1.0}, close=100.0)
    assert told == ["volume 9.0 times its usual"]
    told = build_reasons(USUAL, CALM | {"market_fast": 2.0}, {"event_steady": 1.0}, close=100.0)
    assert told == ["range 0.9 times its usual"]


@pytest.mark.parametrize(
    "column", [c for c in COLUMNS if c.rpartition("_")[0].endswith(("departure", "span", "event"))]
)
def test_the_named_part_is_the_one_that_is_largest_in_its_column(
    column: str,
) -> None:
    width, sessions = 7, 80
    bars = draw_bars(5, width * sessions)
    panel = replace(
        build_panel(bars),
        interval="1h",
        sessions=np.arange(width * sessions) // width,
        clocks=np.arange(width * sessions) % width,
    )
    only = FeatureSet("one", 1, (column,), 61, sessions=20 if column.startswith("clock") else 0)
    features = compute_features(panel, np.zeros(1, np.int64), only)
    assert features.rows.size > 400
    least = np.sqrt(1.5) if column.startswith("event") else 0.0
    for value, own in zip(features.inputs[:, 0], features.measures.tolist(), strict=True):
        measures = dict(zip(MEASURES, own, strict=True))
        if column.startswith("clock"):
            names = ("range", "wick", "volume")
            measures |= {name: measures[f"clock_{name}"] for name in names}
            if {measures[name] for name in names} == {1.0}:
                continue  # The usual value at its time of day is not known.
        largest = max(weigh_parts(column, measures).values())
        assert value == pytest.approx(max(np.sqrt(largest), least), rel=1e-4)


def explain(bars, row: int) -> list[str]:
    panel = build_panel(bars)
    features = compute_features(panel, np.array([row]), TWO_YARDSTICKS)
    documented = dict(
        zip(FEATURES, features.document(np.zeros(1, np.int64))[0].tolist(), strict=True)
    )
    measures = dict(zip(MEASURES, features.measures[0].tolist(), strict=True))
    return build_reasons(
        documented, measures, {"departure_slow": 0.7, "return_fast": 0.3}, close=bars["close"][row]
    )


def test_a_crash_is_described_as_range_and_fall_below_the_band() -> None:
    bars = draw_bars(4, 400)
    bars.loc[399, ["open", "high"]] = bars.loc[398, "close"]
    bars.loc[399, ["low", "close"]] = bars.loc[398, "close"] * 0.6
    first, second, third = explain(bars, 399)
    assert first.startswith("range ")
    assert first.endswith(" times its usual")
    assert second.startswith("fell 40.0 %, ")
    assert third == "close below the lower band"


def test_twenty_fold_volume_is_described() -> None:
    bars = draw_bars(4, 400)
    bars["volume"] = 1000.0
    bars.loc[399, "volume"] = 20_000.0
    assert explain(bars, 399)[0] == "volume 20 times its usual"


def test_a_flash_wick_is_described_with_its_side() -> None:
    bars = draw_bars(4, 400)
    bars.loc[399, "low"] = bars.loc[399, ["open", "close"]].min() * 0.7
    assert explain(bars, 399)[0].startswith("lower wick ")


def test_small_shares_and_repetitions_are_left_out() -> None:
    shares = {"return_fast": 0.5, "return_slow": 0.45, "gap_fast": 0.05}
    assert build_reasons(USUAL | {"return_1": 0.02}, CALM, shares, close=100.0) == [
        "rose 2.0 %, 0.1 times its usual range"
    ]
