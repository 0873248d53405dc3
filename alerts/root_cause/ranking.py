"""Ranking the groups and index that may be behind a ticker's move, in sentences with their
numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from typing import TYPE_CHECKING

from core.naming import count_of
from core.words import GroupType, MoveScope

if TYPE_CHECKING:
    from records.findings.documents import CauseFields

WEIGHTS = {"explained": 0.35, "breadth": 0.25, "time": 0.2, "nearness": 0.1, "severity": 0.1}
LEAST_EXPLAINED = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be behind a move.

    Attributes:
        name, type, level: the group or index, its type, and how many levels above the ticker it is.
        move: its log return on the bar.
        explained: the share of the ticker's move that its part explains.
        strange, siblings: how many of the ticker's siblings in it moved strangely in the same
            direction, and how many siblings there are.
        lead_bars: by how many bars it began to move before the ticker; negative if the ticker began
            first.
        z: its move in standard deviations.
    """

    name: str
    type: GroupType
    level: int
    move: float
    explained: float
    strange: int
    siblings: int
    lead_bars: float
    z: float


def rank_causes(candidates: Sequence[Candidate]) -> "list[CauseFields]":
    """Return the candidates that explain at least a tenth of a move, the likeliest first."""
    found = [
        _describe(candidate) for candidate in candidates if candidate.explained >= LEAST_EXPLAINED
    ]
    return sorted(found, key=lambda cause: (-cause["score"], cause["level"], cause["name"]))


def tell(
    scope: MoveScope | None, move: float, own: float, causes: "Sequence[CauseFields]"
) -> list[str]:
    """Return the sentences about a move: its causes, and how much of it is the ticker's own.

    A symptom is never called a cause: every cause is above the ticker in the graph, or the ticker
    itself.
    """
    sentences = []
    if scope in {"market", "sector", "mixed"}:
        sentences += [cause["sentence"] for cause in causes]
    if scope in {"own", "mixed"}:
        sentences.append(f"Its own: {write_return(own)}; {write_return(move)} in all")
    if scope == "quiet":
        sentences.append(
            f"No move of its close: {write_return(move)}; its volume, range or gap was strange"
        )
    if scope is None:
        sentences.append(
            "Not told: fewer than 60 bars of it and its market lie before this one, more than"
            " seven bars of it are missing there, or its close is five times the one before, or a"
            " fifth of it"
        )
    return sentences


def _describe(candidate: Candidate) -> "CauseFields":
    breadth = candidate.strange / candidate.siblings if candidate.siblings else 0.0
    score = (
        WEIGHTS["explained"] * candidate.explained
        + WEIGHTS["breadth"] * breadth
        + WEIGHTS["time"] * (1.0 / (1.0 + candidate.lead_bars) if candidate.lead_bars >= 0 else 0.0)
        + WEIGHTS["nearness"] / candidate.level
        + WEIGHTS["severity"] * min(abs(candidate.z) / 10.0, 1.0)
    )
    levels = f"{count_of(candidate.level, 'level')} up"
    siblings = (
        f"; {candidate.strange} of {candidate.siblings} siblings" if candidate.siblings else ""
    )
    return {
        "name": candidate.name,
        "type": candidate.type,
        "level": candidate.level,
        "move": candidate.move,
        "explained": candidate.explained,
        "strange": candidate.strange,
        "siblings": candidate.siblings,
        "z": candidate.z,
        "score": score,
        "sentence": (
            f"Inherited from {candidate.type} {candidate.name} ({levels}):"
            f" {write_return(candidate.move)} there,"
            f" {_percent(candidate.explained)} of this move{siblings}"
        ),
    }


def write_return(log_return: float) -> str:
    """Return a log return as people read it: the simple return in percent."""
    percent = round(expm1(log_return) * 100, 1)
    return f"{percent:+,.1f} %" if percent else "0.0 %"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
