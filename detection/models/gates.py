"""Gates: the conditions that a challenger must pass before it replaces the champion.

Both are judged on the same bars, from which neither has learned. The challenger need not be better
in every respect, but may not be much worse in any. Its scores must be steadier than the drifted
scores of the champion.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from records.models.documents import (
    AgreementFields,
    EvaluationDocument,
    GateFields,
    VersionJudgement,
)

# The held-out bars must span so many days, and be so many.
LEAST_DAYS = 90
LEAST_BARS = 1_000
# The later half of the time that the champion has not seen is held out, at most a year.
MOST_DAYS = 365
# Bounds of the flagged share, as a multiple of the share that was asked for, or of the champion's
# flagged share where none was asked for.
LEAST_TIMES, MOST_TIMES = 0.5, 2.0
STEADY_INDEX = 0.25
LEAST_OVERLAP = 0.5
# By how much the challenger's share of found large moves, faults and labelled anomalies may be
# lower. A loss of fewer bars than FEWEST_LOST may be chance: of four bars on which two equal
# versions differ, all four favour the same given one once in 16 times, of five once in 32 (a
# one-sided sign test at .05).
ALLOWED_LOSS = 0.05
FEWEST_LOST = 5
MOST_COST = 3.0


def choose_held_out(champion_end: datetime, last_bar: datetime) -> datetime:
    """Return the end of a challenger's training window. The later half of the time that the
    champion has not seen, at most a year, is held out for the comparison.
    """
    unseen = max(last_bar - champion_end, timedelta(0))
    return last_bar - min(unseen / 2, timedelta(days=MOST_DAYS))


def judge_challenger(evaluation: EvaluationDocument) -> list[GateFields]:
    """Return the gates of a challenger, with their results, from the evaluation whose first version
    is the champion and whose second is the challenger.
    """
    champion, challenger = evaluation["judgements"] or []
    start, end = evaluation["start"], evaluation["end"]
    days = (end - start).days if start and end else 0
    return [
        _judge_unseen(challenger, days),
        _judge_flagged(champion, challenger),
        _judge_steady(champion, challenger),
        _judge_overlap(evaluation["agreement"]),
        _judge_moves(champion, challenger),
        _judge_faults(champion, challenger),
        *_judge_labels(champion, challenger),
        *_judge_cost(champion, challenger),
    ]


def _judge_unseen(challenger: VersionJudgement, days: int) -> GateFields:
    return {
        "name": "unseen",
        "passed": days >= LEAST_DAYS and challenger["bars"] >= LEAST_BARS,
        "words": (
            f"{challenger['bars']:,} bars of {days:,} days that neither learned from; at least"
            f" {LEAST_BARS:,} of {LEAST_DAYS} are asked"
        ),
    }


def _judge_flagged(champion: VersionJudgement, challenger: VersionJudgement) -> GateFields:
    drift = challenger["drift"]
    asked, whose = drift["asked_share"], "that were asked for"
    if asked is None:
        asked, whose = champion["drift"]["flagged_share"], "of the champion"
    flagged = drift["flagged_share"] or 0.0
    wanted = asked or 0.0
    return {
        "name": "flagged",
        "passed": wanted * LEAST_TIMES <= flagged <= wanted * MOST_TIMES,
        "words": (
            f"{1000 * flagged:.1f} alarms a thousand bars beside {1000 * wanted:.1f} {whose} (the"
            f" champion: {champion['alarms_per_thousand'] or 0.0:.1f}); half to double is asked"
        ),
    }


def _judge_steady(champion: VersionJudgement, challenger: VersionJudgement) -> GateFields:
    own, other = (judged["drift"]["stability_index"] or 0.0 for judged in (challenger, champion))
    return {
        "name": "steady",
        "passed": own <= max(STEADY_INDEX, other),
        "words": (
            f"stability index {own:.3f} beside the champion's {other:.3f}; no more than that or"
            f" {STEADY_INDEX:g} is asked"
        ),
    }


def _judge_overlap(agreement: AgreementFields | None) -> GateFields:
    share = (agreement["strangest_in_common"] if agreement else None) or 0.0
    return {
        "name": "overlap",
        "passed": share >= LEAST_OVERLAP,
        "words": (
            f"{100 * share:.0f} % of the strangest hundredth in common; {100 * LEAST_OVERLAP:.0f} %"
            " is asked"
        ),
    }


def _judge_moves(champion: VersionJudgement, challenger: VersionJudgement) -> GateFields:
    recalls = [
        judged["large_moves_flagged"] / judged["large_moves"] if judged["large_moves"] else 1.0
        for judged in (champion, challenger)
    ]
    count = challenger["large_moves"]
    # Shares are compared, as a version with a longer warm-up scores fewer bars.
    lost = round(recalls[0] * count) - challenger["large_moves_flagged"]
    return {
        "name": "events",
        "passed": not _is_loss(recalls[0], recalls[1], lost),
        "words": (
            f"{100 * recalls[1]:.0f} % of {count:,} large moves flagged beside the champion's"
            f" {100 * recalls[0]:.0f} %; {100 * ALLOWED_LOSS:.0f} less are allowed, or"
            f" {FEWEST_LOST - 1} moves"
        ),
    }


def _judge_faults(champion: VersionJudgement, challenger: VersionJudgement) -> GateFields:
    own, other = (
        judged["faults_found"] / judged["faults_planted"] if judged["faults_planted"] else 1.0
        for judged in (challenger, champion)
    )
    lost = round(other * challenger["faults_planted"]) - challenger["faults_found"]
    return {
        "name": "faults",
        "passed": not _is_loss(other, own, lost),
        "words": (
            f"{100 * own:.0f} % of {challenger['faults_planted']:,} planted faults found beside the"
            f" champion's {100 * other:.0f} %; {100 * ALLOWED_LOSS:.0f} less are allowed, or"
            f" {FEWEST_LOST - 1} faults"
        ),
    }


def _judge_labels(champion: VersionJudgement, challenger: VersionJudgement) -> Sequence[GateFields]:
    """Return the gate of the labels; none where no bar is labelled."""
    own, other = challenger["labels"], champion["labels"]
    if own is None or other is None:
        return ()
    missed = other["true_alarms"] - own["true_alarms"]
    mistaken = own["false_alarms"] - other["false_alarms"]
    passed = not _is_loss(other["recall"], own["recall"], missed)
    passed &= not _is_loss(other["precision"], own["precision"], missed + mistaken)
    precision, precision_before, recall, recall_before = (
        "none" if value is None else f"{value:.2f}"
        for name in ("precision", "recall")
        for value in (own[name], other[name])
    )
    words = (
        f"precision {precision} beside {precision_before}, recall {recall} beside {recall_before};"
        f" {ALLOWED_LOSS:g} less is allowed, or {FEWEST_LOST - 1} labelled bars"
    )
    return ({"name": "labels", "passed": passed, "words": words},)


def _is_loss(before: float | None, now: float | None, bars: int) -> bool:
    """Return whether a share of found bars has fallen by more than is allowed, and by more `bars`
    than chance makes likely.
    """
    if before is None or now is None:
        return False
    return now < before - ALLOWED_LOSS and bars >= FEWEST_LOST


def _judge_cost(champion: VersionJudgement, challenger: VersionJudgement) -> Sequence[GateFields]:
    """Return the gate of the time for scoring; none where either scored nothing."""
    own, other = challenger["microseconds_a_bar"], champion["microseconds_a_bar"]
    if not own or not other:
        return ()
    words = (
        f"{own:.1f} microseconds a bar beside the champion's {other:.1f}; {MOST_COST:g} times that"
        " is allowed"
    )
    return ({"name": "cost", "passed": own <= MOST_COST * other, "words": words},)
