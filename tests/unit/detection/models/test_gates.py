"""The gates that challengers must pass, on evaluations written by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from detection.models.gates import choose_held_out, judge_challenger

START = datetime(2025, 1, 1, tzinfo=UTC)
LABELS = {"true_alarms": 36, "false_alarms": 9, "precision": 0.8, "recall": 0.9}
# Twelve more false alarms, and four more true ones.
LOOSER = {"true_alarms": 40, "false_alarms": 21, "precision": 40 / 61, "recall": 1.0}


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
        ("events", {}, {"large_moves_flagged": 13}),
        ("faults", {}, {"faults_found": 90}),
        ("labels", {"labels": LABELS}, {"labels": LOOSER}),
        ("cost", {}, {"microseconds_a_bar": 31.0}),
    ],
)
def test_a_challenger_that_is_worse_in_one_respect_fails_only_that_gate(
    gate: str, champion: dict[str, Any], challenger: dict[str, Any]
) -> None:
    passed = judge(champion, challenger)
    assert [name for name, held in passed.items() if not held] == [gate]


def test_a_comparison_of_too_few_days_or_of_other_flagged_bars_fails() -> None:
    assert not judge({}, {}, days=89)["unseen"]
    assert not judge({}, {}, overlap=0.4)["overlap"]
    # Its scores have moved, but less than the champion's.
    assert judge({"index": 0.9}, {"index": 0.5})["steady"]


def test_a_challenger_with_another_number_of_bars_is_judged_by_its_own_bars() -> None:
    """A challenger with a shorter warm-up has more large moves to find, and may not miss nearly all
    of them.
    """
    few = {"large_moves": 10, "large_moves_flagged": 9}
    many = {"large_moves": 100, "large_moves_flagged": 10}
    assert not judge(few, many)["events"]
    # Nine tenths of five moves are four or five; three is two less at most.
    assert judge({"large_moves": 100, "large_moves_flagged": 90}, few)["events"]
    fewest = {"large_moves": 5, "large_moves_flagged": 3}
    assert judge({"large_moves": 100, "large_moves_flagged": 90}, fewest)["events"]
    planted = {"faults_planted": 10, "faults_found": 9}
    assert not judge(planted, {"faults_planted": 100, "faults_found": 10})["faults"]


@pytest.mark.parametrize("lost", [1, 4, 5])
def test_up_to_four_lost_bars_count_as_chance(lost: int) -> None:
    """One of ten large moves or labels is a tenth, and one of five faults a fifth: more than
    .05.
    """
    passed = lost < 5
    moves = {"large_moves": 10, "large_moves_flagged": 10 - lost}
    assert judge({"large_moves": 10, "large_moves_flagged": 10}, moves)["events"] is passed
    faults = {"faults_planted": 5, "faults_found": 5 - lost}
    assert judge({"faults_planted": 5, "faults_found": 5}, faults)["faults"] is passed
    labels = {"true_alarms": 10, "false_alarms": 0, "precision": 1.0, "recall": 1.0}
    missed = labels | {"true_alarms": 10 - lost, "recall": 1.0 - lost / 10}
    mistaken = labels | {"false_alarms": lost, "precision": 10 / (10 + lost)}
    for worse in (missed, mistaken):
        assert judge({"labels": labels}, {"labels": worse})["labels"] is passed


@pytest.mark.parametrize(
    ("unseen_days", "held_out"), [(0, 0), (-5, 0), (200, 100), (730, 365), (3_000, 365)]
)
def test_the_later_half_of_the_bars_that_the_champion_has_not_seen_is_held_out(
    unseen_days: int, held_out: int
) -> None:
    last = START + timedelta(days=unseen_days)
    assert last - choose_held_out(START, last) == timedelta(days=held_out)
