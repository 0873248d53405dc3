"""Gates of challengers, by judgements that are written down."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from detection.models.gates import choose_held_out, judge_challenger

START = datetime(2025, 1, 1, tzinfo=UTC)
LABELS = {"precision": 0.8, "recall": 0.9}


def judgement(**changes: Any) -> dict[str, Any]:
    drift = {
        "stability_index": changes.pop("index", 0.1),
        "flagged_share": changes.pop("flagged", 0.01),
        "asked_share": changes.pop("asked", 0.01),
    }
    return {
        "bars": 2_000,
        "alarms_per_thousand": 1000 * drift["flagged_share"],
        "large_moves": 20,
        "large_moves_flagged": 18,
        "faults_planted": 100,
        "faults_found": 96,
        "microseconds_a_bar": 10.0,
        "labels": None,
        "drift": drift,
    } | changes


def judge(
    champion: dict[str, Any], challenger: dict[str, Any], *, days: int = 200, overlap: float = 0.7
) -> dict[str, bool]:
    report: Any = {
        "judgements": [judgement(**champion), judgement(**challenger)],
        "agreement": {"strangest_in_common": overlap},
        "start": START,
        "end": START + timedelta(days=days),
    }
    return {gate["name"]: gate["passed"] for gate in judge_challenger(report)}


def test_a_challenger_that_is_as_good_passes_all_gates() -> None:
    passed = judge({"labels": LABELS}, {"labels": LABELS})
    assert passed == dict.fromkeys(
        ("unseen", "flagged", "steady", "overlap", "events", "faults", "labels", "cost"), True
    )
    assert "labels" not in judge({}, {})


@pytest.mark.parametrize(
    ("gate", "champion", "challenger"),
    [
        ("unseen", {}, {"bars": 999}),
        ("flagged", {}, {"flagged": 0.021}),
        ("flagged", {}, {"flagged": 0.004}),
        ("flagged", {"asked": None}, {"asked": None, "flagged": 0.021}),
        ("steady", {"index": 0.2}, {"index": 0.26}),
        ("events", {}, {"large_moves_flagged": 16}),
        ("faults", {}, {"faults_found": 90}),
        ("labels", {"labels": LABELS}, {"labels": {"precision": 0.7, "recall": 1.0}}),
        ("cost", {}, {"microseconds_a_bar": 31.0}),
    ],
)
def test_a_challenger_that_is_worse_in_one_respect_fails_that_gate_alone(
    gate: str, champion: dict[str, Any], challenger: dict[str, Any]
) -> None:
    passed = judge(champion, challenger)
    assert [name for name, held in passed.items() if not held] == [gate]


def test_what_is_compared_by_too_few_days_or_flags_other_bars_fails() -> None:
    assert not judge({}, {}, days=89)["unseen"]
    assert not judge({}, {}, overlap=0.4)["overlap"]
    # Its scores have moved, but less than those of the champion.
    assert judge({"index": 0.9}, {"index": 0.5})["steady"]
    # Of few large moves a share says nothing.
    few = {"large_moves": 9, "large_moves_flagged": 0}
    assert judge({"large_moves": 9, "large_moves_flagged": 9}, few)["events"]


@pytest.mark.parametrize(
    ("unseen_days", "held_out"), [(0, 0), (-5, 0), (200, 100), (730, 365), (3_000, 365)]
)
def test_the_later_half_of_what_the_champion_has_not_seen_is_held_out(
    unseen_days: int, held_out: int
) -> None:
    last = START + timedelta(days=unseen_days)
    assert last - choose_held_out(START, last) == timedelta(days=held_out)
