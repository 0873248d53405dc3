"""What labels suggest: a watchlist's threshold, which a person applies; and whether they are enough
to measure the weights of an ensemble.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from alerts.raising import is_confident, passes
from core.errors import NotFound
from core.grades import grade_share
from records.alerts.alerts import find_raised
from records.alerts.trail import build_note, write_noted
from records.database import Db
from records.findings.anomaly_queries import build_query, find_anomalies
from records.findings.labels import JudgedLabel, find_judged, find_votes
from records.models.champions import ALL_MARKETS, Scope
from records.models.documents import PolicyFields
from records.models.thresholds import compare_thresholds, set_threshold
from records.work.watchlists import get_watchlist

# Fewer labels are too few to suggest a threshold, and labels of one kind cannot separate the two.
LEAST_LABELS, LEAST_OF_EACH = 10, 3
# Of each kind, to measure the weights of an ensemble.
LEAST_VOTES = 20
DAYS = 90
LISTED = 20
MOST_ANOMALIES = 20_000
# Grades end at 100.
ABOVE_ALL = 101.0


class Quality(TypedDict):
    """How the labelled anomalies fare at a threshold; None where nothing passes, or nothing is
    true.
    """

    precision: float | None
    recall: float | None
    f1: float | None


class Suggestion(TypedDict):
    """A threshold for a watchlist, and what would have been otherwise.

    Attributes:
        current: the watchlist's own threshold; None if it has none.
        suggested: a grade; None if the labels suggest none, and `reason` says why.
        labels, true, false: the number of labels of its tickers, and how many are true and false.
        now, then: precision, recall and F1 on the labelled anomalies, with the present threshold
            and with the suggested one.
        alerts_lost, alerts_gained: how many alerts of the last 90 days the suggested threshold
            would drop and add; `lost` and `gained` name the first 20. Only anomalies that some run
            stored can be gained.
    """

    watchlist: str
    current: PolicyFields | None
    suggested: float | None
    reason: str
    labels: int
    true: int
    false: int
    now: Quality
    then: Quality
    days: int
    alerts_lost: int
    alerts_gained: int
    lost: list[str]
    gained: list[str]


Votes = Sequence[tuple[Mapping[str, float], bool]]
"""The grades that members gave to a labelled anomaly, by member, and whether it was true."""
Judged = Sequence[tuple[float, bool]]
"""Grades of labelled anomalies, and whether they were true."""


def measure(judged: Judged, threshold: float) -> Quality:
    """Return precision, recall and F1 if everything of at least this grade counts as true."""
    kept = [is_true for grade, is_true in judged if grade >= threshold]
    true = sum(is_true for _, is_true in judged)
    found = sum(kept)
    precision = found / len(kept) if kept else None
    recall = found / true if true else None
    total = len(kept) + true
    return {"precision": precision, "recall": recall, "f1": 2 * found / total if total else None}


def choose_grade(judged: Judged) -> float | None:
    """Return the grade with the greatest F1 on the labelled anomalies, the lowest if several have
    it, rounded down to a tenth; None where there are too few labels of either kind.
    """
    true = sum(is_true for _, is_true in judged)
    if len(judged) < LEAST_LABELS or min(true, len(judged) - true) < LEAST_OF_EACH:
        return None
    grades = sorted({grade for grade, _ in judged})
    best = max(grades, key=lambda grade: (measure(judged, grade)["f1"] or 0.0, -grade))
    return int(best * 10) / 10


def suggest_threshold(database: Db, name: str, now: datetime) -> Suggestion:
    """Return the threshold that labels suggest for a watchlist. Raises NotFound."""
    watchlist = get_watchlist(database, name)
    tickers, interval = watchlist["tickers"], watchlist["interval"]
    judged = find_judged(database, tickers, interval)
    grades = [(each.grade, each.is_true) for each in judged]
    true = sum(is_true for _, is_true in grades)
    suggested = choose_grade(grades)
    since = now - timedelta(days=DAYS)
    current = watchlist["threshold"]
    present = _find_grade(current, judged)
    lost: list[str] = []
    gained: list[str] = []
    if suggested is not None:
        raised = find_raised(database, name, since)
        lost = [alert["_id"] for alert in raised if alert["grade"] < suggested]
        held = {each for alert in raised for each in alert["anomaly_ids"]}
        query = build_query(tickers=tickers, interval=interval, min_grade=suggested, start=since)
        found = find_anomalies(database, query, limit=MOST_ANOMALIES)
        gained = [
            anomaly["_id"]
            for anomaly in found
            if anomaly["_id"] not in held
            and not passes(current, anomaly)
            and is_confident(watchlist, anomaly)
        ]
    return {
        "watchlist": name,
        "current": current,
        "suggested": suggested,
        "reason": _explain(len(grades), true, suggested),
        "labels": len(grades),
        "true": true,
        "false": len(grades) - true,
        "now": measure(grades, present),
        "then": measure(grades, present if suggested is None else suggested),
        "days": DAYS,
        "alerts_lost": len(lost),
        "alerts_gained": len(gained),
        "lost": lost[:LISTED],
        "gained": gained[:LISTED],
    }


def _find_grade(current: PolicyFields | None, judged: Sequence[JudgedLabel]) -> float:
    """Return the least grade that passes a watchlist's policy, as far as labelled anomalies show
    it.
    """
    if current is None:
        return min((each.grade for each in judged), default=0.0)
    if current["kind"] == "grade":
        return current["value"]
    if current["kind"] == "contamination":
        return grade_share(current["value"])
    passing = [each.grade for each in judged if each.score < current["value"]]
    return min(passing, default=ABOVE_ALL)


def apply_threshold(database: Db, name: str, grade: float, *, by: str, now: datetime) -> None:
    """Set a watchlist's threshold to a grade, with an entry of the audit. Raises NotFound."""
    get_watchlist(database, name)
    scope = Scope("watchlist", name)
    told = compare_thresholds(database, scope, {"kind": "grade", "value": grade})
    write_noted(
        database,
        lambda session: set_threshold(database, scope, "grade", grade, now, session),
        [build_note("threshold", str(scope), by=by, at=now, details=told)],
    )


def find_enough_votes(database: Db, market: str, interval: str) -> Votes:
    """Return the grades that members gave to labelled anomalies, and which of these anomalies were
    true.
    """
    votes = find_votes(database, None if market == ALL_MARKETS else market, interval)
    true = sum(is_true for _, is_true in votes)
    if min(true, len(votes) - true) < LEAST_VOTES:
        raise NotFound(
            f"{len(votes)} anomalies that an ensemble found in {interval} bars of {market} are"
            f" labelled, {true} true and {len(votes) - true} false alarms: at least {LEAST_VOTES}"
            " of either kind are needed to measure weights",
            reason="too_few_labels",
        )
    return votes


def _explain(labels: int, true: int, suggested: float | None) -> str:
    told = f"{labels} labels, {true} true and {labels - true} false alarms"
    if suggested is None:
        return f"{told}: at least {LEAST_LABELS} are needed, {LEAST_OF_EACH} of either kind"
    return f"{told}: grade {suggested:g} keeps them apart best (F1)"
